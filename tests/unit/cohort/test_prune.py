"""Whoever withdrew is in no file any more; results of people whom no source holds go, too."""

from __future__ import annotations

import base64
import errno
import json
import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from osteorad import active
from osteorad.__main__ import main
from osteorad.active import hold
from osteorad.cohort.load import load
from osteorad.cohort.plan import load_plan
from osteorad.cohort.prune import prune
from osteorad.cohort.pseudonyms import make_key
from osteorad.cohort.sources import read_withdrawn
from osteorad.errors import UserError
from osteorad.files import write_bytes, write_json, write_parquet, write_text

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
    assert told.removed == done.removed
    assert told.told == done.told


def test_what_was_done_is_json(loaded):
    done = prune(loaded, GONE, BOTH).as_dict()
    rows = {row["kind"]: (row["unit"], row["count"]) for row in json.loads(json.dumps(done))["removed"]}
    assert rows["pseudonyms.tsv"] == ("line", 1)
    assert rows["mask files that people drew"] == ("file", 1)


def test_the_command_prints_json(tmp_path, capsys):
    settings = "{source: phantom, phantom: {patients: 4, seed: 1}, rois: {marrow: ['*']}}"
    (tmp_path / "config.yaml").write_text(f"cohorts:\n  digital: {settings}\nanalyses: {{}}\n")
    write_json(tmp_path / f"results/cohorts/digital/dicom/{GONE}/images.json", {})
    assert main(["prune", "--directory", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["count"] for row in told["removed"]] == [1]
    assert GONE in told["told"][0]


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


@pytest.fixture
def without_locks(monkeypatch):
    def refused(stream, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(active.fcntl, "flock", refused)


def test_without_locks_it_says_what_it_cannot_know_and_takes_the_users_word(loaded, without_locks):
    with pytest.raises(UserError, match=r"no locks, so it cannot be told .* say so with --nothing-runs"):
        prune(loaded, GONE, BOTH)
    assert naming(loaded.workdir, GONE)
    assert prune(loaded, GONE, BOTH, dry_run=True).removed
    prune(loaded, GONE, BOTH, nothing_runs=True)
    assert naming(loaded.workdir, GONE) == {"private/real/withdrawn.tsv"}


def test_the_lock_of_another_machine_needs_the_users_word_but_a_live_run_stops_in_spite_of_it(loaded):
    with hold(loaded.workdir), pytest.raises(UserError, match="a run of Snakemake is active"):
        prune(loaded, GONE, BOTH, nothing_runs=True)
    (loaded.workdir / active.FILE).write_text("another-host")
    write_text(loaded.workdir / ".snakemake/locks/0.input.lock", "results/index.html")
    with pytest.raises(UserError, match=r"a run on another machine left its lock"):
        prune(loaded, GONE, BOTH)
    prune(loaded, GONE, BOTH, nothing_runs=True)


# --- networks ---------------------------------------------------------------------------------------------------------


FOLD = "results/analyses/os/folds/r1f1"


def test_networks_masks_and_checkpoints_of_an_analysis_go_whole(loaded):
    folder = loaded.workdir
    for name in (f"{FOLD}/networks/unet/i1/weights.safetensors", "work/os/unet-r1f1i1/state.pt"):
        write_text(folder / name, "weights")
    for patient in (GONE, OTHER):
        write_text(folder / f"{FOLD}/masks/unet/{patient}/s01234567/ct/lesion-1.nii.gz", "mask")
        write_text(folder / f"results/analyses/os/seg/unet/{patient}/s01234567.dcm", "seg")
    prune(loaded, GONE, BOTH)
    assert {name for name in files(folder) if name.startswith(("results/analyses/os/", "work/"))} == {
        "results/analyses/os/history.jsonl"
    }


def test_an_analysis_that_left_the_settings_goes_where_it_names_the_patient_and_is_told_where_not(loaded):
    folder = loaded.workdir
    write_text(folder / "results/analyses/old/folds/r1f1/networks/unet/i1/weights.safetensors", "weights")
    write_json(folder / "results/analyses/old/folds/r1f1/networks/unet/i1/network.json", {"seen": [GONE, OTHER]})
    write_text(folder / "work/old/last.pt", "weights")
    write_text(folder / "work/older/last.pt", f"PK..{GONE}..")
    write_text(folder / "work/oldest/last.pt", "weights")
    done = prune(loaded, GONE, BOTH)
    assert {name for name in files(folder) if "old" in name} == {"work/oldest/last.pt"}
    assert "work/oldest: no analysis of the settings. Remove it if it learned from this patient." in done.left


def test_an_analysis_that_applies_a_bundle_by_its_folder_goes(loaded):
    text = (loaded.workdir / "config.yaml").read_text().replace("bundle: os", "bundle: results/analyses/os/bundle")
    (loaded.workdir / "config.yaml").write_text(text)
    write_text(loaded.workdir / "results/analyses/os/bundle/bundle.json", "{}")
    prune(load(loaded.workdir, loaded.root), GONE, BOTH)
    assert not (loaded.workdir / "results/analyses/elsewhere/report.html").exists()


# --- records ----------------------------------------------------------------------------------------------------------


def test_records_that_a_cluster_or_a_long_name_cut_into_folders_go_and_environments_stay(loaded):
    folder = loaded.workdir
    write_text(folder / f".snakemake/slurm_logs/rule_draw_masks/real_{GONE}/17.log", "done")
    coded = base64.urlsafe_b64encode(f"{COHORT}/{'long/' * 60}{GONE}.json".encode()).decode()
    write_text(folder / f".snakemake/metadata/@{coded[:254]}" / coded[254:], "{}")
    write_text(folder / f".snakemake/conda/abc/{GONE}.txt", "a package")
    looked_at = folder / ".snakemake/iocache/latest.pkl"  # of a dry run
    write_bytes(looked_at, pickle.dumps([f"results/cohorts/real/grids/fused/{GONE}/grid.json"]))
    write_text(folder / "benchmarks/tables.py", f"# {GONE}")
    prune(loaded, GONE, BOTH)
    assert not (folder / f".snakemake/slurm_logs/rule_draw_masks/real_{GONE}").exists()
    assert not [p for p in (folder / ".snakemake/metadata").rglob("*") if p.is_file() and p.parent.name.startswith("@")]
    assert not looked_at.exists()
    assert (folder / f".snakemake/conda/abc/{GONE}.txt").is_file()
    assert (folder / "benchmarks/tables.py").is_file()


def test_a_verdict_on_somebody_else_that_mentions_the_patient_stays_and_is_told(loaded):
    path = loaded.workdir / "private/real/review.tsv"
    write_text(path, f"{GONE}\ts0a1b2c3d/ct\trejected\n{OTHER}\ts0a1b2c3d/ct\trejected\tme\tlike {GONE}\n")
    left = prune(loaded, GONE, BOTH).left
    assert path.read_text().startswith(f"{OTHER}\ts0a1b2c3d/ct\trejected")
    assert "review.tsv: 1 lines about others mention this patient." in left


# --- names that came with a cohort ------------------------------------------------------------------------------------


KEYLESS = """\
cohorts:
  one:
    source: deidentified
    path: export
    head: keep
    rois: {marrow: ['*marrow*']}
  two:
    source: deidentified
    path: export
    head: keep
    rois: {marrow: ['*marrow*']}
analyses: {}
"""
ALIKE = ("S1", "S10", "S1.2")


@pytest.fixture
def keyless(tmp_path):
    folder = working(tmp_path / "work", KEYLESS)
    for patient in ALIKE:
        write_json(folder / f"results/cohorts/one/dicom/{patient}/images.json", {"patient": patient})
        write_text(folder / f"results/cohorts/one/features/all/manual/patients/{patient}.reasons.parquet", "x")
        write_text(folder / f"results/cohorts/one/pages/{patient}.html", patient)
        write_text(folder / f"logs/draw_masks/one/manual/{patient}.log", patient)
        write_text(folder / f"contours/manual/{patient}/lesion-1.nrrd", "x")
        write_text(folder / f".snakemake/log/{patient}.snakemake.log", f"wildcards: patient={patient}, set=manual")
    write_parquet(folder / "results/cohorts/one/patients.parquet", pa.table({"patient": list(ALIKE)}))
    rows = "".join(f"{patient}\ts0a1b2c3d/ct\trejected\n" for patient in ALIKE)
    write_text(folder / "private/one/review.tsv", f"patient\titem\tverdict\n{rows}")
    return load(folder, clone(tmp_path / "clone"))


@pytest.mark.parametrize("patient", ALIKE)
def test_names_that_are_alike_are_told_apart(keyless, patient):
    def own(name: str) -> bool:
        return any(part in (patient, *(f"{patient}{end}" for end in ENDS)) for part in Path(name).parts)

    before = files(keyless.workdir)
    done = prune(keyless, patient, {"one": ALIKE})
    gone = before - files(keyless.workdir)
    assert len([name for name in before if own(name)]) == 6
    assert gone == {name for name in before if own(name)} | {"results/cohorts/one/patients.parquet"}
    assert (keyless.workdir / "private/one/review.tsv").read_text().count("rejected") == 2
    assert not [line for line in done.left if "still names" in line]


ENDS = (".html", ".reasons.parquet", ".log", ".snakemake.log")


def test_one_name_in_two_cohorts_without_key_needs_the_cohort(keyless):
    folder = keyless.workdir
    write_json(folder / "results/cohorts/two/dicom/S1/images.json", {"patient": "S1"})
    write_text(folder / "results/cohorts/two/report.html", "<td>S1</td>")
    with pytest.raises(UserError, match=r"cohorts one, two have a patient S1, .* --cohort"):
        prune(keyless, "S1", {})
    with pytest.raises(UserError, match=r"--cohort: unknown cohort 'too'. Did you mean 'two'"):
        prune(keyless, "S1", {}, cohort="too")
    done = prune(keyless, "S1", {}, cohort="one")
    assert not (folder / "results/cohorts/one/dicom/S1").exists()
    assert (folder / "results/cohorts/two/dicom/S1/images.json").is_file()
    assert (folder / "results/cohorts/two/report.html").is_file()
    assert read_withdrawn(keyless.state("two")) == frozenset()
    assert "contours/manual/S1: two may need it. Remove it if not." in done.left
    assert not [line for line in done.left if "still names" in line]
    prune(keyless, "S1", {}, cohort="two")
    assert not (folder / "contours/manual/S1").exists()


def test_who_withdrew_stays_withdrawn_when_the_results_are_removed(keyless):
    prune(keyless, "S10", {"one": ALIKE}, cohort="one")
    shutil.rmtree(keyless.workdir / "results")
    assert read_withdrawn(keyless.state("one")) == {"S10"}
    assert load_plan(keyless.workdir, keyless.root).sources["one"].withdrawn == {"S10"}


def test_the_manifest_of_slices_is_told(tmp_path):
    text = "cohorts: {one: {source: slices, slices: {path: in, manifest: in/m.csv}}}\nanalyses: {}\n"
    folder = working(tmp_path / "work", text)
    write_json(folder / "results/cohorts/one/dicom/S1/images.json", {"patient": "S1"})
    write_json(folder / "results/.state/sources/one/state/S1.json", {"patient": "S1", "files": [["f1", 1, 0]] * 2})
    left = prune(load(folder, clone(tmp_path / "clone")), "S1", {"one": ["S1"]}).left
    assert "the source of cohort one still holds 2 files of this patient; they are not read." in left
    assert "the manifest of slices of cohort one still names this patient; its rows are not read." in left


def test_what_came_along_with_a_moved_cohort_stays(tmp_path):
    text = KEYLESS.replace("path: export\n    head: keep", "path: results/cohorts/one", 1)
    folder = working(tmp_path / "work", text)
    came = ("clinical.parquet", "lesions.parquet")
    write_json(folder / "results/cohorts/one/dicom/S10/images.json", {"patient": "S10", "head": {"setting": "keep"}})
    for name in came:
        write_parquet(folder / "results/cohorts/one" / name, pa.table({"patient": ["S10"], "site": ["a"]}))
    for name in ("unplaced.json", "lesions.json"):
        write_json(folder / "results/cohorts/one" / name, {})
    write_parquet(folder / "results/cohorts/one/patients.parquet", pa.table({"patient": ["S1", "S10"]}))
    write_text(folder / "results/cohorts/one/report.html", "S1 and S10")
    done = prune(load(folder, clone(tmp_path / "clone")), "S1", {"one": ["S10"]})
    here = {name.removeprefix("results/cohorts/one/") for name in files(folder) if "cohorts/one" in name}
    assert here == {"dicom/S10/images.json", "unplaced.json", "lesions.json", *came}
    assert not [line for line in done.left if "parquet" in line]


def test_orphans_go_but_not_those_of_an_empty_source(loaded):
    told = prune(loaded, None, {"real": []})
    assert not told.removed
    assert "its source holds nobody" in told.left[0]
    prune(loaded, None, {"real": [OTHER]})
    assert not (loaded.workdir / f"{COHORT}/dicom/{GONE}").exists()
    assert (loaded.workdir / f"{COHORT}/dicom/{OTHER}/images.json").is_file()
    assert (loaded.workdir / f"contours/manual/{GONE}").is_dir()  # people drew these
