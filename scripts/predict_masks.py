from pathlib import Path

from osteorad import joblog
from osteorad.segmentation.job_predict import predict_job

joblog.start(snakemake.log[0], snakemake.input.key)
predict_job(
    samples=Path(snakemake.input.samples),
    splits=Path(snakemake.input.splits),
    networks=[Path(path) for path in snakemake.input.networks],
    images=[Path(path) for path in snakemake.input.images],
    gate=Path(snakemake.input.gate[0]) if snakemake.input.gate else None,
    settings=snakemake.params.settings,
    network=snakemake.wildcards.network,
    repeat=int(snakemake.wildcards.repeat),
    fold=int(snakemake.wildcards.fold),
    analysis=snakemake.wildcards.analysis,
    cohort=snakemake.params.cohort,
    threads=snakemake.threads,
    out=Path(snakemake.output.manifest),
)
