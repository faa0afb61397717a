from pathlib import Path

from osteorad import joblog
from osteorad.cohort.tables import read_table
from osteorad.dicom.convert import convert_patient
from osteorad.dicom.sources import open_source

joblog.start(snakemake.log[0])
source = open_source(snakemake.params.source)
convert_patient(
    Path(snakemake.input.manifest),
    source.folder,
    modalities=list(snakemake.params.modalities),
    kernel=snakemake.params.kernel,
    overrides=[row for table in snakemake.input.overrides for row in read_table(Path(table)).records()],
    out_dir=Path(snakemake.output.manifest).parent,
    names=source.image_names(snakemake.wildcards.patient),
)
