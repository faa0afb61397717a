"""Packs what may leave the working folder: figures of whole groups, pages about them, models without training rows.

Everything with a row a patient stays. Each file is searched for pseudonyms and names of sessions and series before
it is packed; one that holds any stops the release.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.cohort.load import Loaded
from osteorad.errors import ConfigError, UserError, unknown_name
from osteorad.files import json_text, read_parquet, write_bytes
from osteorad.provenance import sha256_bytes

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that zip knows: no clock in the file
SMALL = 5  # fewer people than this in a cell may be found again
SHORTEST = 4  # characters of a name that is looked for: shorter ones are in every text
PICTURE = b"data:image/"
TOKEN = re.compile(rb"[A-Za-z0-9]+")
COUNTS = ("n", "count", "patients", "events", "k")
OF_ANALYSIS = ("report.html", "report.json", "evaluation.json", "audit.json", "bundle/bundle.json")
SCORES = "scores/*/scores.json"  # of networks, over all patients
OF_COHORT = ("flow.json",)
STAYS = {
    "samples.parquet, splits.parquet, predictions.parquet, set_aside.parquet": "a row a patient or lesion",
    "steps.parquet, selection.parquet, lineage.json, models/": "what was learned, fold by fold, and from whom",
    "folds/, seg/, work/": "masks of patients; weights, which may give away whom a network saw",
    "pages with pictures": "they show patients; the scores of networks over all patients leave",
    "case_scores.parquet, lesion_scores.parquet": "a row a patient or lesion",
    "flow.json of analyses, history.html": "may name patients, or runs that were not the last",
    "cohort pages, pages of patients, review.html": "pictures and a row a patient",
    "privacy.html": "for the data protection officer of this site",
    "dicom/, images/, masks/, grids/, features/": "images and measurements of patients",
    "clinical.parquet, lesions.parquet, patients.parquet, series.parquet, quarantine.parquet": "a row a patient",
    "private/": "the key and all that identifies",
    "logs/, benchmarks/, .snakemake/": "pseudonyms in names",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Names of the files packed, remarks, and what stays with its reason."""

    path: Path
    packed: tuple[str, ...]
    remarks: tuple[str, ...]

    def lines(self) -> list[str]:
        """For the command line."""
        stays = [f"- {names}: {why}" for names, why in STAYS.items()]
        packed = [f"- {name}" for name in self.packed]
        return [f"packed into {self.path}:", *packed, "stays here:", *stays, *self.remarks]


def release(loaded: Loaded, analyses: Sequence[str], out: Path) -> Released:
    """Write a zip file of analyses (all where none is named) and the flow of their cohorts.

    Raises UserError where an analysis does not exist or was not run, or where a file names somebody.
    """
    asked = _asked(loaded, analyses)
    cohorts = sorted({loaded.config.analyses[name].cohort for name in asked})
    found = {
        name: path.read_bytes()
        for name, path in sorted({**_of_analyses(loaded, asked), **_of_cohorts(loaded, cohorts)}.items())
    }
    pictured = {f"{name.removesuffix('.html')}." for name, content in found.items() if PICTURE in content}
    files = {name: content for name, content in found.items() if not name.startswith(tuple(pictured))}
    names = set(_names(loaded, cohorts))
    _refuse_named(names, files)
    listed = {name: sha256_bytes(content) for name, content in files.items()}
    contents = {"RELEASE.json": json_text({"title": loaded.config.title, "files": listed}).encode(), **files}
    write_bytes(out, _zipped(contents))
    pictures = [f"not packed: {name}, whose page shows patients." for name in found if name not in files]
    remarks = (*pictures, *_not_looked_for(names), *_small_cells(files))
    return Released(path=out, packed=tuple(files), remarks=remarks)


def _asked(loaded: Loaded, analyses: Sequence[str]) -> list[str]:
    known = loaded.config.analyses
    if problems := [unknown_name("analysis", name, known, "release") for name in analyses if name not in known]:
        raise ConfigError(problems)
    asked = sorted(set(analyses)) or loaded.targets[1]
    pages = {name: loaded.path(f"results/analyses/{name}/report.json") for name in asked}
    if missing := [name for name, page in pages.items() if not page.is_file()]:
        raise UserError(f"not run yet: {', '.join(missing)}. Run snakemake first, or name other analyses.")
    if not asked:
        raise UserError("config.yaml has no analysis, so there is nothing that may leave.")
    return asked


