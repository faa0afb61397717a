"""Parts of the analysis page that show performance: ROC, calibration, decisions at the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.svg import thinned
from osteorad.reporting.usefulness import measured
from osteorad.reporting.wording import LEAST_P, interval, none_of, p_value, real, share

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
    auc = interval([roc["auc"]["estimate"], roc["auc"]["low"], roc["auc"]["high"]])
    at = f"sensitivity {share([sens['k'], sens['n']])}, specificity {share([spec['k'], spec['n']])}"
    return doc.figure(
        "roc",
        "roc",
        "ROC curve",
        f"AUC of the pooled predictions {auc}; at the threshold of the inner folds {at}.",
        f"Discrimination. Line and band: pooled predictions, AUC {auc}, secondary to the headline; dashed: mean over "
        f"test folds. At the threshold fixed in the inner folds "
        f"(circle: mean over repeats): {at} in repeat {evaluation['confusion']['repeats'][0]['repeat']}.",
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
        f"Calibration: {words}. Line: smooth; points: groups of patients; ticks: patients.",
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
        doc.column("value", "Out of fold", "interval", note="patient bootstrap"),
        doc.column("perfect", "Perfect", "count"),
    ]
    caption = f"Calibration of the probabilities, {told['label'].rstrip('.')}."
    facts = {"label": told["label"]}
    table = doc.table("calibration-table", caption, columns, rows, empty=none_of(0, "measure"), facts=facts)
    return [table, *_footnote(told["hosmer_lemeshow"])]


def _footnote(told: Facts | None) -> list[doc.Part]:
    if not told:
        return []
    words = (
        f"Hosmer-Lemeshow, out of fold, repeat {told['repeat']}: chi-squared {real(told['chi2'])} with "
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
        f"Decisions at the inner folds' threshold, repeat {first['repeat']}: {words}. Outcome: {label}.",
        {
            **{key: first[key] for key in ("tp", "fp", "fn", "tn", "repeat")},
            "with_event": with_event,
            "without": without,
            "all": with_event + without,
            "rows": ["called +", "called −"],
            "columns_label": "outcome",
            "labels": ["no event", "event"],
        },
    )


def measures_table(evaluation: Facts) -> doc.Part:
    """Sensitivity, specificity and the predictive values with k/n."""
    repeat = evaluation["confusion"]["repeats"][0]["repeat"]
    names = {"ppv": "positive predictive value", "npv": "negative predictive value"}
    rows = [
        {
            "name": names.get(row["name"], row["name"]),
            "mean": [row["estimate"], row["low"], row["high"]],
            "counts": [row["k"], row["n"]],
            "wilson": [row["k"] / row["n"] if row["n"] else None, row["wilson_low"], row["wilson_high"]],
        }
        for row in evaluation["confusion"]["measures"]
    ]
    columns = [
        doc.column("name", "Measure"),
        doc.column("mean", "Mean over repeats", "interval", note="patient bootstrap"),
        doc.column("counts", "k/n", "share", note=f"repeat {repeat}"),
        doc.column("wilson", "Share", "interval", note=f"repeat {repeat}, Wilson"),
    ]
    caption = f"Decisions at the threshold: {evaluation['confusion']['rule']}."
    return doc.table("measures", caption, columns, rows, empty=none_of(0, "measure"))
