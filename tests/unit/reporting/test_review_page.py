"""The page of verdicts: what it shows, what it never knows, and the table that its form saves."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from osteorad.cohort.review import COLUMNS, read_verdicts
from osteorad.cohort.tables import read_table
from osteorad.files import read_json, write_json
from osteorad.reporting import review_page
from osteorad.reporting.check import check_page
from osteorad.reporting.cohort_page import write_cohort_page
from osteorad.reporting.review_page import OWN, write_review_page
from tests.unit.reporting.invented_cohort import write_cohort

SESSION = "s0a1b2c3d"
SCRIPT = OWN / "review.js"


def patient_name(number: int) -> str:
    return f"p{number:012x}"


def sha(*words: object) -> str:
    return hashlib.sha256(repr(words).encode()).hexdigest()


def manifests(root: Path, patients: int, lesions: int = 1) -> dict[str, list[Path]]:
    """Images CT and PET of each patient, and lesions on both."""
    paths: dict[str, list[Path]] = {"images": [], "masks": []}
    for patient in map(patient_name, range(1, patients + 1)):
        images = [{"session": SESSION, "image": name, "sha256": sha(patient, name)} for name in ("ct", "pet")]
        masks = [
            {"session": SESSION, "image": name, "roi": "lesion", "lesion": number, "volume_ml": 1.25 * number,
             "sha256": sha(patient, name, number)}
            for name in ("ct", "pet") for number in range(1, lesions + 1)
        ]  # fmt: skip
        for kind, content in (("images", {"images": images}), ("masks", {"set": "manual", "masks": masks})):
            paths[kind].append(root / f"{patient}-{kind}.json")
            write_json(paths[kind][-1], {"patient": patient, **content})
    return paths


def write(root: Path, verdicts: dict[str, dict[str, str]], patients: int = 3, lesions: int = 1) -> tuple[str, Any]:
    out = {"out_html": root / "review.html", "out_json": root / "review.json"}
    paths = manifests(root, patients, lesions)
    write_review_page(cohort="invented", title="An invented cohort", verdicts=verdicts, **paths, **out)
    return out["out_html"].read_text(encoding="utf-8"), read_json(out["out_json"])


def item(patient: str, image: str, lesion: int | None = None) -> str:
    if lesion is None:
        return f"{SESSION}/{image}@{sha(patient, image)[:8]}"
    return f"manual/{SESSION}/{image}/lesion-{lesion}@{sha(patient, image, lesion)[:8]}"


ONE = patient_name(1)
SAID = {
    ONE: {
        item(ONE, "ct", 1): "rejected",
        f"{SESSION}/ct": "accepted",
        f"manual/{SESSION}/pet/lesion-1@00000000": "rejected",
        f"manual/{SESSION}/pet/lesion-7": "rejected",
    }
}


def test_every_image_and_mask_stands_there_with_its_verdict(tmp_path: Path) -> None:
    html, told = write(tmp_path, SAID)
    lines = re.findall(r'<tr data-item="([^"]+)"(?: data-verdict="(\w+)")?(?: data-said="([^"]+)")?>', html)
    assert len(lines) == 12
    assert [line for line in lines if line[1]] == [
        (item(ONE, "ct"), "accepted", f"{SESSION}/ct"),
        (item(ONE, "ct", 1), "rejected", ""),
    ]
    assert told["numbers"] == {
        "patients": 3, "things": 12, "accepted": 1, "rejected": 1, "open": 10, "earlier": 2, "left_out": 0,
    }  # fmt: skip
    assert "2 verdicts are about earlier versions" in told["sections"][0]["sentence"]


def test_page_is_sound_and_runs_its_own_script_alone(tmp_path: Path) -> None:
    html, told = write(tmp_path, SAID)
    assert check_page(html, told) == ["<script> loads or runs something"]
    script = re.search(r"<script>(.*?)</script>", html, flags=re.S)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert script is not None
    assert policy is not None
    token = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert f"script-src 'sha256-{token}';" in policy[1]
    assert script[1] == SCRIPT.read_text(encoding="utf-8")
    assert len(script[1].encode()) < 10_000


def test_without_scripts_there_is_no_form_and_a_way_by_hand(tmp_path: Path) -> None:
    html, told = write(tmp_path, {})
    assert '<div id="form" hidden>' in html
    assert not re.search(r"<(select|textarea)", html)
    assert re.findall(r'<input[^>]* id="(\w+)"', html) == ["reader", "present"]
    assert "By hand, or where scripts are off" in told["sections"][0]["parts"][0]["texts"][2]


def test_five_hundred_patients_fit(tmp_path: Path) -> None:
    html, told = write(tmp_path, {}, patients=500, lesions=12)
    assert told["numbers"]["things"] == 13_000
    assert told["numbers"]["left_out"] == 0
    assert len(html.encode()) < 2_500_000


def test_patients_that_do_not_fit_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_page, "MOST_ROWS", 11)
    html, told = write(tmp_path, {})
    assert told["numbers"]["left_out"] == 1
    assert html.count("<details") == 2
    assert "No room on this page for 1\u00a0patient more" in html


def test_two_runs_give_the_same_bytes_and_order_does_not_matter(tmp_path: Path) -> None:
    for name in ("one", "two"):
        paths = manifests(tmp_path / name, 3)
        paths = paths if name == "one" else {kind: found[::-1] for kind, found in paths.items()}
        out = {"out_html": tmp_path / name / "review.html", "out_json": tmp_path / name / "review.json"}
        write_review_page(cohort="c", title="", verdicts=SAID, **paths, **out)
    for name in ("review.html", "review.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_cohort_page_tells_the_state_and_leads_there(tmp_path: Path) -> None:
    write(tmp_path, SAID)
    given = write_cohort(tmp_path / "cohort", 2, drawn=1, matrix=96, slices=30)
    write_cohort_page(**given, review=tmp_path / "review.json")
    html, told = given["out_html"].read_text(encoding="utf-8"), read_json(given["out_json"])
    assert check_page(html, told) == []
    assert 'href="review.html"' in html
    section = next(entry for entry in told["sections"] if entry["id"] == "review")
    assert section["sentence"].startswith(
        "Of 12\u00a0images and masks, 1 accepted, 1 rejected, 10 without a verdict. 2"
    )


# --- the form's table, by the page's own script -----------------------------------------------------------------------


def run(expression: str) -> Any:
    """The value of an expression in the page's script; skipped where there is no node to run it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("skipped: no node to run the page's script")
    program = f"const page = require({json.dumps(str(SCRIPT))}); console.log(JSON.stringify({expression}))"
    return json.loads(subprocess.run([node, "-e", program], capture_output=True, text=True, check=True).stdout)


