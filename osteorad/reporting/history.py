"""The list of runs beside a page: one line a run that changed something, each holding the digest of the line before.

Append-only and outside the byte identity (contract 8): it depends on the past. A line that was cut off or changed stays
and is told, and so is one that was taken out. Written by Snakemake's main process alone, after a run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.cohort.why import key_changes
from osteorad.files import read_json
from osteorad.past import FOLDER
from osteorad.provenance import digest, sha256_file
from osteorad.reporting.gravest import gravest

NAME = "history.jsonl"
PAGE = "history.html"
DIGITS = 16
KINDS = ("setting", "code", "data", "version", "step")
Line = Mapping[str, Any]
FIELDS = {"run", "time", "before", "digest", "report", "keys", "settings", "code", "n", "samples", "people", "state"}
FIELDS |= {"auc", "verdict", "added", "left", "whole", "changes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """The whole lines of a list in their order, and what is wrong with the list, each with the line's place."""

    lines: tuple[Line, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What stands behind a page now. keys : path -> text; patients : pseudonyms, sorted; report : of report.json."""

    report: Mapping[str, Any]
    digest: str
    keys: Mapping[str, str]
    patients: tuple[str, ...]


# --- the list --------------------------------------------------------------------------------------------------------


def read_runs(path: Path) -> Runs:
    """Read a list; nothing stops at a bad line."""
    lines: list[Line] = []
    problems: list[str] = []
    for place, raw in enumerate(path.read_bytes().split(b"\n") if path.exists() else [], 1):
        if not raw.strip():
            continue
        line = _parsed(raw)
        if line is None:
            problems.append(f"Line {place} is cut off or damaged; a run that was being written is lost.")
            continue
        problems += [f"Line {place}: {problem}" for problem in _problems(line, lines[-1] if lines else None)]
        lines.append(line)
    return Runs(lines=tuple(lines), problems=tuple(problems))


def _parsed(raw: bytes) -> Line | None:
    try:
        line = json.loads(raw)
    except ValueError:  # also of bytes that are no UTF-8
        return None
    return line if isinstance(line, dict) and line.keys() >= FIELDS and isinstance(line["run"], int) else None


def _problems(line: Line, last: Line | None) -> Iterator[str]:
    if line["digest"] != _digest_of(line):
        yield f"run {line['run']} was changed after it was written."
    if line["before"] != (last["digest"] if last else ""):
        yield f"what stood before run {line['run']} was changed or taken out."


def _digest_of(line: Line) -> str:
    return digest({name: value for name, value in line.items() if name != "digest"}, DIGITS)


def append(path: Path, line: Line) -> None:
    """Add a line in one piece; a cut-off one before it stays as it is, on a line of its own."""
    text = json.dumps({**line, "digest": _digest_of(line)}, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with path.open("ab+") as stream:
        size = stream.seek(0, os.SEEK_END)
        if size:
            stream.seek(size - 1)
            text = text if stream.read(1) == b"\n" else "\n" + text
        stream.write(f"{text}\n".encode())
        stream.flush()
        os.fsync(stream.fileno())


# --- a line ----------------------------------------------------------------------------------------------------------


def state_of(report: Path, keys: Mapping[str, str], patients: Sequence[str]) -> State:
    """What stands behind a page. keys : what each key said when the page was written."""
    return State(
        report=read_json(report),
        digest=sha256_file(report)[:DIGITS],
        keys=keys,
        patients=tuple(sorted(set(patients))),
    )


def next_line(runs: Runs, state: State, *, time: str, folder: Path) -> dict[str, Any] | None:
    """The line of a run; None where neither report.json nor a key differs from the last one.

    time : day and time of the run, UTC. folder : the working folder, where keys keep what they said before. Patients
    that came and left are told; `whole`: all are told, since there was no line before or it does not tell them.
    """
    last = runs.lines[-1] if runs.lines else None
    key_digests = {path: digest(text, DIGITS) for path, text in state.keys.items()}
    if last is not None and last["report"] == state.digest and last["keys"] == key_digests:
        return None
    known = _patients_of(runs.lines)
    numbers = state.report["numbers"]
    line: dict[str, Any] = {
        "run": last["run"] + 1 if last else 1,
        "time": time,
        "before": last["digest"] if last else "",
        "report": state.digest,
        "keys": key_digests,
        "settings": digest({path: json.loads(text).get("settings") for path, text in state.keys.items()}, DIGITS),
        "code": digest({path: _code(text) for path, text in state.keys.items()}, DIGITS),
        "n": len(state.patients),
        "samples": (numbers.get("counts") or {}).get("samples"),
        "people": digest(list(state.patients), DIGITS),
        "state": state.report["state"],
        "auc": _auc(numbers),
        "verdict": gravest(state.report),
        "whole": not known,
        "added": sorted(set(state.patients) - (known or set())),
        "left": sorted((known or set()) - set(state.patients)),
    }
    return {**line, "changes": [] if last is None else _changes(last, line, state, folder)}


def _code(text: str) -> Any:
    key = json.loads(text)
    return {name: key.get(name) for name in ("code", "data", "versions")}


def _auc(numbers: Mapping[str, Any]) -> list[float] | None:
    """AUC with its interval; None where the page gives none as an answer."""
    answer = numbers.get("answer") or {}
    return [answer["auc"], answer["low"], answer["high"]] if answer.get("kind") == "result" else None


def _patients_of(lines: Sequence[Line]) -> set[str] | None:
    """Patients of the last line, followed through all lines; None where the list lacks one of them."""
    found: set[str] = set()
    for line in lines:
        found = set(line["added"]) if line["whole"] else (found - set(line["left"])) | set(line["added"])
    if lines and digest(sorted(found), DIGITS) != lines[-1]["people"]:
        return None
    return found


def _changes(last: Line, line: Line, state: State, folder: Path) -> list[dict[str, str]]:
    """What differs from the line before: kind and sentence. Rules that say the same share a sentence."""
    said: dict[tuple[str, str], list[str]] = {}
    for path in sorted(state.keys.keys() | last["keys"].keys()):
        rule = Path(path).name.split(".")[0]
        for kind, sentence in _key_changes(path, last["keys"].get(path), state.keys.get(path), folder):
            said.setdefault((kind, sentence), []).append(rule)
    changes = [
        {"kind": kind, "what": sentence, "rules": ", ".join(dict.fromkeys(rules))}
        for (kind, sentence), rules in said.items()
    ]
    changes.sort(key=lambda change: (KINDS.index(change["kind"]), change["what"]))
    figures = [] if last["state"] == line["state"] else [f"was {last['state']}; is {line['state']}"]
    if last["verdict"]["word"] != line["verdict"]["word"]:
        figures.append(f"was {last['verdict']['word']}; is {line['verdict']['word']}")
    return [*changes, *({"kind": "figures", "what": what, "rules": ""} for what in figures)]


def _key_changes(path: str, old: str | None, new: str | None, folder: Path) -> Iterator[tuple[str, str]]:
    """Kind and sentence of each difference of a key; digests alone where its past is not kept."""
    if old is None or new is None:
        yield "step", "is new" if old is None else "is no longer used"
        return
    if digest(new, DIGITS) == old:
        return
    before = next((text for text in _texts_of(folder / path) if digest(text, DIGITS) == old), None)
    if before is None:
        yield "step", "changed; what it said before is not kept"
        return
    for sentence in key_changes(json.loads(before), json.loads(new)):
        kind = next((kind for kind in ("setting", "code", "data") if sentence.startswith(f"{kind} ")), "version")
        yield kind, sentence.removeprefix("setting ").removeprefix(f"{kind} changed: ")


def _texts_of(path: Path) -> Iterator[str]:
    """What a key says, and all that it said before."""
    for each in (path, *sorted((path.parent / FOLDER / path.stem).glob(f"*{path.suffix}"), reverse=True)):
        if each.exists():
            yield each.read_text(encoding="utf-8")
