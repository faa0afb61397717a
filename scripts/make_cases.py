from pathlib import Path

from osteorad import joblog
from osteorad.cohort.case_jobs import cases_job

joblog.start(snakemake.log[0], snakemake.input.key)
cases_job(
    patients=Path(snakemake.input.patients),
    series=Path(snakemake.input.series),
    images=[Path(path) for path in snakemake.input.images],
    masks=[Path(path) for path in snakemake.input.masks],
    params=snakemake.params.analysis,
    rejected=snakemake.params.rejected["rejected"],
    out_samples=Path(snakemake.output.samples),
    out_splits=Path(snakemake.output.splits),
    out_set_aside=Path(snakemake.output.set_aside),
    out_flow=Path(snakemake.output.flow),
)
