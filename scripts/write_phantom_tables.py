from pathlib import Path

from osteorad import joblog
from osteorad.cohort.config import Phantom
from osteorad.phantom.write import write_tables

joblog.start(snakemake.log[0], snakemake.input.key, private=True)
settings = dict(snakemake.params.settings)
write_tables(
    cohort=settings.pop("cohort"),
    settings=Phantom.model_validate(settings),
    out_clinical=Path(snakemake.output.clinical),
    out_lesions=Path(snakemake.output.lesions),
    out_truth=Path(snakemake.output.truth),
)
