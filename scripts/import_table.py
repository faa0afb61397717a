from pathlib import Path

from osteorad import joblog
from osteorad.cohort.config import FeatureTable
from osteorad.cohort.sources import read_withdrawn
from osteorad.cohort.table_source import import_table

joblog.start(snakemake.log[0])
import_table(
    Path(snakemake.input.table),
    FeatureTable.model_validate(snakemake.params.settings),
    cohort=snakemake.wildcards.cohort,
    exclude=dict(snakemake.params.exclude),
    withdrawn=read_withdrawn(Path(snakemake.params.state)),
    out={name: Path(path) for name, path in snakemake.output.items()},
)
