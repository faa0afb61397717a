from pathlib import Path

from osteorad import joblog
from osteorad.reporting.privacy_page import write_privacy_page

joblog.start(snakemake.log[0], snakemake.input.key)
optional = {name: snakemake.input.get(name, []) for name in ("clinical", "lesions", "search")}
write_privacy_page(
    cohort=snakemake.wildcards.cohort,
    settings=snakemake.params.settings,
    manifests=[Path(p) / name for name in ("images.json", "contours.json") for p in snakemake.params.folders],
    **{name: Path(snakemake.input[name]) for name in ("patients", "quarantine", "flow")},
    **{name: Path(next(iter(paths))) if paths else None for name, paths in optional.items()},
    out_html=Path(snakemake.output.page),
    out_json=Path(snakemake.output.numbers),
)
