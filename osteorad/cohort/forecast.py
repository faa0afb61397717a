"""What a run will cost, before it starts: jobs, hours, disk, files, from counts and measured unit costs."""

from __future__ import annotations

from dataclasses import dataclass

from osteorad.cohort.config import TABLE, Config
from osteorad.cohort.recipe import Recipe

# Unit costs: CPU seconds on one core of 2020s server hardware, MB on disk. They are meant for orders of magnitude;
# `make bench` measures them again. A slice is a DICOM file of 512 x 512 voxels (or the phantom's smaller one).
START_S = 1.5  # start of a job: Python, imports, Snakemake's share
DEIDENTIFY_S_PER_FILE = 0.006
CONVERT_S_PER_FILE = 0.012
FEATURES_S_PER_ROI = {"lesion-table": 0.5, "original": 2.0, "zhu2024": 8.0, "zhao2024": 12.0}
PAGE_S = 3.0
FIT_S_PER_FOLD = 6.0  # a model and an outer fold, inner folds included
PHANTOM_S_PER_PATIENT = 2.0
MB_PER_FILE = 0.5
NIFTI_SHARE = 0.6  # size of the compressed volumes, as a share of the DICOM
PATIENT_RULES = 6  # de-identify images and contours, convert, draw masks, fuse, page; features come on top
COHORT_RULES = 4  # clinical table, cohort tables, page, review
TABLE_RULES, TABLE_FILES = 2, 14  # import and page of a feature table; its tables, logs and benchmarks
ANALYSIS_RULES = 6  # samples, splits, fit, audit, evaluate, page
EXTERNAL_RULES = 4  # samples, apply, evaluate, page
PROJECT_RULES = 2  # index page, all


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is known of a cohort's source; None where nobody has looked yet."""

    patients: int | None
    files: int | None
    mb_per_file: float = MB_PER_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Cost of a whole run from nothing."""

    jobs: int
    cpu_hours: float
    disk_gb: float
    files: int

    def sentence(self) -> str:
        """One line for people."""
        hours = f"{self.cpu_hours:.1f} CPU hours" if self.cpu_hours >= 1 else f"{self.cpu_hours * 60:.0f} CPU minutes"
        return f"about {self.jobs} jobs, {hours}, {self.disk_gb:.1f} GB in {self.files} files"


def phantom_counts(config: Config, cohort: str) -> Counts:
    """Counts of a phantom cohort: known from its settings."""
    phantom = config.cohorts[cohort].phantom
    assert phantom is not None
    per_patient = phantom.slices * (2 if phantom.pet else 1) + 1
    mb_per_file = phantom.matrix**2 * 2 / 1e6 + 0.01
    return Counts(patients=phantom.patients, files=phantom.patients * per_patient, mb_per_file=mb_per_file)


def forecast(
    config: Config,
    recipes: dict[str, Recipe],
    counts: dict[str, Counts],
    cohorts: list[str],
    analyses: list[str],
) -> Forecast:
    """Cost of making `cohorts` and `analyses` from nothing; unknown counts are taken as 0."""
    jobs, seconds, disk_mb, files = PROJECT_RULES, START_S, 0.0, 1
    for name in cohorts:
        if config.cohorts[name].source == TABLE:
            jobs, seconds, files = jobs + TABLE_RULES, seconds + TABLE_RULES * START_S, files + TABLE_FILES
            continue
        patients, slices = counts[name].patients or 0, counts[name].files or 0
        phantom = config.cohorts[name].source == "phantom"
        lesions = config.cohorts[name].lesions is not None
        asked = [recipes[a] for a in analyses if a in recipes and config.analyses[a].cohort == name]
        presets = {"lesion-table", *(recipe.preset for recipe in asked)}
        readers = {s for recipe in asked for s in recipe.drawn_sets if s != "manual"}
        rules = PATIENT_RULES + phantom + len(presets) + 2 * len(readers)  # their masks, their features
        jobs += patients * rules + COHORT_RULES + phantom + lesions + len(presets) + len(readers)
        images = len(config.cohorts[name].modalities)
        features = sum(FEATURES_S_PER_ROI.get(preset, 0.0) for preset in presets) * images
        seconds += patients * (rules * START_S + features + PAGE_S + phantom * PHANTOM_S_PER_PATIENT)
        seconds += slices * (DEIDENTIFY_S_PER_FILE + CONVERT_S_PER_FILE)
        copies = (config.cohorts[name].source != "deidentified") + phantom  # the copy without identity; the source
        disk_mb += slices * counts[name].mb_per_file * (copies + NIFTI_SHARE)
        files += slices * copies + patients * (3 * rules + images)
    for name in analyses:
        if name not in recipes:  # networks: their cost depends on the GPU, and is told in the log of each training
            continue
        if config.analyses[name].bundle is not None:
            jobs, files = jobs + EXTERNAL_RULES, files + 3 * EXTERNAL_RULES
            continue
        splits = recipes[name].splits
        jobs += ANALYSIS_RULES
        seconds += splits.repeats * splits.folds * len(recipes[name].models) * FIT_S_PER_FOLD
        files += 3 * ANALYSIS_RULES
    return Forecast(jobs=jobs, cpu_hours=round(seconds / 3600, 2), disk_gb=round(disk_mb / 1000, 2), files=files)
