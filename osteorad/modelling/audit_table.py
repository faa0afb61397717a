"""The command audit-table: read a table of published results, and say which integer counts can stand behind it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.cohort.tables import Row, Table, is_missing, read_table
from osteorad.errors import ConfigError
from osteorad.modelling.statistics.published_tables import (
    COUNTED,
    MEASURES,
    Printed,
    PrintedRow,
    auc_granularity,
    class_sizes,
    flaws,
    solutions,
)

NAMES = {
    "sensitivity": ("sens", "sen", "se", "recall", "tpr", "true positive rate"),
    "specificity": ("spec", "spe", "sp", "tnr", "true negative rate"),
    "accuracy": ("acc",),
    "ppv": ("precision", "positive predictive value"),
    "npv": ("negative predictive value",),
    "f1": ("f1 score", "f score", "f measure"),
    "auc": ("auroc", "roc auc", "c statistic", "c index", "area under the curve"),
}
ENDS = {
    "interval": ("ci", "interval", "confidence interval"),
    "low": ("low", "lower", "ci low", "ci lower", "lower bound"),
    "high": ("high", "upper", "ci high", "ci upper", "upper bound"),
}
SIZES = {
    "positives": ("n+", "n pos", "n positive", "pos", "positive", "events", "n events", "cases"),
    "negatives": ("n-", "n neg", "n negative", "neg", "negative", "non events", "nonevents", "controls"),
}
TEXTS = {
    "label": ("model", "name", "method", "classifier", "algorithm"),
    "part": ("set", "cohort", "dataset", "split", "group", "table"),
}
SHOWN = 10  # solutions that are listed
FIGURE = r"(\d*[.,]?\d+)\s*%?"
LIMITS = rf"[\[(]?\s*(?:95\s*%\s*ci:?\s*)?{FIGURE}\s*(?:-|–|—|,|;|~|to)\s*{FIGURE}\s*[\])]?"
SHARE = re.compile(rf"{FIGURE}(?:\s*{LIMITS})?", re.IGNORECASE)  # 0.929, 92.9 %, 0.929 (0.814-1.000)
INTERVAL = re.compile(LIMITS, re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A row of the file: its line, names, class sizes where they are told, and what is printed."""

    line: int
    label: str
    part: str
    sizes: tuple[int, int] | None
    printed: PrintedRow


# --- reading ---------------------------------------------------------------------------------------------------------


def read_rows(
    path: Path, *, positives: int | None = None, negatives: int | None = None, digits: int | None = None
) -> list[TableRow]:
    """Rows of a CSV, TSV or XLSX file. Raises ConfigError with every problem, told by line and column.

    positives, negatives : class sizes of rows that have none of their own. digits : printed after the decimal point,
    where a spreadsheet program dropped zeros at the end.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: the file does not exist. Wanted: a CSV, TSV or XLSX table of published results.")
    table = read_table(path)
    meaning = _meanings(table)
    percent = {column for column, what in meaning.items() if _is_share(what) and _in_percent(table, column)}
    problems: list[str] = []
    rows = []
    for row in table.rows:
        try:
            rows.append(_row(table.name, row, meaning, percent, (positives, negatives), digits))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    if not rows:
        raise ConfigError(f"{table.name}: there is a header, but no row.")
    return rows


def _is_share(what: str) -> bool:
    return what.split()[0] in MEASURES


def _plain(name: str) -> str:
    """A column's name for comparing: lower case, single blanks, without '%', '95%' and text in brackets."""
    bare = re.sub(r"\(.*?\)|\[.*?\]|95\s*%|%", " ", name.lower())
    return re.sub(r"[\s_./*]+|-(?=\w)", " ", bare).strip()


def _known_names() -> dict[str, str]:
    known = {}
    for measure, others in NAMES.items():
        for name in (measure, *others):
            known[name] = measure
            known |= {f"{name} {word}": f"{measure} {end}" for end, words in ENDS.items() for word in words}
    for what, others in (SIZES | TEXTS).items():
        known |= dict.fromkeys((what, *others), what)
    return known


