"""What each rule uses of the settings: the part that stands in its key file (contract 9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from osteorad.cohort.config import SLICES, TABLE, Analysis, Cohort, Config
from osteorad.cohort.recipe import SHUFFLED, Recipe
from osteorad.cohort.segmentation import SegmentationRecipe, SegmentationSettings
from osteorad.cohort.verdicts import Verdicts, rejecting
from osteorad.provenance import installed_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoped:
    """What the settings of a rule may depend on."""

    config: Config
    recipes: Mapping[str, Recipe]  # analysis -> recipe with its overrides
    cohort: str = ""
    analysis: str = ""
    preset: str = ""
    network: str = ""
    segmentations: Mapping[str, SegmentationRecipe] = field(default_factory=dict)  # analysis -> the same, of networks
    reviews: Mapping[str, Verdicts] = field(default_factory=dict)  # cohort -> verdicts of readers

    @property
    def verdicts(self) -> Verdicts:
        """Verdicts of readers on the cohort of the scope."""
        return self.reviews.get(self.cohort, {})

    @property
    def networks(self) -> SegmentationSettings:
        """Settings of the networks of the scope's analysis."""
        return networks_of(self.recipes, self.segmentations)[self.analysis]

    @property
    def cohort_settings(self) -> Cohort:
        """The cohort of the scope."""
        return self.config.cohorts[self.cohort]

    @property
    def analysis_settings(self) -> Analysis:
        """The analysis of the scope."""
        return self.config.analyses[self.analysis]


Used = Callable[[Scoped], Any]


def asked_rois(config: Config, recipes: Mapping[str, Recipe], cohort: str, preset: str) -> list[str]:
    """ROIs whose features a cohort needs under a preset: those of its recipes; all for the lesion table."""
    if preset == "lesion-table":
        return sorted(config.cohorts[cohort].rois)
    asked = _recipes_of(config, recipes, cohort)
    return sorted({recipe.roi for recipe in asked if preset in presets_of(recipe)})


def _recipes_of(config: Config, recipes: Mapping[str, Recipe], cohort: str) -> list[Recipe]:
    return [recipe for name, recipe in recipes.items() if config.analyses[name].cohort == cohort]


def presets_of(recipe: Recipe) -> list[str]:
    """Presets that a recipe needs: its own, and the same on shuffled voxels where it asks for that control."""
    return [recipe.preset, *([f"{recipe.preset}-{SHUFFLED}"] if recipe.controls.shuffled else [])]


def asked_presets(config: Config, recipes: Mapping[str, Recipe], cohort: str) -> list[str]:
    """Presets that a cohort needs: the lesion table's, and those of its recipes; none for a feature table."""
    if config.cohorts[cohort].source == TABLE:
        return []
    asked = _recipes_of(config, recipes, cohort)
    return sorted({"lesion-table", *(preset for recipe in asked for preset in presets_of(recipe))})


def asked_images(config: Config, recipes: Mapping[str, Recipe], cohort: str, preset: str) -> list[str]:
    """Images whose features a cohort needs under a preset."""
    if config.cohorts[cohort].source == SLICES:
        return []  # grey values are no HU: the cohort page gets tables without a row
    if preset == "lesion-table":
        return ["ct", "pet"]
    asked = _recipes_of(config, recipes, cohort)
    return sorted({image for recipe in asked if preset in presets_of(recipe) for image in recipe.images})


def as_published(config: Config, recipes: Mapping[str, Recipe], analysis: str) -> bool:
    """True where the paper's own procedure is replayed: asked for, or a phantom's; and the recipe says what it was."""
    settings = config.analyses[analysis]
    asked = settings.as_published
    wanted = config.cohorts[settings.cohort].source == "phantom" if asked is None else asked
    return wanted and recipes[analysis].published is not None


def of_cohort(*fields: str) -> Used:
    """These settings of the cohort."""
    return lambda s: s.cohort_settings.model_dump(mode="json", include=set(fields))


def phantom(s: Scoped) -> Any:
    """Settings of a phantom; none for other cohorts."""
    return s.cohort_settings.phantom.model_dump(mode="json") if s.cohort_settings.phantom else None


def features(s: Scoped) -> Any:
    """Regions, images and preset of a feature table."""
    asked = (s.config, s.recipes, s.cohort, s.preset)
    return {"rois": asked_rois(*asked), "images": asked_images(*asked), "preset": s.preset}


def collected(s: Scoped) -> Any:
    """Exclusions, modalities and rejections."""
    own = s.cohort_settings.model_dump(mode="json", include={"exclude", "modalities"})
    return {**own, "rejected": rejecting(s.verdicts)}


def review(s: Scoped) -> Any:
    """What the page of the review shows."""
    return {"title": s.cohort_settings.title, "verdicts": s.verdicts}


