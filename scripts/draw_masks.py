from pathlib import Path

from osteorad import joblog
from osteorad.dicom.masks import draw_masks
from osteorad.dicom.sources import open_source

joblog.start(snakemake.log[0])
source = open_source(snakemake.params.source)
draw_masks(
    Path(snakemake.input.images),
    Path(snakemake.input.contours),
    source.folder,
    Path(snakemake.params.contour_folder),
    mask_set=snakemake.wildcards.set,
    rois=dict(snakemake.params.rois),
    out_dir=Path(snakemake.output.manifest).parent,
    numbers=source.lesion_numbers(snakemake.wildcards.set, snakemake.wildcards.patient),
)
