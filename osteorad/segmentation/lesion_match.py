"""Lesions found and missed: reference lesions against predicted components, by a rule that stands beside every figure.

Reference lesions are instances (one mask each; they may touch), predicted ones 26-connected components. A lesion is
found when the rule pairs it with a component. A false positive is a component that touches no reference lesion,
whatever the rule; one that touches two is a merge, and a lesion that two components touch is split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from osteorad.errors import ConfigError, unknown_name
from osteorad.images.volume import Patch
from osteorad.segmentation.surface import BoolArray, FloatArray, IntArray

TOUCHING = np.ones((3, 3, 3), dtype=bool)  # faces, edges and corners: 26 neighbours
SMALLEST_ML, SMALLEST_VOXELS = 0.1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A predicted lesion: its voxels, and the highest probability in it where the network gave one."""

    number: int
    patch: Patch
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a lesion counts as found. name : of RULES. at_least : share or IoU, where the rule has one.

    Raises ConfigError for a name that is no rule.
    """

    name: str = "share"
    at_least: float = 0.1

    def __post_init__(self) -> None:
        _known(self.name)

    @property
    def words(self) -> str:
        """The rule as a sentence of a report tells it."""
        return _known(self.name)[1].format(f"{100 * self.at_least:g} %", f"{self.at_least:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """How reference lesions (rows) and components (columns) lie on each other."""

    common: IntArray  # voxels that both hold
    centred: BoolArray  # the component's centroid lies in the lesion
    reference_voxels: IntArray
    predicted_voxels: IntArray

    @property
    def iou(self) -> FloatArray:
        """Intersection over union of each pair."""
        union = self.reference_voxels[:, None] + self.predicted_voxels[None, :] - self.common
        return self.common / np.maximum(union, 1)

    @property
    def share(self) -> FloatArray:
        """Share of each lesion that all components together cover."""
        return self.common.sum(axis=1) / np.maximum(self.reference_voxels, 1)

    def only(self, kept: BoolArray) -> Contacts:
        """The same without the other components."""
        return replace(
            self,
            common=self.common[:, kept],
            centred=self.centred[:, kept],
            predicted_voxels=self.predicted_voxels[kept],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What became of each lesion and of each component."""

    detected: BoolArray
    found_at: tuple[float | None, ...]  # highest score at which a lesion is found; None: missed, or no scores
    matched: BoolArray  # components that the rule pairs with a lesion
    false_positive: BoolArray  # components that touch no lesion
    merges: int
    splits: int
    contacts: Contacts


def components(mask: NDArray[np.generic]) -> list[Patch]:
    """26-connected components of a mask, the largest first; of equal ones the first in the order of the array."""
    labels, _ = ndimage.label(mask != 0, structure=TOUCHING)
    return sorted(instances(labels), key=lambda patch: -patch.voxels)


def instances(labels: NDArray[np.generic]) -> list[Patch]:
    """The voxels of each label of a label map (whole numbers), in order of label; one without voxels is skipped."""
    found = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            i, j, k = (side.start for side in box)
            found.append(Patch(start=(i, j, k), array=(labels[box] == label).astype(np.uint8)))
    return found


def large_enough(
    found: Sequence[Component],
    voxel_ml: float,
    *,
    smallest_ml: float = SMALLEST_ML,
    smallest_voxels: int = SMALLEST_VOXELS,
) -> list[Component]:
    """Components that are not too small to be told from noise."""
    # a volume that is just enough must not fail by rounding
    least_ml = smallest_ml * (1 - 1e-6)
    sized = [(component, component.patch.voxels) for component in found]
    return [one for one, voxels in sized if voxels >= smallest_voxels and voxels * voxel_ml >= least_ml]


def contacts_of(reference: Sequence[Patch], found: Sequence[Component]) -> Contacts:
    """Common voxels and centroids of all pairs; patches are of one grid."""
    common = np.zeros((len(reference), len(found)), dtype=np.int64)
    centred = np.zeros(common.shape, dtype=bool)
    for column, component in enumerate(found):
        centre = _centroid(component.patch)
        for row, lesion in enumerate(reference):
            common[row, column] = common_voxels(lesion, component.patch)
            centred[row, column] = _holds(lesion, centre)
    return Contacts(
        common=common,
        centred=centred,
        reference_voxels=np.array([lesion.voxels for lesion in reference], dtype=np.int64),
        predicted_voxels=np.array([component.patch.voxels for component in found], dtype=np.int64),
    )


