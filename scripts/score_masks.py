from pathlib import Path

from osteorad import joblog
from osteorad.segmentation.job_score import score_job

joblog.start(snakemake.log[0], snakemake.input.key)
score_job(
    masks=Path(snakemake.input.masks),
    manual=[Path(p) for p in snakemake.input.manual],
    lesions=Path(snakemake.input.lesions[0]) if snakemake.input.lesions else None,
    images=[Path(p) for p in snakemake.input.images],
    params=dict(snakemake.params.scores),
    out_cases=Path(snakemake.output.cases),
    out_lesions=Path(snakemake.output.lesions),
    out_scores=Path(snakemake.output.scores),
)
