"""A cohort of slices: what the manifest may say, whose each file is, and when a patient's state changes."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from PIL import Image

from osteorad.cohort.check import Known
from osteorad.cohort.collect import collect_cohort
from osteorad.cohort.config import Slices
from osteorad.cohort.pseudonyms import file_name
from osteorad.cohort.slice_manifest import UNPLACED, problems_of, read_manifest
from osteorad.cohort.slice_source import INDEX, of_patient, record_hashes, update
from osteorad.cohort.sources import KNOWN, Source
from osteorad.dicom import index
from osteorad.errors import ConfigError
from osteorad.files import read_json, read_parquet
from osteorad.images import slices as images_slices
from osteorad.images.job_slices import adopt_slices

SETTINGS = Slices(path="data", manifest="slices.tsv")
FOLDERS = {"image": "image", "lesion": "lesion mask", "bone": "bone mask"}
MANIFEST = "slice\tpatient\na1\tp1\na2\tp1\nb1\tp2\n"


def png(seed: int, *, mask: bool = False) -> bytes:
    array = np.random.default_rng(seed).integers(0, 256, (8, 8)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(np.where(array > 127, 255, 0).astype(np.uint8) if mask else array).save(out, "PNG")
    return out.getvalue()


def write_slice(folder: Path, name: str, seed: int, roles: tuple[str, ...] = ("image", "lesion", "bone")) -> None:
    for k, role in enumerate(roles):
        path = folder / "data" / FOLDERS[role] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(seed + 100 * k, mask=role != "image"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Two patients, three whole slices."""
    for seed, name in enumerate(("a1", "a2", "b1")):
        write_slice(tmp_path, name, seed)
    (tmp_path / "slices.tsv").write_text(MANIFEST)
    return tmp_path


def source_in(work: Path, withdrawn: tuple[str, ...] = ()) -> Source:
    return Source(name="bm", folder=work / "data", state=work / "state", key=None, withdrawn=frozenset(withdrawn))


def updated(work: Path, settings: Slices = SETTINGS, withdrawn: tuple[str, ...] = ()) -> list[str]:
    return update(source_in(work, withdrawn), settings, work)


def states(work: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in sorted((work / "state/state").glob("*.json"))}


def unplaced(work: Path) -> dict[str, tuple[str, str]]:
    """Item -> stage and reason of what belongs to nobody."""
    rows = read_json(work / "state/state/unplaced.json")["set_aside"]
    return {row["item"]: (row["stage"], row["reason"]) for row in rows}


def item(path: str) -> str:
    return file_name(None, path)


def told(work: Path, manifest: str | None = None, settings: Slices = SETTINGS) -> list[str]:
    if manifest is not None:
        (work / "slices.tsv").write_text(manifest)
    return problems_of(settings, work, lambda *keys: ".".join(["config.yaml:3 cohorts.bm.slices", *keys]))


# --- the manifest -----------------------------------------------------------------------------------------------------

HERE = "config.yaml:3 cohorts.bm.slices"


