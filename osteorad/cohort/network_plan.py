"""Paths and parameters of the rules that train networks and draw masks; what `cohort.plan` is for all others. Light.

Networks of an analysis stand below `folds/r<r>f<f>/networks/<network>/i<i>`: one for each inner fold of an outer fold.
A segmentation analysis has one outer division, its held-out part; an outcome analysis on automatic masks has those of
its recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from osteorad.cohort.config import Cohort, Config
from osteorad.cohort.key_settings import compared, networks_of
from osteorad.cohort.plan import Plan
from osteorad.cohort.segmentation import SegmentationRecipe, SegmentationSettings

FOLD = "results/analyses/{analysis}/folds/r{repeat}f{fold}"
Fold = tuple[int, int]  # repeat, fold


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """What a plan says of networks."""

    plan: Plan

    @property
    def config(self) -> Config:
        """The checked settings."""
        return self.plan.config

    @property
    def recipes(self) -> Mapping[str, SegmentationRecipe]:
        """Analyses of kind segmentation -> recipe with overrides."""
        return self.plan.loaded.segmentations

    def analyses(self) -> list[str]:
        """Names of the analyses that train networks."""
        return sorted(networks_of(self.plan.recipes, self.recipes))

    def automatic(self) -> list[str]:
        """Names of the outcome analyses on automatic masks."""
        return [name for name in self.analyses() if name not in self.recipes]

    def settings(self, analysis: str) -> SegmentationSettings:
        """Settings of the networks of an analysis."""
        return networks_of(self.plan.recipes, self.recipes)[analysis]

    def folds(self, analysis: str) -> list[Fold]:
        """Outer divisions of an analysis."""
        if analysis in self.recipes:
            return [(1, 1)]
        splits = self.plan.recipes[analysis].splits
        return [(r, f) for r in range(1, splits.repeats + 1) for f in range(1, splits.folds + 1)]

    def inner(self, analysis: str) -> int:
        """How many networks of a kind are trained in an outer division, one an inner fold."""
        if analysis in self.recipes:
            return self.recipes[analysis].splits.folds
        return self.plan.recipes[analysis].splits.inner_folds

    def compared(self, analysis: str) -> list[str]:
        """Networks that a plain run trains and the report compares; of an outcome analysis the one that draws."""
        settings = self.settings(analysis)
        names = compared(settings)
        return list(names) if analysis in self.recipes else names[:1]

    # --- files

    def networks(self, analysis: str, repeat: int | str, fold: int | str, network: str) -> list[str]:
        """Records of the networks of an outer division, in the order of the inner folds."""
        base = FOLD.format(analysis=analysis, repeat=repeat, fold=fold)
        return [f"{base}/networks/{network}/i{i}/network.json" for i in range(1, self.inner(analysis) + 1)]

    def masks(self, analysis: str, repeat: int | str, fold: int | str, network: str) -> str:
        """The manifest of the masks that a network drew in an outer division."""
        return f"{FOLD.format(analysis=analysis, repeat=repeat, fold=fold)}/masks/{network}/masks.json"

    def gate(self, analysis: str, repeat: int | str, fold: int | str, network: str) -> list[str]:
        """Masks of the network within whose bone this one looks for lesions; none without a gate."""
        gate = self.settings(analysis).networks[network].gate
        return [] if gate is None else [self.masks(analysis, repeat, fold, gate)]

    def all_masks(self, analysis: str) -> list[str]:
        """Manifests of the masks of all compared networks, in every outer division."""
        return [self.masks(analysis, r, f, name) for r, f in self.folds(analysis) for name in self.compared(analysis)]

    def all_networks(self, analysis: str) -> list[str]:
        """Records of all networks that these masks came from."""
        return [
            path
            for r, f in self.folds(analysis)
            for name in self.compared(analysis)
            for path in self.networks(analysis, r, f, name)
        ]

    def fold_masks(self, analysis: str) -> list[str]:
        """Masks of an outcome analysis, one manifest an outer fold; none where people drew them."""
        return self.all_masks(analysis) if analysis in self.automatic() else []

    def fold_networks(self, analysis: str) -> list[str]:
        """Networks of an outcome analysis; none where people drew the masks."""
        return self.all_networks(analysis) if analysis in self.automatic() else []

    def fold_samples(self, analysis: str) -> list[str]:
        """Samples of an outcome analysis with the automatic features of each outer fold; none for people's masks."""
        if analysis not in self.automatic():
            return []
        return [f"{FOLD.format(analysis=analysis, repeat=r, fold=f)}/samples.parquet" for r, f in self.folds(analysis)]

    def fold_features(self, analysis: str, repeat: int | str, fold: int | str) -> str:
        """Features of the masks that the analysis' network drew in a fold."""
        network = self.compared(analysis)[0]
        return f"{FOLD.format(analysis=analysis, repeat=repeat, fold=fold)}/features/{network}/features.parquet"

    def grids(self, analysis: str, patients: Mapping[str, Sequence[str]]) -> list[str]:
        """Grid manifests that the analysis' images need, of all patients of the cohort."""
        cohort, preset = self.config.analyses[analysis].cohort, self.plan.recipes[analysis].preset
        return [path for patient in patients[cohort] for path in self.plan.grids(cohort, preset, patient)]

    def manifests(self, analysis: str, kind: str, patients: Mapping[str, Sequence[str]]) -> list[str]:
        """Manifests of all patients of the cohort; kind images, dicom, or masks (of the set that networks learn)."""
        cohort = self.config.analyses[analysis].cohort
        learned = f"masks/{self.settings(analysis).mask_set}/{{}}/masks.json"
        folder = learned if kind == "masks" else f"{kind}/{{}}/images.json"
        return [f"results/cohorts/{cohort}/{folder.format(patient)}" for patient in patients[cohort]]

    def scores(self, analysis: str, name: str) -> list[str]:
        """A file of scores of every compared network."""
        return [f"results/analyses/{analysis}/scores/{network}/{name}" for network in self.compared(analysis)]

    # --- parameters

    def source_folder(self, analysis: str) -> str | None:
        """Folder to which paths of a source that is read in place are relative; None for other sources."""
        cohort = self._cohort(analysis)
        return cohort.path if cohort.source == "deidentified" else None

    def case_params(self, analysis: str) -> dict[str, Any]:
        """Names and recipe of a segmentation analysis, for a job."""
        return {
            "analysis": analysis,
            "cohort": self.config.analyses[analysis].cohort,
            "recipe": self.recipes[analysis].model_dump(mode="json"),
        }

    def page(self, analysis: str) -> dict[str, Any]:
        """What the page of a segmentation analysis says of its settings, the recipe as written, and versions."""
        page = self.plan.page_of(analysis, self.recipes[analysis])
        return {**page, "versions": self.plan.versions("train_network", "predict_masks", "score_masks")}

    def targets(self) -> list[str]:
        """DICOM SEG of every compared network of the active segmentation analyses; of pictures there can be none."""
        active = [name for name in self._active() if self._cohort(name).source != "slices"]
        return [self.seg(name, network) for name in active for network in self.compared(name)]

    def seg(self, analysis: str, network: str) -> str:
        """The manifest of the DICOM SEG objects of a network."""
        return f"results/analyses/{analysis}/seg/{network}/seg.json"

    def _cohort(self, analysis: str) -> Cohort:
        return self.config.cohorts[self.config.analyses[analysis].cohort]

    def _active(self) -> list[str]:
        return [name for name in self.plan.loaded.targets[1] if name in self.recipes]
