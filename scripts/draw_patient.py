from pathlib import Path

from osteorad import joblog
from osteorad.reporting.patient import draw_patient

joblog.start(snakemake.log[0], snakemake.input.key)
draw_patient(
    Path(snakemake.params.images),
    Path(snakemake.input.masks),
    out_page=Path(snakemake.output.page),
    out_thumb=Path(snakemake.output.thumbs),
)
