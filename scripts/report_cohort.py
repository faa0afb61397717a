from pathlib import Path

from osteorad import joblog
from osteorad.provenance import sha256_file
from osteorad.reporting.cohort_page import write_cohort_page

joblog.start(snakemake.log[0], snakemake.input.key)
names = ("patients", "series", "quarantine", "features", "reasons", "flow")
tables = {name: Path(snakemake.input[name]) for name in names}
write_cohort_page(
    cohort=snakemake.wildcards.cohort,
    title=snakemake.params.settings["title"],
    settings={**snakemake.params.settings, "hashes": {path.name: sha256_file(path)[:16] for path in tables.values()}},
    **tables,
    review=Path(snakemake.input.review[0]) if snakemake.input.review else None,
    thumbs=[Path(p) for p in snakemake.input.thumbs],
    out_html=Path(snakemake.output.page),
    out_json=Path(snakemake.output.numbers),
    out_csv=Path(snakemake.output.lesions),
    out_parts=Path(snakemake.output.parts),
)
