from pathlib import Path

from osteorad import joblog
from osteorad.radiomics.collect import collect

joblog.start(snakemake.log[0], snakemake.input.key)
collect(
    [Path(p) for p in snakemake.input.tables],
    [Path(p) for p in snakemake.input.reasons],
    Path(snakemake.output.table),
    Path(snakemake.output.reasons),
    images=[Path(p) for p in snakemake.input.images],
    masks=[Path(p) for p in snakemake.input.masks],
    rejected=snakemake.params.rejected,
)
