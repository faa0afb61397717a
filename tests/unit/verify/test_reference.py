"""The shared reference files with 99 planted strings: all are looked for, and none is found in what is made of them."""

from __future__ import annotations

import csv

import pytest

from osteorad.verify.cohorts import verify
from tests.conftest import ROOT
from tests.unit.dicom.deid_build import reasons, run

PASSING = {"phi_ct": "images", "phi_pet": "images", "phi_rtstruct": "contours"}


@pytest.fixture(scope="module")
def phi(shared_data):
    folder = shared_data("ingest/phi")
    with (folder / "canaries.tsv").open(newline="") as stream:
        return folder, [row["canary"] for row in csv.DictReader(stream, delimiter="\t")]


def test_every_planted_string_is_looked_for(phi, tmp_path):
    folder, canaries = phi
    for word in canaries:
        (tmp_path / "".join(str(ord(c)) for c in word)).write_text(word)
    report = verify(tmp_path, ROOT, exports=[folder])
    assert len({hit.file for hit in report.hits}) == len(canaries) == 99


def test_nothing_planted_is_left_in_outputs(phi, tmp_path):
    folder, canaries = phi
    work = tmp_path / "work"
    for number, (name, part) in enumerate(PASSING.items()):
        assert reasons(run([folder / f"{name}.dcm"], work / str(number), part, patient="p123456789abc")) == []
    for number, path in enumerate(folder.glob("quarantine_*.dcm")):
        run([path], work / f"quarantine-{number}", patient="p123456789abc")
    (tmp_path / "list.txt").write_text("\n".join(canaries))
    report = verify(work, ROOT, exports=[folder], lists=[tmp_path / "list.txt"])
    assert [(hit.file, hit.place, hit.kind) for hit in report.hits] == []
    assert report.missed == []
    assert report.opened["dicom"] == len(PASSING)


def test_originals_themselves_are_full_of_hits(phi, tmp_path):
    folder, canaries = phi
    (tmp_path / "list.txt").write_text("\n".join(canaries))
    report = verify(folder, ROOT, lists=[tmp_path / "list.txt"])
    assert len({hit.digest for hit in report.hits}) == 99
