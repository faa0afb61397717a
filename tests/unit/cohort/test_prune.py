"""Whoever withdrew is in no file any more; results of people whom no source holds go, too."""

from __future__ import annotations

import base64
from pathlib import Path

import pyarrow as pa
import pytest

from osteorad.active import hold
from osteorad.cohort.load import load
from osteorad.cohort.prune import prune
from osteorad.cohort.pseudonyms import make_key
from osteorad.cohort.sources import read_withdrawn
from osteorad.errors import UserError
from osteorad.files import write_json, write_parquet, write_text

from .folders import CONFIG, clone, working

GONE, OTHER = "p0123456789ab", "pabcdef012345"
COHORT = "results/cohorts/real"
BOTH = {"real": [GONE, OTHER]}


@pytest.fixture
def loaded(tmp_path):
    """A working folder with results of two patients."""
    folder = working(tmp_path / "work", CONFIG + "  elsewhere: {cohort: other, recipe: zhu2024, bundle: os}\n")
    for name in ("real/key", "other/key", "project.key"):
        make_key(folder / "private" / name)
    text = (folder / "config.yaml").read_text().replace("analyses:", OTHER_COHORT + "analyses:")
    (folder / "config.yaml").write_text(text)
    for patient in (GONE, OTHER):
        write_json(folder / f"private/real/state/{patient}.json", {"patient": patient, "files": [["f1", 1, 0]] * 3})
        write_json(folder / f"private/real/state/past/{patient}/17.json", {})
        write_json(folder / f"{COHORT}/dicom/{patient}/images.json", {"patient": patient})
        write_text(folder / f"{COHORT}/features/lesion-table/manual/patients/{patient}.reasons.parquet", "x")
        write_text(folder / f"{COHORT}/pages/{patient}.html", patient)
        write_text(folder / f"logs/draw_masks/real/manual/{patient}.log", "fine")
        write_text(folder / f"contours/manual/{patient}/lesion-1.nrrd", "x")
        coded = base64.urlsafe_b64encode(f"{COHORT}/dicom/{patient}/images.json".encode()).decode()
        write_text(folder / ".snakemake/metadata" / coded, "{}")
    write_text(folder / ".snakemake/log/1.snakemake.log", f"wildcards: patient={GONE}")
    write_text(folder / ".snakemake/log/2.snakemake.log", f"wildcards: patient={OTHER}")
    write_text(folder / "private/real/pseudonyms.tsv", f"pseudonym\tpatient_id\n{GONE}\tID-01\n{OTHER}\tID-02\n")
    write_parquet(folder / f"{COHORT}/patients.parquet", pa.table({"patient": [GONE, OTHER]}))
    for name in ("report.html", "features/lesion-table/manual/features.parquet", "history.jsonl"):
        write_text(folder / COHORT / name, "both")
    for analysis in ("os", "elsewhere"):
        write_text(folder / f"results/analyses/{analysis}/report.html", "both")
        write_text(folder / f"results/analyses/{analysis}/history.jsonl", "both")
    write_json(folder / "results/.state/patients/real.json", {"patients": [GONE, OTHER], "withdrawn": 0})
    return load(folder, clone(tmp_path / "clone"))


OTHER_COHORT = """\
  other:
    source: dicom
    path: export
    head: keep
    rois: {marrow: ['*marrow*']}
    clinical: {path: clinical.tsv, keep: [age_years]}
"""


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def naming(folder: Path, patient: str) -> set[str]:
    found = {name for name in files(folder) if patient in name or patient.encode() in (folder / name).read_bytes()}
    records = (folder / ".snakemake/metadata").glob("*")
    return found | {p.name for p in records if patient.encode() in base64.urlsafe_b64decode(p.name)}


def test_verdicts_on_who_withdrew_go_in_any_character_set(loaded):
    path = loaded.workdir / "private/real/review.tsv"
    path.write_bytes("".join(f"{p}\ts0a1b2c3d/ct\trejected\tMüller\r\n" for p in (GONE, OTHER)).encode("latin-1"))
    prune(loaded, GONE, BOTH)
    assert path.read_bytes() == f"{OTHER}\ts0a1b2c3d/ct\trejected\tMüller\r\n".encode("latin-1")


def test_no_file_names_who_withdrew(loaded):
    assert naming(loaded.workdir, GONE)
    prune(loaded, GONE, BOTH)
    assert naming(loaded.workdir, GONE) == {"private/real/withdrawn.tsv"}
    assert read_withdrawn(loaded.workdir / "private/real") == {GONE}
    assert (loaded.workdir / "private/real/withdrawn.tsv").stat().st_mode & 0o077 == 0


def test_what_was_made_of_several_people_goes_and_each_other_ones_own_files_stay(loaded):
    own = {name for name in files(loaded.workdir) if OTHER in name}
    prune(loaded, GONE, BOTH)
    left = files(loaded.workdir)
    assert own <= left
    results = {name for name in left if name.startswith("results/") and OTHER not in name}
    history = {f"results/{place}/history.jsonl" for place in ("cohorts/real", "analyses/os", "analyses/elsewhere")}
    assert results == history
    assert ".snakemake/log/2.snakemake.log" in left


def test_a_dry_run_removes_nothing_and_counts_the_same(loaded):
    before = files(loaded.workdir)
    told = prune(loaded, GONE, BOTH, dry_run=True)
    assert files(loaded.workdir) - before == {".snakemake/active", ".snakemake/jobs"}
    assert before <= files(loaded.workdir)
    done = prune(loaded, GONE, BOTH)
    assert told.removed["file", "tables and pages of cohort real"] == 3
    for kind, count in done.removed.items():
        assert told.removed[kind] >= count


def test_it_says_what_only_the_hospital_can_remove(loaded):
    clinical = loaded.workdir / "clinical.tsv"
    clinical.write_text(clinical.read_text() + "x")
    left = "\n".join(prune(loaded, GONE, BOTH).left)
    assert "still holds 3 files" in left
    assert "releases and bundles of elsewhere, os" in left


def test_pruning_again_finds_nothing(loaded):
    prune(loaded, GONE, BOTH)
    again = prune(loaded, GONE, {"real": [GONE, OTHER]})
    assert not again.removed


def test_an_unknown_patient_is_refused_with_the_nearest(loaded):
    with pytest.raises(UserError, match=f"unknown patient 'p0123456789ac'. Did you mean '{GONE}'"):
        prune(loaded, "p0123456789ac", BOTH)
    assert not (loaded.workdir / "private/real/withdrawn.tsv").exists()


def test_a_run_that_is_active_stops_it(loaded):
    with hold(loaded.workdir), pytest.raises(UserError, match="a run of Snakemake is active"):
        prune(loaded, GONE, BOTH)
    assert naming(loaded.workdir, GONE)


def test_orphans_go_but_not_those_of_an_empty_source(loaded):
    told = prune(loaded, None, {"real": []})
    assert not told.removed
    assert "its source holds nobody" in told.left[0]
    prune(loaded, None, {"real": [OTHER]})
    assert not (loaded.workdir / f"{COHORT}/dicom/{GONE}").exists()
    assert (loaded.workdir / f"{COHORT}/dicom/{OTHER}/images.json").is_file()
    assert (loaded.workdir / f"contours/manual/{GONE}").is_dir()  # people drew these
