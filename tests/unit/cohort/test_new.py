"""A drafted working folder: it loads, it holds what was found, and identity stays in its private part."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from osteorad.cohort.load import load
from osteorad.cohort.new import is_plain, new_folder, suggested_rois
from osteorad.errors import UserError
from tests.conftest import ROOT


def write(path: Path, modality: str, *, patient="MRN-7", uid="1.2.3", rois=(), removed="") -> None:
    ds = Dataset()
    ds.PatientID, ds.PatientName, ds.Modality = patient, "Doe^Jane", modality
    ds.SOPInstanceUID, ds.SOPClassUID = generate_uid(entropy_srcs=[str(path)]), "1.2.840.10008.5.1.4.1.1.2"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.9", uid
    ds.SeriesDescription = "Thorax Dr. Roe"
    if removed:
        ds.PatientIdentityRemoved = removed
    if rois:
        items = []
        for name in rois:
            item = Dataset()
            item.ROIName = name
            items.append(item)
        ds.StructureSetROISequence = Sequence(items)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)


@pytest.fixture
def export(tmp_path) -> Path:
    folder = tmp_path / "Doe_Jane_export"
    for number in range(3):
        write(folder / f"ct/{number}.dcm", "CT", uid="1.2.1")
    write(folder / "pt/0.dcm", "PT", uid="1.2.2", patient="MRN-8")
    write(folder / "rs.dcm", "RTSTRUCT", uid="1.2.4", rois=["GTV_Mass_CT", "Marrow T6", "Dr Roe contour"])
    (folder / "notes.txt").write_text("not DICOM")
    return folder


def test_drafted_settings_load_and_hold_what_was_found(tmp_path, export):
    new_folder(tmp_path / "My Cohort", export)
    cohort = load(tmp_path / "My Cohort", ROOT).config.cohorts["my-cohort"]
    assert cohort.source == "dicom"
    assert cohort.path == str(export)
    assert cohort.modalities == ["CT", "PT"]
    assert cohort.rois == {"marrow": ["*marrow*"], "lesion": ["*gtv*"]}
    assert cohort.head == "blank"
    text = (tmp_path / "My Cohort/config.yaml").read_text()
    assert "# found: 2 patients, 6 files, 1 of them not DICOM" in text
    assert "#   CT: 1 series of 1 patients, 3 files a series" in text
    assert "#   GTV_Mass_CT: 1" in text
    assert "#   and 1 other names, in the private folder (overview.tsv)" in text


def test_identity_stays_in_the_private_part(tmp_path, export):
    folder = tmp_path / "cohort"
    new_folder(folder, export)
    text = (folder / "config.yaml").read_text().replace(str(export), "")
    assert not any(planted in text for planted in ("MRN", "Roe", "Doe", "Thorax"))
    clinical, overview = folder / "private/cohort/clinical.tsv", folder / "private/cohort/overview.tsv"
    assert clinical.read_text() == "patient\toutcome\tindex_date\tevent_date\tlast_seen\nMRN-7\t\t\t\t\nMRN-8\t\t\t\t\n"
    assert "contour\t\t\tDr Roe contour\t\t\t1" in overview.read_text()
    assert (clinical.stat().st_mode & 0o777, overview.stat().st_mode & 0o777) == (0o600, 0o600)
    assert ((folder / "private").stat().st_mode & 0o777, clinical.parent.stat().st_mode & 0o777) == (0o700, 0o700)


def test_an_export_without_identity_is_recognised(tmp_path):
    write(tmp_path / "export/0.dcm", "CT", removed="YES")
    new_folder(tmp_path / "cohort", tmp_path / "export")
    cohort = load(tmp_path / "cohort", ROOT).config.cohorts["cohort"]
    assert (cohort.source, cohort.head) == ("deidentified", "quarantine")


def test_nothing_is_overwritten(tmp_path, export):
    new_folder(tmp_path / "cohort", export)
    with pytest.raises(UserError, match=r"config\.yaml exists already"):
        new_folder(tmp_path / "cohort", export)


def test_an_export_without_images_is_refused(tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export/a.txt").write_text("x")
    with pytest.raises(UserError, match=r"no CT or PET image among 1 files \(1 are not DICOM\)"):
        new_folder(tmp_path / "cohort", tmp_path / "export")


def test_same_export_same_draft(tmp_path, export):
    for name in ("a", "b"):
        new_folder(tmp_path / name / "cohort", export)
    assert (tmp_path / "a/cohort/config.yaml").read_text() == (tmp_path / "b/cohort/config.yaml").read_text()


def test_suggested_patterns():
    assert suggested_rois(["Lesion_1", "Bone marrow", "LIVER", "xyz"]) == {
        "marrow": ["*marrow*"],
        "lesion": ["*lesion*"],
        "bone": ["*bone*"],
        "liver": ["*liver*"],
    }


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("GTV_Mass_CT", True),
        ("Lesion 12", True),
        ("T6 marrow", True),
        ("Dr Roe", False),
        ("lesion_smith", False),
        ("", False),
    ],
)
def test_only_known_words_are_plain(name, plain):
    assert is_plain(name) is plain


def test_sarcoma_export(shared_data, tmp_path):
    new_folder(tmp_path / "sts", shared_data("sts/dicom/STS_001").parent / "STS_001")
    cohort = load(tmp_path / "sts", ROOT).config.cohorts["sts"]
    assert cohort.source == "deidentified"
    assert cohort.rois == {"lesion": ["*gtv*"]}
