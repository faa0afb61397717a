from pathlib import Path

from osteorad import joblog
from osteorad.segmentation.job_train import train_job

joblog.start(snakemake.log[0], snakemake.input.key)
train_job(
    samples=Path(snakemake.input.samples),
    splits=Path(snakemake.input.splits),
    images=[Path(path) for path in snakemake.input.images],
    masks=[Path(path) for path in snakemake.input.masks],
    settings=snakemake.params.settings,
    network=snakemake.wildcards.network,
    repeat=int(snakemake.wildcards.repeat),
    fold=int(snakemake.wildcards.fold),
    inner_fold=int(snakemake.wildcards.inner),
    analysis=snakemake.wildcards.analysis,
    cohort=snakemake.params.cohort,
    work=Path(snakemake.params.work),
    threads=snakemake.threads,
    out=Path(snakemake.output.network),
)
