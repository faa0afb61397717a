from pathlib import Path

from osteorad import joblog
from osteorad.reporting.cohort_page import write_cohort_page

joblog.start(snakemake.log[0])
write_cohort_page(
    cohort=snakemake.wildcards.cohort,
    settings=dict(snakemake.params.settings),
    patients=Path(snakemake.input.patients),
    series=Path(snakemake.input.series),
    quarantine=Path(snakemake.input.quarantine),
    flow=Path(snakemake.input.flow),
    features=Path(snakemake.input.features),
    reasons=Path(snakemake.input.reasons),
    thumbs=[Path(p) for p in snakemake.input.thumbs],
    out_html=Path(snakemake.output.page),
    out_json=Path(snakemake.output.numbers),
    out_csv=Path(snakemake.output.lesions),
)