def common_voxels(one: Patch, other: Patch) -> int:
    """Voxels that two patches of one grid share."""
    low = np.maximum(one.start, other.start)
    high = np.minimum(np.add(one.start, one.array.shape), np.add(other.start, other.array.shape))
    if (low >= high).any():
        return 0
    first, second = (
        patch.array[tuple(slice(a - s, b - s) for a, b, s in zip(low, high, patch.start, strict=True))]
        for patch in (one, other)
    )
    return int(np.count_nonzero((first != 0) & (second != 0)))


def _centroid(patch: Patch) -> IntArray:
    """Index of the voxel nearest to the mean of all voxels; halves go to the even index."""
    return np.rint(np.argwhere(patch.array).mean(axis=0)).astype(np.int64) + patch.start


def _holds(patch: Patch, voxel: IntArray) -> bool:
    at = voxel - patch.start
    inside = bool(((at >= 0) & (at < patch.array.shape)).all())
    return inside and bool(patch.array[tuple(at)])


# --- rules -----------------------------------------------------------------------------------------------------------


def _share(contacts: Contacts, at_least: float) -> BoolArray:
    """Every component that touches a lesion of which enough is covered, by all of them together."""
    return (contacts.common > 0) & (contacts.share >= at_least)[:, None]


def _overlap(contacts: Contacts, _: float) -> BoolArray:
    return contacts.common > 0


def _iou(contacts: Contacts, at_least: float) -> BoolArray:
    return (contacts.common > 0) & (contacts.iou >= at_least)


def _centre(contacts: Contacts, _: float) -> BoolArray:
    return contacts.centred


def _one_to_one(contacts: Contacts, at_least: float) -> BoolArray:
    """Pairs that reach the IoU, each lesion and component in one at most, with the largest sum of IoU."""
    worth = np.where(contacts.iou >= at_least, contacts.iou, 0.0)
    pairs = np.zeros(worth.shape, dtype=bool)
    pairs[linear_sum_assignment(worth, maximize=True)] = True
    return pairs & (worth > 0)


RULES: Mapping[str, tuple[Callable[[Contacts, float], BoolArray], str]] = {
    "share": (_share, "at least {0} of the lesion's volume is covered"),
    "overlap": (_overlap, "any voxel of the lesion is covered"),
    "iou": (_iou, "a component reaches an IoU of {1} with the lesion"),
    "centroid": (_centre, "the centroid of a component lies in the lesion"),
    "one-to-one": (_one_to_one, "a component of its own reaches an IoU of {1} with the lesion"),
}


def _known(name: str) -> tuple[Callable[[Contacts, float], BoolArray], str]:
    if name not in RULES:
        raise ConfigError(unknown_name("lesion rule", name, RULES, "segmentation"))
    return RULES[name]


def match(reference: Sequence[Patch], found: Sequence[Component], rule: Rule | None = None) -> Match:
    """Lesions found and missed, components right and false; every patch holds a voxel, all are of one grid."""
    chosen = rule or Rule()
    contacts = contacts_of(reference, found)
    pairs = _known(chosen.name)[0](contacts, chosen.at_least)
    detected = np.asarray(pairs.any(axis=1))
    touching = contacts.common > 0
    return Match(
        detected=detected,
        found_at=_found_at(contacts, found, chosen, detected),
        matched=np.asarray(pairs.any(axis=0)),
        false_positive=~np.asarray(touching.any(axis=0)),
        merges=int(np.count_nonzero(touching.sum(axis=0) > 1)),
        splits=int(np.count_nonzero(touching.sum(axis=1) > 1)),
        contacts=contacts,
    )


def _found_at(
    contacts: Contacts, found: Sequence[Component], rule: Rule, detected: BoolArray
) -> tuple[float | None, ...]:
    """The highest score such that components of this score and above find the lesion."""
    scores = [component.score for component in found]
    known = np.array([score for score in scores if score is not None])
    at = np.full(len(detected), np.nan)
    if len(known) == len(found):
        for score in np.unique(known):  # from the lowest, so that the last one written is the highest
            pairs = _known(rule.name)[0](contacts.only(known >= score), rule.at_least)
            at[pairs.any(axis=1) & detected] = score
    return tuple(float(score) if np.isfinite(score) else None for score in at)
