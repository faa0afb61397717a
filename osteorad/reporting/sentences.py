"""Sentences made by rule: the answer, its caveats, and the methods, from numbers and settings alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from osteorad.cohort.steps import Step
from osteorad.reporting.wording import count, listed, percent, plural, real

Facts = Mapping[str, Any]


def is_result(evaluation: Facts, audit: Facts) -> bool:
    """True where an AUC may be the headline: enough events, and an audit that did not fail."""
    return evaluation["answer"]["kind"] == "result" and audit["verdict"] != "fail"


def answer_sentence(evaluation: Facts, audit: Facts) -> str:
    """The answer made by rule from the evaluation; none where the audit failed."""
    if audit["verdict"] == "fail":
        return (
            f"No answer: the leakage audit failed ({audit['passed']} of {plural(audit['of'], 'check')} passed). "
            "What was learned may have seen the patients that it was tested on, so no AUC of this analysis is a result."
        )
    return " ".join(evaluation["answer"]["sentences"])


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

TWO_READERS = "two readers' contours"
CHOICE_WORDS = {"min": "with the least error", "1se": "one standard error above the least"}
SCHEMES = {
    "FCQ": "F over mean absolute correlation",
    "FCD": "F minus mean absolute correlation",
    "RCD": "correlation with the outcome minus mean absolute correlation",
}


def _lasso(kind: str) -> Callable[[Facts], str]:
    def words(s: Facts) -> str:
        return (
            f"at most {s['most']} features kept that have a weight in {kind}, penalty {CHOICE_WORDS[s['choose']]} in "
            f"{s['folds']} folds of the training part"
        )

    return words


# Each takes the whole settings of its step.
STEP_WORDS: dict[str, Callable[[Facts], str]] = {
    "impute": lambda s: f"missing values imputed ({s['method']})",
    "variance": lambda s: "features without variance and duplicates dropped",
    "icc": lambda s: (
        f"features kept whose ICC({s['form']}) between {TWO_READERS} is above {s['least']} "
        f"({'lower bound' if s['bound'] == 'lower' else 'estimate'})"
    ),
    "combat": lambda s: "sites harmonised by ComBat" + (f" to site {s['reference']}" if s["reference"] else ""),
    "zscore": lambda s: "features scaled to mean 0 and standard deviation 1",
    "mannwhitney": lambda s: (
        f"features kept with P up to {s['p']} in the Mann-Whitney test "
        f"({'Benjamini-Hochberg' if s['adjust'] == 'bh' else 'not corrected'})"
    ),
    "correlation": lambda s: (
        f"of each pair with an absolute {s['method'].capitalize()} correlation above {s['threshold']} one feature "
        f"dropped ({'the later one' if s['keep'] == 'first' else 'the less relevant one'} leaves)"
    ),
    "pca": lambda s: f"principal components with {s['share']} of the variance, at most {s['most']}",
    "mrmr": lambda s: (
        f"{' or '.join(str(k) for k in s['k'])} features kept by minimum redundancy and maximum relevance "
        f"({SCHEMES[s['scheme']]})"
    ),
    "lasso": _lasso("a LASSO"),
    "lasso-logistic": _lasso("a logistic LASSO"),
    "elastic-net": _lasso("an elastic net"),
    "stability": lambda s: f"at most {s['most']} features kept that {s['share']} of {s['halves']} half samples take",
}

MODEL_WORDS = {
    "logistic": "logistic regression",
    "firth": "Firth's logistic regression",
    "svm": "support vector machine",
    "knn": "k nearest neighbours",
    "knn-weighted": "k nearest neighbours weighted by distance",
    "random-forest": "random forest",
    "extra-trees": "extremely randomised trees",
    "xgboost": "gradient boosting (XGBoost)",
    "lightgbm": "gradient boosting (LightGBM)",
    "mlp": "multilayer perceptron",
}


def step_words(step: Facts, *, automatic: bool = False) -> str:
    """One step of a recipe in words, with the settings that it leaves at their defaults.

    automatic : the masks are those of networks, so that the step icc holds them against people's.
    """
    words = STEP_WORDS[step["step"]](Step.model_validate(step).typed().model_dump(mode="json"))
    return (
        words.replace("between two readers' contours", "between automatic and drawn contours") if automatic else words
    )


def methods_texts(
    analysis: Facts, recipe: Facts, evaluation: Facts, flow: Facts, versions: Facts, *, networks: int = 0
) -> list[str]:
    """Methods, as a paper would print them, from the settings that were used. networks : of all folds, that drew."""
    return [
        _data_text(analysis, recipe, flow),
        *automatic_texts(evaluation, networks),
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


def automatic_texts(evaluation: Facts, networks: int) -> list[str]:
    """Who drew the masks, where networks did inside each fold, and how their features agree with people's."""
    told = evaluation.get("automatic")
    if not told:
        return []
    words = (
        f"Masks were drawn by the network {told['network']}, trained anew inside each of "
        f"{plural(told['folds'], 'outer training part')} on masks of the set {told['reference']} "
        f"({plural(networks, 'network')} in all): a training patient's mask is that of the network which had skipped "
        "this patient, a test patient's the mean of all networks of the fold. Who is a sample was decided from the set "
        f"{told['reference']}. "
    )
    words += (
        f"Of {plural(told['regions'], 'region')} over all folds {count(told['undrawn'])} had no automatic feature and "
        "were filled like other missing values."
    )
    if told["icc"]:
        kept, compared = told["icc"]["kept"], told["icc"]["compared"]
        words += (
            f" ICC against masks of the set {told['reference']}, in training patients: a median of "
            f"{count(kept['median'])} of {count(compared['median'])} features kept "
            f"({count(kept['low'])} to {count(kept['high'])} by fold)."
        )
    return [words]


