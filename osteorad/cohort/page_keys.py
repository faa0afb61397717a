"""Which key files stand behind a page: those of every rule on the way to it. Light: it reads no file."""

from __future__ import annotations

from collections.abc import Iterator

from osteorad.cohort.config import TABLE
from osteorad.cohort.keys import asked_images, key_path, presets_of
from osteorad.cohort.plan import Plan

READERS = {
    "dicom": ("publish_unplaced", "deidentify_images", "deidentify_contours"),
    "deidentified": ("publish_unplaced", "adopt_images", "adopt_contours"),
    "phantom": ("write_phantom_patient", "write_phantom_tables", "deidentify_images", "deidentify_contours"),
}
LEARNING = ("make_samples", "make_splits", "fit_models", "freeze_bundle", "audit_analysis", "evaluate_analysis")
LEARNING_PAGE, EXTERNAL = "report_analysis", ("make_samples", "apply_bundle", "evaluate_external", "report_external")


def behind_cohort(plan: Plan, cohort: str) -> list[str]:
    """Key files behind the page of a cohort, relative to the working folder."""
    if plan.config.cohorts[cohort].source == TABLE:
        return sorted(key_path(rule, cohort) for rule in ("import_table", "report_cohort"))
    own = [key_path(rule, cohort) for rule in ("draw_patient", "review_cohort", "report_cohort")]
    return sorted([*own, *_collected(plan, cohort, ["lesion-table"])])


def behind_analysis(plan: Plan, analysis: str) -> list[str]:
    """Key files behind the page of an analysis, those of its cohort's images and features included.

    A bundle that an external validation applies stands behind its own page: its keys are not among these.
    """
    settings = plan.config.analyses[analysis]
    own = EXTERNAL if settings.bundle is not None else (*LEARNING, LEARNING_PAGE)
    paths = [key_path(rule, analysis) for rule in own]
    if plan.config.cohorts[settings.cohort].source == TABLE:
        return sorted([*paths, key_path("import_table", settings.cohort)])
    return sorted([*paths, *_collected(plan, settings.cohort, presets_of(plan.recipes[analysis]))])


def _collected(plan: Plan, cohort: str, presets: list[str]) -> Iterator[str]:
    """Key files on the way to a cohort's tables and to its features under these presets."""
    settings = plan.config.cohorts[cohort]
    yield key_path("collect_cohort", cohort)
    if not plan.loaded.whole(cohort):
        tables = {"import_clinical": settings.clinical, "import_lesions": settings.lesions}
        asked = [rule for rule, table in tables.items() if table is not None]
        for rule in (*READERS[settings.source], "convert_images", "draw_masks", *asked):
            yield key_path(rule, cohort)
    if any("fused" in asked_images(plan.config, plan.recipes, cohort, preset) for preset in presets):
        yield key_path("build_grid", cohort)
    for preset in presets:
        for rule in ("extract_features", "collect_features"):
            yield key_path(rule, f"{cohort}.{preset}")
