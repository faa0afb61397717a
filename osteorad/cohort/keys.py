"""Key files (contract 9): for each rule and scope, the settings that it uses and the digest of its code and data.

A rule takes its key as an ordinary input, so it runs again when, and only when, something that it uses has changed.
Written by Snakemake's main process before the graph is built, and only where the text differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from osteorad.cohort.config import TABLE, Analysis, Cohort, Config
from osteorad.cohort.recipe import EVALUATED, JUDGED, SHUFFLED, TOLD, Recipe
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoped:
    """What the settings of a rule may depend on."""

    config: Config
    recipes: Mapping[str, Recipe]  # analysis -> recipe with its overrides
    cohort: str = ""
    analysis: str = ""
    preset: str = ""
    reviews: Mapping[str, Verdicts] = field(default_factory=dict)  # cohort -> verdicts of readers

    @property
    def verdicts(self) -> Verdicts:
        """Verdicts of readers on the cohort of the scope."""
        return self.reviews.get(self.cohort, {})

    @property
    def cohort_settings(self) -> Cohort:
        """The cohort of the scope."""
        return self.config.cohorts[self.cohort]

    @property
    def analysis_settings(self) -> Analysis:
        """The analysis of the scope."""
        return self.config.analyses[self.analysis]


Used = Callable[[Scoped], Any]


@dataclass(frozen=True, slots=True)
class Key:
    """Scope and used settings of one rule; its script is scripts/<rule>.py."""

    scope: str  # cohort | preset | analysis | project
    used: Used
    data: tuple[str, ...] = ()


def asked_rois(config: Config, recipes: Mapping[str, Recipe], cohort: str, preset: str) -> list[str]:
    """ROIs whose features a cohort needs under a preset: those of its recipes; all for the lesion table."""
    if preset == "lesion-table":
        return sorted(config.cohorts[cohort].rois)
    asked = (recipes[n] for n, a in config.analyses.items() if a.cohort == cohort)
    return sorted({recipe.roi for recipe in asked if preset in presets_of(recipe)})


def presets_of(recipe: Recipe) -> list[str]:
    """Presets that a recipe needs: its own, and the same on shuffled voxels where it asks for that control."""
    return [recipe.preset, *([f"{recipe.preset}-{SHUFFLED}"] if recipe.controls.shuffled else [])]


def asked_presets(config: Config, recipes: Mapping[str, Recipe], cohort: str) -> list[str]:
    """Presets that a cohort needs: the lesion table's, and those of its recipes; none for a feature table."""
    if config.cohorts[cohort].source == TABLE:
        return []
    asked = (recipes[n] for n, a in config.analyses.items() if a.cohort == cohort)
    return sorted({"lesion-table", *(preset for recipe in asked for preset in presets_of(recipe))})


def asked_images(config: Config, recipes: Mapping[str, Recipe], cohort: str, preset: str) -> list[str]:
    """Images whose features a cohort needs under a preset."""
    if preset == "lesion-table":
        return ["ct", "pet"]
    names = {
        i
        for n, a in config.analyses.items()
        if a.cohort == cohort and preset in presets_of(recipes[n])
        for i in recipes[n].images
    }
    return sorted(names)


def as_published(config: Config, recipes: Mapping[str, Recipe], analysis: str) -> bool:
    """True where the paper's own procedure is replayed: asked for, or a phantom's; and the recipe says what it was."""
    settings = config.analyses[analysis]
    asked = settings.as_published
    wanted = config.cohorts[settings.cohort].source == "phantom" if asked is None else asked
    return wanted and recipes[analysis].published is not None


def _cohort(*fields: str) -> Used:
    return lambda s: s.cohort_settings.model_dump(mode="json", include=set(fields))


def _phantom(s: Scoped) -> Any:
    return s.cohort_settings.phantom.model_dump(mode="json") if s.cohort_settings.phantom else None


def _features(s: Scoped) -> Any:
    asked = (s.config, s.recipes, s.cohort, s.preset)
    return {"rois": asked_rois(*asked), "images": asked_images(*asked), "preset": s.preset}


def _collected(s: Scoped) -> Any:
    own = s.cohort_settings.model_dump(mode="json", include={"exclude", "modalities"})
    return {**own, "rejected": rejecting(s.verdicts)}


def _review(s: Scoped) -> Any:
    return {"title": s.cohort_settings.title, "verdicts": s.verdicts}


def _analysis(s: Scoped) -> Any:
    return {
        "analysis": s.analysis_settings.model_dump(mode="json"),
        "recipe": s.recipes[s.analysis].model_dump(mode="json"),
    }


def _samples(s: Scoped) -> Any:
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


def _splits(s: Scoped) -> Any:
    recipe = s.recipes[s.analysis].model_dump(mode="json", include={"splits", "published"})
    return {**recipe, "as_published": as_published(s.config, s.recipes, s.analysis)}


def _evaluation(s: Scoped) -> Any:
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


def _recipe(*without: str) -> Used:
    """The recipe but for keys that a rule does not use."""
    return lambda s: s.recipes[s.analysis].model_dump(mode="json", exclude=set(without))


