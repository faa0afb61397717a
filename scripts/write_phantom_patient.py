from pathlib import Path

from osteorad import joblog
from osteorad.cohort.config import Phantom
from osteorad.phantom.write import write_patient

joblog.start(snakemake.log[0], snakemake.input.key, private=True)
settings = dict(snakemake.params.settings)
write_patient(
    cohort=settings.pop("cohort"),
    settings=Phantom.model_validate(settings),
    number=snakemake.params.number,
    out=Path(snakemake.output.manifest).parent,
)