@pytest.mark.parametrize(
    ("manifest", "want"),
    [
        (MANIFEST, []),
        (MANIFEST.replace("a1\t", "a1.PNG\t").replace("b1\t", "b1.jpeg\t"), []),
        ("\ufeffslice;patient;order\r\na1;p1;2,5\r\na2;p1;1,5\r\nb1;p2;1,5\r\n", []),
        (
            "Slice\tpatient\na1\tp1\n",
            [
                f"{HERE}.manifest: unknown column of slices.tsv 'slice'. Did you mean 'Slice'? Valid: Slice, patient.",
            ],
        ),
        (
            "name\twho\na1\tp1\n",
            [
                f"{HERE}.manifest: slices.tsv has no column 'slice', nor any other that is asked for. "
                "Wanted: the names of the columns on the first line.",
                f"{HERE}.manifest: slices.tsv has no column 'patient', nor any other that is asked for. "
                "Wanted: the names of the columns on the first line.",
            ],
        ),
        (
            "slice\tpatient\na1\tp1\n\tp1\n.png\tp1\na2.png\tp1\na2\tp2\na2.jpg\tp3\n",
            [
                "slices.tsv: no slice on lines 3, 4. Wanted: the name of its files.",
                "slices.tsv: a slice stands again on lines 6, 7. Wanted: one row a slice.",
            ],
        ),
        (
            "slice\tpatient\na1\tDoe, Jane\na2\t../p1\nb1\tunplaced\n",
            [
                "slices.tsv: the patient cannot be a name of folders on lines 2, 3, 4. Wanted: a pseudonym of "
                "letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit."
            ],
        ),
        (
            "slice\tpatient\torder\na1\tp1\t1\na2\tp1\t\nb1\tp2\tfirst\n",
            ["slices.tsv: column 'order' is no number on lines 3, 4."],
        ),
        (
            "slice\tpatient\torder\na1\tp1\t2\na2\tp1\t2,0\nb1\tp2\t2.0\n",
            [
                "slices.tsv: column 'order': a decimal comma on line 3, a point elsewhere. "
                "Wanted: one way for the whole column.",
                "slices.tsv: a patient has two slices at one place of column 'order' on line 3.",
            ],
        ),
        (
            "slice\tpatient\n#REF!\tp1\na2\t#DIV/0!\n",
            [
                "slices.tsv: column 'slice' shows the error of a formula on line 2.",
                "slices.tsv: column 'patient' shows the error of a formula on line 3.",
                "slices.tsv: the patient cannot be a name of folders on line 3. Wanted: a pseudonym of "
                "letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit.",
            ],
        ),
        (
            "slice\tpatient\n1\tp1\n2\tp2\n",
            [
                f"{HERE}.manifest: none of its slices has a picture in 'image'. "
                "Wanted: the names of the files as they are, with or without their endings."
            ],
        ),
        ("", ["slices.tsv: the table is empty. Wanted: a line with the names of the columns, then the rows."]),
    ],
)
def test_the_checks_tell_every_problem_of_the_manifest(work: Path, manifest: str, want: list[str]):
    assert told(work, manifest) == want


@pytest.mark.parametrize(
    ("change", "want"),
    [
        ({"path": "dat"}, f"{HERE}.path: the folder 'dat' does not exist (seen from the working folder)."),
        ({"path": "a\0b"}, f"{HERE}.path: the folder 'a\\u0000b' does not exist (seen from the working folder)."),
        ({"image": "images"}, f"{HERE}.image: the folder 'data/images' does not exist (seen from the working folder)."),
        ({"bone": "bones"}, f"{HERE}.bone: the folder 'data/bones' does not exist (seen from the working folder)."),
        ({"lesion": "image"}, f"{HERE}.lesion: this is the folder of 'image'. Wanted: a folder for each."),
        ({"bone": "lesion mask/."}, f"{HERE}.bone: this is the folder of 'lesion'. Wanted: a folder for each."),
        ({"manifest": "s.tsv"}, f"{HERE}.manifest: the file 's.tsv' does not exist (seen from the working folder)."),
    ],
)
def test_the_checks_tell_what_folder_is_wrong(work: Path, change: dict[str, str], want: str):
    assert told(work, settings=SETTINGS.model_copy(update=change)) == [want]


def test_a_folder_that_cannot_be_listed_is_told(work: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("bone mask"))
    assert told(work) == [f"{HERE}.bone: the folder 'data/bone mask' cannot be listed."]


def test_a_workbook_is_a_manifest_too(work: Path):
    book = openpyxl.Workbook()
    for row in (("slice", "patient", "order"), ("a1", "p1", 1), ("a2", "p1", 0.5), ("b1", "p2", 1)):
        book.active.append(row)
    book.save(work / "slices.xlsx")
    settings = SETTINGS.model_copy(update={"manifest": "slices.xlsx"})
    rows, problems = read_manifest(settings, work, lambda *keys: "")
    assert problems == []
    assert [(row.name, row.patient, row.order) for row in rows] == [("a1", "p1", 1), ("a2", "p1", 0.5), ("b1", "p2", 1)]


def test_endings_of_any_case_are_no_part_of_a_slices_name(work: Path):
    (work / "slices.tsv").write_text("slice\tpatient\na1.PNG\tp1\na2.Jpeg\tp1\nb1.v2\tp2\n")
    (work / "data/image/a1.png").rename(work / "data/image/a1.PNG")
    rows, _ = read_manifest(SETTINGS, work, lambda *keys: "")
    assert [row.name for row in rows] == ["a1", "a2", "b1.v2"]
    updated(work)
    assert of_patient(work / "state", SETTINGS, "p1")["slices"][0]["files"]["image"]["path"] == "image/a1.PNG"


