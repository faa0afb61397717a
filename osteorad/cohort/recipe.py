"""Recipes: what is done with a cohort, and how an analysis overrides it.

Valid names of the stages' registries stand here too, so that a spelling mistake is found before any job; a test holds
them equal to the registries themselves.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

from pydantic import Field, PositiveInt

from osteorad.cohort.segmentation import SegmentationSettings
from osteorad.cohort.settings import Name, Settings
from osteorad.cohort.steps import STEP_SETTINGS, Step

# Model -> names of the settings that its grid varies.
MODEL_SETTINGS: dict[str, tuple[str, ...]] = {
    "logistic": ("C",),
    "logistic-plain": (),
    "firth": (),
    "svm": ("C",),
    "knn": ("neighbours",),
    "knn-weighted": ("neighbours",),
    "random-forest": ("max_features",),
    "extra-trees": ("max_features",),
    "xgboost": ("learning_rate",),
    "lightgbm": ("learning_rate",),
    "mlp": ("alpha",),
}
MODELS = tuple(MODEL_SETTINGS)
PRESETS = ("zhu2024", "zhao2024", "lesion-table", "original")
IMAGES = ("ct", "pet", "fused")
SHUFFLED = "shuffled"  # ending of a preset's name, and of columns: the same ROIs with their voxels in random order
GRIDS = ("fused",)
RECIPES = ("afnouch2023", "auto-bone", "best", "lu2025", "tabular", "tabular-lasso", "zhao2024", "zhu2024")
BASELINES = ("clinical", "combined", "metabolic", "volume", "site", "prevalence")


class Splits(Settings):
    """How patients are divided."""

    kind: Literal["folds", "hold-out", "site", "column"] = Field(
        "folds",
        description="Repeated folds; repeated hold-out; each site left out once; or as a column of the clinical table "
        "says.",
    )
    folds: int = Field(
        5, ge=2, description="Outer folds; fewer until the smallest test part holds 3 patients of each class."
    )
    test_share: float = Field(0.3, gt=0, lt=1, description="Share of patients in the test part of a hold-out.")
    column: str | None = Field(
        None, description="For kind column: the covariate with the fold of each patient, or with train and test."
    )
    inner_folds: int = Field(5, ge=2, description="Inner folds, for choosing.")
    repeats: PositiveInt = Field(5, description="Repeats of the outer folds with other divisions.")
    seed: int = Field(1, description="Seed of the divisions.")


class Controls(Settings):
    """Negative controls: what the same procedure finds where there is nothing to find."""

    permutations: int = Field(120, ge=0, description="Fits with permuted outcomes, by the cheapest model; 0: none.")
    shuffled: bool = Field(False, description="The procedure on features of images with shuffled voxels.")


class Published(Settings):
    """The paper's own order of steps, leaks included; shown below the nested answer, never as the headline."""

    split: Literal["folds", "hold-out"] = Field("hold-out", description="How the paper divided.")
    by: Literal["patient", "sample"] = Field("patient", description="What was divided: patients, or single lesions.")
    folds: int = Field(5, ge=2, description="Folds, for split folds.")
    test_share: float = Field(0.2, gt=0, lt=1, description="Test share, for split hold-out.")
    repeats: PositiveInt = Field(5, description="Divisions drawn.")
    select_on: Literal["all", "train"] = Field("all", description="Rows on which the steps were fitted.")
    choose_on: Literal["test", "inner"] = Field("test", description="Rows on which the model was chosen.")


