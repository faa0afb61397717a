from pathlib import Path

from osteorad import joblog
from osteorad.modelling.job_freeze import freeze_job

joblog.start(snakemake.log[0], snakemake.input.key)
freeze_job(
    samples=Path(snakemake.input.samples),
    splits=Path(snakemake.input.splits),
    params=snakemake.params.analysis,
    out=Path(snakemake.output.bundle),
)
