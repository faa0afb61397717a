from pathlib import Path

from osteorad import joblog
from osteorad.reporting.review_page import write_review_page

joblog.start(snakemake.log[0], snakemake.input.key)
write_review_page(
    cohort=snakemake.wildcards.cohort,
    images=[Path(p) for p in snakemake.params.images],
    masks=[Path(p) for p in snakemake.input.masks],
    **snakemake.params.review,
    out_html=Path(snakemake.output.page),
    out_json=Path(snakemake.output.numbers),
)
