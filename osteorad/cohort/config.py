"""Settings: `config.yaml`, as typed models without silent defaults for what matters."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from osteorad.cohort.recipe import flat_overrides
from osteorad.cohort.settings import Name, Settings

SLICES = "slices"  # source of 2D slices as pictures
TABLE = "table"  # source, and name of image, ROI, session and preset of a feature table
# Our names of the clinical table's columns; everything else is a covariate and needs to stand in `keep`.
LESION_COLUMNS = ("patient", "session", "date", "roi_name", "outcome", "location", "type")
TABLE_COLUMNS = ("patient", "outcome", "index_date", "event_date", "last_seen", "event_day", "last_seen_day", "site")
PHANTOM_SECOND_SET = "reader2"
PHANTOM_COVARIATES = ("age_years", "er", "pr", "her2", "ki67", "subtype", "site")


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
    bone: bool = Field(False, description="Masks of all bone beside the contours, for networks that learn it.")
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


class Slices(Settings):
    """2D slices as pictures, with masks under the same names."""

    path: str = Field(..., description="Folder with the folders of pictures; relative to the working folder.")
    image: str = Field("image", description="Folder of the slices, PNG or JPEG, 8 bit.")
    lesion: str = Field("lesion mask", description="Folder of the lesion masks; values above 127 are lesion.")
    bone: str | None = Field("bone mask", description="Folder of the bone masks; null: there are none.")
    manifest: str = Field(
        ..., description="TSV, CSV or XLSX with the columns slice (file name without ending), patient, and order."
    )


class Cohort(Settings):
    """Patients, their images, contours and tables, ingested once under one privacy policy."""

    title: str = Field("", description="One line for the report.")
    source: Literal["dicom", "deidentified", "phantom", "table", "slices"] = Field(
        ..., description="Where the images come from; table: a feature table takes their place."
    )
    path: str | None = Field(None, description="Folder of DICOM; not for phantoms.")
    phantom: Phantom | None = Field(None, description="Only for source phantom.")
    table: FeatureTable | None = Field(None, description="Only for source table.")
    slices: Slices | None = Field(None, description="Only for source slices.")
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

    @model_validator(mode="before")
    @classmethod
    def _slices_parts(cls, value: Any) -> Any:
        """Slices are stacked to one image called `ct`; their regions have names of ours, for which no pattern looks."""
        if not isinstance(value, dict) or value.get("source") != SLICES:
            return value
        folders = value.get("slices")
        bone = not isinstance(folders, dict) or folders.get("bone", "") is not None
        rois = {"lesion": ["lesion"], **({"bone": ["bone"]} if bone else {})}
        return {**value, "rois": value.get("rois") or rois, "modalities": value.get("modalities") or ["CT"]}

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
