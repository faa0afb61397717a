"""Why a job would run: Snakemake's dry run says which jobs, keys and states say what changed, old against new.

Keys and states keep what they said before (`osteorad.past`). What a job last used is what they said when its outputs
were written, so the sentences hold before and after a dry run, and when Snakemake's own records are lost.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.errors import UserError
from osteorad.files import read_json
from osteorad.past import text_at

WATCHED = ("keys", "state", "patients")  # folders of the files that keep their past
SHOWN = 3  # names listed in a sentence; more are counted
LONGEST = 60  # characters of a setting's value
MISSING, INCOMPLETE = "Missing output files", "Incomplete output files"
UPDATED, ANEW = "Updated input files", "Input files updated by another job"
OTHER_SET = "Set of input files has changed since last execution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job that a dry run lists."""

    rule: str
    wildcards: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reason: str  # in Snakemake's words

    def reasons(self) -> dict[str, tuple[str, ...]]:
        """Snakemake's reasons: what is said -> files that it is said of."""
        parts = (part.partition(": ") for part in self.reason.split("; ") if part)
        return {said: _names(files) for said, _, files in parts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A job, what changed for it itself, and which jobs before it run."""

    job: Job
    causes: tuple[str, ...]
    follows: tuple[str, ...]


def dry_run(root: Path, workdir: Path, targets: Sequence[str]) -> str:
    """What `snakemake --dry-run` prints. Raises UserError with its words where it refuses."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile")]
    command += ["--profile", str(root / "local"), "--directory", str(workdir), "--nocolor", "--dry-run", "--", *targets]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise UserError(f"Snakemake refuses: {done.stdout.split('Building DAG of jobs...')[-1].strip()}")
    return done.stdout


def jobs_of(printed: str) -> list[Job]:
    """The jobs that a dry run printed, in its order, without the target itself."""
    found: list[dict[str, str]] = []
    inside = False
    for line in printed.splitlines():
        if head := re.fullmatch(r"\s*(?:local)?(?:rule|checkpoint) (\w+):", line):
            found.append({"rule": head[1]})
            inside = True
        elif inside and (field := re.fullmatch(r"\s+(\w+): (.*)", line)):
            found[-1][field[1]] = field[2]
        else:
            inside = False
    return [_job(fields) for fields in found if fields["rule"] != "all"]


def _job(fields: Mapping[str, str]) -> Job:
    pairs = (pair.partition("=") for pair in _names(fields.get("wildcards", "")))
    return Job(
        rule=fields["rule"],
        wildcards={name: value for name, _, value in pairs},
        inputs=_names(fields.get("input", "")),
        outputs=_names(fields.get("output", "")),
        reason=fields.get("reason", ""),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(", ")) if text else ()


# --- sentences -------------------------------------------------------------------------------------------------------


def explain(jobs: Sequence[Job], workdir: Path) -> list[Explained]:
    """What changed for each job. Reads keys, states and times of files; writes nothing."""
    makers = {output: job.rule for job in jobs for output in job.outputs}
    return [
        Explained(job=job, causes=tuple(_causes(job, workdir)), follows=tuple(_follows(job.reasons(), makers)))
        for job in jobs
    ]


def _causes(job: Job, workdir: Path) -> Iterator[str]:
    reasons = job.reasons()
    for said, words in ((MISSING, "output missing"), (INCOMPLETE, "a run was cut off while writing")):
        if said in reasons:
            yield f"{words}: {_few(sorted(Path(name).name for name in reasons[said]))}"
    updated = reasons.get(UPDATED, ())
    yield from _changed_inputs(job, workdir, updated)
    if others := sorted(Path(name).name for name in updated if not _watched(name)):
        yield f"input changed: {_few(others)}"
    if OTHER_SET in reasons:
        yield _other_set(job, workdir)
    known = {MISSING, INCOMPLETE, UPDATED, ANEW, OTHER_SET}
    yield from (said[:1].lower() + said[1:] for said in reasons if said not in known)


def _changed_inputs(job: Job, workdir: Path, updated: Sequence[str]) -> Iterator[str]:
    """Keys and states that say something else than when the job's outputs were written."""
    # a folder's own time moves whenever a file in it comes or goes
    made = [(workdir / name).stat().st_mtime_ns for name in job.outputs if (workdir / name).is_file()]
    if not made:
        return
    for path in (workdir / name for name in job.inputs if _watched(name)):
        if not path.exists() or path.stat().st_mtime_ns <= min(made):
            continue
        name = str(path.relative_to(workdir)) if path.is_relative_to(workdir) else str(path)
        old, new = text_at(path, min(made)), path.read_text(encoding="utf-8")
        if old is not None and old != new:
            yield from _differences(json.loads(old), json.loads(new))
        elif name in updated:
            yield f"{path.name} is newer than the result; " + (
                "what it said before is not kept" if old is None else "it says the same as before"
            )


def _differences(old: Any, new: Any) -> Iterator[str]:
    if "patients" in new:
        return patient_changes(old, new)
    return state_changes(old, new) if "files" in new else key_changes(old, new)


