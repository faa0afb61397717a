"""Settings of the steps of a recipe: what is fitted on training rows before the model.

Valid names of the modelling room's registry stand here, so that a spelling mistake is found before any job; a test
holds them equal to the registry itself.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from osteorad.cohort.settings import Settings
from osteorad.errors import unknown_name

STEPS = (
    "impute",
    "variance",
    "icc",
    "combat",
    "zscore",
    "mannwhitney",
    "correlation",
    "pca",
    "mrmr",
    "lasso",
    "lasso-logistic",
    "elastic-net",
    "stability",
    "stepwise",
)


class ImputeSettings(Settings):
    """Fill missing values."""

    method: Literal["median"] = Field("median", description="What is filled in, taken from training rows.")


class VarianceSettings(Settings):
    """Drop columns that say nothing."""

    relative: float = Field(
        1e-10, ge=0, description="A column whose range is at most this share of its largest value is constant."
    )


class ZscoreSettings(Settings):
    """Centre and scale."""

    clip: float = Field(8.0, gt=0, description="Scaled values are cut off at plus and minus this many SD.")


class CorrelationSettings(Settings):
    """Drop one of two columns that say the same."""

    method: Literal["pearson", "spearman"] = Field("pearson", description="Which correlation.")
    threshold: float = Field(0.90, gt=0, le=1, description="Columns with |r| above this are redundant.")
    keep: Literal["first", "relevance"] = Field(
        "first", description="Which one stays: the first in the table, or the one with the larger F statistic."
    )


class IccSettings(Settings):
    """Drop columns that two readers' contours do not give alike."""

    form: Literal["1,1", "A,1", "C,1"] = Field("A,1", description="Form of the ICC (McGraw and Wong's names).")
    least: float = Field(0.75, ge=-1, le=1, description="A column stays where the bound is above this.")
    bound: Literal["lower", "estimate"] = Field(
        "lower", description="What is compared: the lower bound of the 95 % interval, or the estimate."
    )


class CombatSettings(Settings):
    """Harmonise sites (Johnson 2007), fitted on training rows."""

    reference: str | None = Field(None, description="Site that the others are moved to; null: their common mean.")
    unseen: Literal["refuse", "reference", "leave"] = Field(
        "leave",
        description="A site without training rows: an error, treated as the reference site, or only standardised.",
    )
    mean_only: bool = Field(False, description="Adjust means and leave variances.")


class MannWhitneySettings(Settings):
    """Keep columns that differ between the classes."""

    p: float = Field(0.05, gt=0, le=1, description="Largest P value, or false discovery rate.")
    adjust: Literal["bh", "none"] = Field("bh", description="Benjamini-Hochberg, or none as papers do.")


class PcaSettings(Settings):
    """Replace columns by principal components."""

    share: float = Field(0.95, gt=0, le=1, description="Share of the variance that the components keep.")
    most: PositiveInt = Field(50, description="Most components.")


class LassoSettings(Settings):
    """Keep the columns with a weight in a lasso; the penalty is chosen by folds inside the training rows."""

    most: PositiveInt = Field(20, description="Most columns; those with the largest weights stay.")
    choose: Literal["min", "1se"] = Field("min", description="Penalty with the least error, or one SE above it.")
    folds: int = Field(5, ge=2, description="Folds by patient for the choice of the penalty.")


class ElasticNetSettings(LassoSettings):
    """Keep the columns with a weight in an elastic net."""

    share: float = Field(0.5, gt=0, le=1, description="Share of the absolute penalty; 1 is the lasso.")


class StabilitySettings(Settings):
    """Keep the columns that L1 logistic regression takes again and again in halves of the training rows."""

    halves: PositiveInt = Field(100, description="Half samples, by patient.")
    columns: PositiveInt = Field(20, description="Columns that each fit takes.")
    share: float = Field(0.6, gt=0, le=1, description="Least share of the half samples.")
    most: PositiveInt = Field(20, description="Most columns.")


class StepwiseSettings(Settings):
    """Keep the columns that Akaike's criterion keeps, step by step both ways; for a handful of covariates."""

    start: Literal["full", "null"] = Field("full", description="From all columns, or from none.")


class MrmrSettings(Settings):
    """Rank by minimum redundancy, maximum relevance."""

    scheme: Literal["FCQ", "FCD", "RCD"] = Field(
        "FCQ", description="F over mean |r| (FCQ), F minus mean |r| (FCD), |r| with the outcome minus mean |r| (RCD)."
    )
    k: list[PositiveInt] = Field([20], description="How many columns are tried; the inner loop chooses among them.")
    floor: float = Field(0.1, ge=0, description="Least redundancy that a quotient divides by.")


# Settings that each step takes; a test holds the names equal to the modelling room's registry.
STEP_SETTINGS: dict[str, type[Settings]] = {
    "impute": ImputeSettings,
    "variance": VarianceSettings,
    "icc": IccSettings,
    "combat": CombatSettings,
    "zscore": ZscoreSettings,
    "mannwhitney": MannWhitneySettings,
    "correlation": CorrelationSettings,
    "pca": PcaSettings,
    "mrmr": MrmrSettings,
    "lasso": LassoSettings,
    "lasso-logistic": LassoSettings,
    "elastic-net": ElasticNetSettings,
    "stability": StabilitySettings,
    "stepwise": StepwiseSettings,
}


class Step(Settings):
    """One named step of a recipe and its settings; STEP_SETTINGS says which settings each step takes."""

    step: str = Field(..., description="Name of the step.")
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings of the step.")

    @model_validator(mode="after")
    def _settings_fit(self) -> Step:
        if self.step in STEP_SETTINGS:
            valid = STEP_SETTINGS[self.step].model_fields
            for name in self.settings:
                if name not in valid:
                    raise ValueError(unknown_name("setting", name, valid, f"step {self.step}"))
            STEP_SETTINGS[self.step].model_validate(self.settings)
        return self

    def typed(self) -> Settings:
        """The settings as the step's own model, with its defaults filled in."""
        return STEP_SETTINGS[self.step].model_validate(self.settings)