def test_a_run_stops_with_the_problems(work: Path):
    (work / "slices.tsv").write_text("slice\tpatient\n\tp1\n")
    with pytest.raises(ConfigError) as raised:
        updated(work)
    assert raised.value.problems == ["slices.tsv: no slice on line 2. Wanted: the name of its files."]
    assert not (work / "state").exists()
    with pytest.raises(ConfigError) as raised:
        updated(work, SETTINGS.model_copy(update={"path": "dat"}))
    assert raised.value.problems[0].startswith("cohort bm: slices.path: the folder 'dat' does not exist")


# --- whose each file is -----------------------------------------------------------------------------------------------


def test_patients_have_their_slices_in_the_order_of_rows(work: Path):
    assert updated(work) == ["p1", "p2"]
    found = of_patient(work / "state", SETTINGS, "p1")
    assert found["roles"] == ["lesion", "bone"]
    assert [one["item"] for one in found["slices"]] == [item("a1"), item("a2")]
    assert found["slices"][1]["files"] == {
        role: {"item": item(f"{folder}/a2.png"), "path": f"{folder}/a2.png"} for role, folder in FOLDERS.items()
    }
    assert found["counted"] == {"images": 2, "contours": 4}


def test_the_column_order_goes_before_the_rows(work: Path):
    (work / "slices.tsv").write_text("slice\tpatient\torder\na1\tp1\t10\na2\tp1\t9\nb1\tp2\t1\n")
    updated(work)
    assert [one["item"] for one in of_patient(work / "state", SETTINGS, "p1")["slices"]] == [item("a2"), item("a1")]


def test_without_a_folder_of_bone_there_is_no_bone(work: Path):
    settings = SETTINGS.model_copy(update={"bone": None})
    updated(work, settings)
    found = of_patient(work / "state", settings, "p2")
    assert found["roles"] == ["lesion"]
    assert set(found["slices"][0]["files"]) == {"image", "lesion"}


def test_states_are_as_those_of_dicom(work: Path):
    """Files that other modules look for lie where they look, in the form that they know."""
    updated(work)
    assert index.patients(source_in(work)) == ["p1", "p2"]
    assert index.UNPLACED == UNPLACED
    assert Known(**read_json(work / "state" / KNOWN)) == Known(patients={"p1": "p1", "p2": "p2"}, files=9)
    state = read_json(work / "state/state/p2.json")
    sizes = {folder: (work / "data" / folder / "b1.png").stat().st_size for folder in FOLDERS.values()}
    assert state == {
        "patient": "p2",
        "files": sorted([item(f"{folder}/b1.png"), size, 0] for folder, size in sizes.items()),
        "slices": [item("b1")],
    }


def strange(work: Path) -> None:
    """Every way to be nobody's."""
    data = work / "data"
    write_slice(work, "c1", 30)  # no row
    write_slice(work, "d1", 40, ("lesion",))  # no row, no picture
    write_slice(work, "e1", 50)  # a row without patient
    (data / "image/a2.jpg").write_bytes(b"x")  # a second a2
    (data / "image/notes.txt").write_text("x")
    (data / "image/Thumbs.db").write_bytes(b"x")
    (data / "image/more").mkdir()
    (data / "image/link.png").symlink_to(data / "image/a1.png")
    os.mkfifo(data / "lesion mask/pipe.png")
    Path(os.fsdecode(os.fsencode(data / "bone mask") + b"/M\xfcller.png")).write_bytes(b"x")
    (work / "slices.tsv").write_text(MANIFEST + "e1\t\nf1\tn/a\ng1\tp3\n")


def test_everything_in_the_folders_is_somebodys_or_has_its_reason(work: Path):
    strange(work)
    assert updated(work) == ["p1", "p2", "p3"]
    files = {
        **{f"{folder}/c1.png": "slice_unlisted" for folder in FOLDERS.values()},
        **{f"{folder}/e1.png": "patient_id_missing" for folder in FOLDERS.values()},
        "lesion mask/d1.png": "slice_unlisted",
        "image/a2.png": "slice_ambiguous",
        "image/a2.jpg": "slice_ambiguous",
        "image/notes.txt": "not_picture",
        "image/Thumbs.db": "not_picture",
        "image/more": "folder_not_entered",
        "image/link.png": "link_not_followed",
        "lesion mask/pipe.png": "file_special",
        "bytes:" + b"bone mask/M\xfcller.png".hex(): "slice_unlisted",
    }
    assert unplaced(work) == {
        **{item(path): ("files", why) for path, why in files.items()},
        item("f1"): ("rows", "slice_absent"),
    }
    assert read_json(work / "state/state/unplaced.json")["files_in"] == len(files)
    placed = sum(len(read_json(work / f"state/state/{p}.json")["files"]) for p in ("p1", "p2", "p3"))
    everything = sum(len(os.listdir(work / "data" / folder)) for folder in FOLDERS.values())
    assert placed + len(files) == everything == read_json(work / "state" / KNOWN)["files"]
    assert read_json(work / "state/state/p3.json") == {"patient": "p3", "files": [], "slices": [item("g1")]}