def patient_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Patients who came and left between two lists of a cohort."""
    before, after = set(old["patients"]), set(new["patients"])
    counts = {"added": len(after - before), "gone": len(before - after)}
    counts["withdrew"] = new["withdrawn"] - old["withdrawn"]
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count > 0)
    yield f"of {len(before)} patient{'' if len(before) == 1 else 's'}: {told or 'other ones'}"


def key_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Settings, modules, data files and versions that differ between two texts of a key."""
    before, after = (dict(_leaves(key.get("settings"))) for key in (old, new))
    yield from _values("setting ", before, after)
    for part in ("code", "data"):
        if files := _files(old.get(part), new.get(part)):
            yield f"{part} changed: {_few(files)}"
    yield from _values("", old.get("versions", {}), new.get("versions", {}))


def state_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Files of a patient that differ between two states: [name, size, version]."""
    before, after = ({str(name): rest for name, *rest in _rows(state)} for state in (old, new))
    counts = {
        "with other content": sum(name in before and before[name] != rest for name, rest in after.items()),
        "added": len(after.keys() - before.keys()),
        "removed": len(before.keys() - after.keys()),
    }
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    yield f"of {len(before)} source file{'' if len(before) == 1 else 's'}: {told or 'the same in another order'}"


def _rows(state: Mapping[str, Any]) -> list[list[Any]]:
    """Files of a state; those without a patient are told as rows that were set aside."""
    return [*state["files"], *([row["item"], row["reason"]] for row in state.get("set_aside", ()))]


def _values(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield f"{kind}{name} is new: {_value(new[name])}"
        elif name not in new:
            yield f"{kind}{name} was {_value(old[name])} and is gone"
        elif old[name] != new[name]:
            yield f"{kind}{name} was {_value(old[name])} and is {_value(new[name])}"


def _files(old: Any, new: Any) -> list[str]:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return [] if old == new else ["which file is not known"]
    return [
        name + (" (new)" if name not in old else " (gone)" if name not in new else "")
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; an element of a list of steps goes by the step's name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value and all(isinstance(inner, Mapping) for inner in value):
        for number, inner in enumerate(value, 1):
            yield from _leaves(inner, f"{name}.{inner.get('step', number)}")
    else:
        yield name or "value", value


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _other_set(job: Job, workdir: Path) -> str:
    recorded = _recorded_inputs(job, workdir)
    if recorded is None:
        return "other input files than before"
    added, gone = sorted(set(job.inputs) - recorded), sorted(recorded - set(job.inputs))
    parts = [f"{len(names)} {word} ({_few(names)})" for names, word in ((added, "added"), (gone, "gone")) if names]
    return f"other input files than before: {', '.join(parts) or 'the same in another order'}"


def _recorded_inputs(job: Job, workdir: Path) -> set[str] | None:
    """Inputs in Snakemake's record of the first output; None where there is no record under that name."""
    name = base64.urlsafe_b64encode(job.outputs[0].encode()).decode()
    record = workdir / ".snakemake/metadata" / name
    # Snakemake cuts longer names in pieces; the sentence does without the list then
    return set(read_json(record)["input"]) if len(name) < 255 and record.is_file() else None


def _follows(reasons: Mapping[str, Sequence[str]], makers: Mapping[str, str]) -> Iterator[str]:
    made: dict[str, set[str]] = defaultdict(set)
    for name in reasons.get(ANEW, ()):
        made[makers.get(name, "another job")].add(name)
    for rule, names in sorted(made.items()):
        bases = Counter(Path(name).name for name in names)
        told = ", ".join(base if count == 1 else f"{count} {base}" for base, count in sorted(bases.items()))
        if len(bases) > SHOWN:
            told = f"{len(names)} files"
        yield f"{told} made anew, because {rule} runs"


def _watched(name: str) -> bool:
    return Path(name).parent.name in WATCHED


def _few(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


# --- for the command -------------------------------------------------------------------------------------------------


def lines(explained: Sequence[Explained]) -> list[str]:
    """Sentences: first jobs for which something changed, then those that follow; alike patients share a line."""
    if not explained:
        return ["Nothing would run: every result is up to date."]
    causes = [found for found in explained if found.causes]
    rest = [found for found in explained if not found.causes]
    count = f"{len(explained)} job{'s' if len(explained) > 1 else ''} would run."
    return [count, *_shared(causes), *(["And what follows:"] if rest else []), *_shared(rest)]


def _shared(explained: Sequence[Explained]) -> list[str]:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for found in explained:
        scope = [value for name, value in found.job.wildcards.items() if name != "patient"]
        what = "; ".join(found.causes or found.follows) or found.job.reason
        groups[" ".join([found.job.rule, *scope]), what].append(found.job.wildcards.get("patient", ""))
    return [
        f"{name}{f' {patients[0]}' if patients[0] else ''}"
        f"{f' and {len(patients) - 1} more' if len(patients) > 1 else ''}: {what}"
        for (name, what), patients in groups.items()
    ]


def as_dict(explained: Sequence[Explained]) -> dict[str, Any]:
    """The same for programs: a record a job."""
    return {
        "ok": True,
        "jobs": [
            {
                "rule": found.job.rule,
                "wildcards": dict(found.job.wildcards),
                "causes": list(found.causes),
                "follows": list(found.follows),
                "snakemake": found.job.reason,
            }
            for found in explained
        ],
    }
