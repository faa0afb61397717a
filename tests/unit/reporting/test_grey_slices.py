"""The page of a patient whose slices came as pictures: shown as they are, and never called CT, PET or HU."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osteorad.files import read_json
from osteorad.images.job_slices import adopt_slices
from osteorad.images.volume import Grid
from osteorad.reporting import pictures
from osteorad.reporting.patient import draw_patient
from osteorad.reporting.planes import Plane


@pytest.fixture
def page(tmp_path: Path) -> dict:
    """Three slices with a lesion in a ring of bone, drawn."""
    rows, columns = np.mgrid[-40:40, -48:48]
    far = np.hypot(rows, columns)
    slices = []
    for number in range(3):
        files = {}
        made = {"image": np.clip(far * 4 + number, 0, 255), "bone": (far < 30) * 255, "lesion": (far < 9) * 255}
        for role, array in made.items():
            path = tmp_path / f"{role}{number}.png"
            Image.fromarray(array.astype(np.uint8)).save(path)
            files[role] = {"item": path.stem, "path": path.name}
        slices.append({"item": f"s{number}", "files": files})
    listed = {"roles": ["lesion", "bone"], "slices": slices, "counted": {"images": 3, "contours": 6}}
    out = {name: tmp_path / name / "m.json" for name in ("out_images", "out_masks", "out_pictures", "out_contours")}
    adopt_slices(listed, tmp_path, cohort="c", patient="p1", **out)
    draw_patient(out["out_images"], out["out_masks"], out_page=tmp_path / "p.html", out_thumb=tmp_path / "p.json")
    return read_json(tmp_path / "p.json")


def test_grey_values_are_shown_as_they_are():
    array = np.random.default_rng(2).integers(0, 256, (9, 7, 1)).astype(np.int16)
    grid = Grid(shape=array.shape, affine_ras=np.diag([-1.0, -1.0, 1.0, 1.0]))
    scan = pictures.Scan(image="ct", units="grey", array=array, grid=grid, regions=())
    plane = Plane(middle_ras=(-4.0, -3.0, 0.0), view="axial", width=9, height=7, pixel_mm=1.0)
    assert (pictures.look_pixels("grey", scan, None, plane, 4.0) == array[..., 0].T).all()


def test_nothing_is_called_ct_pet_or_hu(page: dict):
    labels = [entry["label"] for entry in page["items"]]
    assert labels == ["Slice"]
    text = json.dumps(page["page"])
    assert not [word for word in ("SUV", " HU", "No PET", '"PET', '"CT') if word in text]
    assert "Slice as it came, 0 to 255" in text
    assert "unknown" in text  # the spacing


def test_each_region_has_its_slices_and_no_other_plane(page: dict):
    galleries = [p for s in page["page"]["sections"] for p in s["parts"] if p.get("size") == "strip"]
    groups = galleries[0]["groups"]
    assert [group["label"] for group in groups] == ["bone 1", "lesion 1"]
    assert all([entry["title"].split(", ")[-1] for entry in group["items"]] == ["axial"] * 3 for group in groups)