def saved(tmp_path: Path, present: str | None, shown: list[dict[str, str]], made: list[dict[str, str]]) -> Path:
    path = tmp_path / "review.tsv"
    words = ", ".join(json.dumps(part) for part in (present, shown, made))
    path.write_text(run(f"page.table({words})"), encoding="utf-8")
    return path


def verdict(patient: str, name: str, said: str = "rejected", **more: str) -> dict[str, str]:
    return {"patient": patient, "item": name, "verdict": said, **more}


def test_a_saved_table_is_read_as_it_was_meant(tmp_path: Path) -> None:
    comment = 'a "quoted"\tword;\nand another, longer'
    shown = [verdict(ONE, item(ONE, "ct"), "accepted"), verdict(ONE, item(ONE, "ct", 1))]
    made = [verdict(ONE, item(ONE, "ct", 1), "accepted", reader="Dr. Ä", comment=comment)]
    table = read_table(saved(tmp_path, None, shown, made))
    assert table.header == COLUMNS
    assert [row.cells["comment"] for row in table.rows] == ["", 'a "quoted" word; and another, longer']
    assert [row.cells["reader"] for row in table.rows] == ["", "Dr. Ä"]
    read, problems = read_verdicts(table, patients=[ONE], sets=["manual"])
    assert problems == []
    assert read == {ONE: {item(ONE, "ct"): "accepted", item(ONE, "ct", 1): "accepted"}}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\t=", '="'])
def test_no_cell_is_a_formula(start: str) -> None:
    text = run(f"page.cell({json.dumps(start + 'cmd()')})")
    assert text.strip('"').startswith("'")


def test_lines_of_the_present_table_stay_as_they_are(tmp_path: Path) -> None:
    head, old = "patient\treader\titem\tverdict\tcomment", f"{ONE}\tDr. Old\t{SESSION}/ct\trejected\tmotion"
    path = saved(
        tmp_path, f"\ufeff{head}\r\n{old}\r\n\r\n", [], [verdict(ONE, f"{SESSION}/ct", "accepted", reader="N")]
    )
    assert path.read_text(encoding="utf-8").splitlines() == [head, old, f"{ONE}\tN\t{SESSION}/ct\taccepted\t"]
    assert read_verdicts(read_table(path), patients=[ONE], sets=[])[0] == {ONE: {f"{SESSION}/ct": "accepted"}}


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("\t".join(COLUMNS) + "\n", list(COLUMNS)),
        ("\ufeff" + "\t".join(COLUMNS[::-1]) + "\r\n", list(COLUMNS[::-1])),
        (";".join(COLUMNS) + "\n", None),
        ("\t".join(COLUMNS[:4]) + "\n", None),
        ("\t".join([*COLUMNS, "more"]) + "\n", None),
        ("\t".join(COLUMNS) + "\np1\ts/ct\trejected\tM\ufffdller\t\n", None),
        ("", None),
    ],
)
def test_only_a_table_that_can_be_continued_is_taken(text: str, columns: list[str] | None) -> None:
    assert run(f"page.columnsOf({json.dumps(text)})") == columns
