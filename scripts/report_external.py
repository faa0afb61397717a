from pathlib import Path

from osteorad import joblog
from osteorad.provenance import sha256_file
from osteorad.reporting.external_page import write_external_page

joblog.start(snakemake.log[0], snakemake.input.key)
files = {name: Path(snakemake.input[name]) for name in ("evaluation", "flow")}
shown = (*files.values(), Path(snakemake.input.bundle))
write_external_page(
    **snakemake.params.settings,
    **files,
    hashes={path.name: sha256_file(path)[:16] for path in shown},
    out_html=Path(snakemake.output.page),
    out_json=Path(snakemake.output.numbers),
)
