from pathlib import Path

from osteorad import joblog
from osteorad.radiomics.fold_features import extract_fold_features

joblog.start(snakemake.log[0], snakemake.input.key)
recipe = snakemake.params.analysis["recipe"]
extract_fold_features(
    masks=Path(snakemake.input.masks),
    images=[Path(p) for p in snakemake.input.images],
    grids=[Path(p) for p in snakemake.input.grids],
    preset=recipe["preset"],
    roi=recipe["roi"],
    wanted_images=recipe["images"],
    out_table=Path(snakemake.output.table),
    out_reasons=Path(snakemake.output.reasons),
)
