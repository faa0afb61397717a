"""The sarcoma images as an identified export: identity stays behind, and four ways to state uptake give one SUV."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
import yaml
from pydicom.uid import UID

from osteorad.cohort.pseudonyms import patient_pseudonym, read_key
from osteorad.files import read_json, read_parquet
from osteorad.images.volume import Grid, read_nifti
from tests.contracts.test_1_privacy import leaks, searchable
from tests.workflow.snake import ROOT, snakemake

pytestmark = [pytest.mark.slow, pytest.mark.workflow, pytest.mark.filterwarnings("ignore:The value length")]
COHORT = "results/cohorts/sts"
PATIENTS = ("STS_001", "STS_002", "STS_003")
VARIANTS = {  # constructed PET -> PatientID, name and accession number of its person
    "bqml_start": ("MRN-7000141", "Quappensteert^Ida", "ACC88210041"),
    "bqml_admin": ("MRN-7000142", "Zwiebelfisch^Jo", "ACC88210042"),
    "cnts_philips": ("MRN-7000143", "Muckenhirn^Ella", "ACC88210043"),
}
IDENTITY = ("PatientID", "PatientName", "AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription")
UID_LIKE = re.compile(rb"\d[\d.]{20,}")


# --- the export -------------------------------------------------------------------------------------------------------


def new_uid(variant: str, uid: str) -> str:
    """Another UID for every UID of a patient; the same one wherever it is named."""
    return f"2.25.{int(hashlib.sha256(f'{variant} {uid}'.encode()).hexdigest()[:30], 16)}"


def renamed(variant: str, ds: pydicom.Dataset) -> None:
    """Make a person of their own out of a copy: identifiers, and every UID that names an object."""

    def change(_: pydicom.Dataset, element: pydicom.DataElement) -> None:
        if element.VR == "UI" and element.value and not UID(element.value).startswith("1.2.840.10008."):
            element.value = new_uid(variant, element.value)

    ds.walk(change)
    ds.PatientID, ds.PatientName, ds.AccessionNumber = VARIANTS[variant]
    ds.StudyID = ds.AccessionNumber
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID


def person(variant: str) -> str:
    """PatientID of the person who carries a constructed PET."""
    return VARIANTS[variant][0]


def write_variant(shared: Path, variant: str, out: Path) -> None:
    """STS_002 with its PET replaced by a constructed one, as another person."""
    source = shared / "dicom/STS_002"
    original = pydicom.dcmread(next((source / "PET/image").iterdir()), stop_before_pixels=True)
    copied = [*(source / "CT").rglob("*.dcm"), *(source / "PET/mask").rglob("*.dcm")]
    for path in [*copied, *(shared / "derived_pet_units" / variant).glob("*.dcm")]:
        ds = pydicom.dcmread(path)
        if ds.Modality == "PT":  # the constructed series has a UID of its own; its contour names the original one
            ds.SeriesInstanceUID = original.SeriesInstanceUID
        renamed(variant, ds)
        target = out / ds.Modality / path.parent.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(target)


@dataclass(frozen=True, slots=True)
class Export:
    """The working folder after the run, the export that it read, and how its persons are called there."""

    folder: Path
    source: Path
    names: dict[str, str]  # PatientID -> pseudonym


@pytest.fixture(scope="module")
def finished(shared_data, tmp_path_factory) -> Export:
    shared = shared_data("sts")
    base = tmp_path_factory.mktemp("identified")
    source, folder = base / "source", base / "work"
    for name in PATIENTS:
        target = source / name
        for path in (shared / "dicom" / name).rglob("*.dcm"):
            copy = target / path.relative_to(shared / "dicom" / name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    for variant in VARIANTS:
        write_variant(shared, variant, source / person(variant))
    config = yaml.safe_load((ROOT / "tests/configs/sts-dicom/config.yaml").read_text(encoding="utf-8"))
    config["cohorts"]["sts"]["path"] = str(source)
    config["cohorts"]["sts"]["clinical"]["path"] = str(shared / "clinical.tsv")
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-4000:]
    key = read_key(folder / "private/sts/key")
    names = {name: patient_pseudonym(key, name) for name in (*PATIENTS, *map(person, VARIANTS))}
    return Export(folder, source, names)


def ours(finished: Export, person_id: str, image: str, kind: str = "image") -> tuple[np.ndarray, Grid]:
    """Image or mask of a person, called by the original PatientID."""
    folder, pattern = ("images", f"*/{image}.nii.gz") if kind == "image" else ("masks/manual", f"*/{image}/*.nii.gz")
    (path,) = (finished.folder / COHORT / folder / finished.names[person_id]).glob(pattern)
    return read_nifti(path)


# --- the run ----------------------------------------------------------------------------------------------------------


def test_everything_is_accounted_for(finished):
    exported = sum(1 for p in finished.source.rglob("*") if p.is_file())
    assert exported == 6 * 2 + 2 * (59 + 48 + 51) + 3 * (48 + 48)
    rows = read_parquet(finished.folder / COHORT / "series.parquet").to_pylist()
    assert sum(row["files"] for row in rows) == exported
    assert Counter((r["kind"], r["state"]) for r in rows) == {("image", "used"): 12, ("contours", "used"): 12}
    assert {row["patient"] for row in rows} == set(finished.names.values())
    stages = read_json(finished.folder / COHORT / "flow.json")["stages"]
    assert [s["stage"] for s in stages if s["in"] != s["used"] + sum(r["count"] for r in s["set_aside"])] == []
    people = read_parquet(finished.folder / COHORT / "patients.parquet").to_pylist()
    assert Counter((r["state"], r["in_table"]) for r in people) == {
        ("used", True): 3,
        ("used", False): 3,
        ("excluded", True): 48,
    }


@pytest.mark.parametrize("name", PATIENTS)
def test_masks_and_suv_survive_the_removal_of_identity(finished, shared_data, name):
    for image in ("ct", "pet"):
        array, _ = ours(finished, name, image, "mask")
        reference, _ = read_nifti(shared_data("sts/reference_nifti") / name / f"{image.upper()}_mask.nii.gz")
        assert int(array.sum()) == int((reference != 0).sum())
    suv, _ = ours(finished, name, "pet")
    reference, _ = read_nifti(shared_data("sts/reference_nifti") / name / "PET_image.nii.gz")
    assert float(suv.max()) == pytest.approx(float(reference.max()), abs=1e-5)
    assert float(suv.mean(dtype=float)) == pytest.approx(float(reference.mean(dtype=float)), abs=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_way_to_state_uptake_gives_the_same_suv(finished, variant):
    wanted, grid = ours(finished, "STS_002", "pet")
    array, their_grid = ours(finished, person(variant), "pet")
    assert grid.matches(their_grid)
    assert np.abs(array - wanted).max() < 1e-5
    assert float(array.max()) == pytest.approx(21.67575, abs=1e-4)
    path = finished.folder / COHORT / "images" / finished.names[person(variant)] / "images.json"
    (row,) = (r for r in read_json(path)["images"] if r["image"] == "pet")
    assert row["units"] == "SUVbw"
    units, _, decay = variant.partition("_")
    assert row["facts"]["suv"]["units"] == units.upper()
    assert row["facts"]["suv"]["decay"] == {"admin": "ADMIN"}.get(decay, "START")
    assert row["facts"]["suv"]["factor_max"] < 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
def test_masks_of_the_variants_are_those_of_the_original(finished, variant):
    for image, voxels in (("ct", 17090), ("pet", 555)):
        wanted, _ = ours(finished, "STS_002", image, "mask")
        array, _ = ours(finished, person(variant), image, "mask")
        assert int(array.sum()) == voxels
        assert (array == wanted).all()


# --- identity ---------------------------------------------------------------------------------------------------------


def uids_of(ds: pydicom.Dataset) -> Iterator[str]:
    """Every UID of a data set that names an object, nested ones too."""
    for element in ds.iterall():
        if element.VR == "UI" and element.value:
            values = [element.value] if element.VM == 1 else element.value
            yield from (str(v) for v in values if not str(v).startswith("1.2.840.10008."))


@pytest.fixture(scope="module")
def known(finished) -> dict[str, set[str]]:
    """Everything in the export that names a person or an object of theirs."""
    found: dict[str, set[str]] = {"uid": set(), "text": set()}
    for path in finished.source.rglob("*.dcm"):
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        found["uid"] |= set(uids_of(ds))
        found["text"] |= {str(ds.get(name, "")) for name in IDENTITY} - {""}
    return found


def telling(folder: Path, known: dict[str, set[str]]) -> list[str]:
    """Files outside private/ that hold an identifier or a UID of the export."""
    found = set(leaks(folder, sorted(known["text"])))
    uids = {uid.encode() for uid in known["uid"]}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and "private" not in p.relative_to(folder).parts):
        words = {w.strip(b".") for w in UID_LIKE.findall(searchable(path) + path.name.encode())}
        found |= {str(path.relative_to(folder))} if words & uids else set()
    return sorted(found)


def test_original_identifiers_stay_private(finished, known):
    assert len(known["uid"]) > 800
    told = {*PATIENTS, *(text for row in VARIANTS.values() for text in row), "3912173256621705"}
    assert told <= known["text"]
    files = [p for p in finished.folder.rglob("*") if p.is_file()]
    assert {p.relative_to(finished.folder).parts[0] for p in files} >= {"results", "logs", "benchmarks", ".snakemake"}
    assert telling(finished.folder, known) == []


@pytest.mark.parametrize("word", ["AccessionNumber", "PatientID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_the_search_would_find_them(finished, known, tmp_path, word):
    """A header of the export in a log, and a whole file of it beside the results."""
    path = next((finished.source / "STS_001/PET/image").iterdir())
    (tmp_path / "a.dcm").write_bytes(path.read_bytes())
    (tmp_path / "a.log").write_text(f"cannot read {pydicom.dcmread(path)[word].value}.\n", encoding="utf-8")
    (tmp_path / "b.log").write_text("cannot read p0123456789ab\n", encoding="utf-8")
    assert telling(tmp_path, known) == ["a.dcm", "a.log"]


def test_patients_are_pseudonyms_outside_private(finished):
    for folder in ("dicom", "images", "masks/manual", "pages"):
        names = {p.stem for p in (finished.folder / COHORT / folder).iterdir()}
        assert names == set(finished.names.values())
    assert all(re.fullmatch(r"p[0-9a-f]{12}", name) for name in finished.names.values())
    assert (finished.folder / "private").stat().st_mode & 0o077 == 0
