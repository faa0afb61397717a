"""Sections on the data of an analysis: table 1, missing values, sample size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.wording import count, listed, none_of, plain_name, plural, real

Facts = Mapping[str, Any]


def table_one_part(evaluation: Facts) -> doc.Part:
    """Table 1: the patients by outcome, without P values."""
    told = evaluation["table_one"]
    sizes = told["n"]
    rows = [
        {
            "variable": plain_name(row["variable"]) + (f": {row['level']}" if row["level"] is not None else ""),
            **{group: _with_share(row[group]) for group in ("all", "events", "others")},
            "missing": row["missing"],
        }
        for row in told["rows"]
        if not _is_no(row, told["rows"])
    ]
    columns = [
        doc.column("variable", "Variable"),
        doc.column("all", "All", "summary", note=f"n = {count(sizes['all'])}"),
        doc.column("events", "With the event", "summary", note=f"n = {count(sizes['events'])}"),
        doc.column("others", "Without", "summary", note=f"n = {count(sizes['others'])}"),
        doc.column("missing", "Missing", "count", note="patients"),
    ]
    caption = (
        "The patients by outcome: median with quartiles, or k/n with the share. Without P values: the groups were not "
        "made by allotment, so a test of balance answers no question here."
    )
    empty = "None: 0 clinical variables are known."
    return doc.table("table-one", caption, columns, rows, empty=empty, facts={"n": sizes})


def _is_no(row: Facts, rows: Sequence[Facts]) -> bool:
    """The level 0 of a variable whose only other level is 1: the row of 1 says both."""
    levels = {str(other["level"]) for other in rows if other["variable"] == row["variable"]}
    return str(row["level"]) == "0" and levels == {"0", "1"}


def _with_share(group: Facts) -> dict[str, Any]:
    """A level's k of n with its share; a number's summary as it is."""
    return {**group, "share": group["k"] / group["n"] if group["n"] else None} if "k" in group else dict(group)


def data_section(evaluation: Facts) -> doc.Section:
    """Missing values, and whether there are enough patients for what was asked."""
    missing, size = evaluation["missing"], evaluation["sample_size"]
    parts = [missing_part(missing), *size_parts(size)]
    features = missing["features"]
    sentence = (
        f"{plural(features['missing'], 'feature value')} of {count(features['values'])} missing, in "
        f"{features['with_missing']} of {plural(features['columns'], 'feature')}; what is missing is filled from "
        f"training patients. {size_sentence(size)}"
    )
    numbers = {"features": features, "sample_size": size, "zero": 0}
    return doc.section("data", "Data and sample size", sentence, parts, numbers=numbers)


def missing_part(missing: Facts) -> doc.Part:
    """Columns with missing values, by outcome."""
    rows = [
        {
            "column": row["column"],
            "all": [row["missing"], row["n"]],
            "events": [row["missing_events"], row["events"]],
            "others": [row["missing"] - row["missing_events"], row["n"] - row["events"]],
        }
        for row in missing["columns"]
        if row["missing"]
    ]
    columns = [
        doc.column("column", "Column", "code"),
        doc.column("all", "Missing", "share", note="of all"),
        doc.column("events", "Missing", "share", note="with the event"),
        doc.column("others", "Missing", "share", note="without"),
    ]
    return doc.table(
        "missing-table",
        "Missing values: every covariate, and the features with most of them.",
        columns,
        rows,
        empty=f"None: 0 of {plural(len(missing['columns']), 'column')} looked at miss a value.",
        facts={"columns": len(missing["columns"])},
    )


def size_sentence(size: Facts | None) -> str:
    """What Riley's criteria ask for, and what there is."""
    if not size or not size["rows"]:
        return "Sample size: not done."
    short = [row for row in size["rows"] if not row["enough"]]
    worst = max(size["rows"], key=lambda row: row["needed"] or 0)
    if not short:
        return f"The {count(worst['have'])} patients are enough for the criteria of Riley."
    said = [
        f"{count(row['needed'])} for {plural(row['parameters'], 'parameter')} ({row['variables']})" for row in short
    ]
    return f"Riley criteria ask for more patients than the {count(worst['have'])} at hand: {listed(said)}."


def size_parts(size: Facts | None) -> list[doc.Part]:
    """Table of Riley's criteria and the note on what they mean here."""
    if not size:
        return [doc.note("Not done: 0 models to plan for.", title="Sample size.")]
    rows = [
        {
            "variables": row["variables"],
            "parameters": row["parameters"],
            "r2": row["r2"],
            "criteria": "; ".join(f"{entry['name']}: {count(entry['needed'])}" for entry in row["criteria"]),
            "needed": row["needed"],
            "ratio": row["events_per_parameter"],
            "enough": {"word": "enough", "tone": "ok"} if row["enough"] else {"word": "too few", "tone": "warn"},
        }
        for row in size["rows"]
    ]
    columns = [
        doc.column("variables", "Model"),
        doc.column("parameters", "Parameters", "count", note="candidates"),
        doc.column("r2", "R²", "real", digits=2, note="Cox-Snell, assumed"),
        doc.column("criteria", "Patients needed", "words", note="by criterion"),
        doc.column("needed", "Needed", "count"),
        doc.column("ratio", "Events", "real", digits=2, note="a parameter"),
        doc.column("enough", "Enough?", "state"),
    ]
    have = size["rows"][0]["have"] if rows else 0
    caption = f"Sample size by {size['method']}; {plural(have, 'patient')} at hand."
    table = doc.table(
        "sample-size", caption, columns, rows, empty=none_of(0, "model"), facts={"have": have, "by": size["method"]}
    )
    return [table, doc.note(size["note"], title="Sample size.")] if size.get("note") else [table]


def clinical_section(evaluation: Facts, nomogram: doc.Part | None, why: str) -> doc.Section:
    """The clinical model's optimism, and the nomogram."""
    told = evaluation["optimism"]
    parts: list[doc.Part] = [nomogram] if nomogram else [doc.note(why, title="Nomogram.")]
    numbers: dict[str, Any] = {"zero": 0}
    if told:
        rows = [
            {
                "model": told["label"],
                **{key: told[key] for key in ("predictors", "apparent", "optimism", "corrected", "slope", "b632plus")},
            }
        ]
        columns = [
            doc.column("model", "Model"),
            doc.column("predictors", "Predictors", "count"),
            doc.column("apparent", "AUC", "real", note="apparent"),
            doc.column("optimism", "Optimism", "real", digits=3),
            doc.column("corrected", "AUC", "real", note="corrected"),
            doc.column("slope", "Slope", "real"),
            doc.column("b632plus", "AUC", "real", note=".632+"),
        ]
        caption = (
            f"Optimism of the clinical model by {plural(told['bootstraps'], 'bootstrap sample')}, the whole model "
            "fitted again in each."
        )
        parts.append(doc.table("optimism-table", caption, columns, rows, empty=none_of(0, "model")))
        if told.get("note"):
            parts.append(doc.note(told["note"], title="Optimism."))
        sentence = (
            f"The clinical model's AUC on its own patients is {real(told['apparent'])}; without its optimism "
            f"{real(told['corrected'])}."
        )
        numbers["optimism"] = told
    else:
        sentence = "Optimism of a clinical model: not done, 0 models are small enough for it."
    return doc.section("clinical", "Clinical model and nomogram", sentence, parts, numbers=numbers)
