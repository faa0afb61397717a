"""Which key files stand behind a page: those of every rule on the way to it. Light: it reads no file."""

from __future__ import annotations

from collections.abc import Iterator

from osteorad.cohort.config import TABLE
from osteorad.cohort.key_settings import asked_images, networks_of, presets_of
from osteorad.cohort.keys import key_path
from osteorad.cohort.plan import Plan

READERS = {
    "dicom": ("publish_unplaced", "deidentify_images", "deidentify_contours"),
    "deidentified": ("publish_unplaced", "adopt_images", "adopt_contours"),
    "slices": ("publish_unplaced", "adopt_slices"),
    "phantom": ("write_phantom_patient", "write_phantom_tables", "deidentify_images", "deidentify_contours"),
}
LEARNING = ("make_samples", "make_splits", "fit_models", "freeze_bundle", "audit_analysis", "evaluate_analysis")
LEARNING_PAGE, EXTERNAL = "report_analysis", ("make_samples", "apply_bundle", "evaluate_external", "report_external")


OF_NETWORKS = ("train_network", "predict_masks")
SCORED, MEASURED = ("make_cases", "report_segmentation"), ("extract_fold_features", "make_fold_samples")


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
    if analysis in plan.loaded.segmentations:
        return sorted([*_of_networks(plan, analysis), *_collected(plan, settings.cohort, [])])
    own = EXTERNAL if settings.bundle is not None else (*LEARNING, LEARNING_PAGE)
    paths = [key_path(rule, analysis) for rule in own] + _of_networks(plan, analysis)
    if plan.config.cohorts[settings.cohort].source == TABLE:
        return sorted([*paths, key_path("import_table", settings.cohort)])
    return sorted([*paths, *_collected(plan, settings.cohort, presets_of(plan.recipes[analysis]))])


def _of_networks(plan: Plan, analysis: str) -> list[str]:
    """Key files of the networks of an analysis and of what is made of their masks; none where it trains none."""
    settings = networks_of(plan.recipes, plan.loaded.segmentations).get(analysis)
    if settings is None:
        return []
    own = SCORED if analysis in plan.loaded.segmentations else MEASURED
    paths = [key_path(rule, analysis) for rule in own]
    return paths + [
        key_path(rule, f"{analysis}.{name}")
        for rule in ("train_network", "predict_masks")
        for name in settings.networks
    ]


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
