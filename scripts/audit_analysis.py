from pathlib import Path

from osteorad import joblog
from osteorad.modelling.job_audit import audit_job

joblog.start(snakemake.log[0], snakemake.input.key)
audit_job(
    samples=Path(snakemake.input.samples),
    splits=Path(snakemake.input.splits),
    predictions=Path(snakemake.input.predictions),
    steps=Path(snakemake.input.steps),
    selection=Path(snakemake.input.selection),
    lineage=Path(snakemake.input.lineage),
    params=snakemake.params.analysis,
    fold_samples=[Path(p) for p in snakemake.input.fold_samples],
    masks=[Path(p) for p in snakemake.input.fold_masks],
    networks=[Path(p) for p in snakemake.input.fold_networks],
    out=Path(snakemake.output.audit),
)
