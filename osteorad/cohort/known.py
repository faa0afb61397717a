"""What the indexes of real sources tell the checks: who has images, and how many files there are."""

from __future__ import annotations

from osteorad.cohort.check import Known
from osteorad.cohort.config import TABLE
from osteorad.cohort.load import Loaded
from osteorad.cohort.sources import source_of
from osteorad.files import read_parquet

COLUMNS = ("source_patient_id", "reason")


def known_of(loaded: Loaded) -> dict[str, Known]:
    """Cohort -> what its index tells; cohorts whose source was not looked through yet are left out."""
    known = {}
    for name, cohort in loaded.config.cohorts.items():
        folder = loaded.state(name)
        if cohort.source in ("phantom", TABLE) or not (folder / "index.parquet").is_file():
            continue
        private_dir = loaded.config.private_dir
        source = source_of(name, kind=cohort.source, path=cohort.path, workdir=loaded.workdir, private_dir=private_dir)
        rows = read_parquet(folder / "index.parquet", columns=COLUMNS).to_pylist()
        people = sorted({row["source_patient_id"] for row in rows if not row["reason"]})
        patients = {source_id: source.pseudonym(source_id) for source_id in people}
        known[name] = Known(patients=patients, files=len(rows))
    return known
