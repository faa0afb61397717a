"""The list of runs: what counts as a run, what is told to have changed, and that no line vanishes unnoticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osteorad.files import json_text, read_json, write_json
from osteorad.past import write_with_past
from osteorad.provenance import sha256_file
from osteorad.reporting.check import check_page
from osteorad.reporting.history import NAME, Runs, State, append, next_line, read_runs
from osteorad.reporting.history_page import history_report
from osteorad.reporting.render import render_page

KEY = "results/.state/keys/fit_models.marrow.json"
PATIENTS = ("p1", "p2", "p3")


GOOD = "Audit passed: 13 of 13 checks"


def told(auc: float = 0.71, *, kind: str = "result", verdict: str = GOOD) -> dict[str, Any]:
    """What a list needs of a report.json."""
    return {
        "title": "Does it?",
        "state": f"AUC {auc:.2f}",
        "chips": [{"text": verdict, "tone": "ok" if verdict == GOOD else "bad"}],
        "numbers": {
            "answer": {"kind": kind, "auc": auc, "low": auc - 0.1, "high": auc + 0.1},
            "counts": {"samples": 5},
        },
    }


def key(repeats: int = 5, code: str = "aa", numpy: str = "2.4.6") -> str:
    settings = {"splits": {"repeats": repeats}}
    return json_text({"settings": settings, "code": {"osteorad/a.py": code}, "data": {}, "versions": {"numpy": numpy}})


def note(folder: Path, report: dict[str, Any], text: str, patients: tuple[str, ...] = PATIENTS, day: int = 1) -> Any:
    """What a run that ended so adds to the list of `folder`; None where it adds nothing."""
    write_json(folder / "report.json", report)
    write_with_past(folder / KEY, text)
    state = state_of(folder, {KEY: text}, patients)
    last = folder / "last.json"
    before = read_json(last) if last.exists() else []
    line = next_line(read_runs(folder / NAME), state, before=before, time=f"2026-11-{day:02d} 08:00", folder=folder)
    if line is not None:
        append(folder / NAME, line)
        write_json(last, patients)
    return line


def state_of(folder: Path, keys: dict[str, str], patients: tuple[str, ...] = PATIENTS) -> State:
    report = folder / "report.json"
    named = frozenset({*PATIENTS, *patients, "STS_026"})
    return State(report=read_json(report), digest=sha256_file(report), keys=keys, patients=patients, named=named)


def page(runs: Runs, kind: str = "analysis") -> str:
    """The page of a list, found sound."""
    report = history_report(kind, "marrow", "Does it?", runs)
    html = render_page(report)
    assert check_page(html, report) == []
    return html


def test_a_run_counts_only_where_something_differs(tmp_path):
    assert note(tmp_path, told(), key())["run"] == 1
    assert note(tmp_path, told(), key(), day=2) is None
    assert note(tmp_path, told(), key(code="bb"), day=3)["run"] == 2
    assert note(tmp_path, told(0.6), key(code="bb"), day=4)["run"] == 3
    runs = read_runs(tmp_path / NAME)
    assert [line["time"][:10] for line in runs.lines] == ["2026-11-01", "2026-11-03", "2026-11-04"]
    assert runs.problems == ()


def test_what_changed_is_said_old_and_new(tmp_path):
    first = note(tmp_path, told(), key())
    assert (first["changes"], first["auc"]) == ([], pytest.approx([0.71, 0.61, 0.81]))
    line = note(
        tmp_path, told(0.65, verdict="Audit FAILED: 12 of 13 checks"), key(2, "bb", "2.5.0"), ("p2", "p3", "p4", "p5")
    )
    assert [(c["kind"], c["what"]) for c in line["changes"]] == [
        ("setting", "splits.repeats was 5 and is 2"),
        ("code", "osteorad/a.py"),
        ("version", 'numpy was "2.4.6" and is "2.5.0"'),
        ("figures", "was AUC 0.71; is AUC 0.65"),
        ("figures", f"was {GOOD}; is Audit FAILED: 12 of 13 checks"),
    ]
    assert (line["came"], line["left"], line["n"]) == (2, 1, 4)
    assert line["settings"] != first["settings"]
    assert line["code"] != first["code"]
    html = page(read_runs(tmp_path / NAME))
    for words in ("2 came, 1 left; now 4", "splits.repeats was 5 and is 2"):
        assert words in html
    assert "Each try with other settings is a chance to be lucky." in html


def test_same_settings_are_no_second_try(tmp_path):
    note(tmp_path, told(), key())
    line = note(tmp_path, told(), key(code="bb"))
    first = read_runs(tmp_path / NAME).lines[0]
    assert line["settings"] == first["settings"]
    assert "chance to be lucky" not in page(read_runs(tmp_path / NAME))


def test_a_key_whose_past_is_not_kept_is_said(tmp_path):
    note(tmp_path, told(), key())
    (tmp_path / KEY).unlink()
    line = note(tmp_path, told(), key(2))
    assert line["changes"] == [
        {"kind": "step", "what": "changed; what it said before is not kept", "rules": "fit_models"}
    ]


def test_a_step_that_is_new_or_gone_is_said(tmp_path):
    note(tmp_path, told(), key())
    write_json(tmp_path / "report.json", told(0.6))
    other = KEY.replace("fit_models", "apply_bundle")
    state = state_of(tmp_path, {other: key()})
    line = next_line(read_runs(tmp_path / NAME), state, before=PATIENTS, time="2026-11-02 08:00", folder=tmp_path)
    assert line is not None
    said = [(c["what"], c["rules"]) for c in line["changes"] if c["kind"] == "step"]
    assert said == [("is new", "apply_bundle"), ("is no longer used", "fit_models")]


def three(folder: Path) -> Path:
    for day, repeats in enumerate((5, 4, 3), 1):
        note(folder, told(0.6 + day / 100), key(repeats), PATIENTS[:day], day=day)
    assert read_runs(folder / NAME).problems == ()
    return folder / NAME


def test_a_torn_last_line_is_told_and_the_list_goes_on(tmp_path):
    path = three(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    runs = read_runs(path)
    assert [line["run"] for line in runs.lines] == [1, 2]
    assert runs.problems == ("Line 3 is cut off or damaged; a run that was being written is lost.",)
    before = path.read_bytes()
    assert note(tmp_path, told(0.9), key(1), ("p9",))["run"] == 3
    assert path.read_bytes().startswith(before + b"\n")
    runs = read_runs(path)
    assert [line["run"] for line in runs.lines] == [1, 2, 3]
    assert len(runs.problems) == 1
    assert "Line 3 is cut off" in page(runs)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_changed_line_is_told(tmp_path, place):
    path = three(tmp_path)
    lines = path.read_text().splitlines()
    lines[place] = lines[place].replace('"n": ', '"n": 9')
    path.write_text("\n".join(lines) + "\n")
    assert f"Line {place + 1}: run {place + 1} was changed after it was written." in read_runs(path).problems


def test_a_line_changed_with_its_digest_is_told_by_the_next(tmp_path):
    path = three(tmp_path)
    lines = path.read_text().splitlines()
    forged = json.loads(lines[1]) | {"auc": [0.99, 0.98, 1.0]}
    del forged["digest"]
    append(tmp_path / "forged.jsonl", forged)
    lines[1] = (tmp_path / "forged.jsonl").read_text().strip()
    path.write_text("\n".join(lines) + "\n")
    assert read_runs(path).problems == ("Line 3: what stood before run 3 was changed or taken out.",)


@pytest.mark.parametrize("place", [0, 1])
def test_a_missing_line_is_told_and_still_counted(tmp_path, place):
    path = three(tmp_path)
    lines = path.read_text().splitlines()
    del lines[place]
    path.write_text("\n".join(lines) + "\n")
    runs = read_runs(path)
    assert runs.problems == (f"Line {place + 1}: what stood before run {place + 2} was changed or taken out.",)
    assert "Run 3\u00a0times in this working folder" in page(runs)


def test_where_nobody_knows_who_counted_nothing_is_guessed(tmp_path):
    path = three(tmp_path)
    (tmp_path / "last.json").unlink()  # as after somebody withdrew
    line = note(tmp_path, told(0.9), key(1), ("p1",), day=4)
    assert (line["run"], line["came"], line["left"], line["n"]) == (4, None, None, 1)
    assert "how many came or left is not known" in page(read_runs(path))
    line = note(tmp_path, told(0.8), key(1), ("p1", "p2"), day=5)
    assert (line["came"], line["left"]) == (1, 0)


def test_patients_of_another_line_are_not_taken_for_those_of_the_last(tmp_path):
    """A run that was killed between the list and the note of who counted."""
    three(tmp_path)
    write_json(tmp_path / "last.json", PATIENTS[:1])
    assert note(tmp_path, told(0.9), key(1), PATIENTS, day=4)["came"] is None


def test_nobody_is_named_not_even_by_a_setting(tmp_path):
    def excluding(patient: str) -> str:
        return json_text({"settings": {"exclude": {patient: "withdrew"}, "title": f"without {patient}"}})

    note(tmp_path, told(), excluding("STS_001"))
    line = note(tmp_path, told(), excluding("7"))  # too short to be looked for, but it stands where a patient stands
    assert {change["what"] for change in line["changes"] if "exclude" in change["what"]} == {
        'exclude.<patient> is new: "withdrew"',
        'exclude.<patient> was "withdrew" and is gone',
    }
    line = note(tmp_path, told(), excluding("STS_026"))
    assert 'title was "without 7" and is "without <patient>"' in [change["what"] for change in line["changes"]]
    text = (tmp_path / NAME).read_text() + page(read_runs(tmp_path / NAME))
    assert [name for name in (*PATIENTS, "STS_026", "exclude.7", "exclude.STS") if name in text] == []


@pytest.mark.parametrize("setting", ["rejected", "verdicts"])
def test_a_verdict_names_neither_patient_nor_session(tmp_path, setting):
    def judged(*items: str) -> str:
        return json_text({"settings": {setting: {"7": dict.fromkeys(items, "rejected")}}})

    note(tmp_path, told(), judged("s0a1b2c3d/ct"))
    line = note(tmp_path, told(), judged("manual/s0a1b2c3d/ct/lesion-1@01234567", "reader2/s0a1b2c3d/ct/lesion-1"))
    assert [change["what"] for change in line["changes"]] == [
        f'{setting}.<patient> is new: "rejected"',
        f'{setting}.<patient> was "rejected" and is gone',
    ]


@pytest.mark.parametrize(
    "edited",
    [
        {"verdict": None},
        {"verdict": {"word": "fine"}},
        {"verdict": {"word": 1, "tone": "ok"}},
        {"auc": [0.7]},
        {"auc": ["0.7", 0.6, 0.8]},
        {"changes": ["all"]},
        {"keys": []},
        {"n": "12"},
        {"came": "2"},
    ],
)
def test_a_line_that_was_edited_to_what_cannot_be_shown_is_told(tmp_path, edited):
    path = three(tmp_path)
    lines = path.read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | edited)
    path.write_text("\n".join(lines) + "\n")
    runs = read_runs(path)
    assert runs.problems == ("Line 3 is cut off or damaged; a run that was being written is lost.",)
    assert "Line 3 is cut off" in page(runs)
    assert note(tmp_path, told(0.9), key(1), ("p9",))["run"] == 3


def test_bytes_that_are_no_list_are_told(tmp_path):
    (tmp_path / NAME).write_bytes(b'\xff\xfe\x00\n[1]\n{"run": "a"}\n\n')
    assert read_runs(tmp_path / NAME).lines == ()
    assert len(read_runs(tmp_path / NAME).problems) == 3


@pytest.mark.parametrize("kind", ["analysis", "cohort"])
def test_pages_of_one_run_and_of_none_are_sound(tmp_path, kind):
    assert "None: 0 of 0\u00a0runs." in page(Runs(lines=(), problems=()), kind)
    report = told(kind="too_few_events")
    if kind == "cohort":
        report["numbers"] = {"patients": 3}
    note(tmp_path, report, key())
    assert "fewer than 2 runs" in page(read_runs(tmp_path / NAME), kind)


def test_no_one_and_no_machine_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("USER", "quorfelbach")
    path = three(tmp_path)
    fields = json.loads(path.read_text().splitlines()[-1])
    assert not {"user", "host", "pid", "path"} & set(fields)
    assert "quorfelbach" not in path.read_text()
    assert str(tmp_path) not in path.read_text()
