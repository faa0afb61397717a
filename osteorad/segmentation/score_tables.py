"""Tables of scores: a row a case and ROI, and a row a lesion or predicted component.

A value that does not exist is null. Everything that a report says of masks is computed from these two tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.files import table_from_rows
from osteorad.segmentation.lesion_match import Component
from osteorad.segmentation.score import TOLERANCES_MM, VoxelScores
from osteorad.segmentation.score_case import Lesion, LesionCase

TEXT, INT, COUNT, REAL, BOOL = pa.string(), pa.int32(), pa.int64(), pa.float64(), pa.bool_()
NETWORK, THRESHOLD = "network", "threshold"
REFERENCE, PREDICTED = "reference", "predicted"
SURFACE_DICE = tuple(f"surface_dice_{tolerance:g}mm" for tolerance in TOLERANCES_MM)
VOXEL_REALS = (
    "reference_ml", "predicted_ml", "volume_error_ml", "volume_error_percent", "dice", "iou", "precision", "recall",
    "hd95_mm", "hd_mm", "assd_mm",
)  # fmt: skip


def _schema(**columns: pa.DataType) -> dict[str, pa.DataType]:
    return columns


KEYS = _schema(
    cohort=TEXT,
    analysis=TEXT,
    network=TEXT,
    repeat=INT,
    fold=INT,
    procedure=TEXT,  # network | threshold: the baseline by HU, inside the bone that this network drew
    patient=TEXT,
    session=TEXT,
    image=TEXT,
    roi=TEXT,
    role=TEXT,  # out_of_fold | external
)

# One row a case and ROI; columns from `lesions` on are null for a ROI that is no lesion.
CASE_SCORES = pa.schema(
    {
        **KEYS,
        "correct_negative": BOOL,  # true: both empty; false: only the reference; null: there was something to find
        "tp": COUNT,
        "fp": COUNT,
        "fn": COUNT,
        **dict.fromkeys((*VOXEL_REALS, *SURFACE_DICE), REAL),
        "lesions": INT,
        "detected": INT,
        "components": INT,  # predicted, without those that were too small
        "dropped": INT,
        "matched": INT,
        "false_positives": INT,  # components that touch no lesion
        "merges": INT,
        "splits": INT,
        "missed_ml": REAL,  # volume of the lesions that were not found
        "false_positive_ml": REAL,
        "lesions_empty": INT,  # drawn without a voxel: cannot be found, and are no row below
        "contours_lost": INT,  # contours of the session that were set aside: the reference may lack a lesion
    }
)

# One row a reference lesion, and one a predicted component that was not too small.
LESION_SCORES = pa.schema(
    {
        **KEYS,
        "side": TEXT,  # reference | predicted
        "lesion": INT,  # its number in its own mask set
        "volume_ml": REAL,
        "type": TEXT,
        "location": TEXT,
        "touching": INT,  # components that touch the lesion, or lesions that the component touches
        "share": REAL,  # of its volume that lies in the other side's lesions
        "iou": REAL,  # with the best of the other side
        "dice": REAL,
        "found": BOOL,  # lesion: by the rule; component: paired by the rule
        "false_positive": BOOL,  # null for a lesion
        "score": REAL,  # component: its highest probability; lesion: the highest score at which it is found
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseKey:
    """Keys of the rows of one case."""

    cohort: str
    analysis: str
    network: str
    repeat: int
    fold: int
    procedure: str
    patient: str
    session: str
    image: str
    roi: str
    role: str

    def columns(self) -> dict[str, Any]:
        """Column -> value."""
        return {name: getattr(self, name) for name in KEYS}


def case_row(key: CaseKey, scores: VoxelScores) -> dict[str, Any]:
    """Row of CASE_SCORES with the voxel scores of a ROI."""
    return {
        **dict.fromkeys(CASE_SCORES.names),
        **key.columns(),
        **{name: getattr(scores, name) for name in ("correct_negative", "tp", "fp", "fn", *VOXEL_REALS)},
        **dict(zip(SURFACE_DICE, scores.surface_dice, strict=True)),
    }


def lesion_case_row(key: CaseKey, case: LesionCase, *, lesions_empty: int, contours_lost: int) -> dict[str, Any]:
    """Row of CASE_SCORES of a case's lesions."""
    found = case.match
    missed = [lesion for lesion, hit in zip(case.lesions, found.detected, strict=True) if not hit]
    false = [one for one, stray in zip(case.kept, found.false_positive, strict=True) if stray]
    return {
        **case_row(key, case.voxels),
        "lesions": len(case.lesions),
        "detected": int(found.detected.sum()),
        "components": len(case.kept),
        "dropped": case.dropped,
        "matched": int(found.matched.sum()),
        "false_positives": len(false),
        "merges": found.merges,
        "splits": found.splits,
        "missed_ml": _volume(missed, case.voxel_ml),
        "false_positive_ml": _volume(false, case.voxel_ml),
        "lesions_empty": lesions_empty,
        "contours_lost": contours_lost,
    }


def _volume(parts: Iterable[Lesion | Component], voxel_ml: float) -> float:
    return sum(part.patch.voxels for part in parts) * voxel_ml


def lesion_rows(key: CaseKey, case: LesionCase) -> list[dict[str, Any]]:
    """Rows of LESION_SCORES of one case: lesions, then components, each in the order of their numbers."""
    found = case.match
    contacts = found.contacts
    lesions = [
        {
            **_row(key, REFERENCE, lesion, case.voxel_ml),
            **_best(contacts.common[at], contacts.iou[at], int(contacts.reference_voxels[at])),
            "type": lesion.type,
            "location": lesion.location,
            "found": bool(found.detected[at]),
            "score": found.found_at[at],
        }
        for at, lesion in enumerate(case.lesions)
    ]
    predicted = [
        {
            **_row(key, PREDICTED, one, case.voxel_ml),
            **_best(contacts.common[:, at], contacts.iou[:, at], int(contacts.predicted_voxels[at])),
            "found": bool(found.matched[at]),
            "false_positive": bool(found.false_positive[at]),
            "score": one.score,
        }
        for at, one in enumerate(case.kept)
    ]
    return [*sorted(lesions, key=_number), *sorted(predicted, key=_number)]


def _number(row: Mapping[str, Any]) -> int:
    return int(row["lesion"])


def _row(key: CaseKey, side: str, part: Lesion | Component, voxel_ml: float) -> dict[str, Any]:
    own = {"side": side, "lesion": part.number, "volume_ml": part.patch.voxels * voxel_ml}
    return {**dict.fromkeys(LESION_SCORES.names), **key.columns(), **own}


def _best(common: np.ndarray, iou: np.ndarray, voxels: int) -> dict[str, Any]:
    """What a lesion or component has in common with the other side."""
    best = float(iou.max()) if iou.size else 0.0
    return {
        "touching": int(np.count_nonzero(common)),
        "share": int(common.sum()) / voxels,
        "iou": best,
        "dice": 2 * best / (1 + best),
    }


def unmeasured(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of either table without lengths and volumes, for images of whose voxels nobody knows the size."""
    return {name: None if name.endswith(("_mm", "_ml")) or name in SURFACE_DICE else row[name] for name in row}


def case_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Table of CASE_SCORES, sorted by keys."""
    return table_from_rows(sorted(rows, key=_keys), CASE_SCORES)


def lesion_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Table of LESION_SCORES, sorted by keys; lesions before components."""
    ordered = sorted(rows, key=lambda row: (*_keys(row), row["side"] != REFERENCE, row["lesion"]))
    return table_from_rows(ordered, LESION_SCORES)


def _keys(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEYS)
