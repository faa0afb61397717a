"""Checks of networks: names, gates, masks to learn from, and what an outcome on automatic masks allows."""

from __future__ import annotations

from collections.abc import Iterator

from osteorad.cohort.config import TABLE, Cohort
from osteorad.cohort.load_analyses import IMAGE_NEEDS
from osteorad.cohort.load_checks import Checks
from osteorad.cohort.located import Located
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.segmentation import AUTOMATIC, NETWORK_SETTINGS, NETWORKS, SegmentationRecipe, SegmentationSettings
from osteorad.errors import unknown_name

TWO_DECODERS = ("hybrid_attunetpp",)
SLICES = "slices"


class NetworkChecks(Checks):
    """Every problem of settings of networks."""

    def of_analysis(self, name: str, located: Located, recipe: SegmentationRecipe) -> Iterator[str]:
        """An analysis of kind segmentation."""
        analysis = self.config.analyses[name]
        if analysis.cohort not in self._raw_names("cohorts"):
            where = self._at("analyses", name, "cohort")
            yield unknown_name("cohort", analysis.cohort, self._raw_names("cohorts"), where)
        for key in ("bundle", "as_published", "subgroups", "horizon_days", "image_window_days"):
            if ("analyses", name, key) in self.located.lines:
                yield f"{self._at('analyses', name, key)}: not for an analysis of kind segmentation. Remove it."
        yield from self._networks(located, recipe.segmentation)
        if (cohort := self.config.cohorts.get(analysis.cohort)) is not None:
            yield from self._fits(located, recipe.segmentation, analysis.cohort, cohort)

    def of_outcome(self, name: str, located: Located, recipe: Recipe, settings: SegmentationSettings) -> Iterator[str]:
        """An outcome analysis on automatic masks; its mask set, reader and unit are bound to the network."""
        analysis = self.config.analyses[name]
        yield from self._networks(located, settings)
        if (cohort := self.config.cohorts.get(analysis.cohort)) is not None:
            yield from self._fits(located, settings, analysis.cohort, cohort)
        drawing = drawing_network(settings)
        wanted = {
            "mask_set": f"{AUTOMATIC}{drawing}",
            "second_set": settings.mask_set,
            "unit": "patient",
            "images": [settings.image],
        }
        for key, value in wanted.items():
            if getattr(recipe, key) != value:
                place = located.where(key)
                yield f"{place}: found {getattr(recipe, key)!r}; masks are drawn by a network. Wanted: {value!r}."
        if recipe.roi not in (regions := [region for region in (settings.lesion, settings.bone) if region]):
            yield unknown_name("ROI that the network draws", recipe.roi, regions, located.where("roi"))
        if recipe.splits.kind != "folds":
            yield f"{located.where('splits', 'kind')}: networks are trained in folds. Wanted: folds."
        if recipe.controls.shuffled:
            place = located.where("controls", "shuffled")
            yield f"{place}: shuffled voxels are not offered with automatic masks. Wanted: false."
        if analysis.as_published:
            yield f"{self._at('analyses', name, 'as_published')}: not offered with automatic masks. Remove it."
        if analysis.bundle is not None:
            yield f"{self._at('analyses', name, 'bundle')}: not offered with automatic masks. Remove it."

    def _networks(self, located: Located, settings: SegmentationSettings) -> Iterator[str]:
        """Names of networks, gates and two decoders."""
        base = ("segmentation", "networks")
        if not settings.networks:
            yield f"{located.where(*base)}: no network is named. Wanted: at least one of {', '.join(NETWORKS)}."
        for name, network in settings.networks.items():
            if network.network not in NETWORKS:
                yield unknown_name("network", network.network, NETWORKS, located.where(*base, name, "network"))
            for key in network.settings if network.network in NETWORKS else ():
                if key not in NETWORK_SETTINGS[network.network]:
                    place = located.where(*base, name, "settings", key)
                    yield unknown_name("setting", key, NETWORK_SETTINGS[network.network], place)
            two = network.network in TWO_DECODERS
            if two and settings.bone is None:
                place = located.where(*base, name, "network")
                yield f"{place}: '{network.network}' has a decoder for bone. Wanted: segmentation.bone, a ROI of bone."
            if two != (network.loss == "bce-dual") and network.network in NETWORKS:
                wanted = "bce-dual" if two else "dice-ce"
                yield f"{located.where(*base, name, 'loss')}: not for '{network.network}'. Wanted: {wanted}."
            yield from self._gate(located, settings, name, network.gate)
        for index, name in enumerate(settings.run):
            if name not in settings.networks:
                place = located.where("segmentation", "run", str(index))
                yield unknown_name("network of the recipe", name, settings.networks, place)

    def _gate(self, located: Located, settings: SegmentationSettings, name: str, gate: str | None) -> Iterator[str]:
        if gate is None:
            return
        place = located.where("segmentation", "networks", name, "gate")
        others = [other for other, network in settings.networks.items() if other != name and network.gate is None]
        if gate not in others:
            yield unknown_name("network without a gate of its own", gate, others, place)
        if settings.bone is None:
            yield f"{place}: a gate is a mask of bone. Wanted: segmentation.bone, a ROI of bone."

    def _fits(self, located: Located, settings: SegmentationSettings, cohort: str, found: Cohort) -> Iterator[str]:
        """What the networks need, against what the cohort has."""
        if found.source == TABLE:
            yield f"{located.where('segmentation')}: cohort '{cohort}' is a feature table; there is nothing to draw on."
            return
        for key, roi in (("lesion", settings.lesion), ("bone", settings.bone)):
            if roi is not None and roi not in found.rois:
                yield unknown_name(f"ROI of cohort '{cohort}'", roi, found.rois, located.where("segmentation", key))
        if settings.bone is not None and found.phantom is not None and not found.phantom.bone:
            yield (
                f"{located.where('segmentation', 'bone')}: cohort '{cohort}' writes no masks of bone. "
                f"Wanted in config.yaml:  cohorts: {{{cohort}: {{phantom: {{bone: true}}}}}}"
            )
        yield from self._mask_set(located.where("segmentation", "mask_set"), settings.mask_set, found)
        lacking = [need for need in IMAGE_NEEDS[settings.image] if need not in found.modalities]
        if lacking and found.source != SLICES:
            place = located.where("segmentation", "image")
            yield f"{place}: '{settings.image}' needs modality {lacking[0]}, which cohort '{cohort}' does not list."


def drawing_network(settings: SegmentationSettings) -> str:
    """Name of the network whose masks an outcome analysis reads: the one that `run` names, else the first."""
    return (settings.run or list(settings.networks))[0]