def _feature_text(recipe: Facts, versions: Facts) -> str:
    version = next((f"{name} {versions[name]}" for name in sorted(versions) if "pyradiomics" in name), "pyradiomics")
    assumed = recipe.get("assumed") or []
    words = f"Radiomic features were computed with {version}, preset {recipe['preset']}."
    if assumed:
        words += f" Assumed where the publication is silent: {'; '.join(str(entry).rstrip('.') for entry in assumed)}."
    return words


def _model_text(recipe: Facts, evaluation: Facts) -> str:
    steps = [step_words(step, automatic=bool(recipe.get("segmentation"))) for step in recipe["steps"]]
    models = [MODEL_WORDS[name] for name in recipe["models"]]
    forest = (
        f" Forests have {plural(recipe['trees'], 'tree')}."
        if any("trees" in m or "forest" in m for m in recipe["models"])
        else ""
    )
    rule = "Youden's index" if recipe["threshold"] == "youden" else f"a sensitivity of {recipe['sensitivity']}"
    return (
        f"In each training part, in this order: {'; '.join(steps)}. {plural(len(models), 'classifier')} "
        f"({listed(models)}) competed; the inner folds chose one and fixed its threshold ({rule}), so "
        f"the test part of a fold played no role in any choice.{forest}{_clinical_text(recipe, evaluation)}"
    )


def _clinical_text(recipe: Facts, evaluation: Facts) -> str:
    """How the clinical and the combined model were made, where they were."""
    run = {row["variables"] for row in evaluation["models"]}
    words = ""
    if "clinical" in run:
        how = "by stepwise AIC" if recipe["clinical_model"] == "stepwise" else "with a ridge penalty"
        words += f" The clinical model is a logistic regression {how}."
    if "combined" in run:
        words += " The combined model adds the Rad-score, for training patients out of fold."
    return words


# Whose predictions are judged, by the kind of split.
TESTED = dict.fromkeys(("folds", "site", "column"), "out-of-fold predictions") | {
    "hold-out": "predictions of the patients held out"
}
SPLIT_WORDS = {
    "folds": "{folds} outer folds{fewer}, stratified by outcome",
    "hold-out": "a training part and a test part of {share}, stratified by outcome",
    "site": "{folds} outer folds, one a site",
    "column": "{folds} outer folds by a column of the table",
}


def _evaluation_text(recipe: Facts, evaluation: Facts) -> str:
    counts, splits, primary = evaluation["counts"], recipe["splits"], evaluation["primary"]
    fewer = ""
    if counts["folds"] != splits["folds"]:
        fewer = f" ({splits['folds']} were asked for; fewer patients of the smaller class allowed {counts['folds']})"
    divided = SPLIT_WORDS[splits["kind"]].format(
        folds=counts["folds"], fewer=fewer, share=percent(splits["test_share"])
    )
    return (
        f"Patients were divided into {divided}, and each training part into up to "
        f"{plural(splits['inner_folds'], 'inner fold')}; this was repeated "
        f"{plural(counts['repeats'], 'time')}, {plural(counts['fits'], 'outer fit')} in all. Primary number: "
        f"{_lower(primary['estimand']).rstrip('.')}. Interval: {_lower(primary['method']).rstrip('.')}. Curves, "
        f"sensitivity and specificity come from {TESTED[splits['kind']]}; their intervals are percentiles of "
        f"{plural(recipe['bootstrap'], 'bootstrap sample')} of patients, conditional on the fitted models."
        f"{_control_text(evaluation)}"
    )


def _control_text(evaluation: Facts) -> str:
    permuted = evaluation["controls"]["permuted"]
    compared = evaluation["multiplicity"]["comparisons"]
    words = f" {plural(permuted['n'], 'permutation')} of the outcome served as negative control." if permuted else ""
    if compared > 1:
        words += f" P values of {plural(compared, 'comparison')} were corrected by Holm's method."
    return words


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
