"""Parts that hold the procedure against others: forest plot, table of models, differences, subgroups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.charts import interval_text
from osteorad.reporting.wording import LEAST_P, listed, none_of, percent, plain_name, plural

Facts = Mapping[str, Any]
BASELINES = {
    "combined": "Rad-score and clinical variables",
    "clinical": "Clinical variables",
    "metabolic": "Metabolic parameters",
    "volume": "ROI volume alone",
    "site": "Site alone",
    "prevalence": "Prevalence",
}
NOT_ESTIMATED = {"estimate": None, "low": None, "high": None}


def forest_part(evaluation: Facts, truth: Facts | None) -> doc.Part:
    """The nested result, its baselines, negative controls, a phantom's truth, and the candidates, on one axis."""
    models = evaluation["models"]
    elsewhere = evaluation["procedure"] == "external"
    name = "The frozen model here" if elsewhere else "This analysis, nested"
    rows = [_row(name, row["auc"], "main") for row in models if is_procedure(row)]
    rows += _grouped("Baselines", [_row(name, row["auc"], _tone(row)) for row, name in _baselines(models)])
    rows += _grouped("Negative controls", _control_rows(evaluation["controls"]))
    rows += _grouped("Truth of the phantom", _truth_rows(truth))
    if not elsewhere:  # there the frozen model is the only one
        rows += _grouped("Candidates", [_row(row["label"], row["auc"], "candidate") for row in _candidates(models)])
    return doc.figure(
        "forest",
        "forest",
        "AUC of the model and of what it is held against",
        ". ".join(f"{row['label']}: {interval_text(row)}" for row in rows) + ".",
        _forest_caption(evaluation),
        {"rows": rows, **axis_of(rows), "level": evaluation["level"]},
    )


def _forest_caption(evaluation: Facts) -> str:
    words = f"AUC with {percent(evaluation['level'])} interval, all on the same patients."
    if evaluation["procedure"] == "external":
        return words + " All models are frozen."
    if evaluation["controls"]["permuted"]:
        words += " Permuted outcomes: mean, and the range of the middle 95\u00a0% of permutations."
    return words + " A candidate alone is no answer: which one is best was not known before the test."


def axis_of(rows: Sequence[Facts]) -> dict[str, Any]:
    """Ticks that hold all estimates and limits."""
    shown = [value for row in rows for value in (row["estimate"], row["low"], row["high"]) if value is not None]
    least = min([0.4, *shown])
    ticks = [tenth / 10 for tenth in range(int(least * 10 + 1e-9), 11)]
    if len(ticks) > 7:
        ticks = [tenth / 10 for tenth in range(int(least * 5 + 1e-9) * 2, 11, 2)]
    return {"ticks": ticks, "chance": 0.5, "chance_label": "chance", "label": "AUC"}


def _row(label: str, auc: Facts, tone: str, sub: str = "") -> dict[str, Any]:
    limits = {key: auc[key] for key in ("estimate", "low", "high")}
    return {"label": label, "sub": sub, "group": "", "tone": tone, **limits}


def is_procedure(row: Facts) -> bool:
    """Whether a row of models is the procedure itself."""
    return row["variables"] == "radiomics" and row["model"] == "chosen"


