"""The table of verdicts: which line counts, and what is wrong with it before any job; messages show no cells."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from osteorad.cohort.check import Known, check
from osteorad.cohort.keys import key_texts
from osteorad.cohort.load import load
from osteorad.cohort.pseudonyms import PHANTOM_KEY, patient_pseudonym, phantom_patient_ids
from osteorad.cohort.review import read_verdicts, review_of, reviews_of
from osteorad.cohort.segmentation import SegmentationRecipe
from osteorad.cohort.tables import read_table
from osteorad.cohort.verdicts import rejecting
from osteorad.errors import ConfigError
from osteorad.files import read_json
from tests.conftest import ROOT

from .folders import CONFIG, clone, working

ONE, TWO = "p0123456789ab", "pba9876543210"
HEAD = "patient\titem\tverdict\treader\tcomment\n"
MASK, IMAGE = "manual/s0a1b2c3d/ct/lesion-1", "s0a1b2c3d/ct"
PATIENTS = {"ID-01": ONE, "ID-02": TWO}


def lines(*rows: tuple[str, ...]) -> str:
    return HEAD + "".join("\t".join([*row, "Dr. Eva Muster", "margin"]) + "\n" for row in rows)


def read(tmp_path, text):
    path = tmp_path / "review.tsv"
    path.write_bytes(text.encode())
    return read_verdicts(read_table(path), patients=list(PATIENTS.values()), sets={"manual", "reader2"})


def test_the_last_line_on_an_item_counts(tmp_path):
    text = lines((ONE, MASK, "rejected"), (ONE, IMAGE, "accepted"), (ONE, MASK, "Accepted"), (TWO, MASK, "rejected"))
    verdicts, problems = read(tmp_path, text)
    assert problems == []
    assert verdicts == {ONE: {MASK: "accepted", IMAGE: "accepted"}, TWO: {MASK: "rejected"}}


def test_a_verdict_on_any_version_ends_those_on_single_ones(tmp_path):
    versions = [f"{MASK}@{digit * 8}" for digit in "ab"]
    verdicts, _ = read(tmp_path, lines((ONE, versions[0], "rejected"), (ONE, MASK, "accepted")))
    assert verdicts == {ONE: {MASK: "accepted"}}
    verdicts, _ = read(tmp_path, lines((ONE, MASK, "rejected"), *((ONE, item, "accepted") for item in versions)))
    assert verdicts == {ONE: {MASK: "rejected", **dict.fromkeys(versions, "accepted")}}


def test_tables_of_spreadsheet_programs_are_read(tmp_path):
    text = f"\ufeffsep=;\r\npatient;item;verdict\r\n{ONE};{MASK};rejected\r\n;;\r\n"
    assert read(tmp_path, text) == ({ONE: {MASK: "rejected"}}, [])


def test_only_what_can_reject_stands_in_the_keys_of_the_tables(tmp_path):
    version, other = f"{MASK}@{'a' * 8}", "manual/s0a1b2c3d/pet/lesion-1"
    verdicts = {
        ONE: {MASK: "rejected", version: "accepted", IMAGE: "accepted"},
        TWO: {f"{other}@{'b' * 8}": "accepted"},
    }
    assert rejecting(verdicts) == {ONE: {MASK: "rejected", version: "accepted"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD.replace("verdict", "verdit") + f"{ONE}\t{MASK}\trejected\t\t\n",
            "review.tsv: unknown column 'verdit'. Did you mean 'verdict'? "
            "Valid: comment, item, patient, reader, verdict.",
        ),
        ("patient\titem\n", "review.tsv: there is no column 'verdict'."),
        (
            lines((ONE, MASK, "accepted"), (ONE, IMAGE, "acepted"), (TWO, MASK, "no"), (TWO, IMAGE, "acceptd")),
            "review.tsv: unknown verdict on lines 3, 5. Did you mean 'accepted'? Valid: accepted, rejected.",
        ),
        (
            lines(("p0123456789ac", MASK, "rejected")),
            f"review.tsv: unknown patient on line 2. Did you mean '{ONE}'? Valid: {ONE}, {TWO}.",
        ),
        (
            lines((ONE, MASK.replace("manual", "manul"), "rejected")),
            "review.tsv: unknown mask set on line 2. Did you mean 'manual'? Valid: manual, reader2.",
        ),
    ],
)
def test_problems_name_lines_and_the_nearest_name(tmp_path, text, message):
    verdicts, problems = read(tmp_path, text)
    assert verdicts == {}
    assert message in problems
    assert not any("Muster" in problem or "margin" in problem for problem in problems)


@pytest.mark.parametrize(
    "item",
    [
        "lesion-1",
        "s0a1b2c3d",
        "s0a1b2c3d/ct/lesion-1",
        "manual/s0a1b2c3d/ct",
        "manual/s0a1b2c3d/ct/lesion",
        "manual/s0a1b2c3d/ct/lesion-0",
        f"{MASK}@abc",
        f"{MASK}@{'A' * 8}",
        "manual/Muster^Eva/ct/lesion-1",
        "",
    ],
)
def test_an_item_of_another_form_is_told_by_its_line(tmp_path, item):
    _, problems = read(tmp_path, lines((ONE, MASK, "rejected"), (ONE, item, "rejected")))
    assert len(problems) == 1
    assert problems[0].startswith("review.tsv: the item is not named rightly on line 3. Wanted: <session>/<image> or")
    assert "Muster" not in problems[0]


# --- in a working folder ----------------------------------------------------------------------------------------------


def folder(tmp_path, text, config=CONFIG, cohort="real"):
    work = working(tmp_path / "work", config)
    (work / "private" / cohort).mkdir(parents=True)
    (work / "private" / cohort / "review.tsv").write_text(text)
    return work, clone(tmp_path / "clone")


def test_check_tells_of_every_problem_of_the_table(tmp_path):
    work, root = folder(tmp_path, lines(("p0123456789ac", MASK, "rejectd")))
    known = {"real": Known(patients=PATIENTS, files=2)}
    assert check(work, root, known).problems[:2] == [
        "private/real/review.tsv: unknown verdict on line 2. Did you mean 'rejected'? Valid: accepted, rejected.",
        f"private/real/review.tsv: unknown patient on line 2. Did you mean '{ONE}'? Valid: {ONE}, {TWO}.",
    ]
    with pytest.raises(ConfigError, match="unknown verdict on line 2"):
        reviews_of(load(work, root))


def test_without_a_table_nobody_reviewed(tmp_path):
    assert reviews_of(load(working(tmp_path / "work"), clone(tmp_path / "clone"))) == {"real": {}}


def test_verdicts_on_who_withdrew_are_no_mistake_and_stand_in_no_key(tmp_path):
    work, root = folder(tmp_path, lines((ONE, MASK, "rejected"), ("p0000000000ff", MASK, "rejected")))
    (work / "private/real/withdrawn.tsv").write_text("patient\np0000000000ff\n")
    problems = check(work, root, {"real": Known(patients=PATIENTS, files=2)}).problems
    assert [problem for problem in problems if "review.tsv" in problem] == []
    assert reviews_of(load(work, root)) == {"real": {ONE: {MASK: "rejected"}}}


def test_a_mask_set_of_drawn_files_may_be_judged(tmp_path):
    work, root = folder(tmp_path, lines((ONE, MASK.replace("manual", "later"), "rejected")))
    assert len(check(work, root).problems) == 1
    (work / "contours/later").mkdir(parents=True)
    assert check(work, root).problems == []


def test_a_mask_set_that_networks_learn_from_may_be_judged(tmp_path):
    """The review page shows it: a line that the page saved must not stop the next run."""
    work, root = folder(tmp_path, lines((ONE, MASK.replace("manual", "reader2"), "rejected")))
    loaded = load(work, root)
    assert len(review_of(loaded, "real", None)[1]) == 1
    settings = yaml.safe_load((ROOT / "resources/recipes/afnouch2023.yaml").read_text())
    settings["segmentation"]["mask_set"] = "reader2"
    recipes = {"os": SegmentationRecipe.model_validate(settings)}
    assert review_of(replace(loaded, segmentations=recipes), "real", None)[1] == []


def test_patients_of_a_phantom_are_known_before_any_run(tmp_path):
    config = (ROOT / "tests/configs/small/config.yaml").read_text()
    patient = patient_pseudonym(PHANTOM_KEY, phantom_patient_ids(1, 12)[0])
    work, _ = folder(tmp_path, lines((patient, MASK, "rejected"), (ONE, MASK, "rejected")), config, "small")
    problems = check(work, ROOT).problems
    assert len(problems) == 1
    assert problems[0].startswith("private/small/review.tsv: unknown patient on line 3.")


def test_readers_and_comments_are_in_no_key_and_a_verdict_is_in_three(tmp_path):
    work, root = folder(tmp_path, lines((ONE, MASK, "rejected"), (TWO, IMAGE, "accepted")))
    loaded = load(work, root)
    texts = key_texts(ROOT, loaded.config, loaded.recipes, reviews_of(loaded))
    bare = key_texts(ROOT, loaded.config, loaded.recipes, {})
    assert not any("Muster" in text or "margin" in text for text in texts.values())
    changed = {path.split("/")[-1] for path in texts if texts[path] != bare[path]}
    assert changed == {
        "collect_cohort.real.json",
        "collect_features.real.lesion-table.json",
        "collect_features.real.zhu2024.json",
        "review_cohort.real.json",
    }
    (tmp_path / "key.json").write_text(texts["results/.state/keys/collect_cohort.real.json"])
    assert read_json(tmp_path / "key.json")["settings"]["rejected"] == {ONE: {MASK: "rejected"}}
