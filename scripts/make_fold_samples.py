from pathlib import Path

from osteorad import joblog
from osteorad.cohort.job_fold_samples import fold_samples_job

joblog.start(snakemake.log[0], snakemake.input.key)
fold_samples_job(
    samples=Path(snakemake.input.samples),
    features=Path(snakemake.input.features),
    repeat=int(snakemake.wildcards.repeat),
    fold=int(snakemake.wildcards.fold),
    params=snakemake.params.analysis,
    out=Path(snakemake.output.samples),
)
