"""The processes that are measured: `python -m benchmarks.tasks NAME ARGUMENTS` runs one function.

Each function imports what it needs and nothing more, as a job's script does: start-up is part of the cost.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

TASKS: dict[str, Callable[..., None]] = {}
COHORT, PATIENT = "bench", "MRN-08-00001"
ROIS = {"marrow": ["*marrow*"], "lesion": ["*lesion*", "*met*", "*gtv*"]}


def task(function: Callable[..., None]) -> Callable[..., None]:
    """Register a function under its name."""
    TASKS[function.__name__] = function
    return function


def _files(folder: str) -> list[Path]:
    return sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name != "manifest.json")


# --- phantom, DICOM --------------------------------------------------------------------------------------------------


@task
def write_phantom(settings: dict[str, Any], number: int, out: str) -> None:
    """Write one digital patient."""
    from osteorad.cohort.config import Phantom
    from osteorad.phantom.write import write_patient

    write_patient(Phantom.model_validate(settings), COHORT, number, Path(out))


@task
def scan(folder: str) -> None:
    """Search a folder for 5,000 invented names, numbers and UIDs; print the MB of its files, unpacked, and the hits."""
    from osteorad.verify.scan import Scan
    from osteorad.verify.values import Collector

    collector = Collector()
    for number in range(1, 1001):
        collector.name("PatientName", f"Zq{number:04d}bach^Xv{number:04d}ine")
        collector.identifier("PatientID", f"ZQ-{number * 7919:08d}")
        collector.uid("SOPInstanceUID", f"1.3.999.77.{number}.{number * 104729}")
        collector.identifier("AccessionNumber", f"{number * 15485863}")
    found = Scan(collector.finish())
    found.folder(Path(folder))
    print(json.dumps({"mb": sum(map(_unpacked, _files(folder))) / 1e6, "hits": len(found.report.hits)}))


def _unpacked(path: Path) -> int:
    """Size of a file; of a gzip the unpacked one, which its last four bytes state."""
    return int.from_bytes(path.read_bytes()[-4:], "little") if path.suffix == ".gz" else path.stat().st_size


@task
def adopt(source: str, ct: str, out: str) -> None:
    """Manifests of the CT series and of the contours, taken over as they are."""
    from osteorad.dicom.adopt import adopt_patient

    for part, folder in (("images", ct), ("contours", source)):
        adopt_patient(
            _files(folder),
            cohort=COHORT,
            patient=PATIENT,
            part=part,
            source_root=Path(folder),
            manifest=Path(out) / f"{part}.json",
            files_in=len(_files(folder)),
        )


@task
def convert(manifests: str, source: str, out: str) -> None:
    """DICOM to NIfTI."""
    from osteorad.dicom.convert import convert_patient

    convert_patient(
        Path(manifests) / "images.json", Path(source), modalities=["CT"], kernel="soft", overrides=[], out_dir=Path(out)
    )


@task
def same_volume(ours: str, theirs: str) -> None:
    """Print the largest difference in HU between two NIfTI files, and in mm between their corners."""
    import numpy as np
    from nibabel import as_closest_canonical, load

    first, second = (as_closest_canonical(load(path)) for path in (ours, theirs))
    hu = np.abs(np.asarray(first.dataobj, dtype=np.float32) - np.asarray(second.dataobj, dtype=np.float32)).max()
    corners = np.array([[0, 0, 0, 1], [*first.shape[:3], 1]]).T
    print(json.dumps({"hu": float(hu), "mm": float(np.abs((first.affine - second.affine) @ corners).max())}))


@task
def masks(manifests: str, source: str, images: str, out: str) -> None:
    """Contours to masks."""
    from osteorad.dicom.masks import draw_masks

    draw_masks(
        Path(images),
        Path(manifests) / "contours.json",
        Path(source),
        None,
        mask_set="manual",
        rois=ROIS,
        out_dir=Path(out),
    )


@task
def deidentify(source: str, out: str) -> None:
    """De-identify every file, with the check of the finished bytes and pixel hashes."""
    from osteorad.cohort.pseudonyms import PHANTOM_KEY, patient_pseudonym
    from osteorad.dicom.deidentify import deidentify_patient

    files = _files(source)
    shutil.rmtree(out, ignore_errors=True)
    manifest = deidentify_patient(
        files,
        cohort=COHORT,
        patient=patient_pseudonym(PHANTOM_KEY, PATIENT),
        key=PHANTOM_KEY,
        project_key=PHANTOM_KEY,
        part="images",
        rois={},
        out_dir=Path(out),
        manifest=Path(out) / "images.json",
        files_in=len(files),
        source_root=Path(source),
    )
    print(json.dumps({"written": len(manifest["files"])}))


@task
def copy_pydicom(source: str, out: str) -> None:
    """Read every file with pydicom and write it again, nothing removed: a yardstick, no de-identification."""
    import pydicom

    shutil.rmtree(out, ignore_errors=True)
    Path(out).mkdir(parents=True)
    for path in _files(source):
        pydicom.dcmread(path).save_as(Path(out) / path.name)


@task
def index(folder: str, state: str, fresh: bool) -> None:
    """Bring the index of a source folder up to date; `fresh`: there was none."""
    from osteorad.cohort.pseudonyms import PHANTOM_KEY
    from osteorad.cohort.sources import Source
    from osteorad.dicom.index import update

    if fresh:
        shutil.rmtree(state, ignore_errors=True)
    source = Source(name=COHORT, folder=Path(folder), state=Path(state), key=PHANTOM_KEY)
    print(json.dumps({"patients": len(update(source, progress=False))}))


@task
def write_export(folder: str, patients: int, files: int) -> None:
    """Write an export of empty files and the index of it, as if each header named its patient."""
    from osteorad.cohort.sources import source_of
    from osteorad.dicom import index, index_headers

    base = Path(folder)
    for patient in range(patients):
        own = base / f"export/{patient:05d}"
        own.mkdir(parents=True)
        for number in range(files):
            (own / f"{number:04d}.dcm").touch()

    def told(path: Path) -> dict[str, str]:
        name = path.parent.name
        values = {"PatientID": f"ID-{name}", "IssuerOfPatientID": "", "Modality": "CT"}
        uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        return values | dict.fromkeys(uids, f"1.2.{int(name)}")

    index_headers.header_values = told  # the pass over headers has a measurement of its own
    source = source_of("breast", kind="dicom", path="export", workdir=base, private_dir="private")
    print(json.dumps({"patients": len(index.update(source, progress=False))}))


@task
def write_outputs(folder: str, plan: str) -> None:
    """Make an empty file of each output that a dry run lists, none older than what it is made of."""
    from graphlib import TopologicalSorter

    from osteorad.cohort.why import jobs_of

    jobs = jobs_of(Path(plan).read_text(encoding="utf-8"))
    makers = {output: number for number, job in enumerate(jobs) for output in job.outputs}
    before = {number: {makers[name] for name in job.inputs if name in makers} for number, job in enumerate(jobs)}
    for number in TopologicalSorter(before).static_order():
        for name in sorted(jobs[number].outputs):  # a folder before what lies in it
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix:
                path.touch()
            else:
                path.mkdir(exist_ok=True)
    print(json.dumps({"jobs": len(jobs)}))


@task
def headers_pydicom(folder: str) -> None:
    """Read every header up to the pixels with pydicom, and the six values that an index holds."""
    import pydicom

    from osteorad.dicom.index_headers import HEADER_TAGS

    rows = []
    for path in _files(folder):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        rows.append([str(header.get(tag, "")) for tag in HEADER_TAGS])
    print(json.dumps({"patients": len({row[0] for row in rows})}))


# --- features --------------------------------------------------------------------------------------------------------


@task
def features(volumes: str, rois: list[str], out: str) -> None:
    """Features of the CT's ROIs, preset zhu2024, by our engine."""
    from osteorad.radiomics.extract import extract_patient

    extract_patient(
        Path(volumes) / "images/images.json",
        Path(volumes) / "masks/masks.json",
        [],
        preset="zhu2024",
        rois=rois,
        out_table=Path(out) / "features.parquet",
        out_reasons=Path(out) / "reasons.parquet",
    )


