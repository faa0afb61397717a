"""What is written for a patient: bytes, files, special cases, planted identity."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from osteorad.cohort.config import Phantom
from osteorad.dicom.roi_names import assign
from osteorad.phantom.names import ROI_PATTERNS
from osteorad.phantom.write import write_patient

from .conftest import SMALL, Export

Exports = Callable[[int], Export]
TINY = Phantom(patients=12, matrix=32, slices=12)


def contents(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.mark.parametrize("number", [3, 4, 6])
def test_two_runs_write_the_same_bytes(number: int, tmp_path: Path) -> None:
    write_patient(TINY, "tiny", number, tmp_path / "a")
    write_patient(TINY, "tiny", number, tmp_path / "b" / "c")
    first = contents(tmp_path / "a")
    assert len(first) > 15
    assert first == contents(tmp_path / "b" / "c")


def test_a_patient_does_not_depend_on_the_number_of_others(tmp_path: Path) -> None:
    from osteorad.phantom.scan import scan_session

    few, many = (scan_session(Phantom(patients=n, matrix=32, slices=12), 2).ct.array for n in (6, 40))
    assert (np.asarray(few) == np.asarray(many)).all()


def test_the_folder_is_emptied_first(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "left.dcm").write_bytes(b"x")
    write_patient(TINY, "tiny", 1, tmp_path / "old")
    assert not (tmp_path / "old" / "left.dcm").exists()


def test_patients_differ(exports: Exports) -> None:
    images = [np.stack([ds.pixel_array for ds in exports(n).series("CT", 3)]) for n in (1, 4, 7)]
    assert (images[0] != images[1]).mean() > 0.5
    assert (images[1] != images[2]).mean() > 0.5


@pytest.mark.parametrize("number", [1, 4, 6])
def test_the_manifest_lists_every_file(number: int, exports: Exports) -> None:
    found = contents(exports(number).folder)
    found.pop("manifest.json")
    assert {file["path"]: file["sha256"] for file in exports(number).manifest["files"]} == found


def test_special_cases_have_their_files(exports: Exports) -> None:
    kinds = {n: Counter(ds.Modality for _, ds in exports(n).headers()) for n in (1, 3, 4, 5, 6)}
    assert (kinds[1]["RTSTRUCT"], kinds[1]["SEG"]) == (2, 0)
    assert (kinds[3]["RTSTRUCT"], kinds[3]["SEG"]) == (0, 2)
    assert (kinds[4]["RTSTRUCT"], kinds[4]["SEG"]) == (0, 0)
    assert len(list((exports(4).folder / "masks").glob("*.nrrd"))) >= 6
    assert kinds[5]["CT"] == 2 * SMALL.slices
    assert len({ds.StudyInstanceUID for _, ds in exports(5).headers()}) == 2
    series = Counter((int(ds.SeriesNumber), ds.ImageType[2]) for _, ds in exports(6).headers() if ds.Modality == "CT")
    assert set(series) == {(1, "LOCALIZER"), (3, "AXIAL"), (4, "AXIAL"), (8, "MPR")}
    assert {ds.get("ConvolutionKernel") for _, ds in exports(6).headers() if ds.Modality == "CT"} == {None, "B", "YB"}


def test_a_fractured_patient_has_its_marrow_in_t7(exports: Exports) -> None:
    levels = {n: exports(n).manifest["truth"]["patient"]["marrow_level"] for n in (1, 7)}
    assert levels == {1: "T6", 7: "T7"}
    names = [item.ROIName for item in exports(7).series("RTSTRUCT")[0].StructureSetROISequence]
    assert "T7 marrow" in names


@pytest.mark.parametrize("number", range(1, 13))
def test_patterns_find_one_marrow_and_the_lesions_in_order(number: int, exports: Exports) -> None:
    session = exports(number).manifest["truth"]["sessions"][0]
    for image in session["images"].values():
        found = assign([roi["name"] for roi in image["rois"]], ROI_PATTERNS)
        want = [None, ("marrow", 1), *(("lesion", n + 1) for n in range(len(session["lesions"])))]
        assert found == want


def test_vendors_write_their_own_dialect(exports: Exports) -> None:
    first = {n: exports(n).headers()[0][1] for n in (1, 2, 3)}
    assert [first[n].is_implicit_VR for n in (1, 2, 3)] == [False, True, False]
    assert not any(p.suffix for p, _ in exports(2).headers())
    tops = {}
    for n in (1, 2, 3):
        slices = exports(n).series("CT", 3)
        tops[n] = int(slices[-1].InstanceNumber)
    assert tops == {1: 1, 2: SMALL.slices, 3: 1}
    pet = exports(2).series("PT", 5)
    assert len({float(ds.RescaleSlope) for ds in pet}) > len(pet) // 2
    assert len({float(ds.RescaleSlope) for ds in exports(3).series("PT", 5)}) == 1


# --- identity --------------------------------------------------------------------------------------------------------


def test_every_planted_string_stands_where_it_is_said(exports: Exports, table_files: tuple[Path, Path, Path]) -> None:
    distinct: set[str] = set()
    tables = b"".join(path.read_bytes() for path in table_files[:2])
    for number in range(1, 13):
        export = exports(number)
        names = "\n".join(file["path"] for file in export.manifest["files"]).encode()
        everything = b"\n".join(
            [tables, names, *((export.folder / f["path"]).read_bytes() for f in export.manifest["files"])]
        )
        absent = [s for s in export.manifest["planted"] if not any(s.encode(e) in everything for e in encodings(s))]
        assert not absent
        distinct.update(export.manifest["planted"])
    assert len(distinct) >= 120


def encodings(text: str) -> list[str]:
    return ["utf-8", "latin-1"] if all(ord(c) < 256 for c in text) else ["utf-8"]


def test_identity_stands_in_every_kind_of_place(exports: Exports) -> None:
    places = {p for n in (1, 2, 3) for found in exports(n).manifest["planted_at"].values() for p in found}
    wanted = {
        "(0010,0010)", "(0010,0020)", "(0008,0050)", "(0010,0030)", "(0010,1040)", "(0010,2154)", "(0008,0080)",
        "(0008,1070)", "(0008,0090)", "(0018,1000)", "(0008,1010)", "(0020,4000)", "(0008,1030)", "(0018,1030)",
        "private CT text", "private CT bytes", "private RT text", "private SG text", "(0077,0010) creator",
        "(0019,1234) no creator", "(0400,0561)>(0400,0550)>(0010,0020)", "(3006,0028)", "(300E,0008)", "(3006,0002)",
        "(3006,0026)", "(0062,0006)", "(0070,0084)", "UID", "preamble", "(0002,0016)", "(FFFC,FFFC)", "(6000,0022)",
        "(5000,0022)", "clinical: name", "clinical: phone", "clinical: birth_date", "clinical: remarks",
        "lesions: remark",
    }  # fmt: skip
    assert wanted <= places


def test_uids_carry_the_birth_date(exports: Exports) -> None:
    export = exports(1)
    birth = next(s for s, place in export.manifest["planted_at"].items() if "(0010,0030)" in place)
    assert all(birth in ds.SOPInstanceUID and birth in ds.FrameOfReferenceUID for _, ds in export.headers())


def test_planted_strings_belong_to_one_patient_or_hospital(exports: Exports) -> None:
    owners = Counter(s for n in range(1, 13) for s in exports(n).manifest["planted"])
    shared = {s for s, count in owners.items() if count > 1}
    kinds = {p for s in shared for n in range(1, 13) for p in exports(n).manifest["planted_at"].get(s, [])}
    assert kinds <= {"(0008,0080)", "(0010,0010) given", "(0010,4000)"}