def _grouped(group: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of which the first carries the heading of the group."""
    return [{**row, "group": "" if place else group} for place, row in enumerate(rows)]


def _baselines(models: Sequence[Facts]) -> list[tuple[Facts, str]]:
    return [(row, label) for name, label in BASELINES.items() for row in models if row["variables"] == name]


def _candidates(models: Sequence[Facts]) -> list[Facts]:
    return [row for row in models if row["variables"] == "radiomics" and not is_procedure(row)]


def _tone(row: Facts) -> str:
    return row["variables"] if row["variables"] in ("clinical", "combined") else "plain"


def _control_rows(controls: Facts) -> list[dict[str, Any]]:
    rows = []
    if permuted := controls["permuted"]:
        limits = {"estimate": permuted["mean"], "low": permuted["range_low"], "high": permuted["range_high"]}
        rows.append(_row("Permuted outcomes", limits, "control", f"{permuted['n']} times"))
    if shuffled := controls["shuffled"]:
        rows.append(_row("Shuffled voxels", shuffled["auc"], "control"))
    return rows


def _truth_rows(truth: Facts | None) -> list[dict[str, Any]]:
    if truth is None:
        return []
    return [_row("Oracle", {**NOT_ESTIMATED, "estimate": truth["oracle_auc"]}, "truth")]


def shown_models(evaluation: Facts) -> list[Facts]:
    """Rows of the models table; elsewhere the frozen model is the only candidate and stands in the first row."""
    if evaluation["procedure"] != "external":
        return list(evaluation["models"])
    return [row for row in evaluation["models"] if is_procedure(row) or row["variables"] != "radiomics"]


def models_table(evaluation: Facts) -> doc.Part:
    """Every model and baseline over the same folds."""
    many = len(evaluation["primary"]["folds"]) > 1
    elsewhere = evaluation["procedure"] == "external"
    rows = [
        {
            "label": "The frozen model" if elsewhere and is_procedure(row) else row["label"],
            "variables": row["variables"],
            "chosen": [row["chosen_in"], row["fits"]] if row["chosen_in"] is not None else None,
            "auc": [row["auc"]["estimate"], row["auc"]["low"], row["auc"]["high"]],
            "pooled": row["pooled_auc"],
            "brier": row["brier"],
            "sensitivity": row["sensitivity"],
            "specificity": row["specificity"],
            "tone": "main" if row["model"] == "chosen" else "",
        }
        for row in shown_models(evaluation)
    ]
    columns = [
        doc.column("label", "Model"),
        doc.column("variables", "Variables"),
        doc.column("chosen", "Chosen in", "share", note="folds"),
        doc.column("auc", "AUC", "interval", note="mean over folds" if many else ""),
        doc.column("pooled", "AUC", "real", note="pooled"),
        doc.column("brier", "Brier", "real"),
        doc.column("sensitivity", "Sensitivity", "real"),
        doc.column("specificity", "Specificity", "real"),
    ]
    caption = "All models and baselines on the same patients. Only the first row is the answer"
    caption += "." if elsewhere else ": the best of the others was not known before its test."
    return doc.table("models-table", caption, columns, rows, empty=none_of(0, "model"))


VERDICTS = {
    "better": {"word": "better", "tone": "ok"},
    "worse": {"word": "worse", "tone": "bad"},
    "not_shown": {"word": "not shown", "tone": "none"},
}
COMPARED = {**BASELINES, "radiomics": "This analysis"}


def differences_table(evaluation: Facts) -> doc.Part:
    """Differences in AUC over the declared comparisons, with Holm's correction."""
    rows = [
        {
            "of": COMPARED[row["of"]],
            "against": COMPARED[row["against"]],
            "difference": [row["estimate"], row["low"], row["high"]],
            "p": row["p"],
            "p_holm": row["p_holm"],
            "verdict": VERDICTS[row["verdict"]],
        }
        for row in evaluation["differences"]
    ]
    columns = [
        doc.column("of", "This"),
        doc.column("against", "Against"),
        doc.column("difference", "Difference in AUC", "interval"),
        doc.column("p", "P", "p"),
        doc.column("p_holm", "P (Holm)", "p"),
        doc.column("verdict", "Better?", "state"),
    ]
    tested = evaluation["multiplicity"]["comparisons"]
    caption = "Differences in AUC on the same patients, over the comparisons declared in the recipe" + (
        f"; P (Holm) is corrected for {plural(tested, 'comparison')}." if tested > 1 else "."
    )
    facts = {"comparisons": tested, "least": LEAST_P}
    return doc.table("differences", caption, columns, rows, empty="None: 0 comparisons could be made.", facts=facts)


def models_section(evaluation: Facts) -> doc.Section:
    """Every model and baseline over the same folds, and what was declared to be compared."""
    models, folds = shown_models(evaluation), evaluation["primary"]["folds"]
    where = f"over the same {plural(len(folds), 'fold')}" if len(folds) > 1 else "on the same patients"
    who = "the frozen model" if evaluation["procedure"] == "external" else "the procedure, its candidates"
    sentence = f"{plural(len(models), 'row')}: {who} and the baselines {where}."
    numbers = {
        "models": len(models),
        "folds": len(folds),
        "comparisons": len(evaluation["differences"]),
        "level": evaluation["level"],
        "zero": 0,
    }
    parts = [models_table(evaluation), differences_table(evaluation)]
    return doc.section("models", "Models compared", sentence, parts, numbers=numbers)


def subgroups_section(evaluation: Facts) -> doc.Section | None:
    """AUC in subgroups; None where the configuration asks for none."""
    told = evaluation["subgroups"]
    if not told["rows"]:
        return None
    rows = [
        {
            "variable": plain_name(row["variable"]),
            "level": str(row["level"]),
            "n": row["n"],
            "events": row["events"],
            "auc": [row["auc"], row["low"], row["high"]],
            "note": row["note"] or "",
        }
        for row in told["rows"]
    ]
    columns = [
        doc.column("variable", "Variable"),
        doc.column("level", "Level"),
        doc.column("n", "Samples", "count"),
        doc.column("events", "Events", "count"),
        doc.column("auc", "AUC", "interval", note="pooled"),
        doc.column("note", "Note", "words"),
    ]
    table = doc.table(
        "subgroups-table", "Every subgroup asked for.", columns, rows, empty=none_of(0, "subgroup"), head="variable"
    )
    shown = [row for row in told["rows"] if row["auc"] is not None]
    parts = [_subgroup_forest(shown, told, evaluation)] if shown else []
    sentence = (
        f"{len(shown)} of {plural(len(rows), 'subgroup')} have numbers; those under "
        f"{plural(told['minimum'], 'patient')} have none, and no difference between subgroups is tested."
    )
    numbers = {"minimum": told["minimum"], "shown": len(shown), "rows": len(rows), "level": evaluation["level"]}
    return doc.section("subgroups", "Subgroups", sentence, [*parts, table], numbers=numbers)


def _subgroup_forest(shown: Sequence[Facts], told: Facts, evaluation: Facts) -> doc.Part:
    whole = _row("All", evaluation["roc"]["auc"], "main")
    rows: list[dict[str, Any]] = [whole]
    for row in shown:
        first = all(row["variable"] != earlier["variable"] for earlier in shown[: shown.index(row)])
        limits = {"estimate": row["auc"], "low": row["low"], "high": row["high"]}
        drawn = _row(str(row["level"]), limits, "plain", f"{row['events']}/{row['n']}")
        rows.append({**drawn, "group": plain_name(row["variable"]) if first else ""})
    words = listed([f"{row['label']} {interval_text(row)}" for row in rows])
    return doc.figure(
        "subgroups",
        "forest",
        "AUC in subgroups",
        f"AUC by subgroup: {words}.",
        f"AUC of the pooled predictions by subgroup, events/samples beside the level. {told['label']}.",
        {"rows": rows, **axis_of(rows), "label_text": told["label"]},
    )
