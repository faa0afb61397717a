"""Exactly which jobs a change brings, by rule: one change at a time on a finished run over an identified export.

Everything downstream of a job that runs also runs, so each list is what changed and what follows from it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest

from osteorad.cohort.review import COLUMNS
from osteorad.cohort.verdicts import mask_item
from osteorad.files import read_json
from tests.workflow.hospital import PATIENTS, pseudonym
from tests.workflow.snake import copied_clone, planned, snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
COHORT = "results/cohorts/breast"
Jobs = dict[str, int]

# --- what follows what -----------------------------------------------------------------------------------------------

PAGE: Jobs = {"report_analysis": 1, "write_index": 1}
EVALUATED: Jobs = {"evaluate_analysis": 1, **PAGE}
JUDGED: Jobs = {"audit_analysis": 1, "evaluate_analysis": 1, **PAGE}
LEARNED: Jobs = {"fit_models": 1, "freeze_bundle": 1, **JUDGED}
ANALYSIS: Jobs = {"make_samples": 1, "make_splits": 1, **LEARNED}
COLLECTED: Jobs = {"collect_cohort": 1, "report_cohort": 1, "report_privacy": 1, **ANALYSIS}
FEATURES: Jobs = {"collect_features": 2, **COLLECTED}
TABLES: Jobs = {"import_clinical": 1, "import_lesions": 1}


def from_masks(patients: int) -> Jobs:
    """Masks of some patients are drawn anew."""
    each = {"draw_masks": patients, "build_grid": patients, "draw_patient": patients}
    return {**each, "extract_features": 2 * patients, "import_lesions": 1, "review_cohort": 1, **FEATURES}


def from_source(patients: int) -> Jobs:
    """The export of some patients changed."""
    both = {"deidentify_images": patients, "deidentify_contours": patients, "convert_images": patients}
    return {**both, **from_masks(patients), **TABLES}


# --- a run that may be changed ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copies(hospital, tmp_path_factory) -> tuple[Path, Path]:
    """A copy of the finished run, and a clone whose code may be changed."""
    base = tmp_path_factory.mktemp("matrix")
    shutil.copytree(hospital, base / "hospital")
    return base / "hospital", copied_clone(base / "clone")


class Bench:
    """A finished run and a clone that one test changes; all is put back, times included."""

    def __init__(self, folder: Path, clone: Path, scratch: Path) -> None:
        self.folder, self.clone, self.scratch = folder, clone, scratch
        self.before: dict[Path, tuple[bytes, int, int] | None] = {}
        for name in ("private", "results/.state"):
            shutil.copytree(folder / name, scratch / name)

    def keep(self, path: Path) -> Path:
        """Remember a file, or that there is none."""
        if path not in self.before:
            stat = path.stat() if path.exists() else None
            self.before[path] = (path.read_bytes(), stat.st_atime_ns, stat.st_mtime_ns) if stat else None
        return path

    def text(self, path: Path, old: str, new: str) -> None:
        text = self.keep(path).read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def slices(self, number: int) -> list[Path]:
        """CT slices of the export of patient `number`, in the order of their names."""
        of = pseudonym(number)
        found = []
        for path in sorted((self.folder / "export").rglob("*")):
            if path.is_file():
                header = pydicom.dcmread(path, specific_tags=["PatientID", "Modality"])
                if header.Modality == "CT" and header.PatientID == f"MRN-{PATIENTS.seed:02d}-{number:05d}":
                    found.append(path)
        assert found, of
        return found

    def put_back(self) -> None:
        for path, kept in self.before.items():
            if kept is None:
                path.unlink(missing_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(kept[0])
            os.utime(path, ns=kept[1:])
        for name in ("private", "results/.state"):
            shutil.rmtree(self.folder / name)
            shutil.copytree(self.scratch / name, self.folder / name)


@pytest.fixture
def bench(copies, tmp_path) -> Iterator[Bench]:
    made = Bench(*copies, tmp_path)
    yield made
    made.put_back()


# --- changes ---------------------------------------------------------------------------------------------------------


def nothing(bench: Bench) -> None:
    pass


def output_deleted(bench: Bench) -> None:
    bench.keep(bench.folder / COHORT / f"masks/manual/{pseudonym(3)}/masks.json").unlink()


def reasons_deleted(bench: Bench) -> None:
    """A file that only the sum over the cohort reads, which is due as well."""
    function("radiomics/collect.py")(bench)
    name = f"features/zhu2024/manual/patients/{pseudonym(3)}.reasons.parquet"
    bench.keep(bench.folder / COHORT / name).unlink()


def pages_deleted(bench: Bench) -> None:
    bench.keep(bench.folder / COHORT / "report.html").unlink()


def file_changed(bench: Bench) -> None:
    path = bench.keep(bench.slices(3)[4])
    data = pydicom.dcmread(path)
    pixels = bytearray(data.PixelData)
    pixels[0] ^= 1
    data.PixelData = bytes(pixels)
    data.save_as(path)


def file_touched(bench: Bench) -> None:
    os.utime(bench.keep(bench.slices(3)[4]))


def file_added(bench: Bench) -> None:
    first = bench.slices(3)[4]
    data = pydicom.dcmread(first)
    data.SOPInstanceUID += ".7"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.save_as(bench.keep(first.with_name("IM_9999")))


def file_removed(bench: Bench) -> None:
    bench.keep(bench.slices(3)[-1]).unlink()


def no_dicom_added(bench: Bench) -> None:
    bench.keep(bench.folder / "export/notes.txt").write_text("nothing for us")


def patient_added(bench: Bench) -> None:
    for number, path in enumerate(bench.slices(3)[:5]):
        data = pydicom.dcmread(path)
        data.PatientID = "MRN-01-77777"
        data.StudyInstanceUID += ".7"
        data.SeriesInstanceUID += ".7"
        data.SOPInstanceUID += ".7"
        data.save_as(bench.keep(bench.folder / f"export/new-{number}"))


def earlier_session(bench: Bench) -> None:
    for number, path in enumerate(bench.slices(3)):
        data = pydicom.dcmread(path)
        for name in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
            if name in data:
                setattr(data, name, str(int(data[name].value[:4]) - 1) + data[name].value[4:])
        data.StudyInstanceUID += ".7"
        data.SeriesInstanceUID += ".7"
        data.SOPInstanceUID += ".7"
        data.save_as(bench.keep(bench.folder / f"export/earlier-{number:03d}"))


def excluded(bench: Bench) -> None:
    bench.text(bench.folder / "config.yaml", "    cutoff:", f"    exclude: {{{pseudonym(3)}: too young}}\n    cutoff:")


def withdrawn(bench: Bench) -> None:
    (bench.folder / "private/breast/withdrawn.tsv").write_text(f"patient\n{pseudonym(3)}\n")


def corrected_mask(bench: Bench) -> None:
    drawn = next((bench.folder / "contours/manual").glob("*/Met 1.nrrd"))
    path = drawn.parents[1] / pseudonym(3) / "lesion-1.nrrd"
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(drawn, bench.keep(path))


def verdict(said: str) -> Callable[[Bench], None]:
    """A line of a reader on a lesion of patient 3."""

    def write(bench: Bench) -> None:
        masks = read_json(bench.folder / COHORT / f"masks/manual/{pseudonym(3)}/masks.json")["masks"]
        item = next(mask_item("manual", mask) for mask in masks if mask["roi"] == "lesion")
        lines = ["\t".join(COLUMNS), "\t".join([pseudonym(3), item, said, "Dr. Example", "blurred"]), ""]
        (bench.folder / "private/breast/review.tsv").write_text("\n".join(lines))

    return write


def clinical_changed(bench: Bench) -> None:
    bench.text(bench.folder / "clinical.tsv", "\tluminal B\t", "\tluminal A\t")


def roi_pattern(bench: Bench) -> None:
    bench.text(bench.folder / "config.yaml", "['*marrow*']", "['*marrow*', '*mark*']")


def title(bench: Bench) -> None:
    bench.text(bench.folder / "config.yaml", "title: Does marrow", "title: And does marrow")


def recipe(old: str, new: str) -> Callable[[Bench], None]:
    return lambda bench: bench.text(bench.clone / "resources/recipes/zhu2024.yaml", old, new)


def preset(bench: Bench) -> None:
    bench.text(bench.clone / "resources/presets/zhu2024.yaml", "\n", "\n# a comment\n")


def function(name: str) -> Callable[[Bench], None]:
    """One more function in a module of the library."""
    start = "from __future__ import annotations\n"
    return lambda bench: bench.text(
        bench.clone / "osteorad" / name, start, f"{start}\n\ndef added() -> int:\n    return 1\n\n"
    )


def comment(bench: Bench) -> None:
    for name in ("osteorad/dicom/suv.py", "osteorad/files.py", "scripts/fit_models.py", "rules/features.smk"):
        path = bench.keep(bench.clone / name)
        path.write_text("# a comment\n" + path.read_text())


def docstring(bench: Bench) -> None:
    bench.text(bench.clone / "osteorad/files.py", '"""Writing that is', '"""Writing, which is')


def script_touched(bench: Bench) -> None:
    for path in (bench.clone / "scripts").glob("*.py"):
        os.utime(bench.keep(path))


PATIENT_COUNT = PATIENTS.patients
EVERYBODY = from_source(PATIENT_COUNT)
CASES: dict[str, tuple[Callable[[Bench], None], Jobs]] = {
    "a second run": (nothing, {}),
    "an output deleted": (output_deleted, from_masks(1)),
    "reasons of a patient deleted": (
        reasons_deleted,
        {"extract_features": 1, "collect_features": 2, "report_cohort": 1, **ANALYSIS},
    ),
    "a page deleted": (pages_deleted, {"report_cohort": 1, "write_index": 1}),
    "a DICOM file changed": (file_changed, from_source(1)),
    "a DICOM file touched": (file_touched, {}),
    "a DICOM file added": (file_added, from_source(1)),
    "a DICOM file removed": (file_removed, from_source(1)),
    "a file that is no DICOM added": (no_dicom_added, {"publish_unplaced": 1, **COLLECTED}),
    "a patient added": (patient_added, from_source(1)),
    "an earlier session added": (earlier_session, from_source(1)),
    "a patient excluded": (excluded, COLLECTED),
    "a patient withdrawn": (withdrawn, {"publish_unplaced": 1, "review_cohort": 1, **TABLES, **FEATURES}),
    "a mask rejected by a reader": (verdict("rejected"), {"review_cohort": 1, **FEATURES}),
    "a mask accepted by a reader": (verdict("accepted"), {"review_cohort": 1, "report_cohort": 1, "write_index": 1}),
    "a corrected mask": (corrected_mask, from_masks(1)),
    "the clinical table changed": (clinical_changed, {"import_clinical": 1, **COLLECTED}),
    "a new ROI pattern": (
        roi_pattern,
        {**from_masks(PATIENT_COUNT), "deidentify_contours": PATIENT_COUNT},
    ),
    "a title": (title, PAGE),
    "recipe: title": (recipe("title: Marrow", "title: The marrow"), PAGE),
    "recipe: session": (recipe("session: first", "session: last"), ANALYSIS),
    "recipe: covariates": (recipe("[age_years, er, pr, her2, ki67, subtype]", "[age_years, er, her2]"), ANALYSIS),
    "recipe: baselines": (recipe("combined, volume, prevalence", "combined, volume"), LEARNED),
    "recipe: steps": (recipe("threshold: 0.90", "threshold: 0.80"), LEARNED),
    "recipe: models": (recipe("[logistic, svm, knn,", "[logistic, svm,"), LEARNED),
    "recipe: threshold": (recipe("threshold: youden", "threshold: sensitivity"), LEARNED),
    "recipe: splits": (recipe("repeats: 5, seed: 1}", "repeats: 5, seed: 2}"), {"make_splits": 1, **LEARNED}),
    "recipe: controls": (recipe("permutations: 120", "permutations: 130"), LEARNED),
    "recipe: published": (recipe("test_share: 0.208", "test_share: 0.25"), {"make_splits": 1, **LEARNED}),
    "recipe: comparisons": (recipe("comparisons: [volume, clinical]", "comparisons: [volume]"), EVALUATED),
    "module of room cohort": (function("cohort/divisions.py"), ANALYSIS),
    "module of room dicom": (
        function("dicom/suv.py"),
        {"convert_images": PATIENT_COUNT, **from_masks(PATIENT_COUNT)},
    ),
    "module of room images": (function("images/fuse.py"), {"build_grid": PATIENT_COUNT}),
    "module of room radiomics": (
        function("radiomics/collect.py"),
        {"collect_features": 2, "report_cohort": 1, **ANALYSIS},
    ),
    "module of room modelling": (function("modelling/evaluation/evaluate.py"), EVALUATED),
    "module of room reporting": (function("reporting/nomogram.py"), PAGE),
    "module of room phantom": (function("phantom/lungs.py"), {}),
    "a comment": (comment, {}),
    "a docstring": (docstring, {}),
    "touched scripts": (script_touched, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_exactly_these_jobs_follow(bench, case):
    change, wanted = CASES[case]
    change(bench)
    assert planned(bench.folder, clone=bench.clone) == wanted


def test_without_the_records_of_snakemake_nothing_runs(copies, tmp_path):
    folder, clone = copies
    shutil.move(folder / ".snakemake", tmp_path / "records")
    try:
        assert planned(folder, clone=clone) == {}
    finally:
        shutil.rmtree(folder / ".snakemake", ignore_errors=True)
        shutil.move(tmp_path / "records", folder / ".snakemake")


def test_a_folder_copied_with_its_times_is_up_to_date(copies, tmp_path):
    folder, clone = copies
    shutil.copytree(folder, tmp_path / "copy")
    assert planned(tmp_path / "copy", clone=clone) == {}


def test_a_copy_without_its_times_is_adopted_by_one_command(copies, tmp_path):
    folder, clone = copies
    copy = shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    (copy / "private/breast/key").chmod(0o600)
    done = snakemake(copy, "--touch", "--cores", "2", clone=clone)
    assert done.returncode == 0, done.stdout[-4000:]
    assert planned(copy, clone=clone) == {}