def _of_analyses(loaded: Loaded, names: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name in names:
        folder = loaded.path(f"results/analyses/{name}")
        paths = [*(folder / one for one in OF_ANALYSIS), *sorted(folder.glob(SCORES))]
        found |= {f"analyses/{name}/{p.relative_to(folder).as_posix()}": p for p in paths if p.is_file()}
    return found


def _of_cohorts(loaded: Loaded, names: Sequence[str]) -> dict[str, Path]:
    paths = {
        f"cohorts/{name}/{one}": loaded.path(f"results/cohorts/{name}/{one}") for name in names for one in OF_COHORT
    }
    return {name: path for name, path in paths.items() if path.is_file()}


def _zipped(contents: dict[str, bytes]) -> bytes:
    """The same bytes for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, content, zipfile.ZIP_DEFLATED, 6)
    return stream.getvalue()


def _refuse_named(names: Iterable[str], files: dict[str, bytes]) -> None:
    """Stop where a file names a patient, session or series of any cohort."""
    told = []
    for file, content in files.items():
        words = set(TOKEN.findall(content))
        told += [f"{file} names '{name}'" for name in sorted(names) if _is_in(name, content, words, file)]
    if told:
        more = f" and {len(told) - 1} more" if len(told) > 1 else ""
        raise UserError(
            f"not released: {told[0]}{more}. Where a patient, session or series is not called like a word of the page "
            "by chance, please report this as a bug."
        )


def _is_in(name: str, content: bytes, words: Set[bytes], file: str) -> bool:
    """True where a name stands alone in a file. words : of the file, without which a large cohort would take hours."""
    raw = name.encode()
    if len(name) < SHORTEST or not set(TOKEN.findall(raw)) <= words:
        return False
    if _is_number(name):
        return file.endswith(".json") and b'"' + raw + b'"' in content
    before, after = rb"(?<![A-Za-z0-9])", rb"(?![A-Za-z0-9])"
    if name.isdigit():  # 0007 is no number, but the end of 0.0007 is one
        before, after = rb"(?<![A-Za-z0-9.,])", rb"(?![A-Za-z0-9]|[.,][0-9])"
    return re.search(before + re.escape(raw) + after, content) is not None


def _is_number(name: str) -> bool:
    return name.isdigit() and not name.startswith("0")


def _names(loaded: Loaded, packed: Sequence[str]) -> Iterator[str]:
    """Names of patients, sessions and series of all cohorts. packed : cohorts of which something leaves."""
    for cohort in loaded.config.cohorts:
        folder = loaded.path(f"results/cohorts/{cohort}")
        for table, columns in (("patients", ("patient",)), ("series", ("session", "series"))):
            path = folder / f"{table}.parquet"
            if path.is_file():
                read = read_parquet(path, columns=columns)
                yield from (text for column in columns for text in read[column].to_pylist() if text)
            elif cohort in packed and table == "patients":
                where = f"cohort {cohort}: {path.name} is gone"
                raise UserError(f"{where}, so that names cannot be looked for. Run snakemake.")


def _not_looked_for(names: Collection[str]) -> Iterator[str]:
    if count := sum(len(name) < SHORTEST for name in names):
        yield f"not looked for: {count} patients whose names have under {SHORTEST} characters."
    if count := sum(len(name) >= SHORTEST and _is_number(name) for name in names):
        yield f"looked for between quotes alone: {count} patients whose names are numbers, as any page holds."


def _small_cells(files: dict[str, bytes]) -> Iterator[str]:
    """How many counts under five a file holds: the one who sends it decides. A bundle counts no people."""
    for name, content in files.items():
        told = name.endswith(".json") and not name.endswith("bundle.json")
        if told and (count := _small(json.loads(content))):
            also = ", as its page does" if name.endswith("report.json") else ""
            yield f"look before you send: {name} holds {count} counts of 1 to {SMALL - 1} people{also}."


def _small(value: Any, key: str = "") -> int:
    if isinstance(value, dict):
        return sum(_small(inner, name) for name, inner in value.items())
    if isinstance(value, list):
        return sum(_small(inner, key) for inner in value)
    return int(key in COUNTS and isinstance(value, int) and not isinstance(value, bool) and 0 < value < SMALL)
