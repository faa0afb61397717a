"""Which key files stand behind a page: those of every rule on the way to it. Light: it reads no file."""

from __future__ import annotations

from collections.abc import Mapping

from osteorad.cohort.config import TABLE, Config, Recipe
from osteorad.cohort.keys import asked_images, key_path, presets_of

READERS = {
    "dicom": ("deidentify_images", "deidentify_contours"),
    "deidentified": ("adopt_images", "adopt_contours"),
    "phantom": ("write_phantom_patient", "write_phantom_tables", "deidentify_images", "deidentify_contours"),
}
LEARNING = ("make_samples", "make_splits", "fit_models", "freeze_bundle", "audit_analysis", "evaluate_analysis")
LEARNING_PAGE, EXTERNAL = "report_analysis", ("make_samples", "apply_bundle", "evaluate_external", "report_external")


def behind_cohort(config: Config, recipes: Mapping[str, Recipe], cohort: str) -> list[str]:
    """Key files behind the page of a cohort, relative to the working folder."""
    if config.cohorts[cohort].source == TABLE:
        own = ["import_table", "report_cohort"]
        return sorted(key_path(rule, cohort) for rule in own)
    own = [key_path(rule, cohort) for rule in ("draw_patient", "report_cohort")]
    return sorted([*own, *_collected(config, recipes, cohort, ["lesion-table"])])


def behind_analysis(config: Config, recipes: Mapping[str, Recipe], analysis: str) -> list[str]:
    """Key files behind the page of an analysis, those of its cohort's images and features included.

    A bundle that an external validation applies stands behind its own page: its keys are not among these.
    """
    settings = config.analyses[analysis]
    own = EXTERNAL if settings.bundle is not None else (*LEARNING, LEARNING_PAGE)
    paths = [key_path(rule, analysis) for rule in own]
    if config.cohorts[settings.cohort].source == TABLE:
        return sorted([*paths, key_path("import_table", settings.cohort)])
    return sorted([*paths, *_collected(config, recipes, settings.cohort, presets_of(recipes[analysis]))])


def _collected(config: Config, recipes: Mapping[str, Recipe], cohort: str, presets: list[str]) -> list[str]:
    """Key files on the way to a cohort's tables and to its features under these presets."""
    settings = config.cohorts[cohort]
    rules = [*READERS[settings.source], "convert_images", "draw_masks", "collect_cohort"]
    rules += ["import_clinical"] if settings.clinical is not None else []
    rules += ["import_lesions"] if settings.lesions is not None else []
    if any("fused" in asked_images(config, recipes, cohort, preset) for preset in presets):
        rules.append("build_grid")
    featured = [key_path(r, f"{cohort}.{p}") for p in presets for r in ("extract_features", "collect_features")]
    return [*(key_path(rule, cohort) for rule in rules), *featured]
