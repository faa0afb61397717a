"""What may leave: figures of groups and models; nothing that names anybody."""

from __future__ import annotations

import time
import zipfile

import pyarrow as pa
import pytest

from osteorad.cohort.load import load
from osteorad.cohort.release import release
from osteorad.errors import UserError
from osteorad.files import write_json, write_parquet, write_text

from .folders import clone, working

PATIENT, SESSION = "p0123456789ab", "s01234567"
PAGES = {
    "analyses/os/audit.json",
    "analyses/os/bundle/bundle.json",
    "analyses/os/evaluation.json",
    "analyses/os/report.html",
    "analyses/os/report.json",
    "cohorts/real/flow.json",
}


@pytest.fixture
def loaded(tmp_path):
    folder = working(tmp_path / "work")
    for name in PAGES:
        write_text(folder / "results" / name, '"fine"\n')
    write_json(folder / "results/analyses/os/report.json", {"table": [{"n": 3}, {"n": 12}, {"count": 1}]})
    write_text(folder / "results/analyses/os/predictions.parquet", PATIENT)
    write_parquet(folder / "results/cohorts/real/patients.parquet", pa.table({"patient": [PATIENT, "7"]}))
    write_parquet(
        folder / "results/cohorts/real/series.parquet", pa.table({"session": [SESSION], "series": ["e01234567"]})
    )
    return load(folder, clone(tmp_path / "clone"))


def test_groups_leave_and_rows_stay(loaded, tmp_path):
    done = release(loaded, [], tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        assert set(packed.namelist()) == PAGES | {"RELEASE.json"}
    assert set(done.packed) == PAGES
    assert any("private/" in line for line in done.lines())


def test_the_same_files_give_the_same_bytes(loaded, tmp_path):
    release(loaded, ["os"], tmp_path / "a.zip")
    release(loaded, [], tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("name", [PATIENT, SESSION, "e01234567"])
def test_a_page_that_names_somebody_stops_it(loaded, tmp_path, name):
    write_text(loaded.workdir / "results/analyses/os/report.html", f"<td>{name}</td>")
    with pytest.raises(UserError, match=rf"not released: analyses/os/report\.html names '{name}'\."):
        release(loaded, [], tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_neither_masks_nor_weights_leave(loaded, tmp_path):
    for name in ("folds/r1f1/networks/unet/i1/weights.safetensors", "seg/unet/seg.json", "bundle/weights.safetensors"):
        write_text(loaded.workdir / "results/analyses/os" / name, "{}")
    write_text(loaded.workdir / "work/os/last.pt", "weights")
    assert set(release(loaded, [], tmp_path / "out.zip").packed) == PAGES


def test_a_page_with_pictures_stays_and_is_told(loaded, tmp_path):
    """Of networks the scores over all patients leave; the page and its numbers name the patients that it shows."""
    folder = loaded.workdir / "results/analyses/os"
    write_text(folder / "report.html", '<image href="data:image/webp;base64,UklGRg==">')
    write_text(folder / "report.json", f'"{PATIENT}"')
    write_text(folder / "scores/unet/scores.json", "{}")
    write_text(folder / "scores/unet/case_scores.parquet", PATIENT)
    done = release(loaded, [], tmp_path / "out.zip")
    pages = {"analyses/os/report.html", "analyses/os/report.json"}
    assert set(done.packed) == PAGES - pages | {"analyses/os/scores/unet/scores.json"}
    assert done.remarks[:2] == tuple(f"not packed: {page}, whose page shows patients." for page in sorted(pages))


def test_without_the_list_of_patients_nothing_leaves(loaded, tmp_path):
    (loaded.workdir / "results/cohorts/real/patients.parquet").unlink()
    with pytest.raises(UserError, match=r"cohort real: patients\.parquet is gone"):
        release(loaded, [], tmp_path / "out.zip")


def called(loaded, *names: str) -> None:
    write_parquet(loaded.workdir / "results/cohorts/real/patients.parquet", pa.table({"patient": list(names)}))


def test_patients_called_by_numbers_stop_no_page_that_holds_numbers(loaded, tmp_path):
    called(loaded, "2000", "0012", "a-2000")
    write_text(loaded.workdir / "results/analyses/os/report.html", "2000 resamples, p = 0.0012 and .0012")
    remarks = release(loaded, [], tmp_path / "out.zip").remarks
    assert "looked for between quotes alone: 1 patients" in remarks[0]


@pytest.mark.parametrize(
    ("file", "text"), [("report.html", "<td>0012</td>"), ("audit.json", '["2000"]'), ("report.html", "<b>a-2000</b>")]
)
def test_patients_called_by_numbers_are_found_where_they_are_names(loaded, tmp_path, file, text):
    called(loaded, "2000", "0012", "a-2000")
    write_text(loaded.workdir / "results/analyses/os" / file, text)
    with pytest.raises(UserError, match=f"analyses/os/{file} names"):
        release(loaded, [], tmp_path / "out.zip")


def test_thousands_of_names_are_looked_for_in_seconds(loaded, tmp_path):
    called(loaded, *(f"p{number:012x}" for number in range(20_000)))
    write_text(loaded.workdir / "results/analyses/os/report.html", "<td>patients 0.123</td>" * 50_000)
    began = time.process_time()
    release(loaded, [], tmp_path / "out.zip")
    assert time.process_time() - began < 15


def test_small_cells_and_names_that_are_too_short_are_told(loaded, tmp_path):
    stage = {"stage": "patients", "set_aside": [{"reason": "withdrawn", "count": 1}]}
    write_json(loaded.workdir / "results/cohorts/real/flow.json", {"stages": [stage]})
    remarks = release(loaded, [], tmp_path / "out.zip").remarks
    assert "not looked for: 1 patients" in remarks[0]
    assert remarks[1:] == (
        "look before you send: analyses/os/report.json holds 2 counts of 1 to 4 people, as its page does.",
        "look before you send: cohorts/real/flow.json holds 1 counts of 1 to 4 people.",
    )


def test_an_analysis_that_was_not_run_or_does_not_exist_is_refused(loaded, tmp_path):
    with pytest.raises(UserError, match=r"unknown analysis 'or'\. Did you mean 'os'"):
        release(loaded, ["or"], tmp_path / "out.zip")
    (loaded.workdir / "results/analyses/os/report.json").unlink()
    with pytest.raises(UserError, match="not run yet: os"):
        release(loaded, [], tmp_path / "out.zip")
