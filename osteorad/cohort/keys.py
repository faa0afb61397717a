"""Key files (contract 9): for each rule and scope, the settings that it uses and the digest of its code and data.

A rule takes its key as an ordinary input, so it runs again when, and only when, something that it uses has changed.
Written by Snakemake's main process before the graph is built, and only where the text differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osteorad.cohort import key_settings as used
from osteorad.cohort.config import Config
from osteorad.cohort.key_settings import Scoped
from osteorad.cohort.recipe import EVALUATED, JUDGED, TOLD, Recipe
from osteorad.cohort.segmentation import SegmentationRecipe
from osteorad.cohort.verdicts import Verdicts, rejecting
from osteorad.files import json_text, read_json, write_text_if_changed
from osteorad.past import write_with_past
from osteorad.provenance import code_of, rule_key

KEYS = "results/.state/keys"
PATIENTS = "results/.state/patients"
PARSED = "results/.state/code.json"  # what parsing the modules told; only spares time
DICOM_DATA = ("resources/dicom/*",)
LESION_WORDS = ("resources/lesions/*",)
PRESETS = ("resources/presets/*.yaml", "resources/radiomics/*")
TEMPLATES = ("osteorad/reporting/templates/*",)
REVIEW_PAGE = (*TEMPLATES, "osteorad/reporting/templates/review/*")
PAGE_DATA = (*TEMPLATES, "resources/glossary.yaml", "resources/checklists/*")


@dataclass(frozen=True, slots=True)
class Key:
    """Scope and used settings of one rule; its script is scripts/<rule>.py."""

    scope: str  # cohort | preset | analysis | automatic | segmentation | network | segmentation network | project
    uses: used.Used
    data: tuple[str, ...] = ()


RULES: dict[str, Key] = {
    "write_phantom_patient": Key("cohort", used.phantom),
    "write_phantom_tables": Key("cohort", used.phantom),
    "deidentify_images": Key("cohort", used.of_cohort("head"), DICOM_DATA),
    "deidentify_contours": Key("cohort", used.of_cohort("rois", "head"), DICOM_DATA),
    "adopt_images": Key("cohort", used.of_cohort("head"), DICOM_DATA),
    "adopt_contours": Key("cohort", used.of_cohort("head"), DICOM_DATA),
    "adopt_slices": Key("cohort", used.of_cohort("slices")),
    "publish_unplaced": Key("cohort", lambda s: None),
    "import_table": Key("cohort", used.of_cohort("table", "exclude")),
    "import_clinical": Key("cohort", used.of_cohort("clinical")),
    "import_lesions": Key("cohort", used.of_cohort("lesions"), LESION_WORDS),
    "convert_images": Key("cohort", used.of_cohort("modalities", "kernel")),
    "draw_masks": Key("cohort", used.of_cohort("rois")),
    "build_grid": Key("cohort", lambda s: None),
    "extract_features": Key("preset", used.features, PRESETS),
    "collect_features": Key("preset", lambda s: {"preset": s.preset, "rejected": rejecting(s.verdicts)}, PRESETS),
    "collect_cohort": Key("cohort", used.collected),
    "draw_patient": Key("cohort", lambda s: None, TEMPLATES),
    "review_cohort": Key("cohort", used.review, REVIEW_PAGE),
    "report_cohort": Key("cohort", lambda s: s.cohort_settings.model_dump(mode="json"), TEMPLATES),
    "report_privacy": Key("cohort", lambda s: s.cohort_settings.model_dump(mode="json"), (*DICOM_DATA, *TEMPLATES)),
    "make_samples": Key("analysis", used.samples),
    "make_splits": Key("analysis", used.splits),
    "fit_models": Key("analysis", used.recipe_without(*TOLD, *EVALUATED, "splits")),  # the divisions come in a file
    "freeze_bundle": Key("analysis", used.recipe_without(*TOLD, *EVALUATED, "splits")),
    "audit_analysis": Key("analysis", used.recipe_without(*TOLD, *EVALUATED)),
    "evaluate_analysis": Key("analysis", used.evaluation),
    "report_analysis": Key("analysis", used.whole_analysis, PAGE_DATA),
    "apply_bundle": Key("analysis", used.recipe_without(*JUDGED)),
    "evaluate_external": Key("analysis", used.evaluation),
    "report_external": Key("analysis", used.whole_analysis, PAGE_DATA),
    "extract_fold_features": Key("automatic", used.recipe_of("roi", "images", "preset", "mask_set"), PRESETS),
    "make_fold_samples": Key("automatic", used.samples),
    "make_cases": Key("segmentation", used.cases),
    "train_network": Key("network", used.training),
    "predict_masks": Key("network", used.drawing),
    "score_masks": Key("segmentation network", used.scoring),
    "export_seg": Key("segmentation network", used.exporting),
    "report_segmentation": Key("segmentation", used.whole_segmentation, PAGE_DATA),
    "write_index": Key("project", used.index, TEMPLATES),
}


def key_path(rule: str, scope: str) -> str:
    """Path of a key file; `scope` is a cohort, `<cohort>.<preset>`, an analysis, `<analysis>.<network>`, or empty."""
    return f"{KEYS}/{rule}.{scope}.json" if scope else f"{KEYS}/{rule}.json"


def settings_of(workdir: Path, rule: str, scope: str) -> Any:
    """Settings in a key file, as the main process wrote them: what a job has to use, whatever was edited since."""
    return read_json(workdir / key_path(rule, scope))["settings"]


def _scopes(
    kind: str,
    config: Config,
    recipes: Mapping[str, Recipe],
    segmentations: Mapping[str, SegmentationRecipe],
    reviews: Mapping[str, Verdicts],
) -> Iterator[tuple[str, Scoped]]:
    base = Scoped(config=config, recipes=recipes, segmentations=segmentations, reviews=reviews)

    def of(analysis: str) -> Scoped:
        return replace(base, analysis=analysis, cohort=config.analyses[analysis].cohort)

    match kind:
        case "project":
            yield "", base
        case "cohort":
            for cohort in sorted(config.cohorts):
                yield cohort, replace(base, cohort=cohort)
        case "preset":
            for cohort in sorted(config.cohorts):
                for preset in used.asked_presets(config, recipes, cohort):
                    yield f"{cohort}.{preset}", replace(base, cohort=cohort, preset=preset)
        case "analysis":
            yield from ((analysis, of(analysis)) for analysis in sorted(recipes))
        case "automatic":
            chosen = (name for name, recipe in recipes.items() if recipe.segmentation is not None)
            yield from ((analysis, of(analysis)) for analysis in sorted(chosen))
        case "segmentation":
            yield from ((analysis, of(analysis)) for analysis in sorted(segmentations))
        case "network" | "segmentation network":
            for analysis, settings in sorted(used.networks_of(recipes, segmentations).items()):
                if kind == "network" or analysis in segmentations:
                    for network in settings.networks:
                        yield f"{analysis}.{network}", replace(of(analysis), network=network)


def key_texts(
    root: Path,
    config: Config,
    recipes: Mapping[str, Recipe],
    reviews: Mapping[str, Verdicts],
    segmentations: Mapping[str, SegmentationRecipe] | None = None,
) -> dict[str, str]:
    """Path (relative to the working folder) -> text of every key file.

    recipes, segmentations : analysis -> recipe, by kind. reviews : cohort -> verdicts of readers.
    """
    return {
        key_path(rule, scope): rule_key(root, rule, f"scripts/{rule}.py", key.uses(scoped), key.data)
        for rule, key in RULES.items()
        for scope, scoped in _scopes(key.scope, config, recipes, segmentations or {}, reviews)
    }


def patients_path(cohort: str) -> str:
    """Path of the list of a cohort's patients, an input of the rules that aggregate."""
    return f"{PATIENTS}/{cohort}.json"


def write_patients(workdir: Path, patients: Mapping[str, Sequence[str]], withdrawn: Mapping[str, int]) -> list[str]:
    """Write the lists of patients that differ; returns their paths. withdrawn : cohort -> number who withdrew."""
    texts = {
        patients_path(cohort): json_text({"patients": sorted(names), "withdrawn": withdrawn[cohort]})
        for cohort, names in patients.items()
    }
    return [path for path, text in texts.items() if write_with_past(workdir / path, text)]


def write_keys(
    root: Path,
    workdir: Path,
    config: Config,
    recipes: Mapping[str, Recipe],
    reviews: Mapping[str, Verdicts],
    segmentations: Mapping[str, SegmentationRecipe] | None = None,
) -> list[str]:
    """Write the key files that differ, keeping what they said before; returns their paths."""
    code, parsed = code_of(root), workdir / PARSED
    if parsed.exists():
        code.recall(read_json(parsed))
    texts = key_texts(root, config, recipes, reviews, segmentations)
    write_text_if_changed(parsed, json_text(code.kept()))
    return [path for path, text in texts.items() if write_with_past(workdir / path, text)]
