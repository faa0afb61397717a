from pathlib import Path

from osteorad import joblog
from osteorad.images.grids import build_grid

joblog.start(snakemake.log[0], snakemake.input.key)
build_grid(
    Path(snakemake.input.images),
    Path(snakemake.input.masks),
    grid=snakemake.wildcards.grid,
    out_dir=Path(snakemake.output.manifest).parent,
)
