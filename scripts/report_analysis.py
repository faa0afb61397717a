from pathlib import Path

from osteorad import joblog
from osteorad.provenance import sha256_file
from osteorad.reporting.analysis_page import write_analysis_page

joblog.start(snakemake.log[0], snakemake.input.key)
files = {name: Path(snakemake.input[name]) for name in ("evaluation", "audit", "flow", "lineage", "bundle")}
write_analysis_page(
    **snakemake.params.settings,
    **files,
    hashes={path.name: sha256_file(path)[:16] for path in files.values()},
    truth=Path(snakemake.input.truth[0]) if snakemake.input.truth else None,
    out_html=Path(snakemake.output.page),
    out_json=Path(snakemake.output.numbers),
)