class Recipe(Settings):
    """What is done: images, masks, features, selection, models, evaluation."""

    name: Name = Field(..., description="Name of the file, without .yaml.")
    title: str = Field(..., description="What the recipe does, in one line.")
    citation: str = Field("", description="The paper that it follows.")
    kind: Literal["outcome"] = Field("outcome", description="Kind of analysis.")
    unit: Literal["patient", "lesion"] = Field("patient", description="What a sample is.")
    outcome_of: Literal["patient", "lesion"] = Field(
        "patient", description="Where the outcome stands: in the clinical table, or in the table of lesions."
    )
    aggregate: Literal["any", "max", "mean"] = Field(
        "max",
        description="Unit lesion: a patient's value is that of the lesion with the highest probability, their mean, or "
        "positive where any lesion is.",
    )
    session: Literal["first", "last", "all", "nearest"] = Field(
        "first", description="Which sessions of a patient enter; nearest: to the index date."
    )
    images: list[str] = Field(..., description="Images whose features enter: ct, pet, fused.")
    roi: str = Field(..., description="ROI whose features enter.")
    mask_set: str = Field("manual", description="Who drew: manual, or a folder below contours/.")
    second_set: str | None = Field(None, description="Mask set of a second reader, for the step icc.")
    segmentation: SegmentationSettings | None = Field(
        None,
        description="The network that draws the masks inside each fold, from training patients only; mask_set is then "
        "auto-<network>, and second_set the masks that it learns from.",
    )
    preset: str = Field(..., description="Feature preset.")
    metabolic: list[str] = Field(
        default_factory=list, description="Patterns of columns that make the metabolic model, such as pet.suv_*."
    )
    covariates: list[str] = Field(default_factory=list, description="Clinical covariates for the clinical model.")
    clinical_model: Literal["logistic", "stepwise"] = Field(
        "logistic", description="All covariates with a ridge penalty, or stepwise by AIC without one."
    )
    baselines: list[Literal["clinical", "combined", "metabolic", "volume", "site", "prevalence"]] = Field(
        ["clinical", "volume", "prevalence"], description="What the procedure is held against, where the data allow it."
    )
    steps: list[Step] = Field(..., description="What is fitted on training rows before the model, in order.")
    models: list[str] = Field(..., description="Models among which the inner loop chooses.")
    grids: dict[str, list[dict[str, Any]]] = Field(
        default_factory=dict, description="Model -> settings that the inner loop tries, where not the declared ones."
    )
    trees: PositiveInt = Field(500, description="Trees of a forest.")
    threshold: Literal["youden", "sensitivity"] = Field(
        "youden", description="How the cut-off is found, on inner out-of-fold scores."
    )
    sensitivity: float = Field(0.90, gt=0, le=1, description="Sensitivity that the threshold has to reach.")
    splits: Splits = Field(default_factory=Splits, description="How patients are divided.")
    controls: Controls = Field(default_factory=Controls, description="Negative controls.")
    published: Published | None = Field(None, description="How the paper itself proceeded; null: it is not replayed.")
    bootstrap: PositiveInt = Field(2000, description="Bootstrap samples for conditional intervals.")
    comparisons: list[str] = Field(
        ["volume", "clinical"], description="Baselines that the procedure is tested against (Holm over them)."
    )
    decision_thresholds: list[float] = Field(
        [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6],
        description="Threshold probabilities of the decision curve, declared beforehand.",
    )
    subgroup_minimum: PositiveInt = Field(20, description="Fewest patients of a subgroup that gets numbers.")
    assumed: list[str] = Field(
        default_factory=list, description="What the paper does not state and this recipe assumes."
    )

    @property
    def reference_set(self) -> str:
        """Mask set whose features say who is a sample: the reader's, where networks draw the recipe's own."""
        return self.mask_set if self.segmentation is None or self.second_set is None else self.second_set

    @property
    def drawn_sets(self) -> list[str]:
        """Mask sets of people that the recipe reads."""
        return [name for name in dict.fromkeys((self.reference_set, self.second_set)) if name]


# Keys of a recipe that say how a procedure is judged or told; the others say what is learned: a bundle's hash.
TOLD = ("assumed", "title", "citation")
EVALUATED = ("bootstrap", "comparisons", "decision_thresholds", "subgroup_minimum")
JUDGED = ("splits", "controls", "published", "baselines", *TOLD, *EVALUATED)


NETWORKS_OF = ["segmentation", "networks"]


def flat_overrides(overrides: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Overrides under dotted keys, so that `splits: {repeats: 2}` and `splits.repeats: 2` are one."""
    flat: dict[str, Any] = {}
    for key, value in overrides.items():
        inner = flat_overrides(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {prefix + key: value}
        flat.update(inner)
    return flat


def apply_overrides(recipe: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """A copy of a recipe's mapping with dotted keys replaced; a step is addressed by its name (`steps.mrmr.features`).

    Raises KeyError(part, valid parts) for a key that leads nowhere.
    """
    changed: dict[str, Any] = copy.deepcopy(recipe)
    for key, value in flat_overrides(overrides).items():
        *path, last = key.split(".")
        node: Any = changed
        for part in path:
            node = _inside(node)
            if part not in node:
                raise KeyError(part, sorted(node))
            node = node[part]
        node = _inside(node)
        valid = MODELS if path == ["grids"] else node
        if path[:2] == NETWORKS_OF and path[3:] == ["settings"]:
            valid = [*node, last]  # a constructor's own names, checked with the network that they belong to
        if last not in valid:
            raise KeyError(last, sorted(valid))
        node[last] = value
    return changed


def _inside(node: Any) -> dict[str, Any]:
    """What may follow in an override's key: the keys of a mapping, or the steps by their names."""
    if isinstance(node, list):
        named = {str(step["step"]): step["settings"] for step in node if isinstance(step, dict) and "step" in step}
        for name, settings in named.items():
            if name in STEP_SETTINGS:  # a setting that the recipe leaves at its default can be overridden, too
                for key, value in STEP_SETTINGS[name]().model_dump(mode="json").items():
                    settings.setdefault(key, value)
        return named
    return node if isinstance(node, dict) else {}
