"""The plan of a network: spacing, window, patch and batch, from the settings or else from its training cases.

Planned as nnU-Net does (Isensee 2021, doi 10.1038/s41592-020-01008-z): spacing is the median of each axis, values are
cut off at percentiles of the labelled voxels, the patch is the median image made smaller until memory suffices. Only
cases that are learned from are looked at, not those that choose the epoch and not those held out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.cohort.segmentation import NetworkSettings, PlanSettings, SegmentationSettings
from osteorad.errors import AnalysisRefused, ConfigError
from osteorad.segmentation.canonical import canonical_grid
from osteorad.segmentation.cases import GREY, LESION, Case
from osteorad.segmentation.losses import HEADS
from osteorad.segmentation.memory import training_bytes
from osteorad.segmentation.networks.registry import Network, network_of

VOXELS_OF_A_CASE = 20_000  # labelled voxels of a case that enter the percentiles, evenly spread
PERCENTILES = (0.5, 99.5)
COARSE = 3.0  # an axis whose spacing is so many times that of both others is taken finer than its median
COARSE_PERCENTILE = 10.0
LEAST_BATCH = 2
MOST_BATCH = {2: 16, 3: 4}  # by dimensions
MOST_VOXELS = 0.05  # of all training voxels that one batch may hold, so that batches differ
GIGABYTE = 1e9
GREY_RANGE = 255.0

Bytes = Callable[[Sequence[int], int], float]  # patch and batch -> bytes of a step


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFacts:
    """What the plan asks of a case; axes in the order across, front to back, up and down."""

    name: str
    units: str
    shape_xyz: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    labelled: NDArray[np.float32]  # values of labelled voxels, at most VOXELS_OF_A_CASE
    lesion_voxels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The training cases in numbers."""

    cases: int
    cases_with_lesion: int
    median_spacing_mm: tuple[float, float, float]
    median_shape: tuple[int, int, int]
    labelled_percentiles: tuple[float, float]
    labelled_mean: float
    labelled_sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that training and prediction have to share.

    patch : (rows, columns) or (slices, rows, columns); training and drawing see windows of this size and no other:
    instance normalisation takes its mean over one. spacing_mm : across, front to back, up and down; None at an axis
    (slices of a 2D network) or as a whole (pictures): as in the image. mean, sd : scale of the values in the window.
    """

    network: str
    network_settings: Mapping[str, Any]
    dimensions: int
    channels: int
    labels: int
    image: str
    lesion: str
    bone: str | None
    units: str
    spacing_mm: tuple[float | None, float | None, float | None] | None
    window: tuple[float, float]
    mean: float
    sd: float
    patch: tuple[int, ...]
    batch: int
    divisor: tuple[int, ...]
    step_gb: float
    fingerprint: Fingerprint

    @property
    def lowest(self) -> float:
        """The least value that a network sees: what stands beyond the border of an image."""
        return (self.window[0] - self.mean) / self.sd

    def plain(self) -> dict[str, Any]:
        """The plan, JSON-able."""
        return asdict(self)


def plan_of(plain: Mapping[str, Any]) -> Plan:
    """The plan of its JSON form."""
    marks = plain["fingerprint"]
    pairs = {name: tuple(marks[name]) for name in ("median_spacing_mm", "median_shape", "labelled_percentiles")}
    lists = {name: tuple(plain[name]) for name in ("window", "patch", "divisor")}
    spacing = plain["spacing_mm"]
    return Plan(
        **{
            **plain,
            **lists,
            "spacing_mm": None if spacing is None else tuple(spacing),
            "fingerprint": Fingerprint(**{**marks, **pairs}),
        }
    )


# --- what is asked of a case -----------------------------------------------------------------------------------------


def case_facts(case: Case) -> CaseFacts:
    """Size, spacing and labelled values of a case."""
    grid = canonical_grid(case.volume.grid)
    places = np.flatnonzero(case.labels.ravel(order="F"))
    kept = places[np.linspace(0, places.size - 1, min(places.size, VOXELS_OF_A_CASE)).astype(np.intp)]
    return CaseFacts(
        name=case.name,
        units=case.volume.units,
        shape_xyz=grid.shape,
        spacing_mm=grid.spacing_mm,
        labelled=case.volume.array.ravel(order="F")[kept].astype(np.float32),
        lesion_voxels=int(np.count_nonzero(case.labels == LESION)),
    )


def fingerprint_of(facts: Sequence[CaseFacts]) -> Fingerprint:
    """Medians and percentiles over cases; raises AnalysisRefused where no lesion is labelled."""
    with_lesion = sum(case.lesion_voxels > 0 for case in facts)
    if not with_lesion:
        raise AnalysisRefused(f"none of the {len(facts)} training cases has a lesion: nothing to learn from")
    labelled = np.concatenate([case.labelled for case in facts]).astype(np.float64)
    x, y, z = np.median([case.spacing_mm for case in facts], axis=0).tolist()
    i, j, k = np.median([case.shape_xyz for case in facts], axis=0).tolist()
    low, high = np.percentile(labelled, PERCENTILES).tolist()
    return Fingerprint(
        cases=len(facts),
        cases_with_lesion=with_lesion,
        median_spacing_mm=(x, y, z),
        median_shape=(round(i), round(j), round(k)),
        labelled_percentiles=(low, high),
        labelled_mean=float(labelled.mean()),
        labelled_sd=float(labelled.std()),
    )


# --- the plan --------------------------------------------------------------------------------------------------------


def make_plan(facts: Sequence[CaseFacts], settings: SegmentationSettings, name: str) -> Plan:
    """The plan of one network of a recipe. facts : of the cases that it learns from. name : in settings.networks.

    Raises AnalysisRefused where the cases do not allow training, ConfigError for a patch that does not fit the network.
    """
    chosen = settings.networks[name]
    network = network_of(chosen.network)
    where = f"segmentation.networks.{name}"
    network_settings = network.complete(chosen.settings, f"{where}.settings")
    if network.heads == "two" and settings.bone is None:
        raise ConfigError(f"{where}: '{chosen.network}' has a decoder for bone; wanted segmentation.bone, its ROI.")
    if HEADS[chosen.loss] != network.heads:
        fits = next(loss for loss, heads in HEADS.items() if heads == network.heads)
        raise ConfigError(f"{where}.loss: '{chosen.loss}' does not fit '{chosen.network}'; wanted {fits}.")
    units = _units(facts)
    marks = fingerprint_of(facts)
    spacing = None if units == GREY else planned_spacing(facts, settings.plan, network.dimensions)
    window, mean, sd = _scale(facts, settings.plan, units)
    labels = 2 if settings.bone is None else 3

    def step_bytes(patch: Sequence[int], batch: int) -> float:
        return training_bytes(chosen.network, network_settings, channels=1, labels=labels, patch=patch, batch=batch)

    divisor = network.divisor(network_settings)
    shapes = [_shape_at(case, spacing)[-network.dimensions :] for case in facts]
    patch = _patch(shapes, chosen, network, settings.plan, divisor, step_bytes)
    batch = settings.plan.batch or planned_batch(patch, facts, settings.plan.memory_gb, step_bytes)
    return Plan(
        network=chosen.network,
        network_settings={key: _plain(value) for key, value in network_settings.items()},
        dimensions=network.dimensions,
        channels=1,
        labels=labels,
        image=settings.image,
        lesion=settings.lesion,
        bone=settings.bone,
        units=units,
        spacing_mm=spacing,
        window=window,
        mean=mean,
        sd=sd,
        patch=patch,
        batch=batch,
        divisor=divisor,
        step_gb=round(step_bytes(patch, batch) / GIGABYTE, 3),
        fingerprint=marks,
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _units(facts: Sequence[CaseFacts]) -> str:
    units = sorted({case.units for case in facts})
    if len(units) > 1:
        raise AnalysisRefused(f"training cases have images in {' and '.join(units)}; one network learns from one kind")
    return units[0]


def _scale(facts: Sequence[CaseFacts], asked: PlanSettings, units: str) -> tuple[tuple[float, float], float, float]:
    """Window, and mean and SD of the labelled voxels within it; pictures go from 0..255 to 0..1 as they are."""
    if units == GREY:
        return (0.0, GREY_RANGE), 0.0, GREY_RANGE
    labelled = np.concatenate([case.labelled for case in facts]).astype(np.float64)
    low, high = asked.window_hu or np.percentile(labelled, PERCENTILES).tolist()
    inside = np.clip(labelled, low, high)
    return (float(low), float(high)), float(inside.mean()), max(float(inside.std()), 1e-3)


def planned_spacing(
    facts: Sequence[CaseFacts], asked: PlanSettings, dimensions: int
) -> tuple[float | None, float | None, float | None]:
    """Median spacing of each axis; a 2D network keeps the slices of each image."""
    if asked.spacing_mm is not None:
        x, y, z = asked.spacing_mm
    else:
        spacings = np.array([case.spacing_mm for case in facts])
        x, y, z = (_axis_spacing(spacings, axis) for axis in range(3))
    return x, y, z if dimensions == 3 else None


def _axis_spacing(spacings: NDArray[np.float64], axis: int) -> float:
    middle = np.median(spacings, axis=0)
    if middle[axis] > COARSE * np.delete(middle, axis).max():
        return float(np.percentile(spacings[:, axis], COARSE_PERCENTILE))
    return float(middle[axis])


def _shape_at(case: CaseFacts, spacing: Sequence[float | None] | None) -> tuple[int, int, int]:
    """Shape (slices, rows, columns) of a case on the plan's grid."""
    ratios = [
        1.0 if want is None else have / want for have, want in zip(case.spacing_mm, spacing or [None] * 3, strict=True)
    ]
    columns, rows, slices = (max(round(size * ratio), 1) for size, ratio in zip(case.shape_xyz, ratios, strict=True))
    return slices, rows, columns


