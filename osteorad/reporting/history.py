"""The list of runs beside a page: one line a run that changed something, each holding the digest of the line before.

Append-only and outside the byte identity (contract 8): it depends on the past. A line that was cut off or changed stays
and is told, and so is one that was taken out. It counts patients and names nobody: a list that only grows could not
forget who withdrew. Written by Snakemake's main process alone, after a run.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.cohort.why import key_changes
from osteorad.past import FOLDER
from osteorad.provenance import digest
from osteorad.reporting.gravest import gravest

NAME = "history.jsonl"
PAGE = "history.html"
DIGITS = 16
KINDS = ("setting", "code", "data", "version", "step")
Line = Mapping[str, Any]
COUNT, TEXT, MAYBE = int, str, (int, type(None))
FIELDS: dict[str, type | tuple[type, ...]] = {
    **{"run": COUNT, "time": TEXT, "before": TEXT, "digest": TEXT, "report": TEXT, "keys": dict, "settings": TEXT},
    **{"code": TEXT, "n": COUNT, "samples": MAYBE, "people": TEXT, "state": TEXT, "auc": (list, type(None))},
    **{"verdict": dict, "came": MAYBE, "left": MAYBE, "changes": list},
}
CHANGE, VERDICT = {"kind", "what", "rules"}, {"word", "tone"}
SOMEONE = "<patient>"
BY_PATIENT = re.compile(r"^(exclude|rejected|verdicts)\..+?(?= (?:is new:|was ))")  # settings whose names are patients
SHORTEST = 4  # characters of a pseudonym that is looked for: shorter ones are in every text


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """The whole lines of a list in their order, and what is wrong with the list, each with the line's place."""

    lines: tuple[Line, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What stands behind a page now.

    report : of report.json; keys : path -> text; patients : pseudonyms of those who count, sorted; named : everybody
    whom a key may name.
    """

    report: Mapping[str, Any]
    digest: str
    keys: Mapping[str, str]
    patients: tuple[str, ...]
    named: frozenset[str] = frozenset()


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
    return line if isinstance(line, dict) and _is_line(line) else None


def _is_line(line: Line) -> bool:
    """True where every field can be shown; a list may have been edited by hand."""
    if not all(name in line and isinstance(line[name], kind) for name, kind in FIELDS.items()):
        return False
    auc = line["auc"] or [0.0] * 3
    told = [*line["verdict"].values(), *line["keys"].values()]
    return (
        all(isinstance(change, dict) and change.keys() >= CHANGE for change in line["changes"])
        and line["verdict"].keys() >= VERDICT
        and all(isinstance(text, str) for text in told)
        and len(auc) == 3
        and all(isinstance(number, int | float) for number in auc)
    )


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


def next_line(runs: Runs, state: State, *, before: Sequence[str], time: str, folder: Path) -> dict[str, Any] | None:
    """The line of a run; None where neither report.json nor a key differs from the last one.

    before : patients of the last line, as far as they are known. time : day and time of the run, UTC. folder : the
    working folder, where keys keep what they said before. How many patients came and left is None where `before` are
    not those of the last line.
    """
    last = runs.lines[-1] if runs.lines else None
    key_digests = {path: digest(text, DIGITS) for path, text in state.keys.items()}
    if last is not None and last["report"] == state.digest and last["keys"] == key_digests:
        return None
    known = last is not None and last["people"] == digest(sorted(before), DIGITS)
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
        "came": len({*state.patients} - {*before}) if known else None,
        "left": len({*before} - {*state.patients}) if known else None,
    }
    return {**line, "changes": [] if last is None else _changes(last, line, state, folder)}


def _code(text: str) -> Any:
    key = json.loads(text)
    return {name: key.get(name) for name in ("code", "data", "versions")}


def _auc(numbers: Mapping[str, Any]) -> list[float] | None:
    """AUC with its interval; None where the page gives none as an answer."""
    answer = numbers.get("answer") or {}
    return [answer["auc"], answer["low"], answer["high"]] if answer.get("kind") == "result" else None


def _changes(last: Line, line: Line, state: State, folder: Path) -> list[dict[str, str]]:
    """What differs from the line before: kind and sentence. Rules that say the same share a sentence."""
    said: dict[tuple[str, str], list[str]] = {}
    names = sorted(state.named, key=len, reverse=True)
    for path in sorted(state.keys.keys() | last["keys"].keys()):
        rule = Path(path).name.split(".")[0]
        for kind, sentence in _key_changes(path, last["keys"].get(path), state.keys.get(path), folder):
            said.setdefault((kind, _nameless(sentence, names)), []).append(rule)
    changes = [
        {"kind": kind, "what": sentence, "rules": ", ".join(dict.fromkeys(rules))}
        for (kind, sentence), rules in said.items()
    ]
    changes.sort(key=lambda change: (KINDS.index(change["kind"]), change["what"]))
    figures = [] if last["state"] == line["state"] else [f"was {last['state']}; is {line['state']}"]
    if last["verdict"]["word"] != line["verdict"]["word"]:
        figures.append(f"was {last['verdict']['word']}; is {line['verdict']['word']}")
    return [*changes, *({"kind": "figures", "what": what, "rules": ""} for what in figures)]


def _nameless(sentence: str, names: Sequence[str]) -> str:
    """A sentence about settings without the patients whom they name, and without names of their sessions."""
    sentence = BY_PATIENT.sub(rf"\1.{SOMEONE}", sentence)
    for name in names:
        if len(name) >= SHORTEST:
            sentence = sentence.replace(name, SOMEONE)
    return sentence


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
