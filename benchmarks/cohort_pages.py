"""Inputs of a large cohort's page: its tables, and thumbnails of noise, which take about ten times a scan's bytes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort import schemas
from osteorad.files import table_from_rows, write_json, write_parquet
from osteorad.reporting.planes import webp_base64

COHORT, SESSION = "bench", "s0123abcd"
WIDTH, HEIGHT, QUALITY = 168, 126, 66  # as the patients' pages make them
REGIONS = 6  # of a patient, on CT and PET
FEATURES = ("original_shape_VoxelVolume", "original_firstorder_Mean", "original_firstorder_Maximum")
SUVS = ("suv_Max", "suv_Mean", "suv_Peak", "suv_MTV-41", "suv_TLG-41")


def write_inputs(patients: int, folder: Path) -> None:
    """Everything that the job of the cohort page reads."""
    names = [f"p{number:012x}" for number in range(patients)]
    tables = {
        "patients": (schemas.PATIENTS, [_patient(name) for name in names]),
        "series": (schemas.SERIES, [row for name in names for row in _series(name)]),
        "quarantine": (schemas.QUARANTINE, [row for name in names for row in _aside(name)]),
        "reasons": (schemas.REASONS, []),
    }
    for table, (schema, rows) in tables.items():
        write_parquet(folder / f"{table}.parquet", table_from_rows(rows, schema))
    columns = [pa.field(name, pa.float64()) for name in (*FEATURES, *SUVS)]
    features = [row for name in names for row in _features(name)]
    write_parquet(folder / "features.parquet", pa.Table.from_pylist(features, pa.schema([*schemas.FEATURES, *columns])))
    pictures = [_picture(seed) for seed in range(8)]
    for number, name in enumerate(names):
        items = [_item(look, pictures[(2 * number + place) % 8], name) for place, look in enumerate(("ct", "pet"))]
        write_json(folder / "pages" / f"{name}.json", {"cohort": COHORT, "patient": name, "items": items, "page": {}})


def _patient(name: str) -> dict[str, Any]:
    known = {"cohort": COHORT, "patient": name, "images": True, "in_table": True, "sessions": 1, "state": "used"}
    return known | {"reason": "", "age_years": 61.0, "sex": "F"}


def _series(name: str) -> list[dict[str, Any]]:
    ct = {"cohort": COHORT, "patient": name, "session": SESSION, "session_order": 1, "session_day": -3, "files": 300}
    ct |= {"series": f"e{name[-8:]}", "modality": "CT", "kind": "image", "image": "ct", "slices": 300, "state": "used"}
    ct |= {"reason": "", "detail": "soft kernel, axial, 300 slices", "manufacturer": "Bench", "model": "CT-9"}
    ct |= {"kernel": "B30f", "kvp": 120.0, "spacing_x_mm": 0.98, "spacing_z_mm": 2.0, "units": "HU"}
    left = {"image": "", "state": "not_chosen", "reason": "kernel_not_chosen", "kernel": "B70s"}
    pet = {"modality": "PT", "image": "pet", "kernel": "", "units": "SUVbw", "tracer": "FDG", "dose_mbq": 300.0}
    return [ct, ct | left | {"series": f"f{name[-8:]}"}, ct | pet | {"series": f"a{name[-8:]}", "uptake_min": 61.0}]


def _aside(name: str) -> list[dict[str, Any]]:
    common = {"cohort": COHORT, "patient": name, "session": SESSION, "detail": "", "count": 1}
    lines = (("series", "not_chosen", "kernel_not_chosen"), ("masks", "not_chosen", "roi_unmatched"))
    return [
        common | {"stage": stage, "item": f"{stage}-{place}", "kind": kind, "reason": reason}
        for place, (stage, kind, reason) in enumerate([*lines, *lines])
    ]


def _features(name: str) -> list[dict[str, Any]]:
    keys = {"cohort": COHORT, "patient": name, "session": SESSION, "roi": "lesion", "mask_set": "manual"}
    values = {"ct": dict.fromkeys(FEATURES, 1234.5), "pet": {FEATURES[0]: 1200.0} | dict.fromkeys(SUVS, 9.87)}
    return [
        keys | {"image": image, "lesion": lesion} | values[image]
        for lesion in range(1, REGIONS + 1)
        for image in ("ct", "pet")
    ]


def _picture(seed: int) -> str:
    noise = np.random.default_rng(seed).normal(128, 30, (HEIGHT, WIDTH))
    return webp_base64(noise.clip(0, 255).astype(np.uint8), QUALITY)


def _item(look: str, picture: str, name: str) -> dict[str, Any]:
    """A thumbnail with the outlines of two regions, 60 corners each."""
    angles = [2 * math.pi * corner / 60 for corner in range(60)]
    outlines = [
        {"roi": "lesion", "lesion": lesion, "label": str(lesion), "x": 90.0, "y": 60.0, "anchor": "start"}
        | {"d": "M" + "L".join(f"{x + 20 * math.cos(a):.1f} {63 + 20 * math.sin(a):.1f}" for a in angles) + "Z"}
        for lesion, x in ((1, 60.0), (2, 110.0))
    ]
    return {
        "id": f"thumb-{name}-{look}",
        "picture": f"thumb-{name}-{look}",
        "session": SESSION,
        "title": f"{look} of {name}",
        "alt": f"Axial slice of {look} with two regions.",
        "label": "",
        "width": WIDTH,
        "height": HEIGHT,
        "letters": ["R", "L", "A", "P"],
        "full_letters": False,
        "light": look == "pet",
        "outlines": outlines,
        "webp_base64": picture,
    }
