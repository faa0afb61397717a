"""What the indexes of real sources tell the checks: who has images, and how many files there are."""

from __future__ import annotations

from osteorad.cohort.check import Known
from osteorad.cohort.load import Loaded
from osteorad.cohort.sources import KNOWN
from osteorad.files import read_json


def known_of(loaded: Loaded) -> dict[str, Known]:
    """Cohort -> what its index tells; cohorts whose source was not looked through yet are left out."""
    paths = {name: loaded.state(name) / KNOWN for name in loaded.config.cohorts}
    return {name: Known(**read_json(path)) for name, path in paths.items() if path.is_file()}
