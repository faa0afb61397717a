"""An identified export with everything that goes wrong: the cohort finishes, each thing is listed, nothing is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pydicom
import pytest
import yaml

from osteorad.files import read_json, read_parquet
from tests.workflow.hospital import export_of
from tests.workflow.snake import snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
COHORT = "results/cohorts/hospital"


def headers(folder: Path, modality: str) -> list[tuple[Path, pydicom.Dataset]]:
    found = [(p, pydicom.dcmread(p, stop_before_pixels=True)) for p in sorted(folder.rglob("*")) if p.is_file()]
    return [(p, h) for p, h in found if h.Modality == modality]


def axial_ct(folder: Path) -> list[Path]:
    """Slices of the largest CT series, by position."""
    slices = headers(folder, "CT")
    largest = Counter(h.SeriesInstanceUID for _, h in slices).most_common(1)[0][0]
    mine = [(float(h.ImagePositionPatient[2]), p) for p, h in slices if h.SeriesInstanceUID == largest]
    return [p for _, p in sorted(mine)]


def change_contours(folder: Path, change) -> None:
    """Apply `change(contour points)` to the first ROI called a lesion in the RTSTRUCT of the CT."""
    for path, _ in headers(folder, "RTSTRUCT"):
        data = pydicom.dcmread(path)
        names = {roi.ROINumber: roi.ROIName.lower() for roi in data.StructureSetROISequence}
        for roi in data.ROIContourSequence:
            if any(word in names[roi.ReferencedROINumber] for word in ("met", "lesion", "gtv")):
                change(roi)
                data.save_as(path)
                return
    raise AssertionError("no lesion contour")


def moved(roi: pydicom.Dataset) -> None:
    for contour in roi.ContourSequence:
        contour.ContourData = [v + (5000 if i % 3 == 0 else 0) for i, v in enumerate(contour.ContourData)]


def emptied(roi: pydicom.Dataset) -> None:
    del roi.ContourSequence


@pytest.fixture(scope="module")
def export(run, tmp_path_factory) -> Path:
    """A working folder with a damaged export of twelve patients."""
    folder = tmp_path_factory.mktemp("hospital")
    export_of(run / "private/small/source", folder)
    folders = [folder / f"export/{number:02d}" for number in range(12)]
    single = [f for f in folders if len({h.SeriesInstanceUID for _, h in headers(f, "CT")}) == 1]
    plain = [f for f in single if headers(f, "RTSTRUCT")][:4]
    gapped = [f for f in single if f not in plain][:4]
    assert len(plain) == len(gapped) == 4
    first = axial_ct(plain[0])[5]
    first.write_bytes(first.read_bytes()[:-5000])
    for path, _ in headers(plain[1], "PT"):
        path.unlink()
    change_contours(plain[2], emptied)
    change_contours(plain[3], moved)
    for patient in gapped:
        axial_ct(patient)[7].unlink()
    (folder / "export/Thumbs.db").write_bytes(b"no DICOM")
    (folder / "export/00/notes.txt").write_text("call back on Monday")
    config = {
        "cohorts": {
            "hospital": {
                "source": "dicom",
                "path": "export",
                "head": "keep",
                "rois": {"marrow": ["*marrow*"], "lesion": ["*lesion*", "*met*", "*gtv*"]},
                "clinical": {"path": "clinical.tsv", "keep": ["er"]},
                "lesions": {"path": "lesions.tsv"},
            }
        },
        "analyses": {
            "marrow": {"cohort": "hospital", "recipe": "zhu2024", "overrides": {"splits.repeats": 1, "trees": 10}}
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="module")
def finished(export) -> tuple[Path, str]:
    """The folder after the run, and what Snakemake said."""
    done = snakemake(export, "--cores", "2")
    assert done.returncode != 0
    return export, done.stdout


def test_the_cohort_page_is_written_and_the_analysis_refused_with_reason(finished):
    folder, said = finished
    assert (folder / COHORT / "report.html").stat().st_size > 10_000
    assert not (folder / "results/analyses/marrow/samples.parquet").exists()
    assert "5 of 12 patients are quarantined" in said
    assert "make_samples" in said
    assert said.count("Error in rule") == 1


def test_everything_is_listed_with_its_reason(finished):
    folder, _ = finished
    rows = read_parquet(folder / COHORT / "quarantine.parquet").to_pylist()
    reasons = Counter(row["reason"] for row in rows)
    assert reasons["not_dicom"] == 2
    assert reasons["pixel_data_truncated"] >= 1
    assert reasons["missing_slices"] == 4 + 1  # a truncated slice is held back, and leaves a gap
    assert reasons["roi_outside_image"] >= 1
    missing = read_parquet(folder / COHORT / "features/lesion-table/manual/reasons.parquet").to_pylist()
    assert "roi_empty" in {row["reason"] for row in missing} | set(reasons)
    states = Counter(row["state"] for row in read_parquet(folder / COHORT / "patients.parquet").to_pylist())
    assert states == {"used": 7, "quarantined": 5}


def test_rows_of_lesions_that_are_not_drawn_have_their_reason(finished):
    """Mask files were not exported, one patient's contours were moved out of the image."""
    folder, _ = finished
    rows = read_parquet(folder / COHORT / "quarantine.parquet").to_pylist()
    reasons = {row["reason"] for row in rows if row["stage"] == "lesions"}
    assert {"lesion_contour_absent", "lesion_contour_set_aside"} <= reasons
    account = read_json(folder / COHORT / "lesions.json")
    assert 0 < account["used"] < account["rows_in"] == len((folder / "lesions.tsv").read_text().splitlines()) - 1


def test_nothing_else_is_lost(finished):
    folder, _ = finished
    exported = sum(p.is_file() for p in (folder / "export").rglob("*"))
    kept = sum(1 for _ in (folder / COHORT / "dicom").rglob("*.dcm"))
    manifests = [read_json(p) for p in (folder / COHORT / "dicom").glob("*/*.json")]
    aside = sum(row["count"] for m in manifests for row in m["set_aside"])
    assert exported == kept + aside + 2  # the two that are no DICOM
    series = read_parquet(folder / COHORT / "series.parquet").to_pylist()
    assert sum(row["files"] for row in series) == kept
    for stage in read_json(folder / COHORT / "flow.json")["stages"]:
        assert stage["in"] == stage["used"] + sum(row["count"] for row in stage["set_aside"])
    assert read_json(folder / COHORT / "flow.json")["stages"][0]["in"] == exported


def test_the_page_says_so(finished):
    folder, _ = finished
    page = (folder / COHORT / "report.html").read_text()
    for words in ("A slice is missing", "shorter than the header promises", "is not DICOM", "outside the image"):
        assert words in page
