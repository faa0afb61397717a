"""Verdicts of readers on images and masks: `private/<cohort>/review.tsv`, a line a verdict, the last one counts.

What leaves the private folder is a pseudonym, a name and the verdict; never the reader's name or the comment.
Light: the main process reads the table and writes the verdicts into keys; jobs take them from there.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from osteorad.cohort.config import TABLE
from osteorad.cohort.key_settings import networks_of
from osteorad.cohort.load import Loaded
from osteorad.cohort.pseudonyms import PHANTOM_KEY, patient_pseudonym, phantom_patient_ids
from osteorad.cohort.sources import read_withdrawn
from osteorad.cohort.tables import Row, Table, lines_text, read_table
from osteorad.cohort.verdicts import ACCEPTED, REJECTED, VERSION_DIGITS, Verdicts, name_of
from osteorad.errors import ConfigError, unknown_name

FILE = "review.tsv"
COLUMNS = ("patient", "item", "verdict", "reader", "comment")
NEEDED = COLUMNS[:3]
MANUAL = "manual"
FORM = re.compile(
    r"(?P<item>(?:(?P<set>[a-z0-9][a-z0-9-]*)/)?s[0-9a-f]{8}/[a-z][a-z0-9-]*(?P<roi>/[a-z0-9][a-z0-9-]*-[1-9]\d*)?)"
    rf"(?:@(?P<version>[0-9a-f]{{{VERSION_DIGITS}}}))?"
)
WANTED = (
    "<session>/<image> or <set>/<session>/<image>/<roi>-<n>, with @ and "
    f"{VERSION_DIGITS} hex digits behind it where it is about one version"
)


# --- the table --------------------------------------------------------------------------------------------------------


def read_verdicts(
    table: Table, *, patients: Collection[str] | None, sets: Collection[str]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Verdicts of a table, and a message for each problem; messages name lines and columns, never cells.

    patients : pseudonyms of the cohort, None where they are not known yet. sets : names of mask sets.
    The last line on an item counts; one for any version ends what was said of single versions before it.
    """
    problems = [unknown_name("column", name, COLUMNS, table.name) for name in table.header if name not in COLUMNS]
    problems += [f"{table.name}: there is no column '{name}'." for name in NEEDED if name not in table.header]
    if problems:
        return {}, problems
    forms = {row.line: FORM.fullmatch(row.cells["item"]) for row in table.rows}
    wrong = [line for line, form in forms.items() if form is None or (form["set"] is None) != (form["roi"] is None)]
    if wrong:
        problems.append(f"{table.name}: the item is not named rightly on {lines_text(wrong)}. Wanted: {WANTED}.")
    named = {
        line: form["set"] for line, form in forms.items() if form is not None and form["set"] and line not in wrong
    }
    problems += _unknown(table, "mask set", named, sets)
    said = {row.line: row.cells["verdict"].lower() for row in table.rows}
    problems += _unknown(table, "verdict", said, (ACCEPTED, REJECTED))
    if patients is not None:
        problems += _unknown(table, "patient", {row.line: row.cells["patient"] for row in table.rows}, patients)
    return ({} if problems else _last(table.rows)), problems


def _unknown(table: Table, what: str, cells: Mapping[int, str], valid: Collection[str]) -> Iterator[str]:
    """A message for lines with an unknown name, together where one valid name is nearest to them."""
    alike: dict[str, list[int]] = defaultdict(list)
    for line, text in cells.items():
        if text not in valid:
            near = difflib.get_close_matches(text, valid, n=1)
            alike[f" Did you mean '{near[0]}'?" if near else ""].append(line)
    shown = ", ".join(sorted(valid)[:10]) + (f", ... ({len(valid)} in all)" if len(valid) > 10 else "")
    for hint, lines in alike.items():
        yield f"{table.name}: unknown {what} on {lines_text(lines)}.{hint} Valid: {shown or 'none'}."


def _last(rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        item, own = row.cells["item"], found.setdefault(row.cells["patient"], {})
        if "@" not in item:
            for other in [name for name in own if name_of(name) == item]:
                del own[other]
        own[item] = row.cells["verdict"].lower()
    return found


# --- of a working folder ----------------------------------------------------------------------------------------------


def reviews_of(loaded: Loaded) -> dict[str, Verdicts]:
    """Cohort -> its verdicts; ConfigError with every problem of the tables."""
    read = {name: review_of(loaded, name, None) for name in loaded.config.cohorts}
    if problems := [problem for _, found in read.values() for problem in found]:
        raise ConfigError(problems)
    return {name: verdicts for name, (verdicts, _) in read.items()}


def review_of(loaded: Loaded, cohort: str, patients: Collection[str] | None) -> tuple[Verdicts, list[str]]:
    """Verdicts of a cohort, none where nobody reviewed, and a message for each problem; without those who withdrew.

    patients : pseudonyms where the source was looked through; those of a phantom are always known.
    """
    path = loaded.private(cohort) / FILE
    if not path.is_file():
        return {}, []
    name, settings = f"{loaded.config.private_dir}/{cohort}/{FILE}", loaded.config.cohorts[cohort]
    if settings.source == TABLE:
        return {}, [f"{name}: a feature table has neither images nor masks. Remove the file; see 'exclude'."]
    if settings.phantom is not None:
        numbers = phantom_patient_ids(settings.phantom.seed, settings.phantom.patients)
        patients = {patient_pseudonym(PHANTOM_KEY, source_id) for source_id in numbers}
    try:
        table, withdrawn = read_table(path, name), read_withdrawn(loaded.state(cohort))
    except ConfigError as error:
        return {}, error.problems
    people = None if patients is None else {*patients, *withdrawn}
    verdicts, problems = read_verdicts(table, patients=people, sets=_mask_sets(loaded, cohort))
    return {patient: own for patient, own in verdicts.items() if patient not in withdrawn}, problems


def _mask_sets(loaded: Loaded, cohort: str) -> set[str]:
    """Mask sets that a verdict may be about: the first reader's, those of the recipes, and folders of mask files."""
    asked = loaded.outcomes_of(cohort).values()
    networks = networks_of(loaded.recipes, loaded.segmentations)
    learned = {n.mask_set for name, n in networks.items() if loaded.config.analyses[name].cohort == cohort}
    folders = loaded.path("contours")
    drawn = {folder.name for folder in folders.iterdir() if folder.is_dir()} if folders.is_dir() else set()
    return {MANUAL} | drawn | learned | {name for recipe in asked for name in recipe.drawn_sets}
