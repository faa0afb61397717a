from pathlib import Path

from osteorad import joblog
from osteorad.cohort.clinical import import_clinical
from osteorad.cohort.config import ClinicalTable
from osteorad.dicom.dates import first_session_dates
from osteorad.dicom.sources import open_source

joblog.start(snakemake.log[0], private=True)
source = open_source(snakemake.params.source)
import_clinical(
    Path(snakemake.input.table),
    ClinicalTable.model_validate(snakemake.params.settings),
    key=source.key,
    dates=first_session_dates([Path(p) for p in snakemake.input.manifests], source.folder, source.key),
    out=Path(snakemake.output.table),
    withdrawn=source.withdrawn,
)
