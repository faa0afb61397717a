from pathlib import Path

from osteorad import joblog
from osteorad.radiomics.extract import extract_patient

joblog.start(snakemake.log[0], snakemake.input.key)
extract_patient(
    Path(snakemake.input.images),
    Path(snakemake.input.masks),
    [Path(p) for p in snakemake.input.grids],
    preset=snakemake.wildcards.preset,
    rois=list(snakemake.params.rois),
    wanted_images=list(snakemake.params.images),
    out_table=Path(snakemake.output.table),
    out_reasons=Path(snakemake.output.reasons),
)