def test_accents_are_the_same_however_they_are_written(work: Path):
    write_slice(work, "e\u0301tude", 60)
    (work / "slices.tsv").write_text(MANIFEST + "\u00e9tude\tp3\n")
    updated(work)
    assert len(read_json(work / "state/state/p3.json")["files"]) == 3


def test_who_withdrew_is_counted_and_nothing_else(work: Path):
    updated(work)
    assert updated(work, withdrawn=("p1",)) == ["p2"]
    assert not (work / "state/state/p1.json").exists()
    (row,) = read_json(work / "state/state/unplaced.json")["set_aside"]
    assert (row["item"], row["count"], row["reason"]) == ("withdrawn", 6, "withdrawn")
    assert "p1" not in (work / "state" / KNOWN).read_text()
    assert updated(work) == ["p1", "p2"]


# --- reruns (contract 9) ----------------------------------------------------------------------------------------------


def touch(path: Path) -> None:
    later = path.stat().st_mtime_ns + 5_000_000_000
    os.utime(path, ns=(later, later))


def test_nothing_changes_where_nothing_did(work: Path):
    updated(work)
    before = {path: path.stat().st_mtime_ns for path in (work / "state").rglob("*.json")}
    updated(work)
    assert {path: path.stat().st_mtime_ns for path in (work / "state").rglob("*.json")} == before


def test_a_touched_file_is_the_same_where_a_job_has_read_it(work: Path):
    updated(work)
    adopt(work, "p1")
    before = states(work)
    touch(work / "data/image/a1.png")
    updated(work)
    assert states(work) == before
    touch(work / "data/image/b1.png")  # nobody has read it: it may be another
    updated(work)
    assert [name for name, text in states(work).items() if text != before[name]] == ["p2"]


def test_another_content_of_one_size_is_another_version(work: Path):
    updated(work)
    adopt(work, "p1")
    before = states(work)
    path = work / "data/lesion mask/a2.png"
    path.write_bytes(path.read_bytes()[::-1])
    touch(path)
    updated(work)
    assert [name for name, text in states(work).items() if text != before[name]] == ["p1"]
    rows = read_json(work / "state/state/p1.json")["files"]
    assert {name: version for name, _, version in rows}[item("lesion mask/a2.png")] == 1


def test_another_size_is_another_version_whatever_the_time_says(work: Path):
    updated(work)
    path = work / "data/image/b1.png"
    before, time = states(work), path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes() + b"x")
    os.utime(path, ns=(time, time))
    updated(work)
    assert [name for name, text in states(work).items() if text != before[name]] == ["p2"]
    versions = {name: version for name, _, version in read_json(work / "state/state/p2.json")["files"]}
    assert versions[item("image/b1.png")] == 1


@pytest.mark.parametrize(
    ("manifest", "changed"),
    [
        ("slice\tpatient\nb1\tp2\na1\tp1\na2\tp1\n", []),  # other lines, the same order
        ("slice\tpatient\na2\tp1\na1\tp1\nb1\tp2\n", ["p1"]),
        ("slice\tpatient\na1\tp1\na2\tp2\nb1\tp2\n", ["p1", "p2"]),
        ("slice\tpatient\na1\tp1\na2\tp1\nb1\tp2\nz\tp2\n", ["p2"]),
        ("slice\tpatient\tnote\na1\tp1\tx\na2\tp1\t\nb1\tp2\ty\n", []),
    ],
)
def test_a_manifest_changes_whom_it_concerns(work: Path, manifest: str, changed: list[str]):
    updated(work)
    before = states(work)
    (work / "slices.tsv").write_text(manifest)
    updated(work)
    assert [name for name, text in states(work).items() if text != before[name]] == changed


