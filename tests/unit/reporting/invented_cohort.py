"""An invented cohort: the tables that the cohort page reads, and thumbnails drawn from one small patient."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort import schemas
from osteorad.files import read_json, table_from_rows, write_json, write_parquet
from osteorad.reporting.patient import draw_patient
from tests.unit.reporting.invented_patient import SESSION, write_patient

COHORT = "invented"
SETTINGS: dict[str, Any] = {
    "source": "phantom",
    "cutoff": "2026-03-31",
    "citation": "Invented et al. 2026: patients that do not exist.",
    "privacy": "Pseudonymised with a keyed hash; dates are days since the index date.",
    "max_quarantined": 0.2,
    "versions": {"numpy": "2.4.6", "pydicom": "3.0.2", "pyradiomics-bhklab": "3.1.4"},
    "hashes": {"config": "7f3ac2e1b4d59a60", "preset lesion-table": "aa01bb02cc03dd04"},
    "settings": {
        "kernel": "soft",
        "modalities": ["CT", "PT"],
        "rois": {"lesion": ["*lesion*", "*met*"], "marrow": ["*marrow*"]},
    },
}


def patient_name(number: int) -> str:
    return f"p{number * 7919:012x}"


def session_of(number: int) -> str:
    return f"s{number * 104729:08x}"


def series_rows(patients: int) -> list[dict[str, Any]]:
    rows = []
    for number in range(1, patients + 1):
        vendor = number % 3
        common = {
            "cohort": COHORT,
            "patient": patient_name(number),
            "session": session_of(number),
            "session_order": 1,
            "session_day": -3,
        }
        ct = {
            **common,
            "series": f"e{number:08x}",
            "modality": "CT",
            "kind": "image",
            "image": "ct",
            "files": 64,
            "slices": 64,
            "state": "used",
            "reason": "",
            "detail": "soft kernel, axial, 64 slices",
            "score": 8.5,
            "spacing_x_mm": 0.98 if vendor else 1.17,
            "spacing_y_mm": 0.98,
            "spacing_z_mm": 2.5 if vendor else 3.0,
            "rows": 512,
            "columns": 512,
            "manufacturer": ("Invented Systems", "Made-up Medical", "Phantasia")[vendor],
            "model": ("CT-9", "Spiral 64", "Loop")[vendor],
            "kernel": ("B30f", "STANDARD", "FC08")[vendor],
            "kvp": 120.0,
            "slice_thickness_mm": 2.5,
            "contrast": "none" if vendor else "venous",
            "units": "HU",
        }
        rows.append(ct)
        rows.append(
            {
                **ct,
                "series": f"e{number + 900:08x}",
                "image": "",
                "state": "not_chosen",
                "reason": "kernel_not_chosen",
                "kernel": "B70s",
                "score": 4.0,
            }
        )
        rows.append(
            {
                **ct,
                "series": f"e{number + 1800:08x}",
                "image": "",
                "files": 2,
                "slices": 2,
                "state": "not_chosen",
                "reason": "localizer_excluded",
                "score": -1.0,
            }
        )
        if number % 9:
            rows.append(
                {
                    **ct,
                    "series": f"e{number + 2700:08x}",
                    "modality": "PT",
                    "image": "pet",
                    "kernel": "",
                    "kvp": None,
                    "units": "SUVbw",
                    "tracer": "FDG",
                    "dose_mbq": 300.0 + number,
                    "uptake_min": 60.0 + number % 11,
                    "weight_kg": 70.0,
                    "spacing_x_mm": 4.07,
                }
            )
        rows.append(
            {
                **common,
                "series": f"e{number + 3600:08x}",
                "modality": "RTSTRUCT",
                "kind": "contours",
                "image": "",
                "files": 1,
                "slices": None,
                "state": "used",
                "reason": "",
            }
        )
    return rows


def quarantine_rows(patients: int) -> list[dict[str, Any]]:
    rows = []
    for number in range(1, patients + 1):
        base = {"cohort": COHORT, "patient": patient_name(number), "session": session_of(number), "detail": ""}
        rows.append(
            {
                **base,
                "stage": "series",
                "item": f"e{number + 900:08x}",
                "count": 64,
                "kind": "not_chosen",
                "reason": "kernel_not_chosen",
            }
        )
        if number % 4 == 0:
            rows.append(
                {
                    **base,
                    "stage": "files",
                    "item": f"f{number:08x}",
                    "count": 2,
                    "kind": "quarantined",
                    "reason": "screen_save",
                }
            )
        if number % 7 == 0:
            rows.append(
                {**base, "stage": "masks", "item": "roi-3", "count": 1, "kind": "not_chosen", "reason": "roi_unmatched"}
            )
        if number % 11 == 0:
            rows.append(
                {
                    **base,
                    "stage": "files",
                    "item": f"g{number:08x}",
                    "count": 1,
                    "kind": "quarantined",
                    "reason": "not_dicom",
                    "detail": "12 bytes",
                }
            )
        if number % 13 == 0:
            rows.append(
                {
                    **base,
                    "stage": "series",
                    "item": f"e{number:08x}",
                    "count": 64,
                    "kind": "flag",
                    "reason": "pet_absent",
                }
            )
    return rows


def feature_tables(patients: int) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(3)
    names = (
        "original_shape_VoxelVolume",
        "original_firstorder_Mean",
        "original_firstorder_Maximum",
        "suv_Max",
        "suv_Mean",
        "suv_Peak",
        "suv_MTV-41",
        "suv_TLG-41",
    )
    rows, why = [], []
    for number in range(1, patients + 1):
        for roi, lesion in [("marrow", 1), *(("lesion", place) for place in range(1, 1 + number % 5))]:
            size = float(rng.lognormal(8.5, 0.8))
            for image in ("ct", "pet") if number % 9 else ("ct",):
                keys = {
                    "cohort": COHORT,
                    "patient": patient_name(number),
                    "session": session_of(number),
                    "image": image,
                    "roi": roi,
                    "lesion": lesion,
                    "mask_set": "manual",
                }
                row = {**keys, **dict.fromkeys(names, float("nan"))}
                if number == 5 and lesion == 1 and roi == "marrow":
                    why.append({**keys, "feature_class": "all", "kind": "missing", "reason": "roi_empty", "detail": ""})
                    rows.append(row)
                    continue
                top = float(rng.lognormal(1.6, 0.5))
                row["original_shape_VoxelVolume"] = size
                if image == "ct":
                    row.update(
                        {
                            "original_firstorder_Mean": float(rng.normal(240, 160)),
                            "original_firstorder_Maximum": float(rng.normal(800, 150)),
                        }
                    )
                else:
                    row.update(
                        {
                            "suv_Max": top,
                            "suv_Mean": top * 0.55,
                            "suv_Peak": top * 0.85,
                            "suv_MTV-41": size / 1500,
                            "suv_TLG-41": size / 1500 * top * 0.6,
                        }
                    )
                if size < 2500:
                    why.append({**keys, "feature_class": "all", "kind": "flag", "reason": "roi_small", "detail": ""})
                rows.append(row)
    schema = pa.schema([*schemas.FEATURES, *(pa.field(name, pa.float64()) for name in names)])
    return pa.Table.from_pylist(rows, schema=schema), table_from_rows(why, schemas.REASONS)


def patient_rows(patients: int, quarantined: int = 1, without_images: int = 2) -> list[dict[str, Any]]:
    rows = []
    for number in range(1, patients + 1):
        bad = number <= quarantined
        rows.append(
            {
                "cohort": COHORT,
                "patient": patient_name(number),
                "images": not bad,
                "in_table": True,
                "sessions": 1,
                "state": "quarantined" if bad else "used",
                "reason": "no_usable_ct" if bad else "",
                "age_years": 60.0,
                "sex": "F",
            }
        )
    for number in range(patients + 1, patients + 1 + without_images):
        rows.append(
            {
                "cohort": COHORT,
                "patient": patient_name(number),
                "images": False,
                "in_table": True,
                "sessions": 0,
                "state": "excluded",
                "reason": "table_without_images",
                "age_years": 61.0,
                "sex": "F",
            }
        )
    return rows


def write_cohort(
    root: Path, patients: int = 40, *, quarantined: int = 1, drawn: int | None = None, **picture: Any
) -> dict[str, Any]:
    """Tables and thumbnails under `root`; arguments of write_cohort_page."""
    root.mkdir(parents=True, exist_ok=True)
    write_parquet(root / "patients.parquet", table_from_rows(patient_rows(patients, quarantined), schemas.PATIENTS))
    write_parquet(root / "series.parquet", table_from_rows(series_rows(patients), schemas.SERIES))
    write_parquet(root / "quarantine.parquet", table_from_rows(quarantine_rows(patients), schemas.QUARANTINE))
    features, why = feature_tables(patients)
    write_parquet(root / "features.parquet", features)
    write_parquet(root / "reasons.parquet", why)
    return {
        "cohort": COHORT,
        "title": "An invented cohort with CT and PET of the spine",
        "patients": root / "patients.parquet",
        "series": root / "series.parquet",
        "quarantine": root / "quarantine.parquet",
        "features": root / "features.parquet",
        "reasons": root / "reasons.parquet",
        "flow": None,
        "thumbs": _thumbs(root, patients if drawn is None else drawn, **picture),
        "settings": SETTINGS,
        "out_html": root / "report.html",
        "out_json": root / "report.json",
        "out_csv": root / "lesions.csv",
        "out_parts": root / "parts",
    }


def _thumbs(root: Path, patients: int, **picture: Any) -> list[Path]:
    """One patient drawn once; the others' thumbnails are copies under their own names."""
    if not patients:
        return []
    images, masks = write_patient(root, patient_name(1), **picture)
    draw_patient(
        images,
        masks,
        out_page=root / "pages" / f"{patient_name(1)}.html",
        out_thumb=root / "pages" / f"{patient_name(1)}.json",
    )
    text = json.dumps(read_json(root / "pages" / f"{patient_name(1)}.json"))
    paths = []
    for number in range(1, patients + 1):
        path = root / "pages" / f"{patient_name(number)}.json"
        write_json(
            path, json.loads(text.replace(patient_name(1), patient_name(number)).replace(SESSION, session_of(number)))
        )
        paths.append(path)
    return paths
