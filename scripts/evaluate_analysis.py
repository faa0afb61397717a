from pathlib import Path

from osteorad import joblog
from osteorad.modelling.job_evaluate import evaluate_job

joblog.start(snakemake.log[0], snakemake.input.key)
evaluate_job(
    predictions=Path(snakemake.input.predictions),
    selection=Path(snakemake.input.selection),
    samples=Path(snakemake.input.samples),
    params=snakemake.params.analysis,
    fold_samples=[Path(p) for p in snakemake.input.fold_samples],
    out=Path(snakemake.output.evaluation),
)
