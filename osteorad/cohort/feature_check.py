"""What can be wrong with a cohort's feature table and with the analyses of it, before the first job."""

from __future__ import annotations

from collections.abc import Iterator

from osteorad.cohort.clinical_table import class_problems
from osteorad.cohort.config import FeatureTable
from osteorad.cohort.feature_table import (
    FeatureFile,
    FeatureRow,
    entering,
    feature_rows,
    open_features,
    problems_of,
    rows_text,
    texts_of,
)
from osteorad.cohort.load import Loaded
from osteorad.cohort.tables import number
from osteorad.errors import ConfigError


def feature_problems(loaded: Loaded, cohort: str, settings: FeatureTable) -> list[str]:
    """Every problem of a cohort's feature table; where there is none, those of the outcomes of its analyses."""

    def where(*keys: str) -> str:
        return loaded.located.where("cohorts", cohort, "table", *keys)

    try:
        file = open_features(loaded.path(settings.path), settings.path)
    except ConfigError as error:
        return error.problems
    if problems := problems_of(file, settings, where):
        return problems
    rows = entering(feature_rows(file, settings), settings)
    return [problem for name in loaded.outcomes_of(cohort) for problem in _outcome(loaded, name, file, rows)]


def _outcome(loaded: Loaded, name: str, file: FeatureFile, rows: list[FeatureRow]) -> Iterator[str]:
    """The outcome of an analysis: 0 or 1, of patients or of lesions as the recipe says, enough of each class."""
    place = loaded.located.where("analyses", name, "outcome")
    outcome = loaded.config.analyses[name].outcome
    if outcome == "outcome":
        values = {row.row: row.outcome for row in rows}
    else:
        texts = texts_of(file.read([outcome])[outcome])
        found = {row.row: number(texts[row.row - 1]) for row in rows if texts[row.row - 1]}
        if bad := [row for row, value in found.items() if value not in (0.0, 1.0)]:
            yield f"{place}: column '{outcome}' of {file.name} is not 0 or 1 in {rows_text(bad)}."
            return
        values = {row: None if value is None else int(value) for row, value in found.items()}
    patients: dict[str, set[int]] = {}
    for row in rows:
        if (value := values.get(row.row)) is not None:
            patients.setdefault(row.patient, set()).add(value)
    several = sum(len(found) > 1 for found in patients.values())
    if several and loaded.recipes[name].outcome_of == "patient":
        yield f"{place}: it differs between the rows of {several} patients. Wanted in the recipe: outcome_of: lesion."
        return
    yield from class_problems(place, [max(found) for found in patients.values()])
