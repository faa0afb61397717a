from pathlib import Path

from osteorad import joblog
from osteorad.modelling.job_fit import fit_job

joblog.start(snakemake.log[0], snakemake.input.key)
fit_job(
    samples=Path(snakemake.input.samples),
    splits=Path(snakemake.input.splits),
    params=snakemake.params.analysis,
    fold_samples=[Path(p) for p in snakemake.input.fold_samples],
    masks=[Path(p) for p in snakemake.input.fold_masks],
    networks=[Path(p) for p in snakemake.input.fold_networks],
    out_predictions=Path(snakemake.output.predictions),
    out_steps=Path(snakemake.output.steps),
    out_selection=Path(snakemake.output.selection),
    out_lineage=Path(snakemake.output.lineage),
    out_models=Path(snakemake.output.models),
)