def _index(s: Scoped) -> Any:
    return {"title": s.config.title, "run": s.config.run}


RULES: dict[str, Key] = {
    "write_phantom_patient": Key("cohort", _phantom),
    "write_phantom_tables": Key("cohort", _phantom),
    "deidentify_images": Key("cohort", _cohort("head"), DICOM_DATA),
    "deidentify_contours": Key("cohort", _cohort("rois", "head"), DICOM_DATA),
    "adopt_images": Key("cohort", _cohort("head"), DICOM_DATA),
    "adopt_contours": Key("cohort", _cohort("head"), DICOM_DATA),
    "publish_unplaced": Key("cohort", lambda s: None),
    "import_table": Key("cohort", _cohort("table", "exclude")),
    "import_clinical": Key("cohort", _cohort("clinical")),
    "import_lesions": Key("cohort", _cohort("lesions"), LESION_WORDS),
    "convert_images": Key("cohort", _cohort("modalities", "kernel")),
    "draw_masks": Key("cohort", _cohort("rois")),
    "build_grid": Key("cohort", lambda s: None),
    "extract_features": Key("preset", _features, PRESETS),
    "collect_features": Key("preset", lambda s: {"preset": s.preset, "rejected": rejecting(s.verdicts)}, PRESETS),
    "collect_cohort": Key("cohort", _collected),
    "draw_patient": Key("cohort", lambda s: None, TEMPLATES),
    "review_cohort": Key("cohort", _review, REVIEW_PAGE),
    "report_cohort": Key("cohort", lambda s: s.cohort_settings.model_dump(mode="json"), TEMPLATES),
    "report_privacy": Key("cohort", lambda s: s.cohort_settings.model_dump(mode="json"), (*DICOM_DATA, *TEMPLATES)),
    "make_samples": Key("analysis", _samples),
    "make_splits": Key("analysis", _splits),
    "fit_models": Key("analysis", _recipe(*TOLD, *EVALUATED, "splits")),  # the divisions come in a file
    "freeze_bundle": Key("analysis", _recipe(*TOLD, *EVALUATED, "splits")),
    "audit_analysis": Key("analysis", _recipe(*TOLD, *EVALUATED)),
    "evaluate_analysis": Key("analysis", _evaluation),
    "report_analysis": Key("analysis", _analysis, PAGE_DATA),
    "apply_bundle": Key("analysis", _recipe(*JUDGED)),
    "evaluate_external": Key("analysis", _evaluation),
    "report_external": Key("analysis", _analysis, PAGE_DATA),
    "write_index": Key("project", _index, TEMPLATES),
}


def key_path(rule: str, scope: str) -> str:
    """Path of a key file; `scope` is a cohort, `<cohort>.<preset>`, an analysis, or empty for the project."""
    return f"{KEYS}/{rule}.{scope}.json" if scope else f"{KEYS}/{rule}.json"


def settings_of(workdir: Path, rule: str, scope: str) -> Any:
    """Settings in a key file, as the main process wrote them: what a job has to use, whatever was edited since."""
    return read_json(workdir / key_path(rule, scope))["settings"]


def _scopes(
    kind: str, config: Config, recipes: Mapping[str, Recipe], reviews: Mapping[str, Verdicts]
) -> Iterator[tuple[str, Scoped]]:
    base = Scoped(config=config, recipes=recipes, reviews=reviews)
    match kind:
        case "project":
            yield "", base
        case "cohort":
            for cohort in sorted(config.cohorts):
                yield cohort, replace(base, cohort=cohort)
        case "preset":
            for cohort in sorted(config.cohorts):
                for preset in asked_presets(config, recipes, cohort):
                    yield f"{cohort}.{preset}", replace(base, cohort=cohort, preset=preset)
        case "analysis":
            for analysis in sorted(config.analyses):
                yield analysis, replace(base, analysis=analysis, cohort=config.analyses[analysis].cohort)


def key_texts(
    root: Path, config: Config, recipes: Mapping[str, Recipe], reviews: Mapping[str, Verdicts]
) -> dict[str, str]:
    """Path (relative to the working folder) -> text of every key file. reviews : cohort -> verdicts of readers."""
    return {
        key_path(rule, scope): rule_key(root, rule, f"scripts/{rule}.py", key.used(scoped), key.data)
        for rule, key in RULES.items()
        for scope, scoped in _scopes(key.scope, config, recipes, reviews)
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
    root: Path, workdir: Path, config: Config, recipes: Mapping[str, Recipe], reviews: Mapping[str, Verdicts]
) -> list[str]:
    """Write the key files that differ, keeping what they said before; returns their paths."""
    code, parsed = code_of(root), workdir / PARSED
    if parsed.exists():
        code.recall(read_json(parsed))
    texts = key_texts(root, config, recipes, reviews)
    write_text_if_changed(parsed, json_text(code.kept()))
    return [path for path, text in texts.items() if write_with_past(workdir / path, text)]
