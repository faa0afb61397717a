from pathlib import Path

from osteorad import joblog
from osteorad.dicom.deidentify import deidentify_patient
from osteorad.dicom.sources import open_source

joblog.start(snakemake.log[0], snakemake.input.key, private=True)
source = open_source(snakemake.params.source)
deidentify_patient(
    source.files(snakemake.wildcards.patient),
    cohort=snakemake.wildcards.cohort,
    patient=snakemake.wildcards.patient,
    key=source.key,
    project_key=source.project_key,
    part="images",
    rois={},
    out_dir=Path(snakemake.output.manifest).parent,
    manifest=Path(snakemake.output.manifest),
    files_in=source.count(snakemake.wildcards.patient, "images"),
    parts=source.parts(snakemake.wildcards.patient),
    source_root=source.folder,
    head=snakemake.params.head,
)
source.record(snakemake.wildcards.patient)
