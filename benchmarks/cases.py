"""The measurements, by name. Each returns lines of the table; bars come from docs/design.md and docs/benchmarks.md."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import scale
from benchmarks.browser import browser, open_page
from benchmarks.inputs import FULL, Inputs
from benchmarks.measure import Cost, measure, run, task
from benchmarks.table import Line, at_least

PHANTOM_S = 3.0  # CPU s a patient: 40 patients in about a minute on 2 cores
ONE_ROI, ONE_ROI_LEAN, FOUR_ROIS = 8.0, 5.0, 12.0  # times faster than pyradiomics; lean: additionalInfo=False
SAME = 1e-9  # largest relative difference of a feature
SAME_SCORE = 1e-6
NESTED_S, NESTED_MB, TIMES_PLAIN = 30.0, 1024.0, 6.0
SELECT_S, SELECT_MB = 8.0, 1500.0
SCAN_MB_S = 50.0
HEADERS_S = 1400.0
PAGE_MB, OPEN_S = 5.0, 3.0  # of a cohort of 500: no page over this, and the first is drawn sooner


def phantom(inputs: Inputs) -> list[Line]:
    """Writing a digital patient: the default size with PET, and the full-size CT."""

    def write(name: str, settings: dict[str, Any]) -> Cost:
        out = inputs.folder / f"phantom-{name}"
        return task("write_phantom", inputs.output(name), settings=settings, number=FULL, out=out)

    s = inputs.sizes
    sizes = {"default": inputs.default_patient(), "full": inputs.full_patient()}
    processes = {name: partial(write, name, settings) for name, settings in sizes.items()}
    found = measure(processes, times=s.repeats)
    default, full = found["default"], found["full"]
    size = f"{s.matrix} x {s.matrix} x {s.slices}"
    bar, met = f"<= {PHANTOM_S:g} CPU-s", default.cpu_s <= PHANTOM_S
    return [
        Line(subject="phantom: a patient, default size", ours=default, figure="CT and PET", bar=bar, met=met),
        Line(subject="phantom: a patient, full size", ours=full, figure=f"CT of {size}"),
    ]


def convert(inputs: Inputs) -> list[Line]:
    """The full-size CT series, de-identified, to .nii.gz: ours against dcm2niix with either of its compressors."""
    source, ours = inputs.deidentified(), inputs.folder / "convert-ours"
    ours_only = partial(task, "convert", inputs.output("convert"), manifests=source, source=source, out=ours)
    processes: dict[str, Callable[[], Cost]] = {"ours": ours_only}
    for compressor in ("i", "y"):
        out = inputs.folder / f"convert-{compressor}"
        out.mkdir()
        command = [_dcm2niix(), "-z", compressor, "-b", "n", "-w", "1", "-f", "ct", "-o", out, source]
        processes[compressor] = partial(run, command, inputs.output("dcm2niix"))
    found = measure(processes, times=inputs.sizes.repeats)
    volume, theirs = next(ours.rglob("ct.nii.gz")), inputs.folder / "convert-i/ct.nii.gz"
    same = _told(inputs, "same_volume", ours=volume, theirs=theirs)
    sizes = [path.stat().st_size / 1e6 for path in (volume, theirs)]
    figure = f"{sizes[0]:.0f} MB written, peer {sizes[1]:.0f} MB"
    pigz = ", through pigz" if shutil.which("pigz") else ", which found no pigz"
    peers = {"i": "dcm2niix -z i, its own compressor", "y": f"dcm2niix -z y{pigz}"}
    return [
        *(
            at_least("convert: CT series", 1.0, ours=found["ours"], peer=peer, theirs=found[name], figure=figure)
            for name, peer in peers.items()
        ),
        Line(
            subject="convert: same volume",
            figure=f"{same['hu']:g} HU, {same['mm']:.1e} mm apart",
            peer="dcm2niix -z i",
            bar="0 HU, <= 1e-3 mm",
            met=same["hu"] == 0 and same["mm"] <= 1e-3,
        ),
    ]


def deidentify(inputs: Inputs) -> list[Line]:
    """De-identification of the full-size CT series with the check of the finished bytes."""
    source = inputs.ct_files()
    ours, copied = inputs.folder / "deidentify-ours", inputs.folder / "deidentify-copied"
    found = measure(
        {
            "ours": lambda: task("deidentify", inputs.output("deidentify"), source=source, out=ours),
            "copy": lambda: task("copy_pydicom", inputs.output("copy"), source=source, out=copied),
        },
        times=inputs.sizes.repeats,
    )
    written = _last(inputs, "deidentify")["written"]
    return [
        Line(
            subject="deidentify: CT series",
            ours=found["ours"],
            figure=_rate(written, found["ours"]),
            peer="(dicognito: not installed)",
        ),
        Line(
            subject="deidentify: yardstick",
            ours=found["ours"],
            figure=f"peer {_rate(written, found['copy'])}",
            peer="pydicom read + write, nothing removed",
            theirs=found["copy"],
        ),
    ]


def features(inputs: Inputs) -> list[Line]:
    """1197 features (zhu2024, voxels of 1 mm) of one ROI and of four on the full-size CT, against pyradiomics."""
    volumes, lines = inputs.volumes(), []
    cases: list[tuple[str, list[str], float | None, float]] = [
        ("one ROI", ["marrow"], ONE_ROI_LEAN, ONE_ROI),
        ("four ROIs", ["marrow", "lesion"], None, FOUR_ROIS),
    ]
    for title, rois, lean, full in cases:
        out = inputs.folder / f"features-{len(rois)}"
        plain = partial(task, "features_pyradiomics", inputs.output("pyradiomics"), volumes=volumes, rois=rois)
        found = measure(
            {
                "ours": partial(task, "features", inputs.output("features"), volumes=volumes, rois=rois, out=out),
                "full": partial(plain, additional_info=True, out=f"{out}-full.json"),
                "lean": partial(plain, additional_info=False, out=f"{out}-lean.json"),
            },
            times=inputs.sizes.repeats,
        )
        for name, peer, bar in (("full", "additionalInfo=True", full), ("lean", "additionalInfo=False", lean)):
            same = _told(inputs, "same_features", ours=out, theirs=f"{out}-{name}.json")
            figure = f"{same['values']} values, worst relative difference {same['worst']:.1e}"
            facts = {"ours": found["ours"], "peer": f"pyradiomics, {peer}", "theirs": found[name], "figure": figure}
            subject = f"features: {title}"
            lines.append(Line(subject=subject, **facts) if bar is None else at_least(subject, bar, **facts))
            if same["worst"] > SAME:
                lines.append(Line(subject=f"{subject}, same values", bar=f"<= {SAME:g}", met=False, figure=figure))
    return lines


def modelling(inputs: Inputs) -> list[Line]:
    """The nested loop on 312 patients x 2,500 features with eight models, against plain scikit-learn pipelines."""
    s = inputs.sizes
    rows, columns = s.table
    ours, theirs = inputs.folder / "nested.parquet", inputs.folder / "plain.json"
    size = {"rows": rows, "columns": columns}
    found = measure(
        {
            "ours": lambda: task("fit_nested", inputs.output("nested"), **size, trees=s.trees, out=ours),
            "plain": lambda: task("fit_plain", inputs.output("plain"), **size, trees=s.plain_trees, out=theirs),
        },
        times=s.repeats,
    )
    same = _told(inputs, "same_scores", ours=ours, theirs=theirs)
    cost, plain = found["ours"], found["plain"]
    subject = f"modelling: {rows} x {columns}, 5 x 5 folds"
    peer = f"scikit-learn pipelines, selection in every fit, {s.plain_trees} trees"
    return [
        at_least(subject, TIMES_PLAIN, ours=cost, peer=peer, theirs=plain, figure=f"{s.trees} trees"),
        Line(
            subject=f"{subject}, absolute",
            ours=cost,
            bar=f"<= {NESTED_S:g} CPU-s, < {NESTED_MB:g} MB",
            met=cost.cpu_s <= NESTED_S and cost.peak_mb < NESTED_MB,
        ),
        Line(
            subject="modelling: same logistic scores",
            figure=f"{same['rows']} test rows differ by {same['worst']:.1e} at most",
            peer=peer,
            bar=f"to {SAME_SCORE:g}",
            met=same["worst"] <= SAME_SCORE,
        ),
    ]


def selection(inputs: Inputs) -> list[Line]:
    """One fold's selection on 1,000 rows x 20,000 features, from reading the table to the ranked columns."""
    rows, columns = inputs.sizes.wide
    run_once = partial(task, "select", inputs.output("select"), table=inputs.wide_table())
    cost = measure({"ours": run_once}, times=inputs.sizes.repeats)["ours"]
    left = _last(inputs, "select")
    return [
        Line(
            subject=f"selection: {rows} x {columns}",
            ours=cost,
            figure=f"{left['correlation']} columns after the correlation filter, {left['mrmr']} ranked",
            bar=f"<= {SELECT_S:g} CPU-s, <= {SELECT_MB:g} MB",
            met=cost.cpu_s <= SELECT_S and cost.peak_mb <= SELECT_MB,
        )
    ]


