"""The page of a list of runs: how often it was tried, what came out each time, and what changed in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.comparisons import axis_of
from osteorad.reporting.history import NAME, Line, Runs
from osteorad.reporting.wording import count, listed, none_of, plural, real, tidy

NO_BREAK, HYPHEN = "\u00a0", "\u2011"  # a day stays on one line
SHORT = 8  # digits of a hash on the page
MOST_RUNS = 100  # on the page; the file holds all
NOUNS = {"cohort": "cohort", "analysis": "analysis"}


def history_report(kind: str, name: str, title: str, runs: Runs) -> doc.Report:
    """The dict of the page. kind : cohort or analysis; title : of the page beside it."""
    shown = list(reversed(runs.lines))[:MOST_RUNS]
    whole = doc.report(
        "history",
        name,
        f"How often was this run? {title}",
        subtitle=f"Runs of {NOUNS[kind]} {name}: {_state(runs)}.",
        state=_state(runs),
        sections=[
            _runs_section(kind, runs, shown),
            _changes_section(runs, shown),
            _list_section(runs),
        ],
        chips=[
            {"text": f"{plural(len(runs.problems), 'doubt')} about the list", "tone": "bad"}
            if runs.problems
            else {"text": "The list is whole as far as it can be told", "tone": "ok"}
        ],
        numbers={"runs": _times(runs), "problems": len(runs.problems), "settings": _different(runs, "settings")},
        foot="Not part of the results that a second run repeats byte for byte: this page depends on the past.",
        up={"text": "Back to the report", "href": "report.html"},
    )
    return tidy(whole)


def _times(runs: Runs) -> int:
    """How often it was run: the number that the last line carries, since lines may have been taken out."""
    return max([len(runs.lines), *(line["run"] for line in runs.lines)])


def _state(runs: Runs) -> str:
    return f"{plural(_times(runs), 'run')} with {plural(_different(runs, 'settings'), 'set', 'sets')} of settings"


def _different(runs: Runs, field: str) -> int:
    return len({line[field] for line in runs.lines})


def _runs_section(kind: str, runs: Runs, shown: Sequence[Line]) -> doc.Section:
    """How often, and each run with what came out."""
    settings, code = _different(runs, "settings"), _different(runs, "code")
    varied = f"{plural(settings, 'set', 'sets')} of settings and {plural(code, 'state')} of the code"
    sentence = f"Run {plural(_times(runs), 'time')} in this working folder, with {varied}."
    aucs = [line["auc"][0] for line in runs.lines if line["auc"]]
    parts: list[doc.Part] = []
    if kind == "analysis" and settings > 1:
        parts.append(_many(len(aucs), aucs))
    if len(aucs) > 1:
        parts.append(_forest(shown))
    rows = [
        {
            "run": f"{line['run']}: {line['time']}".replace(" ", NO_BREAK).replace("-", HYPHEN),
            "n": line["n"],
            "samples": line["samples"],
            "came_out": line["state"],
            "verdict": line["verdict"],
            "settings": line["settings"][:SHORT],
            "code": line["code"][:SHORT],
        }
        for line in shown
    ]
    columns = [
        doc.column("run", "Run", note="day and time, UTC"),
        doc.column("n", "Patients", "count"),
        *([doc.column("samples", "Samples", "count")] if kind == "analysis" else []),
        doc.column("came_out", "What came out", "words"),
        doc.column("verdict", "Verdict", "state"),
        doc.column("settings", "Settings", "code", note="hash"),
        doc.column("code", "Code", "code", note="hash"),
    ]
    more = f" The last {count(len(shown))} of {count(len(runs.lines))}." if len(shown) < len(runs.lines) else ""
    caption = "Runs after which the page or what stands behind it differed, the last one first." + more
    parts.append(doc.table("runs-table", caption, columns, rows, empty=none_of(0, "run"), head="run"))
    numbers = {"runs": _times(runs), "settings": settings, "code": code, "lines": len(runs.lines), "shown": len(shown)}
    return doc.section("runs", "Runs", sentence, parts, numbers={**numbers, "aucs": aucs, "zero": 0})


def _many(tried: int, aucs: Sequence[float]) -> doc.Part:
    """What it means for the headline that there was more than one try."""
    text = (
        "Each try with other settings is a chance to be lucky. Where settings were chosen after seeing a result, its "
        "interval and its P values are too good, and only other patients can tell. Report how often you tried."
    )
    if len(aucs) > 1:
        text += f" Here {tried} runs gave an AUC, from {real(min(aucs))} to {real(max(aucs))}."
    return doc.note(text, title="More than one try.", tone="warn", facts={"tried": tried})


def _forest(shown: Sequence[Line]) -> doc.Part:
    """AUC of each run, on one axis."""
    rows = [
        {
            "label": f"Run {line['run']}",
            "sub": plural(line["n"], "patient"),
            "group": "",
            "tone": "main" if place == 0 else "plain",
            "estimate": line["auc"][0],
            "low": line["auc"][1],
            "high": line["auc"][2],
        }
        for place, line in enumerate(entry for entry in shown if entry["auc"])
    ]
    desc = ". ".join(f"{row['label']}: {real(row['estimate'])}" for row in rows) + "."
    caption = "AUC with its interval as each run's page gave it, the last run first."
    return doc.figure("aucs", "forest", "AUC of each run", desc, caption, {"rows": rows, **axis_of(rows)})


def _changes_section(runs: Runs, shown: Sequence[Line]) -> doc.Section:
    """What changed from run to run, old against new."""
    rows = [row for line in shown for row in _change_rows(line)]
    last = shown[0] if shown else None
    sentence = "Nothing to compare yet: fewer than 2 runs."
    if last is not None and len(runs.lines) > 1:
        kinds = dict.fromkeys(row["kind"] for row in _change_rows(last))
        sentence = f"Since run {last['run'] - 1}: {listed(list(kinds)) or 'only report.json differs'} changed."
    columns = [
        doc.column("run", "Run"),
        doc.column("kind", "Changed"),
        doc.column("what", "What, old and new", "words"),
        doc.column("rules", "Used by", "words"),
    ]
    empty = f"None: 0 changes in {plural(len(shown), 'run')}."
    parts = [doc.table("changes-table", "What changed against the run before.", columns, rows, empty=empty, head="run")]
    numbers = {"runs": [line["run"] for line in shown], "before": [line["run"] - 1 for line in shown], "least": 2}
    return doc.section("changes", "What changed", sentence, parts, numbers={**numbers, "zero": 0})


def _change_rows(line: Line) -> list[dict[str, Any]]:
    run = f"Run{NO_BREAK}{line['run']}"
    rows = [{"run": run, **change} for change in line["changes"]]
    if line["run"] == 1:
        return rows
    what = f"{line['came']} came, {line['left']} left; now {line['n']}"
    if line["came"] is None:
        what = f"how many came or left is not known, since the list of who counted is gone; now {line['n']}"
    if line["came"] != 0 or line["left"] != 0:
        rows.insert(0, {"run": run, "kind": "patients", "what": what, "rules": ""})
    return rows


def _list_section(runs: Runs) -> doc.Section:
    """What the list holds, what is wrong with it, and what it cannot tell."""
    sentence = f"{plural(len(runs.lines), 'whole line')}, {plural(len(runs.problems), 'doubt')}."
    notes = [doc.note(problem, title="Doubt.", tone="bad", facts={"problem": [problem]}) for problem in runs.problems]
    rows: Mapping[str, str] = {
        "A run that gave the same": "is not on the list: nothing differed, neither the page nor settings nor code.",
        "A run in another folder": "is not on the list: each working folder has its own.",
        "A line": "holds the digest of the line before, so a changed or missing one is told here; missing ones at the "
        "end cannot be.",
        "Patients": "are counted, never named, so that who withdraws leaves no name here.",
        "Times": "are those of the machine's clock. Nothing says who ran it, or where.",
    }
    parts = [*notes, doc.pairs(list(rows.items())), doc.links([(f"The list itself ({NAME}), one JSON a line", NAME)])]
    numbers = {"lines": len(runs.lines), "problems": len(runs.problems)}
    return doc.section("list", "What this list can tell", sentence, parts, numbers=numbers)
