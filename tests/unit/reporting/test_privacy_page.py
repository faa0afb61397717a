"""The page for the data protection officer: honest about what was done, counted, searched and left to people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from osteorad.cohort import schemas
from osteorad.cohort.searched import outputs_digest
from osteorad.dicom.policy import load_policy
from osteorad.files import read_json, table_from_rows, write_json, write_parquet
from osteorad.reporting.check import check_page
from osteorad.reporting.privacy_page import write_privacy_page
from osteorad.reporting.rare import Variable, cells_of, old_patients, rare_rows, variables_of

POLICY = load_policy()
OPTIONS = [code for code, _ in POLICY.options]
PEOPLE = [f"p{number:02d}" for number in range(12)]
SEARCH: dict[str, Any] = {
    "cohort": "c", "clean": True, "values": 4321, "kinds": 17, "not_looked_for": {"too short to tell": 88},
    "opened": 654, "nested": 77, "bytes": 1234567, "hits": 0, "hit_files": 0, "hit_files_here": 0, "not_opened": 0,
    "coincident_dates": 3,
}  # fmt: skip


def write(
    root: Path, *, source: str = "dicom", search: dict[str, Any] | None = None, **settings: Any
) -> dict[str, Any]:
    """Inputs of the page below `root`, and its arguments. search : changes to a clean one; None: there was none."""
    folder = root / "results"
    elsewhere = source == "deidentified"
    policy = {"edition": "" if elsewhere else POLICY.edition, "options": [] if elsewhere else OPTIONS}
    manifests = [folder / f"dicom/{patient}/images.json" for patient in PEOPLE]
    for patient, path in zip(PEOPLE, manifests, strict=True):
        write_json(path, {"patient": patient, "policy": {**policy, "date_shifted": not elsewhere, "key_check": "x"}})
    rows = [
        {"cohort": "c", "patient": p, "images": True, "in_table": True, "sessions": 1, "state": "used", "reason": ""}
        | {"age_years": 90.0 if number < 2 else 50.0 + number, "sex": "F" if number else "M"}
        for number, p in enumerate(PEOPLE)
    ]
    write_parquet(folder / "patients.parquet", table_from_rows(rows, schemas.PATIENTS))
    held = {"cohort": "c", "patient": "p01", "session": "", "stage": "files", "item": "f1", "count": 7, "detail": ""}
    aside = [held | {"kind": "quarantined", "reason": "screen_save"}]
    write_parquet(folder / "quarantine.parquet", table_from_rows(aside, schemas.QUARANTINE))
    loss = {"reason": "screen_save", "kind": "quarantined", "count": 7}
    stage = {"stage": "files", "unit": "files", "in": 1207, "used": 1200, "set_aside": [loss]}
    write_json(folder / "flow.json", {"stages": [stage]})
    columns = {"patient": PEOPLE, "site": ["A"] * 8 + ["Quorfelbach"] * 4, "event_day": [float(n) for n in range(12)]}
    write_parquet(folder / "clinical.parquet", pa.table(columns))
    if search is not None:
        write_json(root / "private/verify.json", {**SEARCH, "searched": outputs_digest(folder), **search})
    return {
        "cohort": "c",
        "settings": {"title": "Spine", "source": source, "head": "keep", "keep": ["site"], **settings},
        "manifests": manifests,
        "patients": folder / "patients.parquet",
        "quarantine": folder / "quarantine.parquet",
        "flow": folder / "flow.json",
        "clinical": folder / "clinical.parquet",
        "lesions": None,
        "search": None if search is None else root / "private/verify.json",
        "out_html": folder / "privacy.html",
        "out_json": folder / "privacy.json",
    }


def page(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The page, found sound, and what it was written from."""
    write_privacy_page(**given)
    html, told = given["out_html"].read_text(encoding="utf-8"), read_json(given["out_json"])
    assert check_page(html, told) == []
    return html, told


def chips(told: dict[str, Any]) -> dict[str, str]:
    return {chip["text"]: chip["tone"] for chip in told["chips"]}


def table(told: dict[str, Any], name: str) -> list[dict[str, Any]]:
    (found,) = [p for s in told["sections"] for p in s["parts"] if p.get("id") == name]
    return found["rows"]


def test_policy_options_and_counts_are_told(tmp_path):
    html, told = page(write(tmp_path))
    assert POLICY.edition in html
    assert [row["code"] for row in table(told, "options")] == sorted(OPTIONS)
    assert "the dates of 12 were moved" in html
    assert "1,200 of 1,207\u00a0files kept, 7 set aside." in html
    assert [(row["reason"], row["count"]) for row in table(told, "files-aside")] == [("screen_save", 7)]
    ct = {row["what"]: row["CT"] for row in table(told, "actions")}
    assert sum(ct.values()) == len(POLICY.actions("CT", True))


def test_a_patient_whose_dates_stayed_is_counted(tmp_path):
    given = write(tmp_path)
    told = read_json(given["manifests"][3])
    told["policy"]["date_shifted"] = False
    write_json(given["manifests"][3], told)
    assert "the dates of 11 were moved" in page(given)[0]


def test_columns_that_left_are_named_and_values_are_not(tmp_path):
    html, told = page(write(tmp_path))
    rows = {row["column"]: row["why"] for row in table(told, "columns")}
    assert rows == {"site": "named by keep in the settings", "event_day": "made from dates: days since the index date"}
    assert "Quorfelbach" not in html