def index(inputs: Inputs) -> list[Line]:
    """Headers of an export: the first pass and one in which nothing changed, against reading headers with pydicom."""
    export, state = inputs.export(), inputs.folder / "index-state"
    count = inputs.sizes.export_copies * inputs.sizes.slices
    ours = partial(task, "index", inputs.output("index"), folder=export, state=state)
    found = measure(
        {
            "first": partial(ours, fresh=True),
            "again": partial(ours, fresh=False),
            "pydicom": partial(task, "headers_pydicom", inputs.output("headers"), folder=export),
        },
        times=inputs.sizes.repeats,
    )
    return [
        Line(
            subject=f"index: {count} files, all new",
            ours=found["first"],
            figure=_rate(count, found["first"]),
            peer="pydicom, stop_before_pixels",
            theirs=found["pydicom"],
            bar=f">= {HEADERS_S:g} files a CPU-s",
            met=count / found["first"].cpu_s >= HEADERS_S,
        ),
        Line(
            subject=f"index: {count} files, nothing changed",
            ours=found["again"],
            figure=_rate(count, found["again"]),
        ),
    ]


def scan(inputs: Inputs) -> list[Line]:
    """The leak scanner with 5,000 values on the full-size CT: de-identified DICOM, and NIfTI with its masks."""
    folders = {"DICOM": inputs.deidentified(), "NIfTI": inputs.volumes()}
    found = measure(
        {name: partial(task, "scan", inputs.output(f"scan-{name}"), folder=folders[name]) for name in folders},
        times=inputs.sizes.repeats,
    )
    lines = []
    for name, cost in found.items():
        told = _last(inputs, f"scan-{name}")
        rate = told["mb"] / cost.cpu_s
        lines.append(
            Line(
                subject=f"scan: {name}, {told['mb']:.0f} MB unpacked",
                ours=cost,
                figure=f"{rate:.0f} MB a CPU-s, {told['hits']} hits",
                bar=f">= {SCAN_MB_S:g} MB a CPU-s, no hit",
                met=rate >= SCAN_MB_S and told["hits"] == 0,
            )
        )
    return lines


