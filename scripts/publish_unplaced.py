from pathlib import Path

from osteorad import joblog
from osteorad.files import read_json, write_json

joblog.start(snakemake.log[0])
write_json(Path(snakemake.output.manifest), read_json(snakemake.input.state))
