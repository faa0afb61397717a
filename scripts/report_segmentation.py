from pathlib import Path

from osteorad import joblog
from osteorad.provenance import sha256_file
from osteorad.reporting.segmentation_page import write_segmentation_page

joblog.start(snakemake.log[0], snakemake.input.key)
lists = ("scores", "cases", "lesions", "networks", "drawn", "images", "masks")
files = {name: [Path(path) for path in snakemake.input[name]] for name in lists}
hashed = [*files["scores"], *files["networks"], *files["drawn"]]
write_segmentation_page(
    **snakemake.params.settings,
    **files,
    flow=Path(snakemake.input.flow),
    hashes={"/".join(path.parts[-3:]): sha256_file(path)[:16] for path in hashed},
    out_html=Path(snakemake.output.page),
    out_json=Path(snakemake.output.numbers),
)
