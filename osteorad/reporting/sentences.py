"""Sentences made by rule: the answer, its caveats, and the methods, from numbers and settings alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from osteorad.reporting.wording import count, listed, percent, plural, real

Facts = Mapping[str, Any]


def is_result(evaluation: Facts, audit: Facts) -> bool:
    """True where an AUC may be the headline: enough events, and an audit that did not fail."""
    return evaluation["answer"]["kind"] == "result" and audit["verdict"] != "fail"


def answer_sentence(evaluation: Facts, audit: Facts, label: str) -> str:
    """The answer: AUC with interval and events, whether it beats chance, volume and the clinical model."""
    answer, counts = evaluation["answer"], evaluation["counts"]
    if audit["verdict"] == "fail":
        return (
            f"No answer: the leakage audit failed ({audit['passed']} of {plural(audit['of'], 'check')} passed). "
            "What was learned may have seen the patients that it was tested on, so no AUC of this analysis is a result."
        )
    base = f"{plural(answer['events'], 'event')} ({label}) in {plural(answer['patients'], 'patient')}"
    if answer["kind"] != "result":
        return (
            f"Too few events for an answer: {counts['minority']} of the {counts['minority_needed']} that the smaller "
            f"class needs ({base}). Everything below was computed, but no AUC of this analysis is a result."
        )
    first = (
        f"AUC {real(answer['auc'])} ({percent(evaluation['level'])} interval {real(answer['low'])} to "
        f"{real(answer['high'])}), with {base}: {CHANCE[answer['beats_chance']]}."
    )
    against = [
        COMPARED[answer[f"beats_{name}"]].format(what)
        for name, what in (("volume", "ROI volume alone"), ("clinical", "the clinical variables"))
        if answer.get(f"beats_{name}") in COMPARED
    ]
    joined = "; ".join(against)
    return first + (f" {joined[:1].upper()}{joined[1:]}." if against else "")


CHANCE = {
    "yes": "better than chance",
    "no": "worse than chance",
    "not_shown": "not shown to be better than chance",
    "not_applicable": "not compared with chance",
}
COMPARED = {
    "yes": "it beats {}",
    "no": "it does worse than {}",
    "not_shown": "it is not shown to beat {}",
}


def estimand_sentence(evaluation: Facts) -> str:
    """What the number estimates and how its interval was made."""
    primary = evaluation["primary"]
    return " ".join(_sentence(primary[name]) for name in ("estimand", "method", "coverage") if primary.get(name))


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def mechanical_note(evaluation: Facts, test_only: str) -> str:
    """What a run proves that is too small, or that its configuration calls a mechanical test; empty for a real one."""
    counts = evaluation["counts"]
    told = f"{test_only.rstrip('.')}. " if test_only else ""
    if evaluation["too_few_events"]:
        return (
            f"{told}With {plural(counts['minority'], 'patient')} in the smaller class this run shows that the "
            "machinery works from images to report; its AUC proves nothing about the disease."
        )
    if test_only:
        return (
            f"{told}This is a mechanical test: it shows that the machinery works; its AUC proves nothing about the "
            "disease."
        )
    return ""


def oracle_sentence(truth: Facts, evaluation: Facts) -> str:
    """For phantoms: how much of the truth that was built in was found."""
    auc = evaluation["primary"]["estimate"]
    found = f"; the nested estimate is {real(auc)}" if auc is not None else ""
    return (
        "The patients are phantoms, made by this program. Whoever knew each phantom's true risk would reach an AUC of "
        f"{real(truth['oracle_auc'])}{found}."
    )


# --- methods ----------------------------------------------------------------------------------------------------------

STEP_WORDS: dict[str, Callable[[Facts], str]] = {
    "impute": lambda s: f"missing values imputed ({s.get('strategy', 'median')})",
    "variance": lambda s: "features without variance dropped",
    "zscore": lambda s: "features scaled to mean 0 and standard deviation 1",
    "correlation": lambda s: (
        f"of each pair with an absolute {s.get('method', 'Pearson')} correlation above "
        f"{s.get('threshold', s.get('limit', 'the limit'))} one feature dropped"
    ),
    "mrmr": lambda s: (
        f"{s.get('k', s.get('features', 'the best'))} features kept by minimum redundancy and maximum relevance"
    ),
}

MODEL_WORDS = {
    "logistic": "logistic regression",
    "svm": "support vector machine",
    "knn": "k nearest neighbours",
    "random-forest": "random forest",
    "extra-trees": "extremely randomised trees",
    "lightgbm": "gradient boosting (LightGBM)",
    "mlp": "multilayer perceptron",
}


def step_words(step: Facts) -> str:
    """One step of a recipe in words; unknown steps by name with their settings."""
    settings = step.get("settings", {})
    if step["step"] in STEP_WORDS:
        return STEP_WORDS[step["step"]](settings)
    shown = ", ".join(f"{key} {value}" for key, value in settings.items())
    return f"{step['step']}" + (f" ({shown})" if shown else "")


def methods_texts(analysis: Facts, recipe: Facts, evaluation: Facts, flow: Facts, versions: Facts) -> list[str]:
    """Methods, as a paper would print them, from the settings that were used."""
    return [
        _data_text(analysis, recipe, flow),
        _feature_text(recipe, versions),
        _model_text(recipe, evaluation),
        _evaluation_text(recipe, evaluation),
    ]


def _data_text(analysis: Facts, recipe: Facts, flow: Facts) -> str:
    used = flow["used"]
    horizon = analysis.get("horizon_days")
    when = f" within {plural(horizon, 'day')} of the index date" if horizon else ""
    session = {"first": "first session", "last": "last session", "all": "all sessions"}.get(
        recipe["session"], str(recipe["session"])
    )
    names = {"ct": "CT", "pet": "PET", "fused": "fused PET/CT"}
    images = listed([names.get(image, image) for image in recipe["images"]])
    return (
        f"Of cohort {analysis['cohort']}, {plural(used['patients'], 'patient')} ({plural(used['samples'], 'sample')}, "
        f"one a {recipe['unit']}) entered, {used['events']} with the outcome ({analysis['outcome_label']}{when}) and "
        f"{used['non_events']} without. Images: {images} of each "
        f"patient's {session}; region of interest: {recipe['roi']}, mask set {recipe['mask_set']}."
    )


def _feature_text(recipe: Facts, versions: Facts) -> str:
    version = next((f"{name} {versions[name]}" for name in sorted(versions) if "pyradiomics" in name), "pyradiomics")
    assumed = recipe.get("assumed") or []
    words = f"Radiomic features were computed with {version}, preset {recipe['preset']}."
    if assumed:
        words += f" Assumed where the publication is silent: {'; '.join(str(entry).rstrip('.') for entry in assumed)}."
    return words


def _model_text(recipe: Facts, evaluation: Facts) -> str:
    steps = [step_words(step) for step in recipe["steps"]]
    models = [MODEL_WORDS.get(name, name) for name in recipe["models"]]
    forest = (
        f" Forests have {plural(recipe['trees'], 'tree')}."
        if any("trees" in m or "forest" in m for m in recipe["models"])
        else ""
    )
    return (
        f"In each training part, in this order: {'; '.join(steps)}. {plural(len(models), 'classifier')} "
        f"({listed(models)}) competed; the inner folds chose one and fixed its threshold ({recipe['threshold']}), so "
        f"the test part of a fold played no role in any choice.{forest}"
    )


def _evaluation_text(recipe: Facts, evaluation: Facts) -> str:
    counts, splits, primary = evaluation["counts"], recipe["splits"], evaluation["primary"]
    fewer = ""
    if counts["folds"] != splits["folds"]:
        fewer = f" ({splits['folds']} were asked for; fewer patients of the smaller class allowed {counts['folds']})"
    return (
        f"Patients were divided into {plural(counts['folds'], 'outer fold')}{fewer}, stratified by outcome, and each "
        f"training part into up to {plural(splits['inner_folds'], 'inner fold')}; this was repeated "
        f"{plural(counts['repeats'], 'time')}, {plural(counts['fits'], 'outer fit')} in all. Primary number: "
        f"{_lower(primary['estimand']).rstrip('.')}. Interval: {_lower(primary['method']).rstrip('.')}. Curves, "
        f"sensitivity and specificity come from out-of-fold predictions; their intervals are percentiles of "
        f"{plural(recipe['bootstrap'], 'bootstrap sample')} of patients, conditional on the fitted models."
    )


def _lower(words: str) -> str:
    return words if words[:2].isupper() else words[:1].lower() + words[1:]


def settings_compared(
    written: Sequence[tuple[str, str]], used: Sequence[tuple[str, str]], changed: Facts
) -> list[dict[str, Any]]:
    """Rows setting, recipe, here; overridden ones first and marked."""
    before, after = dict(written), dict(used)
    rows = []
    for name in dict.fromkeys([*before, *after]):
        over = any(name == key or name.startswith(f"{key}.") for key in changed)
        rows.append(
            {
                "name": name,
                "written": before.get(name, "not in the recipe"),
                "here": after.get(name, "left out"),
                "state": {"word": "override", "tone": "warn"} if over else {"word": "as written", "tone": "none"},
                "tone": "main" if over else "",
            }
        )
    return sorted(rows, key=lambda row: row["tone"] != "main")


def state_line(evaluation: Facts, audit: Facts) -> str:
    """One line for the index page."""
    answer = evaluation["answer"]
    if audit["verdict"] == "fail":
        first = "no result: the audit failed"
    elif answer["kind"] != "result":
        first = f"too few events: {evaluation['counts']['minority']} of {evaluation['counts']['minority_needed']}"
    else:
        first = f"AUC {real(answer['auc'])} ({real(answer['low'])} to {real(answer['high'])})"
    events = f"{count(answer['events'])} events in {plural(answer['patients'], 'patient')}"
    return f"{first}, {events}; audit {audit['verdict']}, {audit['passed']} of {audit['of']} checks"