def whole_analysis(s: Scoped) -> Any:
    """All that an analysis page shows."""
    return {
        "analysis": s.analysis_settings.model_dump(mode="json"),
        "recipe": s.recipes[s.analysis].model_dump(mode="json"),
    }


def samples(s: Scoped) -> Any:
    """What decides who is a sample."""
    a, r = s.analysis_settings, s.recipes[s.analysis]
    return {
        "analysis": a.model_dump(mode="json", include={"cohort", "outcome", "horizon_days", "image_window_days"}),
        "recipe": r.model_dump(
            mode="json",
            include={
                "unit",
                "outcome_of",
                "session",
                "images",
                "roi",
                "mask_set",
                "second_set",
                "preset",
                "covariates",
            },
        ),
        "shuffled": r.controls.shuffled,
        "max_quarantined": s.config.cohorts[a.cohort].max_quarantined,
    }


def splits(s: Scoped) -> Any:
    """How patients are divided."""
    recipe = s.recipes[s.analysis].model_dump(mode="json", include={"splits", "published"})
    return {**recipe, "as_published": as_published(s.config, s.recipes, s.analysis)}


def evaluation(s: Scoped) -> Any:
    """How predictions are judged."""
    a, r = s.analysis_settings, s.recipes[s.analysis]
    used = {
        "unit",
        "aggregate",
        "images",
        "covariates",
        "threshold",
        "splits",
        "published",
        "bootstrap",
        "comparisons",
        "decision_thresholds",
        "subgroup_minimum",
    }
    return {
        "analysis": a.model_dump(mode="json", include={"cohort", "outcome_label", "subgroups"}),
        "recipe": r.model_dump(mode="json", include=used),
    }


def recipe_without(*without: str) -> Used:
    """The recipe but for keys that a rule does not use."""
    return lambda s: s.recipes[s.analysis].model_dump(mode="json", exclude=set(without))


def networks_of(
    recipes: Mapping[str, Recipe], segmentations: Mapping[str, SegmentationRecipe]
) -> dict[str, SegmentationSettings]:
    """Analysis that trains networks -> their settings."""
    automatic = {name: recipe.segmentation for name, recipe in recipes.items() if recipe.segmentation is not None}
    return {**automatic, **{name: recipe.segmentation for name, recipe in segmentations.items()}}


def cases(s: Scoped) -> Any:
    """What decides which sessions networks learn from."""
    recipe = s.segmentations[s.analysis].model_dump(mode="json", include={"session", "negatives", "splits"})
    regions = s.networks.model_dump(mode="json", include={"image", "lesion", "bone", "mask_set"})
    return {"cohort": s.analysis_settings.cohort, **recipe, **regions, "rejected": rejecting(s.verdicts)}


def training(s: Scoped) -> Any:
    """What a network learns from and how; the build of torch is part of its identity (contract 8)."""
    asked = s.networks.for_training(s.network)
    used = asked.model_dump(mode="json", include={"image", "lesion", "bone", "mask_set", "plan", "training"})
    own = asked.networks[s.network].model_dump(mode="json", exclude={"gate", "gate_mm", "epochs"})
    return {**used, "network": own, "torch": installed_version("torch")}


def drawing(s: Scoped) -> Any:
    """How a trained network draws."""
    used = s.networks.model_dump(mode="json", include={"image", "lesion", "bone", "prediction"})
    return {
        **used,
        "network": s.networks.networks[s.network].model_dump(mode="json", exclude={"epochs"}),
        "torch": installed_version("torch"),
    }


def scoring(s: Scoped) -> Any:
    """How masks are scored."""
    recipe = s.segmentations[s.analysis]
    dropped = s.networks.prediction.model_dump(mode="json", include={"smallest_ml", "smallest_voxels"})
    names = {"image": s.networks.image, "lesion_roi": s.networks.lesion, "bone_roi": s.networks.bone}
    rule = {"rule": recipe.scoring.match, "at_least": recipe.scoring.at_least, "bootstrap": recipe.scoring.bootstrap}
    return {**names, **rule, **dropped}


def exporting(s: Scoped) -> Any:
    """Of which image and regions DICOM SEG objects are made."""
    return s.networks.model_dump(mode="json", include={"image", "lesion", "bone"})


def compared(settings: SegmentationSettings) -> list[str]:
    """Networks that a plain run trains and the report compares."""
    return settings.run or list(settings.networks)


def whole_segmentation(s: Scoped) -> Any:
    """All that the page of a segmentation analysis shows."""
    return {
        "analysis": s.analysis_settings.model_dump(mode="json"),
        "recipe": s.segmentations[s.analysis].model_dump(mode="json"),
    }


def recipe_of(*keys: str) -> Used:
    """These keys of the recipe."""
    return lambda s: s.recipes[s.analysis].model_dump(mode="json", include=set(keys))


def index(s: Scoped) -> Any:
    """What the index shows."""
    return {"title": s.config.title, "run": s.config.run}