@pytest.mark.parametrize(
    ("search", "chip", "tone", "words"),
    [
        (None, "Not searched yet", "warn", "Nobody has searched these outputs"),
        ({}, "Searched: no value found", "ok", "No hit is evidence, not proof."),
        (
            {"hits": 9, "hit_files": 4, "hit_files_here": 2},
            "Search: 9\u00a0hits",
            "bad",
            "9\u00a0places in 4\u00a0files, 2 of",
        ),
        ({"not_opened": 6}, "Search: no hit, but 6 not opened", "warn", "6\u00a0files or parts could not be opened"),
        ({"searched": {"files": 1, "digest": "0"}}, "Outputs changed since the search", "warn", "Search again."),
        ({"searched": {}, "hits": 9}, "Search: 9\u00a0hits", "bad", "Search again."),
    ],
)
def test_the_search_is_told_as_it_was(tmp_path, search, chip, tone, words):
    html, told = page(write(tmp_path, search=search))
    assert chips(told)[chip] == tone
    assert words in html
    assert ("4,321" in html) == (search is not None)


def test_outputs_made_anew_after_the_search_are_noticed(tmp_path):
    given = write(tmp_path, search={})
    assert "Searched: no value found" in chips(page(given)[1])
    write_json(given["manifests"][0], {**read_json(given["manifests"][0]), "files": [1]})
    assert "Outputs changed since the search" in chips(page(given)[1])


def test_what_came_pseudonymised_is_not_called_checked(tmp_path):
    html, told = page(write(tmp_path, source="deidentified"))
    assert "This workflow did not check." in html
    assert chips(told)["Pseudonymised elsewhere, not checked here"] == "warn"
    assert chips(told)["Not searched: no originals here to compare with"] == "warn"
    assert "are moved by whole days" not in html
    assert POLICY.edition not in html
    assert "none was moved here" in html


def test_what_another_site_ingested_says_under_which_policy(tmp_path):
    given = write(tmp_path, source="deidentified")
    for path in given["manifests"]:
        told = read_json(path)
        write_json(path, {**told, "policy": {**told["policy"], "edition": POLICY.edition}})
    html, _ = page(given)
    assert f"Its manifests state {POLICY.edition}." in html
    assert "This workflow did not check." in html


def test_phantoms_are_called_nobodys(tmp_path):
    html, _ = page(write(tmp_path, source="phantom"))
    assert "Digital patients: these are nobody&#39;s data." in html


@pytest.mark.parametrize(("head", "tone"), [("keep", "warn"), ("blank", "ok"), ("quarantine", "ok")])
def test_faces_are_told_by_the_setting(tmp_path, head, tone):
    html, told = page(write(tmp_path, head=head))
    word = {"keep": "Faces kept", "blank": "Heads blanked", "quarantine": "Heads held back"}[head]
    assert chips(told)[word] == tone
    assert ("matched with photographs" in html) == (head == "keep")


def test_same_inputs_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        page(write(tmp_path / name, search={}))
    for name in ("privacy.html", "privacy.json"):
        assert (tmp_path / "one/results" / name).read_bytes() == (tmp_path / "two/results" / name).read_bytes()


def test_a_cohort_without_tables_is_sound(tmp_path):
    given = write(tmp_path) | {"clinical": None}
    html, _ = page(given)
    assert "No clinical table: 0 columns." in html


# --- small groups ----------------------------------------------------------------------------------------------------


def variable(name: str, *values: Any) -> Variable:
    return Variable(name=name, values={f"p{n}": {value} for n, value in enumerate(values) if value is not None})


def test_cells_under_five_are_counted_with_their_patients():
    sex = variable("sex", *"FFFFFFFFMM")
    site = variable("site", *"AAAAABBBBB")
    rows = {row["what"]: row for row in rare_rows([sex, site])}
    assert {what: (r["cells"], r["small"], r["patients"], r["alone"]) for what, r in rows.items()} == {
        "sex": (2, 1, 2, 0),
        "site": (2, 0, 0, 0),
        "sex × site": (3, 2, 5, 0),
    }
    assert [row["kind"] for row in rows.values()] == ["groups", "groups", "pair"]


def test_numbers_are_told_one_by_one_and_not_combined():
    ages = variable("age years", *range(40, 60))
    sex = variable("sex", *("FM" * 10))
    rows = {row["what"]: row for row in rare_rows([ages, sex])}
    assert (rows["age years"]["kind"], rows["age years"]["alone"]) == ("number", 20)
    assert "age years × sex" not in rows


def test_a_missing_value_is_in_no_cell_and_several_are_in_several():
    site = variable("site", "A", None, "A")
    place = Variable(name="lesion location", values={"p0": {"L1", "L2"}, "p1": {"L1"}, "p2": {"L1"}})
    assert cells_of([site, place]) == {("A", "L1"): {"p0", "p2"}, ("A", "L2"): {"p0"}}


def test_columns_become_variables_without_empty_cells():
    rows = [{"patient": "a", "x": 1.0, "y": None}, {"patient": "b", "x": float("nan"), "y": None}]
    (found,) = variables_of(rows, ["x", "y"], prefix="lesion ")
    assert (found.name, found.values) == ("lesion x", {"a": {1.0}})


def test_the_oldest_are_counted_once():
    ages = [
        variable("age years", 90.0, 89.0, 90.0),
        variable("age", 90.0, 1.0, 2.0),
        variable("ki67", 95.0, 99.0, 91.0),
    ]
    assert old_patients(ages) == 2
