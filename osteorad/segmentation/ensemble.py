"""Which network draws which patient: never one that saw the patient (contracts 2 and 6, check A13).

A patient of the outer training part is drawn by the network of the inner fold that holds the patient out; a patient of
the outer test part by all networks of that fold together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import pyarrow as pa

from osteorad.cohort.splits import held_out, inner_folds_of
from osteorad.errors import OsteoradError

OUT_OF_FOLD, EXTERNAL = "out_of_fold", "external"


class InFoldMask(OsteoradError):
    """A network was about to draw a patient whom it saw while it was trained or chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A patient, the sessions that are samples, and the inner folds whose networks draw them."""

    patient: str
    sessions: tuple[str, ...]
    role: str  # out_of_fold | external
    inner_folds: tuple[int, ...]

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks: i1, i2, ..."""
        return tuple(network_name(inner) for inner in self.inner_folds)


def network_name(inner_fold: int) -> str:
    """Folder of the network of an inner fold."""
    return f"i{inner_fold}"


def assignments(samples: pa.Table, splits: pa.Table, *, repeat: int, fold: int) -> list[Assignment]:
    """Who is drawn by which networks in an outer fold, by patient.

    samples, splits : tables of those schemas. Raises InFoldMask where a patient is held out by several inner folds, or
    by one and by the outer fold; ValueError where the fold does not exist.
    """
    inner_folds = inner_folds_of(splits, repeat=repeat, fold=fold)
    found: dict[str, Assignment] = {}
    tested = held_out(samples, splits, repeat=repeat, fold=fold).table
    _add(found, tested, EXTERNAL, tuple(inner_folds))
    for inner in inner_folds:
        rows = held_out(samples, splits, repeat=repeat, fold=fold, inner_fold=inner).table
        _add(found, rows, OUT_OF_FOLD, (inner,))
    return [found[patient] for patient in sorted(found)]


def _add(found: dict[str, Assignment], rows: pa.Table, role: str, inner_folds: tuple[int, ...]) -> None:
    sessions: dict[str, set[str]] = {}
    for patient, session in zip(rows["patient"].to_pylist(), rows["session"].to_pylist(), strict=True):
        sessions.setdefault(patient, set()).add(session)
    for patient, own in sessions.items():
        if patient in found:
            raise InFoldMask(f"patient {patient} is held out by {found[patient].networks} and by {inner_folds}")
        found[patient] = Assignment(patient=patient, sessions=tuple(sorted(own)), role=role, inner_folds=inner_folds)


def refuse_in_fold(chosen: Sequence[Assignment], seen: Mapping[int, AbstractSet[str]]) -> None:
    """Raise InFoldMask where a network saw a patient whom it is to draw.

    seen : inner fold -> patients on whom its network was trained or its epoch was chosen, as its own record says.
    """
    for assignment in chosen:
        if not assignment.inner_folds:
            raise InFoldMask(f"no network is left that did not see patient {assignment.patient}")
        for inner in assignment.inner_folds:
            if assignment.patient in seen[inner]:
                raise InFoldMask(
                    f"network {network_name(inner)} saw patient {assignment.patient}, whom it was about to draw "
                    f"as {assignment.role}"
                )
