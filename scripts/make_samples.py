from pathlib import Path

from osteorad import joblog
from osteorad.cohort.analysis_jobs import samples_job

joblog.start(snakemake.log[0], snakemake.input.key)
samples_job(
    features=Path(snakemake.input.features),
    reasons=Path(snakemake.input.reasons),
    patients=Path(snakemake.input.patients),
    series=Path(snakemake.input.series),
    clinical=Path(snakemake.input.clinical[0]) if snakemake.input.clinical else None,
    lesions=Path(snakemake.input.lesions[0]) if snakemake.input.lesions else None,
    second=Path(snakemake.input.second[0]) if snakemake.input.second else None,
    shuffled=Path(snakemake.input.shuffled[0]) if snakemake.input.shuffled else None,
    params=snakemake.params.analysis,
    out_samples=Path(snakemake.output.samples),
    out_set_aside=Path(snakemake.output.set_aside),
    out_flow=Path(snakemake.output.flow),
)