def _meanings(table: Table) -> dict[str, str]:
    """Column -> what it holds; columns that mean nothing here are left out. '95% CI' is of the measure before it."""
    known = _known_names()
    meaning: dict[str, str] = {}
    measure = ""
    for column in table.header:
        name = _plain(column)
        name = f"{measure} {name}" if measure and name in ENDS["interval"] else name
        if name in known:
            meaning[column] = known[name]
            measure = known[name] if known[name] in MEASURES else measure
    problems = [
        f"{table.name}: columns {' and '.join(repr(c) for c in same)} both mean {what}. Keep one."
        for what in sorted(set(meaning.values()))
        if len(same := [column for column, found in meaning.items() if found == what]) > 1
    ]
    if not set(meaning.values()) & set(MEASURES):
        problems.append(
            f"{table.name}: no column is a measure. Found: {', '.join(table.header)}. Wanted one or more of: "
            f"{', '.join(MEASURES)}."
        )
    if problems:
        raise ConfigError(problems)
    return meaning


def _in_percent(table: Table, column: str) -> bool:
    """Told by '%' in the header or a cell, or by a figure above 1."""
    if "%" in re.sub(r"95\s*%", "", column):
        return True
    texts = [re.sub(r"95\s*%", "", text) for _, text in table.column(column)]
    figures = [figure.replace(",", ".") for text in texts for figure in re.findall(FIGURE, text)[:1]]
    return any("%" in text for text in texts) or any(float(figure) > 1 for figure in figures)


def _row(
    name: str,
    row: Row,
    meaning: Mapping[str, str],
    percent: set[str],
    sizes: tuple[int | None, int | None],
    digits: int | None,
) -> TableRow:
    told: dict[str, int | None] = {"positives": sizes[0], "negatives": sizes[1]}
    shares: dict[str, list[Printed]] = {}
    problems = []
    for column, what in meaning.items():
        text = row.cells[column]
        if what in TEXTS or is_missing(text):
            continue
        try:
            if what in SIZES:
                told[what] = _size(text)
            else:
                pattern = INTERVAL if what.endswith(" interval") else SHARE
                shares[what] = _shares(pattern, text, percent=column in percent, digits=digits)
        except ValueError as error:
            problems.append(f"{name}:{row.line}: column '{column}': {error}")
    printed = _printed(shares)
    if not problems and not printed.values:
        problems.append(f"{name}:{row.line}: the row has no measure.")
    if problems:
        raise ConfigError(problems)
    texts = {what: row.cells[column] for column, what in meaning.items() if what in TEXTS}
    positives, negatives = told["positives"], told["negatives"]
    return TableRow(
        line=row.line,
        label=texts.get("label", ""),
        part=texts.get("part", ""),
        sizes=(positives, negatives) if positives is not None and negatives is not None else None,
        printed=printed,
    )


