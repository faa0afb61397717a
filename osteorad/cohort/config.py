"""Settings: `config.yaml` and the recipes, as typed models without silent defaults for what matters.

Valid names of the stages' registries stand here too, so that a spelling mistake is found before any job;
a test holds them equal to the registries themselves.
"""

from __future__ import annotations

import copy
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from osteorad.errors import unknown_name

PROJECT_NAME = r"^[a-z0-9][a-z0-9-]{0,40}$"
Name = Annotated[str, Field(pattern=PROJECT_NAME, description="Lower-case letters, digits, hyphens; at most 41.")]

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
PRESETS = ("zhu2024", "zhao2024", "lesion-table")
IMAGES = ("ct", "pet", "fused")
TABLE = "table"  # source, and name of image, ROI, session and preset of a feature table
SHUFFLED = "shuffled"  # ending of a preset's name, and of columns: the same ROIs with their voxels in random order
GRIDS = ("fused",)
RECIPES = ("best", "lu2025", "tabular", "tabular-lasso", "zhao2024", "zhu2024")
BASELINES = ("clinical", "combined", "metabolic", "volume", "site", "prevalence")

# Our names of the clinical table's columns; everything else is a covariate and needs to stand in `keep`.
LESION_COLUMNS = ("patient", "session", "date", "roi_name", "outcome", "location", "type")
TABLE_COLUMNS = ("patient", "outcome", "index_date", "event_date", "last_seen", "event_day", "last_seen_day", "site")
PHANTOM_SECOND_SET = "reader2"
PHANTOM_COVARIATES = ("age_years", "er", "pr", "her2", "ki67", "subtype", "site")


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- cohorts ---------------------------------------------------------------------------------------------------------


class Phantom(Settings):
    """What a phantom cohort consists of; its patients follow from these settings alone."""

    patients: int = Field(40, gt=0, le=100_000, description="Number of digital patients.")
    seed: int = Field(1, description="Seed; another one gives other patients.")
    strength: float = Field(
        1.6, ge=0, description="How strongly outcome depends on marrow texture and uptake; 0: not at all."
    )
    disease: bool = Field(True, description="False: no lesion and no event in any patient.")
    events: int | None = Field(
        18,
        ge=0,
        description="Number of patients with the event; 45 %, rounded up, where there are not more patients than that; "
        "null: drawn with each one's own risk.",
    )
    pet: bool = Field(True, description="Write PET beside the CT.")
    matrix: int = Field(192, gt=0, le=4096, description="Rows and columns of a CT slice.")
    slices: int = Field(64, gt=0, le=20_000, description="CT slices.")
    slice_mm: float | None = Field(
        None, gt=0, description="Distance of CT slices in mm; null: the slices share 128 mm, T4 to T9."
    )
    reader2: bool = Field(True, description="A second reader's contours of lesions and marrow, mask set reader2.")
    special_cases: bool = Field(
        True, description="Some patients with SEG, NRRD, second session, scout, reformat, second kernel."
    )


class ClinicalTable(Settings):
    """The clinical table and what its columns mean."""

    path: str = Field(..., description="TSV, CSV or XLSX; relative to the working folder.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Our name -> the table's own name of the column, where they differ (patient, event_date, ...).",
    )
    keep: list[str] = Field(
        default_factory=list,
        description="Covariates that may leave the private folder (our names); all others are dropped.",
    )


class Lesions(Settings):
    """Table of lesions."""

    path: str = Field(
        ..., description="TSV, CSV or XLSX with patient, session or date, roi_name, outcome, location, type."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Our name -> the table's own name of the column, where they differ (patient, roi_name, ...).",
    )
    words: list[str] = Field(
        default_factory=list,
        description="Words of location and type that may leave the private folder, beside resources/lesions/words.txt.",
    )


class FeatureTable(Settings):
    """A table of features made elsewhere, one row a patient or lesion."""

    path: str = Field(..., description="Parquet, TSV, CSV or XLSX; relative to the working folder.")
    patient: str = Field("patient", description="Column with the patient's pseudonym.")
    lesion: str | None = Field(None, description="Column with the lesion's number, where a patient has several rows.")
    outcome: str | None = Field(None, description="Column with the outcome 0 or 1.")
    site: str | None = Field(None, description="Column with the site.")
    sites: list[str] = Field(default_factory=list, description="Sites whose rows enter; empty: all.")
    covariates: list[str] = Field(default_factory=list, description="Columns that are covariates, not features.")
    drop: list[str] = Field(default_factory=list, description="Columns that are neither.")
    without_patient: Literal["set_aside", "own_patient"] = Field(
        "set_aside", description="Rows without a patient: left out with a reason, or each a patient of its own."
    )