@task
def features_pyradiomics(volumes: str, rois: list[str], additional_info: bool, out: str) -> None:
    """The same by `RadiomicsFeatureExtractor.execute`, one call a ROI; the image is read once."""
    import SimpleITK as sitk  # noqa: N813
    from radiomics import setVerbosity
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    from osteorad.files import read_json, write_json
    from osteorad.radiomics.presets import load_preset

    setVerbosity(40)
    settings = load_preset("zhu2024").images.ct
    assert settings is not None
    assert settings.spacing_mm is not None
    extractor = RadiomicsFeatureExtractor(
        binWidth=settings.bin_width,
        voxelArrayShift=settings.energy_shift,
        resampledPixelSpacing=list(settings.spacing_mm),
        padDistance=settings.pad_voxels,
        additionalInfo=additional_info,
    )
    extractor.disableAllFeatures()
    extractor.enableFeaturesByName(**{name: list(settings.features(name)) for name in settings.classes})
    extractor.enabledImagetypes = {
        "Original": {},
        "LoG": {"sigma": [float(sigma) for sigma in settings.image_types.log_sigma_mm]},
        "Wavelet": {"wavelet": settings.image_types.wavelet},
    }

    def read(part: str, entry: dict[str, Any]) -> Any:
        image = sitk.ReadImage(str(Path(volumes) / part / entry["path"]), sitk.sitkFloat32)  # not rounded to whole HU
        image.SetSpacing([round(step, 6) for step in image.GetSpacing()])  # NIfTI keeps it in float32
        return image

    images = read_json(Path(volumes) / "images/images.json")["images"]
    image = read("images", next(entry for entry in images if entry["image"] == "ct"))
    found: dict[str, dict[str, float]] = {}
    for entry in read_json(Path(volumes) / "masks/masks.json")["masks"]:
        if entry["roi"] in rois:
            mask = sitk.Cast(read("masks", entry), sitk.sitkUInt8)
            values = extractor.execute(image, mask)
            kept = {name: float(v) for name, v in values.items() if not name.startswith("diagnostics")}
            found[f"{entry['roi']}-{entry['lesion']}"] = kept
    write_json(Path(out), found)