def test_who_is_gone_has_no_state(work: Path):
    updated(work)
    (work / "slices.tsv").write_text("slice\tpatient\na1\tp1\na2\tp1\n")
    assert updated(work) == ["p1"]
    assert sorted(states(work)) == ["p1", "unplaced"]


def test_states_name_no_file(work: Path):
    write_slice(work, "doe-jane", 70)
    (work / "slices.tsv").write_text(MANIFEST + "doe-jane\tp3\n")
    updated(work)
    assert not any("jane" in text for text in states(work).values())
    assert "jane" in (work / "state" / INDEX).read_text()


# --- the way to a cohort ----------------------------------------------------------------------------------------------


def adopt(work: Path, patient: str, cohort: str = "bm") -> dict[str, Path]:
    """What the rule does for one patient."""
    out = {
        "out_images": work / f"out/images/{patient}/images.json",
        "out_masks": work / f"out/masks/manual/{patient}/masks.json",
        "out_pictures": work / f"out/dicom/{patient}/images.json",
        "out_contours": work / f"out/dicom/{patient}/contours.json",
    }
    listed = of_patient(work / "state", SETTINGS, patient)
    hashes = adopt_slices(listed, work / SETTINGS.path, cohort=cohort, patient=patient, **out)
    record_hashes(work / "state", patient, hashes)
    return out


def collected(work: Path, patients: list[str]) -> dict[str, Any]:
    made = [adopt(work, patient) for patient in patients]
    unplaced_file = work / "state/state/unplaced.json"
    collect_cohort(
        cohort="bm",
        patients=patients,
        dicom_manifests=[unplaced_file, *(paths[n] for paths in made for n in ("out_pictures", "out_contours"))],
        images=[paths["out_images"] for paths in made],
        masks=[paths["out_masks"] for paths in made],
        clinical=None,
        exclude={},
        modalities=["CT"],
        **{f"out_{name}": work / f"{name}.parquet" for name in ("patients", "series", "quarantine")},
        out_flow=work / "flow.json",
    )
    tables = {name: read_parquet(work / f"{name}.parquet").to_pylist() for name in ("patients", "series", "quarantine")}
    return tables | {"flow": {stage["stage"]: stage for stage in read_json(work / "flow.json")["stages"]}}


def test_a_cohort_of_whole_slices_is_used_without_a_loss(work: Path):
    found = collected(work, updated(work))
    assert [(row["patient"], row["state"], row["sessions"]) for row in found["patients"]] == [
        ("p1", "used", 1),
        ("p2", "used", 1),
    ]
    numbers = {name: (stage["in"], stage["used"], stage["set_aside"]) for name, stage in found["flow"].items()}
    assert numbers == {
        "files": (9, 9, []),
        "series": (6, 6, []),
        "images": (2, 2, []),
        "masks": (4, 4, []),
        "patients": (2, 2, []),
    }
    assert {row["reason"] for row in found["quarantine"]} == {"spacing_unknown", "lesions_joined"}


def test_the_flow_of_a_strange_cohort_adds_up(work: Path):
    strange(work)
    (work / "data/image/b1.png").write_bytes(b"torn")
    found = collected(work, updated(work))
    flow = found["flow"]
    assert flow["files"]["in"] == sum(len(os.listdir(work / "data" / folder)) for folder in FOLDERS.values())
    assert flow["files"]["used"] == 3  # of the slice a1
    assert {row["reason"]: row["count"] for row in flow["files"]["set_aside"]} == {
        "file_special": 1,
        "folder_not_entered": 1,
        "link_not_followed": 1,
        "not_picture": 2,
        "patient_id_missing": 3,
        "picture_unreadable": 1,
        "slice_ambiguous": 2,
        "slice_incomplete": 4,  # the masks of a2 and b1
        "slice_unlisted": 5,
    }
    assert {row["patient"]: row["reason"] for row in found["patients"]} == {
        "p1": "",
        "p2": "no_image",
        "p3": "no_image",
    }
    rows = [row for row in found["quarantine"] if row["stage"] == "rows"]
    assert [(row["patient"], row["reason"]) for row in rows] == [
        ("", "slice_absent"),  # a row of nobody
        ("p1", "slice_absent"),  # two pictures, so none
        ("p3", "slice_absent"),
    ]


def test_both_rooms_call_the_roles_alike():
    from osteorad.cohort import slice_manifest

    for name in ("IMAGE", "LESION", "BONE"):
        assert getattr(slice_manifest, name) == getattr(images_slices, name)
