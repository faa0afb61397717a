"""Verdicts of readers on a finished run: only what collects runs again, and what was rejected has its reason."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from osteorad.cohort import samples
from osteorad.cohort.config import Analysis
from osteorad.cohort.plan import load_plan
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.schemas import FEATURE_KEYS
from osteorad.files import read_json, read_parquet
from osteorad.reporting.check import check_page
from tests.contracts.test_1_privacy import leaks
from tests.contracts.test_7_nothing_lost import lost
from tests.workflow.snake import ROOT, planned, snakemake

pytestmark = pytest.mark.workflow
COHORT = "results/cohorts/small"
READER, COMMENT = "Dr. Rosalind Muster", "drawn on the wrong vertebra"


class Reviewed:
    """A copy of the run with one lesion, one marrow and one PET rejected, and an earlier mask accepted."""

    def __init__(self, run: Path, folder: Path) -> None:
        shutil.copytree(run, folder)
        self.run, self.folder = run, folder
        names = sorted(path.parent.name for path in (folder / COHORT / "masks/manual").glob("*/masks.json"))
        with_two = [name for name in names if len([m for m in self.masks(name) if m["roi"] == "lesion"]) >= 2]
        self.lesion = next(m for m in self.masks(with_two[0]) if (m["roi"], m["image"]) == ("lesion", "ct"))
        others = [name for name in names if name != with_two[0]]
        self.marrow = next(m for m in self.masks(others[0]) if (m["roi"], m["image"]) == ("marrow", "ct"))
        images = read_json(folder / COHORT / "images" / others[1] / "images.json")["images"]
        self.pet = next(image for image in images if image["image"] == "pet")
        self.patients = (with_two[0], others[0], others[1])
        self.write(READER, COMMENT)

    def masks(self, patient: str) -> list[dict[str, Any]]:
        return list(read_json(self.folder / COHORT / "masks/manual" / patient / "masks.json")["masks"])

    def items(self) -> list[str]:
        lesion, marrow = (
            f"manual/{m['session']}/{m['image']}/{m['roi']}-{m['lesion']}" for m in (self.lesion, self.marrow)
        )
        return [lesion, marrow, f"{self.pet['session']}/pet"]

    def write(self, reader: str, comment: str) -> None:
        files = (self.lesion, self.marrow, self.pet)
        rows = [
            (patient, f"{item}@{entry['sha256'][:8]}", "rejected")
            for patient, item, entry in zip(self.patients, self.items(), files, strict=True)
        ]
        rows.append((self.patients[0], f"{self.items()[0]}@{'0' * 8}", "accepted"))
        text = "".join("\t".join([*row, reader, comment]) + "\n" for row in rows)
        path = self.folder / "private/small/review.tsv"
        path.write_text("patient\titem\tverdict\treader\tcomment\n" + text)

    def keys(self, name: str) -> set[tuple[Any, ...]]:
        names = list(FEATURE_KEYS)
        return {tuple(row.values()) for row in self.table(name).select(names).to_pylist()}

    def table(self, name: str, folder: Path | None = None) -> Any:
        return read_parquet((folder or self.folder) / COHORT / name)


@pytest.fixture(scope="module")
def reviewed(run, tmp_path_factory) -> Reviewed:
    """The copy after the jobs that collect have run again; the exact list of jobs is looked at on the way."""
    made = Reviewed(run, tmp_path_factory.mktemp("review") / "run")
    features = [str(p.relative_to(run)) for p in sorted((run / COHORT / "features").glob("*/*/features.parquet"))]
    assert planned(made.folder) == {
        "collect_cohort": 1,
        "collect_features": len(features),
        "review_cohort": 1,
        "report_cohort": 1,
        "report_privacy": 1,
        **dict.fromkeys(("make_samples", "make_splits", "fit_models", "freeze_bundle", "audit_analysis"), 1),
        **dict.fromkeys(("evaluate_analysis", "report_analysis", "write_index"), 1),
    }
    done = snakemake(made.folder, "--cores", "2", f"{COHORT}/report.html", *features)
    assert done.returncode == 0, done.stdout[-4000:]
    return made


def test_rejected_things_stand_once_in_quarantine(reviewed):
    rows = [r for r in reviewed.table("quarantine.parquet").to_pylist() if r["reason"] == "rejected_by_reader"]
    lesion, marrow, _ = reviewed.items()
    first, second, third = reviewed.patients
    on_pet = [
        f"manual/{m['session']}/pet/{m['roi']}-{m['lesion']}"
        for m in reviewed.masks(third)
        if (m["session"], m["image"]) == (reviewed.pet["session"], "pet")
    ]
    assert on_pet
    assert sorted((r["patient"], r["stage"], r["item"]) for r in rows) == sorted(
        [
            (first, "masks", lesion),
            (second, "masks", marrow),
            (third, "series", reviewed.pet["series"]),
            *((third, "masks", item) for item in on_pet),
        ]
    )


def test_every_stage_still_adds_up(reviewed):
    stages = {stage["stage"]: stage for stage in read_json(reviewed.folder / COHORT / "flow.json")["stages"]}
    before = {stage["stage"]: stage for stage in read_json(reviewed.run / COHORT / "flow.json")["stages"]}
    rows = [r for r in reviewed.table("quarantine.parquet").to_pylist() if r["reason"] == "rejected_by_reader"]
    for name in ("series", "masks"):
        gone = sum(row["stage"] == name for row in rows)
        assert stages[name]["in"] == before[name]["in"]
        assert stages[name]["used"] == before[name]["used"] - gone
        assert {"reason": "rejected_by_reader", "kind": "rejected", "count": gone} in stages[name]["set_aside"]
    assert (stages["images"]["in"], stages["images"]["used"]) == (before["images"]["in"] - 1,) * 2
    assert stages["patients"] == before["patients"]


def test_the_accounting_of_contract_7_holds(reviewed):
    assert lost(reviewed.folder, reviewed.folder / COHORT) == []


@pytest.mark.parametrize("preset", ["zhu2024", "lesion-table"])
def test_rows_of_rejected_things_are_not_among_the_features(reviewed, preset):
    name = f"features/{preset}/manual/features.parquet"
    before = {tuple(r.values()) for r in reviewed.table(name, reviewed.run).select(list(FEATURE_KEYS)).to_pylist()}
    after = reviewed.keys(name)
    why = reviewed.table(f"features/{preset}/manual/reasons.parquet").to_pylist()
    gone = [tuple(r[k] for k in FEATURE_KEYS) for r in why if r["reason"] == "rejected_by_reader"]
    assert len(gone) == len(set(gone))
    assert after | set(gone) == before
    assert not after & set(gone)
    first, second, third = reviewed.patients
    expected = {(first, "ct", "lesion"), (second, "ct", "marrow"), (third, "pet", "marrow")}
    asked = {(key[1], key[3], key[4]) for key in before}
    assert expected & asked <= {(key[1], key[3], key[4]) for key in gone}
    assert (second, "ct", "marrow") in {(key[1], key[3], key[4]) for key in gone}


def test_the_analysis_names_the_verdict_not_a_missing_contour(reviewed, monkeypatch):
    """Twelve patients are the fewest that an analysis takes, so that it would be refused without one of them."""
    monkeypatch.setattr(samples, "LEAST_PATIENTS", 5)
    plan = load_plan(reviewed.folder, ROOT)
    features = "features/zhu2024/manual"
    names = {"features": f"{features}/features.parquet", "reasons": f"{features}/reasons.parquet"}
    names |= {name: f"{name}.parquet" for name in ("patients", "series", "clinical")}
    tables = samples.CohortTables(**{name: reviewed.table(path) for name, path in names.items()}, inputs={})
    params = plan.analysis_params("marrow")
    recipe, settings = Recipe.model_validate(params["recipe"]), Analysis.model_validate(params["settings"])
    more = {"recipe": recipe, "settings": settings, "max_quarantined": 0.2}
    made = samples.make_samples(tables, cohort="small", analysis="marrow", **more)
    assert made.table.num_rows == 11
    lost_rois = next(stage for stage in made.flow["stages"] if stage["stage"] == "roi")
    assert [(row["reason"], row["items"]) for row in lost_rois["set_aside"]] == [
        ("rejected_by_reader", [reviewed.patients[1]])
    ]


def test_pages_show_verdicts_and_nobody(reviewed):
    told = read_json(reviewed.folder / COHORT / "report.json")
    html = (reviewed.folder / COHORT / "report.html").read_text(encoding="utf-8")
    assert check_page(html, told) == []
    review = next(section for section in told["sections"] if section["id"] == "review")
    numbers = review["numbers"]
    assert (numbers["rejected"], numbers["accepted"], numbers["earlier"]) == (3, 0, 1)
    assert "1 verdict is about an earlier version" in review["sentence"]
    assert any(
        row["reason"] == "rejected_by_reader" for row in told["sections"][1]["parts"][0]["data"]["stages"][1]["aside"]
    )
    assert list(leaks(reviewed.folder, [READER, READER.split()[-1], COMMENT])) == []


def test_another_reader_or_comment_reruns_nothing(reviewed):
    reviewed.write("Dr. Somebody Else", "for another reason")
    targets = [
        str(p.relative_to(reviewed.folder)) for p in (reviewed.folder / COHORT / "features").glob("*/*/f*.parquet")
    ]
    assert planned(reviewed.folder, f"{COHORT}/report.html", f"{COHORT}/review.html", *targets) == {}
