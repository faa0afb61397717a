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
    part="images",
    source_root=source.folder,
    manifest=Path(snakemake.output.manifest),
    files_in=source.count(snakemake.wildcards.patient, "images"),
    head=snakemake.params.head,
    parts=source.parts(snakemake.wildcards.patient),
)
source.record(snakemake.wildcards.patient)
