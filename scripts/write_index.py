from pathlib import Path

from osteorad import joblog
from osteorad.reporting.index_page import write_index

joblog.start(snakemake.log[0], snakemake.input.key)
write_index(
    title=snakemake.params.title,
    cohorts=[Path(p) for p in snakemake.input.cohorts],
    analyses=[Path(p) for p in snakemake.input.analyses],
    out=Path(snakemake.output.page),
)