class Cohort(Settings):
    """Patients, their images, contours and tables, ingested once under one privacy policy."""

    title: str = Field("", description="One line for the report.")
    source: Literal["dicom", "deidentified", "phantom", "table"] = Field(
        ..., description="Where the images come from; table: a feature table takes their place."
    )
    path: str | None = Field(None, description="Folder of DICOM; not for phantoms.")
    phantom: Phantom | None = Field(None, description="Only for source phantom.")
    table: FeatureTable | None = Field(None, description="Only for source table.")
    modalities: list[Literal["CT", "PT"]] = Field(["CT", "PT"], description="Which images are converted.")
    rois: dict[Name, list[str]] = Field(
        ...,
        description="ROI -> patterns (* and ? allowed, case ignored) of contour names in the data; not for tables.",
    )
    clinical: ClinicalTable | None = Field(None, description="The clinical table.")
    lesions: Lesions | None = Field(None, description="Outcome and type a lesion, where known.")
    series: str | None = Field(None, description="Table with series to take or to leave out.")
    exclude: dict[str, str] = Field(default_factory=dict, description="Patient (pseudonym) -> reason for exclusion.")
    kernel: Literal["soft", "bone", "any"] = Field("soft", description="Which reconstruction kernel is preferred.")
    head: Literal["keep", "blank", "quarantine"] | None = Field(
        None,
        description="What becomes of heads, whose faces can be matched: keep them; blank every slice above the neck "
        "(source dicom); quarantine the series that show one. Must be written for real patients; phantoms: keep.",
    )
    max_quarantined: float = Field(
        0.2, ge=0, le=1, description="Share of quarantined patients above which analyses are refused."
    )
    cutoff: str | None = Field(None, description="Data cut-off (ISO date) that the report shows.")
    citation: str = Field("", description="How the data want to be cited.")

    @model_validator(mode="before")
    @classmethod
    def _table_parts(cls, value: Any) -> Any:
        """A feature table has no contours and no images; what takes their place has one name."""
        if not isinstance(value, dict) or value.get("source") != TABLE:
            return value
        return {**value, "rois": value.get("rois") or {TABLE: [TABLE]}, "modalities": value.get("modalities") or []}

    @property
    def covariates(self) -> list[str]:
        """Covariates that analyses may use: kept columns of the clinical or the feature table."""
        if self.table is not None:
            return self.table.covariates
        return self.clinical.keep if self.clinical is not None else []

    @model_validator(mode="before")
    @classmethod
    def _phantom_parts(cls, value: Any) -> Any:
        """A phantom cohort has settings even where none are written, and the tables that it writes itself."""
        if not isinstance(value, dict) or value.get("source") != "phantom":
            return value
        written = {"path": "clinical.tsv", "columns": {"age_years": "age"}, "keep": list(PHANTOM_COVARIATES)}
        clinical = value.get("clinical") or written
        lesions = value.get("lesions") or {"path": "lesions.tsv"}
        own = {"phantom": value.get("phantom") or {}, "clinical": clinical, "lesions": lesions}
        return {**value, **own, "head": value.get("head") or "keep"}


# --- recipes ---------------------------------------------------------------------------------------------------------


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


# Keys of a recipe that say how a procedure is judged or told; the others say what is learned: a bundle's hash.
TOLD = ("assumed", "title", "citation")
EVALUATED = ("bootstrap", "comparisons", "decision_thresholds", "subgroup_minimum")
JUDGED = ("splits", "controls", "published", "baselines", *TOLD, *EVALUATED)


class Analysis(Settings):
    """A question: cohort, recipe, outcome, overrides."""

    title: str = Field("", description="The question in one line.")
    cohort: str = Field(..., description="Name of a cohort.")
    recipe: str = Field(..., description="Name of a recipe in resources/recipes.")
    bundle: str | None = Field(
        None,
        description="External validation: the analysis, or the folder, whose frozen bundle is applied to this cohort.",
    )
    as_published: bool | None = Field(
        None, description="Replay the paper's own procedure beside the nested one; null: for phantoms only."
    )
    subgroups: list[str] = Field(default_factory=list, description="Covariates whose levels get numbers of their own.")
    image_window_days: tuple[int, int] | None = Field(
        None,
        description="First and last day, counted from the index date, between which the image has to lie; the recipe's "
        "session is chosen among those inside.",
    )
    statements: dict[str, str] = Field(
        default_factory=dict, description="Item of a checklist, such as METRICS-2 -> what the authors state."
    )
    outcome: str = Field("outcome", description="Column 0/1 of the clinical table: outcome, or one of clinical.keep.")
    outcome_label: str = Field("event", description="What outcome 1 is, in words.")
    horizon_days: PositiveInt | None = Field(
        None, description="With event_date and last_seen in the table: event within so many days of the index date."
    )
    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Recipe keys (dots for depth, steps by their name) -> other values."
    )
    test_only: str = Field("", description="Why this analysis is a mechanical test; shown above the answer.")

    @field_validator("overrides", mode="before")
    @classmethod
    def _flat_overrides(cls, value: Any) -> Any:
        return flat_overrides(value) if isinstance(value, dict) else value


class Config(Settings):
    """The whole of config.yaml."""

    title: str = Field("osteorad", description="Title of the index page.")
    private_dir: str = Field("private", description="Folder for everything that identifies; may lie elsewhere.")
    run: list[Name] = Field(
        default_factory=list, description="Cohorts and analyses that a plain `snakemake` makes; empty: all of them."
    )
    cohorts: dict[Name, Cohort] = Field(..., description="Name -> cohort.")
    analyses: dict[Name, Analysis] = Field(default_factory=dict, description="Name -> analysis.")


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
