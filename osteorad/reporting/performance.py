"""Parts of the analysis page that show performance: forest, ROC, calibration, confusion, models, features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.charts import interval_text
from osteorad.reporting.svg import thinned
from osteorad.reporting.wording import interval, listed, none_of, plural, real, share

Facts = Mapping[str, Any]
UNIT_TICKS = [0, 0.5, 1]
MOST_BARS = 15
BASELINES = ("combined", "clinical", "metabolic", "volume", "site", "prevalence")


def forest_part(evaluation: Facts, truth: Facts | None) -> doc.Part:
    """The nested result, the baselines and, for a phantom, the truth, on one axis."""
    rows = [_forest_row(row, evaluation) for row in _headliners(evaluation["models"])]
    if truth is not None:
        rows.append(
            {
                "label": "Truth of the phantom",
                "sub": "oracle",
                "estimate": truth["oracle_auc"],
                "low": None,
                "high": None,
            }
            | {"tone": "truth"}
        )
    shown = [value for row in rows for value in (row["estimate"], row["low"], row["high"]) if value is not None]
    least = min([0.4, *shown])
    ticks = [tenth / 10 for tenth in range(int(least * 10 + 1e-9), 11)]
    if len(ticks) > 7:
        ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    desc = ". ".join(f"{row['label']}: {interval_text(row)}" for row in rows) + "."
    return doc.figure(
        "forest",
        "forest",
        "AUC of the nested procedure and of simpler predictors",
        desc,
        f"AUC with {real(evaluation['level'] * 100, 0)} % interval. All use the same folds.",
        {
            "rows": rows,
            "ticks": ticks,
            "chance": 0.5,
            "chance_label": "chance",
            "label": "AUC",
            "level": evaluation["level"],
        },
    )


def _headliners(models: Sequence[Facts]) -> list[Facts]:
    """The procedure first, then one row for each baseline."""
    first = [row for row in models if row["variables"] == "radiomics" and row["model"] == "chosen"]
    return first + [row for name in BASELINES for row in models if row["variables"] == name]


def _forest_row(row: Facts, evaluation: Facts) -> dict[str, Any]:
    main = row["model"] == "chosen"
    tone = "main" if main else "clinical" if row["variables"] == "clinical" else "plain"
    auc = row["auc"]
    return {
        "label": "This analysis, nested" if main else row["label"],
        "sub": "chosen in each fold" if main else "",
        "estimate": auc["estimate"],
        "low": auc["low"],
        "high": auc["high"],
        "tone": tone,
    }


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
    slope, intercept, brier = told["slope"], told["intercept"], told["brier"]
    scaled = told["scaled_brier"]
    scaled = scaled["estimate"] if isinstance(scaled, Mapping) else scaled
    words = (
        f"slope {_estimate(slope)}, intercept {_estimate(intercept)}, Brier score {_estimate(brier)}, "
        f"scaled {real(scaled)}"
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
            "slope": slope,
            "intercept": intercept,
            "brier": brier,
            "scaled": scaled,
        },
    )


def _estimate(told: Facts) -> str:
    return interval([told["estimate"], told["low"], told["high"]])


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


def models_table(evaluation: Facts) -> doc.Part:
    """Every model and baseline over the same folds."""
    rows = [
        {
            "label": row["label"],
            "variables": row["variables"],
            "chosen": [row["chosen_in"], row["fits"]] if row["chosen_in"] is not None else None,
            "auc": [row["auc"]["estimate"], row["auc"]["low"], row["auc"]["high"]],
            "pooled": row["pooled_auc"],
            "brier": row["brier"],
            "sensitivity": row["sensitivity"],
            "specificity": row["specificity"],
            "tone": "main" if row["model"] == "chosen" else "",
        }
        for row in evaluation["models"]
    ]
    columns = [
        doc.column("label", "Model"),
        doc.column("variables", "Variables"),
        doc.column("chosen", "Chosen in", "share", note="folds"),
        doc.column("auc", "AUC", "interval", note="mean over folds"),
        doc.column("pooled", "AUC", "real", note="pooled"),
        doc.column("brier", "Brier", "real"),
        doc.column("sensitivity", "Sensitivity", "real"),
        doc.column("specificity", "Specificity", "real"),
    ]
    caption = (
        "All models and baselines over the same folds. Only the first row is the answer: the best of the others was "
        "not known before its test."
    )
    return doc.table("models-table", caption, columns, rows, empty=none_of(0, "model"))


VERDICTS = {
    "better": {"word": "better", "tone": "ok"},
    "worse": {"word": "worse", "tone": "bad"},
    "not_shown": {"word": "not shown", "tone": "none"},
}


def differences_table(evaluation: Facts) -> doc.Part:
    """Differences in AUC between the procedure and its baselines."""
    rows = [
        {
            "against": row["against"],
            "difference": [row["estimate"], row["low"], row["high"]],
            "verdict": VERDICTS[row["verdict"]],
        }
        for row in evaluation["differences"]
    ]
    columns = [
        doc.column("against", "This analysis against"),
        doc.column("difference", "Difference in AUC", "interval"),
        doc.column("verdict", "Better?", "state"),
    ]
    return doc.table(
        "differences", "Differences in AUC, fold by fold.", columns, rows, empty="None: 0 comparisons could be made."
    )


def split_feature(name: str) -> tuple[str, str]:
    """`ct.wavelet-LLH_glcm_Contrast` as `Contrast` and `ct, wavelet-LLH, glcm`."""
    image, _, feature = name.rpartition(".")
    pieces = feature.split("_")
    if len(pieces) < 3:
        return name, ""
    return "_".join(pieces[2:]), listed_plain([image, pieces[0], pieces[1]])


def listed_plain(words: Sequence[str]) -> str:
    """Words with commas, empty ones left out."""
    return ", ".join(word for word in words if word)


def selection_section(evaluation: Facts) -> doc.Section:
    """How often each feature was selected over the outer fits."""
    told = evaluation["selection"]
    stability = told["stability"]
    sentence = f"Features by how often the {plural(told['fits'], 'outer fit')} chose them"
    sentence += f"; {plural(told['distinct'], 'feature')} in all, {real(told['mean_features'], 1)} a fit"
    if stability is not None:
        sentence += f"; stability {_estimate(stability)} (Nogueira)"
    numbers = {key: told[key] for key in ("fits", "distinct", "mean_features", "stability")} | {"zero": 0}
    features = told["features"]
    if not features:
        parts = [doc.note(none_of(told["fits"], "outer fit") + " No feature was selected.")]
        return doc.section("features", "What it uses", sentence + ".", parts, numbers=numbers)
    rows = []
    for entry in features[:MOST_BARS]:
        label, sub = split_feature(entry["feature"])
        rows.append({"label": label, "sub": sub, "k": entry["times"], "n": entry["fits"], "feature": entry["feature"]})
    top = listed([row["feature"] for row in rows[:3]])
    chart = doc.figure(
        "selection",
        "bars",
        "Share of outer fits in which a feature was selected",
        f"Most often selected: {top}.",
        f"The {plural(len(rows), 'feature')} selected most often, of {told['distinct']}.",
        {"rows": rows, "shown": len(rows), "distinct": told["distinct"]},
    )
    table = doc.table(
        "selection-table",
        "The same with full names.",
        [
            doc.column("feature", "Feature", "code"),
            doc.column("times", "Selected", "share", note="fits"),
            doc.column("rank", "Mean rank", "real", digits=1),
        ],
        [
            {"feature": entry["feature"], "times": [entry["times"], entry["fits"]], "rank": entry["mean_rank"]}
            for entry in features
        ],
        empty=none_of(told["fits"], "fit"),
    )
    return doc.section("features", "What it uses", sentence + ".", [chart, table], numbers=numbers)