@task
def same_features(ours: str, theirs: str) -> None:
    """Print the worst relative difference over all ROIs and features that both gave, and how many these were."""
    from osteorad.files import read_json, read_parquet

    rows = read_parquet(Path(ours) / "features.parquet").to_pylist()
    found = {f"{row['roi']}-{row['lesion']}": row for row in rows}
    want = read_json(Path(theirs))
    assert set(found) == set(want), f"ROIs differ: {sorted(found)} and {sorted(want)}"
    pairs = [(found[roi][name], value) for roi, values in want.items() for name, value in values.items()]
    worst = max(abs(a - b) / max(abs(b), 1e-12) for a, b in pairs)
    print(json.dumps({"worst": worst, "values": len(pairs), "rois": len(want)}))


# --- pages -----------------------------------------------------------------------------------------------------------


@task
def write_cohort_inputs(patients: int, out: str) -> None:
    """What the page of a large cohort is made from."""
    from benchmarks.cohort_pages import write_inputs

    write_inputs(patients, Path(out))


@task
def report_cohort(folder: str, out: str) -> None:
    """The page of a cohort, as its job writes it."""
    from osteorad.reporting.cohort_page import write_cohort_page

    source, target = Path(folder), Path(out)
    tables = ("patients", "series", "quarantine", "features", "reasons")
    write_cohort_page(
        cohort=COHORT,
        title="A large cohort",
        flow=None,
        settings={"source": "dicom", "max_quarantined": 0.2},
        **{name: source / f"{name}.parquet" for name in tables},
        thumbs=sorted((source / "pages").glob("*.json")),
        out_html=target / "report.html",
        out_json=target / "report.json",
        out_csv=target / "lesions.csv",
        out_parts=target / "parts",
    )


# --- modelling -------------------------------------------------------------------------------------------------------


@task
def fit_nested(rows: int, columns: int, trees: int, out: str) -> None:
    """The nested loop as the workflow runs it: one selection a training part, shared by all models."""
    from benchmarks.modelling_table import recipe_of, samples_of, splits_of
    from osteorad.files import write_parquet
    from osteorad.modelling.learning.run import fit_analysis

    samples, recipe = samples_of(rows, columns), recipe_of(trees)
    fitted = fit_analysis(samples, splits_of(samples, recipe), recipe, analysis="bench", cohort=COHORT)
    write_parquet(Path(out), fitted.predictions)


@task
def fit_plain(rows: int, columns: int, trees: int, out: str) -> None:
    """The plain design on the same folds: scikit-learn pipelines in a grid search, selection inside every fit."""
    from benchmarks.modelling_table import recipe_of, samples_of, splits_of
    from benchmarks.pipelines import logistic_scores
    from osteorad.files import write_json

    samples, recipe = samples_of(rows, columns), recipe_of(trees)
    write_json(Path(out), logistic_scores(samples, splits_of(samples, recipe), recipe))


@task
def write_wide(rows: int, columns: int, out: str) -> None:
    """A wide feature table in single precision."""
    from benchmarks.modelling_table import write_wide

    write_wide(rows, columns, Path(out))


@task
def select(table: str) -> None:
    """The steps of zhu2024 fitted on a wide table; print how many columns each left."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    from benchmarks.modelling_table import recipe_of
    from osteorad.modelling.learning.block import Block
    from osteorad.modelling.learning.steps import fit_chain

    X = np.load(Path(table) / "features.npy").astype(np.float64)
    names = tuple(f"row-{at}" for at in range(len(X)))
    columns = tuple(f"f{at}" for at in range(X.shape[1]))
    outcome = np.load(Path(table) / "outcome.npy")
    with threadpool_limits(1):
        chain = fit_chain(
            recipe_of(trees=1).steps, Block(samples=names, patients=names, columns=columns, X=X, outcome=outcome)
        )
    print(json.dumps({step.name: len(step.columns) for step in chain.steps}))


@task
def same_scores(ours: str, theirs: str) -> None:
    """Print the worst difference of the logistic model's test scores between the two designs."""
    from osteorad.files import read_json, read_parquet

    want = read_json(Path(theirs))
    found = {
        f"{row['repeat']}/{row['fold']}/{row['sample']}": row["score"]
        for row in read_parquet(Path(ours)).to_pylist()
        if (row["variables"], row["model"], row["part"]) == ("radiomics", "logistic", "test")
    }
    assert set(found) == set(want)
    print(json.dumps({"worst": max(abs(found[key] - want[key]) for key in want), "rows": len(want)}))


if __name__ == "__main__":
    TASKS[sys.argv[1]](**json.loads(sys.argv[2]))
