"""The table of lesions behind the privacy boundary: which drawn lesion each row means, its outcome, place and kind.

Sees identity: only `import_lesions` calls it. Every row of the table is used, or set aside with a reason.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Lesions
from osteorad.cohort.lesion_table import TEXTS, LesionRow, is_plain, read_lesions
from osteorad.cohort.schemas import LESIONS
from osteorad.cohort.tables import read_table
from osteorad.errors import ConfigError, SetAside
from osteorad.files import table_from_rows, write_json, write_parquet
from osteorad.reasons import reason

LABEL = re.compile(r"(?P<roi>.+)-(?P<number>[1-9]\d{0,3})")
Key = tuple[str, str, int]  # session, roi, lesion


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedContour:
    """A contour under its own name: the mask that was drawn of it; `roi` empty where it was set aside."""

    name: str
    session: str = ""
    image: str = ""
    roi: str = ""
    lesion: int = 0


def import_lesions(
    table: Path,
    settings: Lesions,
    *,
    cohort: str,
    pseudonym: Callable[[str], str],
    dates: Mapping[str, Mapping[str, str]],
    contours: Mapping[str, Sequence[NamedContour]],
    out_table: Path,
    out_account: Path,
    withdrawn: Collection[str] = (),
) -> None:
    """Write `lesions.parquet` of a cohort (schemas.LESIONS), and `lesions.json`, the account of the table's rows.

    dates : patient -> session -> true date (ISO). contours : patient -> contours under their own names; a patient
    without images has no entry. withdrawn : pseudonyms; their rows are counted and nothing else is told of them.
    Raises ConfigError with every problem of the table; messages name lines, never cells.
    """
    rows, problems = read_lesions(read_table(table), settings, lambda *keys: ".".join(["lesions", *keys]))
    if problems:
        raise ConfigError(problems)
    named = [(pseudonym(row.source_patient_id), row) for row in rows]
    gone = [_aside("", "", row, SetAside("withdrawn")) for patient, row in named if patient in withdrawn]
    used, set_aside = place_rows(
        [(patient, row) for patient, row in named if patient not in withdrawn], dates, contours
    )
    kept = [_kept(patient, key, row, settings.words) for (patient, key), row in sorted(used.items())]
    withheld = {name: sum(not is_plain(getattr(row, name), settings.words) for row in used.values()) for name in TEXTS}
    write_parquet(out_table, table_from_rows(kept, LESIONS))
    write_json(
        out_account,
        {
            "cohort": cohort,
            "rows_in": len(rows),
            "used": len(kept),
            "withheld": withheld,
            "set_aside": gone + set_aside,
        },
    )


def place_rows(
    rows: Sequence[tuple[str, LesionRow]],
    dates: Mapping[str, Mapping[str, str]],
    contours: Mapping[str, Sequence[NamedContour]],
) -> tuple[dict[tuple[str, Key], LesionRow], list[dict[str, Any]]]:
    """(patient, drawn lesion) -> row of the table, and the rows that leave, as in schemas.QUARANTINE.

    Of equal rows about one lesion the first is used; where they disagree, none is.
    """
    found: dict[tuple[str, Key], list[LesionRow]] = defaultdict(list)
    aside = []
    for patient, row in rows:
        try:
            found[patient, find_lesion(row, dates.get(patient, {}), contours.get(patient))].append(row)
        except SetAside as why:
            aside.append(_aside(patient, "", row, why))
    used = {}
    for (patient, key), alike in found.items():
        if len({(row.outcome, row.location, row.type) for row in alike}) == 1:
            used[patient, key] = alike[0]
            aside += [_aside(patient, key[0], row, SetAside("lesion_row_duplicate")) for row in alike[1:]]
        else:
            aside += [_aside(patient, key[0], row, SetAside("lesion_rows_disagree")) for row in alike]
    return used, sorted(aside, key=lambda row: (row["patient"], int(row["item"].split()[1])))


def find_lesion(row: LesionRow, dates: Mapping[str, str], contours: Sequence[NamedContour] | None) -> Key:
    """The drawn lesion that a row means; raises SetAside.

    dates : session -> date. contours : of the patient; None where there are no images. A name of the CT goes before
    the same name of the PET; a name that no contour carries may be the one that the pages show (`lesion-2`).
    """
    if contours is None:
        raise SetAside("lesion_patient_unknown")
    sessions = {contour.session for contour in contours if contour.roi} | set(dates)
    if row.session:
        sessions &= {row.session}
    if row.date is not None:
        sessions &= {session for session, date in dates.items() if date == row.date.isoformat()}
    if not sessions:
        raise SetAside("lesion_session_unknown")
    alike = [contour for contour in contours if _fold(contour.name) == _fold(row.roi_name)]
    drawn = [contour for contour in alike if contour.session in sessions] or [
        contour for contour in contours if contour.session in sessions and contour.roi and _label(contour, row.roi_name)
    ]
    if not drawn:
        unused = any(not contour.roi for contour in alike)
        raise SetAside("lesion_contour_set_aside" if unused else "lesion_contour_absent")
    keys = {_key(contour) for contour in drawn if contour.image.startswith("ct")} or set(map(_key, drawn))
    if len(keys) > 1:
        raise SetAside("lesion_ambiguous", f"{len(keys)} contours carry its name")
    return keys.pop()


def _key(contour: NamedContour) -> Key:
    return contour.session, contour.roi, contour.lesion


def _label(contour: NamedContour, name: str) -> bool:
    found = LABEL.fullmatch(_fold(name))
    return found is not None and (found["roi"], int(found["number"])) == (contour.roi, contour.lesion)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()


def _kept(patient: str, key: Key, row: LesionRow, words: Iterable[str]) -> dict[str, Any]:
    """A row of schemas.LESIONS: texts of known words only."""
    session, roi, lesion = key
    texts = {name: text if (text := getattr(row, name)) and is_plain(text, words) else None for name in TEXTS}
    return {"patient": patient, "session": session, "roi": roi, "lesion": lesion, "outcome": row.outcome, **texts}


def _aside(patient: str, session: str, row: LesionRow, why: SetAside) -> dict[str, Any]:
    return {
        "patient": patient,
        "session": session,
        "stage": "lesions",
        "item": f"line {row.line}",
        "count": 1,
        "kind": reason(why.code).kind,
        "reason": why.code,
        "detail": why.detail,
    }