def _patch(
    shapes: Sequence[Sequence[int]],
    chosen: NetworkSettings,
    network: Network,
    asked: PlanSettings,
    divisor: Sequence[int],
    step_bytes: Bytes,
) -> tuple[int, ...]:
    if asked.patch is None:
        return planned_patch(shapes, divisor, asked.memory_gb, step_bytes)
    patch = tuple(asked.patch)
    if len(patch) != network.dimensions or any(edge % of for edge, of in zip(patch, divisor, strict=False)):
        wanted = f"{network.dimensions} edges, each a multiple of {divisor[0]}"
        raise ConfigError(f"segmentation.plan.patch: {list(patch)} does not fit '{chosen.network}'; wanted {wanted}.")
    return patch


def planned_patch(
    shapes: Sequence[Sequence[int]], divisor: Sequence[int], memory_gb: float, step_bytes: Bytes
) -> tuple[int, ...]:
    """The median shape, made smaller where it is largest until two patches fit into memory.

    Edges are multiples of the divisor and at least two of them. AnalysisRefused where even the smallest does not fit.
    """
    median = np.median(np.asarray(shapes), axis=0)
    steps = np.asarray(divisor)
    patch = np.maximum(np.ceil(median / steps).astype(int), 2) * steps
    while step_bytes(patch.tolist(), LEAST_BATCH) > memory_gb * GIGABYTE:
        room = patch > 2 * steps
        if not room.any():
            raise AnalysisRefused(f"the smallest patch does not fit into segmentation.plan.memory_gb = {memory_gb:g}")
        relative = np.where(room, patch / median, -1.0)
        patch[int(relative.argmax())] -= steps[int(relative.argmax())]
    return tuple(int(edge) for edge in patch)


def planned_batch(patch: Sequence[int], facts: Sequence[CaseFacts], memory_gb: float, step_bytes: Bytes) -> int:
    """As many patches as memory allows, but not over 5 % of all training voxels, at least two."""
    all_voxels = sum(float(np.prod(case.shape_xyz)) for case in facts)
    by_voxels = int(MOST_VOXELS * all_voxels // np.prod(patch))
    most = min(MOST_BATCH[len(patch)], by_voxels)
    while most > LEAST_BATCH and step_bytes(patch, most) > memory_gb * GIGABYTE:
        most -= 1
    return max(most, LEAST_BATCH)
