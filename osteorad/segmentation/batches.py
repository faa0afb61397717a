"""Batches: number t is a function of the seed's name and t alone.

So the position in training is one number, a resumed run sees the batches that it would have seen, and neither the order
in which they are made nor the number of threads matters. No generator is shared and none is carried on.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteorad.cohort.segmentation import ON_BONE, TrainingSettings
from osteorad.provenance import seed_from
from osteorad.segmentation.augment import FloatArray, Labels, cut, draw_variation, varied
from osteorad.segmentation.cases import BONE, LESION
from osteorad.segmentation.plan import Plan
from osteorad.segmentation.preprocess import TrainingCase

MOST_PLACES = 50_000  # voxels of a label in a case that are remembered as centres of patches, evenly spread
JITTER = 0.25  # of the patch's edge: a lesion is not to lie in the middle always


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Patches of one step: images (patches, 1, *patch), labels (patches, *patch), and the cases that they come from."""

    images: FloatArray
    labels: Labels
    cases: tuple[str, ...]


class Batches:
    """Makes batches from prepared cases."""

    def __init__(self, cases: Sequence[TrainingCase], plan: Plan, settings: TrainingSettings, *, name: str) -> None:
        """name : of the network in its fold, and the seed; all randomness derives from it."""
        self.cases = list(cases)
        self.plan = plan
        self.settings = settings
        self.name = name
        self.lesions = [_places(case.labels_zyx == LESION) for case in self.cases]
        self.bones = [_places(case.labels_zyx == BONE) for case in self.cases]
        self.with_lesion = [index for index, places in enumerate(self.lesions) if places.size]
        self.with_bone = [index for index, places in enumerate(self.bones) if places.size]
        if not self.with_lesion:
            raise ValueError("no case with a lesion to draw patches from")

    def batch(self, step: int) -> Batch:
        """Batch number `step`, counted from 0 over the whole training."""
        patches = [self._patch(step * self.plan.batch + index) for index in range(self.plan.batch)]
        return Batch(
            images=np.stack([image for image, _, _ in patches])[:, None],
            labels=np.stack([labels for _, labels, _ in patches]),
            cases=tuple(case for _, _, case in patches),
        )

    def _patch(self, number: int) -> tuple[FloatArray, Labels, str]:
        """Patch of a number counted over the whole training."""
        rng = np.random.Generator(np.random.PCG64(seed_from(f"{self.name}/patch/{number}")))
        if self._wants_lesion(number):
            index, centre = self._on(self.lesions, self.with_lesion, rng)
        elif self.with_bone and rng.random() < ON_BONE:
            index, centre = self._on(self.bones, self.with_bone, rng)
        else:
            index, centre = self._anywhere(rng)
        case = self.cases[index]
        try:
            image, labels = self._cut(case, centre, rng)
        except Exception as error:
            error.add_note(f"while cutting patch {number}, of case {case.name}")
            raise
        return image, labels, case.name

    def _cut(
        self, case: TrainingCase, centre: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[FloatArray, Labels]:
        image, labels = case.array_zyx, case.labels_zyx
        if self.plan.dimensions == 2:
            at = round(float(centre[0]))
            image, labels, centre = image[at], labels[at], centre[1:]
        variation = draw_variation(self.settings.augmentation, rng)
        image, labels = cut(image, labels, centre, self.plan.patch, variation=variation, lowest=self.plan.lowest)
        return varied(image, variation, rng), labels

    def _wants_lesion(self, number: int) -> bool:
        """The wanted share exactly, evenly spread over all patches."""
        share = self.settings.foreground
        return math.floor((number + 1) * share) > math.floor(number * share)

    def _on(
        self, places: Sequence[NDArray[np.int64]], cases: Sequence[int], rng: np.random.Generator
    ) -> tuple[int, NDArray[np.float64]]:
        """A place of one of these cases, moved a little within the slice."""
        index = cases[int(rng.integers(len(cases)))]
        shape = self.cases[index].labels_zyx.shape
        at = np.array(np.unravel_index(int(rng.choice(places[index])), shape), dtype=np.float64)
        edges = np.array(self.plan.patch)
        at[-edges.size :] += np.rint(rng.uniform(-JITTER, JITTER, edges.size) * edges)
        return index, self._kept_inside(at, shape)

    def _anywhere(self, rng: np.random.Generator) -> tuple[int, NDArray[np.float64]]:
        """Every place of the patch inside the image is as likely as any other."""
        index = int(rng.integers(len(self.cases)))
        shape = np.array(self.cases[index].labels_zyx.shape)
        edges = self._edges()
        first = np.floor(rng.uniform(0.0, 1.0, 3) * (np.maximum(shape - edges, 0.0) + 1.0))
        return index, self._kept_inside(first + (edges - 1.0) / 2.0, shape)

    def _edges(self) -> NDArray[np.float64]:
        """Edges of the patch on (slices, rows, columns)."""
        edges = np.ones(3)
        edges[-len(self.plan.patch) :] = self.plan.patch
        return edges

    def _kept_inside(self, centre: NDArray[np.float64], shape: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float64]:
        """The centre moved so that the patch leaves the image as little as it can."""
        edges = self._edges()
        half, last = (edges - 1) / 2.0, np.asarray(shape) - 1.0
        narrow = edges > np.asarray(shape)
        inside = np.clip(centre, np.minimum(half, last - half), np.maximum(half, last - half))
        return np.where(narrow, last / 2.0, inside)


def _places(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Flat indices of voxels of a mask."""
    places = np.flatnonzero(mask)
    kept: NDArray[np.int64] = places[np.linspace(0, places.size - 1, min(places.size, MOST_PLACES)).astype(np.intp)]
    return kept


def stream(batches: Batches, first: int, last: int, *, workers: int) -> Iterator[Batch]:
    """Batches `first` to `last` - 1 in order. workers : threads that make them ahead; 0: each when it is asked for.

    An error in a thread is raised here, at the batch that it belongs to.
    """
    if workers == 0:
        for step in range(first, last):
            yield batches.batch(step)
        return
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="batch") as pool:
        try:
            for step in range(first, last):
                while len(waiting) <= 2 * workers and step + len(waiting) < last:
                    waiting.append(pool.submit(batches.batch, step + len(waiting)))
                yield waiting.popleft().result()
        finally:
            for made in waiting:
                made.cancel()