def pages(inputs: Inputs) -> list[Line]:
    """The pages of a large cohort: writing them, their sizes, and opening the first and the largest in Chromium."""
    out, patients = inputs.folder / "cohort-pages", inputs.sizes.page_patients
    source = inputs.cohort_inputs()
    write = partial(task, "report_cohort", inputs.output("pages"), folder=source, out=out)
    cost = measure({"ours": write}, times=inputs.sizes.repeats)["ours"]
    found = [out / "report.html", *sorted((out / "parts").glob("*.html"))]
    largest = max(found, key=lambda path: path.stat().st_size)
    sizes = {path: path.stat().st_size / 1e6 for path in found}
    subject = f"pages: {patients} patients"
    lines = [
        Line(
            subject=subject,
            ours=cost,
            figure=f"first page {sizes[found[0]]:.2f} MB, largest of {len(found)} {sizes[largest]:.2f} MB",
            bar=f"no page over {PAGE_MB:g} MB",
            met=sizes[largest] <= PAGE_MB,
        )
    ]
    if (program := browser()) is None:
        return [*lines, Line(subject=f"{subject}, opened", figure="not measured: no Chromium here")]
    for name, path, bar in (("first", found[0], True), ("largest", largest, False)):
        tries = [open_page(program, path) for _ in range(inputs.sizes.repeats)]
        opened, used = sorted(tries, key=lambda one: one[0].frames_s)[len(tries) // 2]
        seconds = f"document {opened.dom_s:.2f} s, loaded {opened.load_s:.2f} s, drawn {opened.frames_s:.2f} s"
        judged = {"bar": f"drawn in < {OPEN_S:g} s", "met": opened.frames_s < OPEN_S} if bar else {}
        lines.append(Line(subject=f"{subject}, {name} page opened", ours=used, figure=seconds, **judged))
    return lines


CASES: dict[str, Callable[[Inputs], list[Line]]] = {
    "phantom": phantom,
    "convert": convert,
    "deidentify": deidentify,
    "features": features,
    "modelling": modelling,
    "selection": selection,
    "dryrun": scale.dryrun,
    "finished": scale.finished,
    "cohort": scale.cohort,
    "index": index,
    "scan": scan,
    "pages": pages,
}


def _dcm2niix() -> Path:
    """The program of the wheel itself, without its Python wrapper."""
    found = importlib.util.find_spec("dcm2niix")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name("dcm2niix")


def _rate(files: int, cost: Cost) -> str:
    return f"{files / cost.cpu_s:.0f} files a CPU-s"


def _told(inputs: Inputs, name: str, **arguments: Any) -> dict[str, Any]:
    """What a task prints as JSON in its last line."""
    task(name, inputs.output(name), **arguments)
    return _last(inputs, name)


def _last(inputs: Inputs, name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(inputs.output(name).read_text(encoding="utf-8").splitlines()[-1])
    return told
