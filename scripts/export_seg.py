from pathlib import Path

from osteorad import joblog
from osteorad.segmentation.job_export import export_fold_job

joblog.start(snakemake.log[0], snakemake.input.key)
export_fold_job(
    masks=Path(snakemake.input.masks),
    images=[Path(p) for p in snakemake.input.images],
    dicom=[Path(p) for p in snakemake.input.dicom],
    source_root=Path(snakemake.params.source) if snakemake.params.source else None,
    settings=snakemake.params.settings,
    out=Path(snakemake.output.manifest),
)
