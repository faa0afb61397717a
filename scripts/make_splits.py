from pathlib import Path

from osteorad import joblog
from osteorad.cohort.analysis_jobs import splits_job

joblog.start(snakemake.log[0], snakemake.input.key)
splits_job(
    samples=Path(snakemake.input.samples),
    params=snakemake.params.analysis,
    out=Path(snakemake.output.splits),
)