def _size(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("wanted a number of patients or lesions, 1 or more.")
    return int(text)


def _shares(pattern: re.Pattern[str], text: str, *, percent: bool, digits: int | None) -> list[Printed]:
    """The share and its limits, or the limits alone."""
    cell = pattern.fullmatch(text)
    if cell is None:
        raise ValueError("wanted a share such as 0.929, 92.9 % or 0.929 (0.814-1.000), or an interval 0.814-1.000.")
    figures = [figure.replace(",", ".") for figure in cell.groups() if figure is not None]
    shares = [Printed.of(figure, percent=percent, digits=digits) for figure in figures]
    if any(share.value > 1 for share in shares):
        raise ValueError("a share lies in 0 to 1, or in 0 to 100 %.")
    return shares


def _printed(shares: Mapping[str, list[Printed]]) -> PrintedRow:
    """Measures and their limits, wherever these stand: in the cell, in a column of their own, or in two."""
    intervals = {}
    for measure in MEASURES:
        ends = [share for end in ("low", "high") for share in shares.get(f"{measure} {end}", [])]
        limits = shares.get(measure, [])[1:] or shares.get(f"{measure} interval", []) or ends
        if len(limits) == 2:
            intervals[measure] = (limits[0], limits[1])
    values = {measure: shares[measure][0] for measure in MEASURES if measure in shares}
    return PrintedRow(values=values, intervals=intervals)


# --- judging ---------------------------------------------------------------------------------------------------------


def audit_rows(rows: Sequence[TableRow], *, most: int) -> dict[str, Any]:
    """Verdict of each row, and for each part (train, test, ...) the class sizes that would fit all its rows.

    most : largest class that is tried. Verdicts: possible; other-class (only if the other class is the positive one);
    impossible; open (no class sizes are told, and nothing speaks against the row).
    """
    judged = [_judge(row) for row in rows]
    parts = []
    for part in dict.fromkeys(row.part for row in rows):
        fitting = class_sizes([row.printed for row in rows if row.part == part], most)
        verdicts = [found["verdict"] for found in judged if found["part"] == part]
        parts.append(
            {
                "part": part,
                "rows": len(verdicts),
                "with_sizes": sum(row.sizes is not None for row in rows if row.part == part),
                "possible": verdicts.count("possible"),
                "other_class": verdicts.count("other-class"),
                "searched_to": most,
                "fitting_sizes": len(fitting),
                "sizes": [{"positives": p, "negatives": n} for p, n in fitting[:SHOWN]],
            }
        )
    return {"ok": True, "rows": judged, "parts": parts}


def _judge(row: TableRow) -> dict[str, Any]:
    found = flaws(row.printed)
    counts: dict[str, list[dict[str, int]]] = {"as_given": [], "other_class": []}
    possible = {"as_given": False, "other_class": False}
    if row.sizes is not None:
        for key, sizes in (("as_given", row.sizes), ("other_class", row.sizes[::-1])):
            solved = itertools.islice(solutions(row.printed, *sizes), SHOWN)
            counts[key] = [{"tp": tp, "tn": tn} for tp, tn in solved]
            possible[key] = bool(counts[key])
        found += [flaw for flaw in [auc_granularity(row.printed, *row.sizes)] if flaw is not None]
    if not set(row.printed.values) & set(COUNTED):
        counts = {key: [] for key in counts}  # an AUC alone says nothing of counts
    if any(flaw.impossible for flaw in found):
        verdict = "impossible"
    elif row.sizes is None:
        verdict = "open"
    else:
        verdict = "possible" if possible["as_given"] else "other-class" if possible["other_class"] else "impossible"
    return {
        "line": row.line,
        "label": row.label,
        "part": row.part,
        "positives": row.sizes[0] if row.sizes else None,
        "negatives": row.sizes[1] if row.sizes else None,
        "verdict": verdict,
        "counts": counts,
        "flaws": [{"check": flaw.check, "text": flaw.text, "impossible": flaw.impossible} for flaw in found],
    }


def lines(found: Mapping[str, Any]) -> list[str]:
    """The findings as text."""
    out = []
    for row in found["rows"]:
        sizes = "" if row["positives"] is None else f"{row['positives']}+ {row['negatives']}-"
        place = ", ".join(text for text in (f"line {row['line']}", row["label"], row["part"], sizes) if text)
        out.append(f"{place}: {_verdict(row)}")
        out += [f"    {flaw['text']}" for flaw in row["flaws"]]
    return out + [_part_line(part) for part in found["parts"]]


def _verdict(row: Mapping[str, Any]) -> str:
    counts = row["counts"]["as_given"] or row["counts"]["other_class"]
    text = "; ".join(f"TP {count['tp']}, TN {count['tn']}" for count in counts) or "an AUC alone tells no counts"
    if len(counts) == SHOWN:
        text += "; and perhaps more"
    return {
        "possible": f"possible: {text}",
        "other-class": f"possible only with the other class as positive: {text}",
        "impossible": "impossible",
        "open": "no class sizes are told",
    }[row["verdict"]]


def _part_line(part: Mapping[str, Any]) -> str:
    start = f"{part['part'] or 'all rows'}: "
    if part["with_sizes"]:
        start += f"{part['possible']} of {part['with_sizes']} possible with the class sizes told"
        start += f", {part['other_class']} more with the other class as positive. " if part["other_class"] else ". "
    count, most, many = part["fitting_sizes"], part["searched_to"], part["rows"]
    rows = "the row" if many == 1 else f"all {many} rows"
    if not count:
        return start + f"No class sizes up to {most} each fit {rows}."
    listed = ", ".join(f"{sizes['positives']}+ {sizes['negatives']}-" for sizes in part["sizes"])
    more = f" and {count - len(part['sizes'])} more" if count > len(part["sizes"]) else ""
    return start + f"Class sizes up to {most} each that fit {rows}: {listed}{more}."
