from pathlib import Path

from osteorad import joblog
from osteorad.dicom.adopt import adopt_patient
from osteorad.dicom.sources import open_source

joblog.start(snakemake.log[0], snakemake.input.key)
source = open_source(snakemake.params.source)
adopt_patient(
    source.files(snakemake.wildcards.patient),
    cohort=snakemake.wildcards.cohort,
    patient=snakemake.wildcards.patient,
    part="contours",
    source_root=source.folder,
    manifest=Path(snakemake.output.manifest),
    files_in=source.count(snakemake.wildcards.patient, "contours"),
    head=snakemake.params.head,
    images=Path(snakemake.input.images[0]) if snakemake.input.images else None,
    parts=source.parts(snakemake.wildcards.patient),
)
