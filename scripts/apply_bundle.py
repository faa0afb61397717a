from pathlib import Path

from osteorad import joblog
from osteorad.modelling.job_external import apply_job

joblog.start(snakemake.log[0], snakemake.input.key)
apply_job(
    bundle=Path(snakemake.input.bundle),
    samples=Path(snakemake.input.samples),
    params=snakemake.params.analysis,
    out_predictions=Path(snakemake.output.predictions),
    out_outside=Path(snakemake.output.outside),
)
