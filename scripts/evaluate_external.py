from pathlib import Path

from osteorad import joblog
from osteorad.modelling.job_evaluate_external import evaluate_external_job

joblog.start(snakemake.log[0], snakemake.input.key)
names = ("predictions", "samples", "bundle", "outside")
evaluate_external_job(
    **{name: Path(snakemake.input[name]) for name in names},
    params=snakemake.params.analysis,
    out=Path(snakemake.output.evaluation),
)
