"""Parts of the analysis page that show performance: ROC, calibration, decisions at the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.svg import thinned
from osteorad.reporting.usefulness import measured
from osteorad.reporting.wording import LEAST_P, none_of, p_value, plural, real, share

Facts = Mapping[str, Any]
UNIT_TICKS = [0, 0.5, 1]


def _axis(label: str) -> dict[str, Any]:
    return {"label": label, "ticks": UNIT_TICKS, "digits": 1}


def roc_part(evaluation: Facts) -> doc.Part:
    """ROC curve of pooled out-of-fold predictions with its band and the operating point."""
    roc = evaluation["roc"]
    curve = thinned(list(zip(roc["fpr"], roc["tpr"], strict=True)))
    band = [
        [x, low, high]
        for x, low, high in zip(roc["fpr"], roc["low"] or [], roc["high"] or [], strict=False)
        if low is not None
    ]
    measures = {row["name"]: row for row in evaluation["confusion"]["measures"]}
    sens, spec = measures["sensitivity"], measures["specificity"]
    point = None
    if sens["estimate"] is not None and spec["estimate"] is not None:
        point = [1 - spec["estimate"], sens["estimate"]]
    auc = measured(roc["auc"])
    at = f"sensitivity {share([sens['k'], sens['n']])}, specificity {share([spec['k'], spec['n']])}"
    return doc.figure(
        "roc",
        "roc",
        "ROC curve",
        f"AUC of the pooled predictions {auc}; at the threshold fixed beforehand {at}.",
        _roc_caption(evaluation, auc, at),
        {
            "curve": [list(pair) for pair in curve],
            "band": band,
            "folds": [
                list(pair) for pair in thinned(list(zip(roc["fpr"], roc.get("within_folds") or [], strict=False)))
            ],
            "point": point,
            "x": _axis("1 − specificity"),
            "y": _axis("sensitivity"),
            "auc": roc["auc"],
            "counts": [sens["k"], sens["n"], spec["k"], spec["n"]],
            "one": 1,
            "repeat": evaluation["confusion"]["repeats"][0]["repeat"],
        },
    )


def _roc_caption(evaluation: Facts, auc: str, at: str) -> str:
    """What the curve shows; in an external cohort nothing is pooled and no fold has a curve of its own."""
    if evaluation["procedure"] == "external":
        return f"Discrimination of the frozen model, AUC {auc}. At its frozen threshold (circle): {at}."
    many = evaluation["counts"]["repeats"] > 1
    return (
        f"Discrimination. Line and band: pooled predictions, AUC {auc}, secondary to the headline; dashed: mean over "
        f"test folds. At the threshold fixed in the inner folds (circle{': mean over repeats' if many else ''}): "
        f"{at}{in_repeat(evaluation)}."
    )


def in_repeat(evaluation: Facts) -> str:
    """` in repeat 1` where there are several."""
    many = evaluation["counts"]["repeats"] > 1
    return f" in repeat {evaluation['confusion']['repeats'][0]['repeat']}" if many else ""


def calibration_part(evaluation: Facts) -> doc.Part:
    """Calibration of the probabilities, grouped and smooth, with a tick for each patient."""
    told = evaluation["calibration"]
    if not told["curve"] and not told["bins"]:
        return doc.note(
            none_of(evaluation["counts"]["patients"], "patient") + " No curve could be fitted.", title="Calibration."
        )
    words = (
        f"slope {measured(told['slope'])}, intercept {measured(told['intercept'])}, Brier score "
        f"{measured(told['brier'])}, ICI {measured(told['ici'])}"
    )
    groups = [
        {"predicted": group["predicted"], "observed": group["observed"], "low": group["low"], "high": group["high"]}
        for group in told["bins"]
    ]
    return doc.figure(
        "calibration",
        "calibration",
        "Calibration",
        f"Predicted against observed risk: {words}.",
        f"Calibration: {words}. Line: smooth; points: groups of {evaluation['unit']}s; ticks: {evaluation['unit']}s.",
        {
            "curve": [[p["predicted"], p["observed"]] for p in told["curve"]],
            "groups": groups,
            "rug": [entry["probability"] for entry in told["rug"]],
            "x": _axis("predicted risk"),
            "y": _axis("observed"),
            **{key: told[key] for key in ("slope", "intercept", "brier", "ici")},
        },
    )


def calibration_table(evaluation: Facts) -> list[doc.Part]:
    """Every measure of calibration with what would be perfect, and Hosmer-Lemeshow as a footnote."""
    told = evaluation["calibration"]
    asked = (
        ("Calibration slope", "slope", 1),
        ("Calibration intercept", "intercept", 0),
        ("Calibration in the large", "in_the_large", 0),
        ("ICI", "ici", 0),
        ("Brier score", "brier", 0),
        ("Brier score, scaled", "scaled_brier", 1),
    )
    rows = [
        {"name": name, "value": [told[key]["estimate"], told[key]["low"], told[key]["high"]], "perfect": perfect}
        for name, key, perfect in asked
    ]
    columns = [
        doc.column("name", "Measure"),
        doc.column("value", "Estimate", "interval"),
        doc.column("perfect", "Perfect", "count"),
    ]
    caption = f"Calibration of the probabilities; intervals: {told['label'].rstrip('.')}."
    facts = {"label": told["label"]}
    table = doc.table("calibration-table", caption, columns, rows, empty=none_of(0, "measure"), facts=facts)
    return [table, *_footnote(told["hosmer_lemeshow"], evaluation)]


def _footnote(told: Facts | None, evaluation: Facts) -> list[doc.Part]:
    if not told:
        return []
    where = "in this cohort" if evaluation["procedure"] == "external" else f"out of fold{in_repeat(evaluation)}"
    words = (
        f"Hosmer-Lemeshow, {where}: chi-squared {real(told['chi2'])} with "
        f"{told['df']} degrees of freedom, {told['groups']} groups, n {told['n']}, P {p_value(told['p'])}. "
        f"{told['note']}"
    )
    return [doc.note(words, tone="foot", facts={**told, "least": LEAST_P})]


def confusion_part(evaluation: Facts, label: str) -> doc.Part:
    """Decisions against outcomes in the first repeat."""
    first = evaluation["confusion"]["repeats"][0]
    with_event, without = first["tp"] + first["fn"], first["fp"] + first["tn"]
    words = f"{first['tp']} of {with_event} with the event and {first['tn']} of {without} without were called rightly"
    return doc.figure(
        "confusion",
        "confusion",
        "Decisions against outcomes",
        f"Of {with_event + without} predictions, {words}.",
        f"Decisions at the threshold fixed beforehand{in_repeat(evaluation)}: {words}. Outcome: {label}.",
        {
            **{key: first[key] for key in ("tp", "fp", "fn", "tn", "repeat")},
            "with_event": with_event,
            "without": without,
            "all": with_event + without,
            "row_labels": ["called +", "called −"],
            "columns_label": "outcome",
            "labels": ["no event", "event"],
        },
    )


AGGREGATES = {
    "any": "is called positive where any lesion is",
    "max": "has the value of the lesion with the highest probability",
    "mean": "has the mean of all lesions' probabilities",
}
MEASURES = {"ppv": "positive predictive value", "npv": "negative predictive value", "f1": "F1"}


def measure_row(row: Facts) -> dict[str, Any]:
    """Row of a measure at the threshold; F1 is no proportion and has no k/n."""
    proportion = row["name"] != "f1"
    wilson = [row["k"] / row["n"] if row["n"] else None, row["wilson_low"], row["wilson_high"]]
    return {
        "name": MEASURES.get(row["name"], row["name"]),
        "mean": [row["estimate"], row["low"], row["high"]],
        "counts": [row["k"], row["n"]] if proportion else None,
        "wilson": wilson if proportion else None,
    }


def measure_columns(evaluation: Facts) -> list[dict[str, Any]]:
    """Columns of a table of measures; repeats are named only where there are several."""
    where = in_repeat(evaluation).removeprefix(" in ")
    return [
        doc.column("name", "Measure"),
        doc.column("mean", "Mean over repeats" if where else "Estimate", "interval", note="patient bootstrap"),
        doc.column("counts", "k/n", "share", note=where),
        doc.column("wilson", "Share", "interval", note=f"{where}, Wilson".removeprefix(", ")),
    ]


def measures_table(evaluation: Facts) -> doc.Part:
    """Sensitivity, specificity and the predictive values with k/n."""
    rows = [measure_row(row) for row in evaluation["confusion"]["measures"]]
    caption = f"Decisions at the threshold: {evaluation['confusion']['rule']}."
    return doc.table("measures", caption, measure_columns(evaluation), rows, empty=none_of(0, "measure"))


def patient_level_part(evaluation: Facts) -> list[doc.Part]:
    """For analyses of lesions: one value a patient; nothing where samples are patients."""
    told = evaluation["patient_level"]
    if not told:
        return []
    auc = {"name": "AUC", "mean": [told["auc"][key] for key in ("estimate", "low", "high")]}
    rows = [{**auc, "counts": None, "wilson": None}, *(measure_row(row) for row in told["measures"])]
    caption = (
        f"Patient level: a patient {AGGREGATES[told['aggregate']]}. {plural(told['patients'], 'patient')}, "
        f"{told['events']} with the event. For single lesions the AUC is {real(told['lesion_auc'])}."
    )
    facts = {key: told[key] for key in ("patients", "events", "lesion_auc")}
    columns = measure_columns(evaluation)
    return [doc.table("patient-level", caption, columns, rows, empty=none_of(0, "measure"), facts=facts)]
