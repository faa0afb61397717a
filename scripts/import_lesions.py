from pathlib import Path

from osteorad import joblog
from osteorad.cohort.config import Lesions
from osteorad.cohort.lesions import import_lesions
from osteorad.dicom.dates import session_dates
from osteorad.dicom.own_names import contours_of_cohort
from osteorad.dicom.sources import open_source

joblog.start(snakemake.log[0], private=True)
source = open_source(snakemake.params.source)
import_lesions(
    Path(snakemake.input.table),
    Lesions.model_validate(snakemake.params.settings),
    cohort=snakemake.wildcards.cohort,
    pseudonym=source.pseudonym,
    dates=session_dates([Path(p) for p in snakemake.input.images], source.folder, source.key),
    contours=contours_of_cohort(
        [Path(p) for p in snakemake.input.masks],
        [Path(p) for p in snakemake.input.contours],
        [Path(p) for p in snakemake.input.names],
        source.folder,
        snakemake.params.folder,
    ),
    out_table=Path(snakemake.output.table),
    out_account=Path(snakemake.output.account),
    withdrawn=source.withdrawn,
)
