from pathlib import Path

from osteorad import joblog
from osteorad.segmentation.job_export import export_seg_job

joblog.start(snakemake.log[0], snakemake.input.key)
export_seg_job(
    masks=Path(snakemake.input.masks),
    patient=snakemake.wildcards.patient,
    images=Path(snakemake.input.images),
    dicom=Path(snakemake.input.dicom),
    source_root=Path(snakemake.params.source_root) if snakemake.params.source_root else None,
    out_dir=Path(snakemake.output.manifest).parent,
    image=snakemake.params.image,
)
