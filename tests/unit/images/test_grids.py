"""Fused PET/CT: by hand, on the CT grid, with what PET did not measure told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osteorad.files import read_json, write_json
from osteorad.images.fuse import fuse, scaled
from osteorad.images.grids import build_grid
from osteorad.images.resample import resample_volume
from osteorad.images.volume import Grid, Volume, read_nifti, write_nifti
from osteorad.provenance import sha256_file


def grid(spacing: tuple[float, float, float], shape: tuple[int, int, int], origin=(0.0, 0.0, 0.0)) -> Grid:
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    affine[:3, 3] = origin
    return Grid(shape=shape, affine_ras=affine)


CT = grid((1.0, 1.0, 3.0), (16, 12, 6))
PET = grid((4.0, 4.0, 3.0), (6, 5, 6), (2.0, 2.0, 0.0))


def ramp(of: Grid) -> np.ndarray:
    """Uptake that rises along x, as float32."""
    x = of.affine_ras[0, 3] + of.affine_ras[0, 0] * np.arange(of.shape[0])
    return np.broadcast_to((20.0 - x)[:, None, None], of.shape).astype(np.float32)


def entry(folder: Path, image: str, of: Grid, array: np.ndarray, session: str = "s1", **facts) -> dict:
    path = f"{session}/{image}.nii.gz"
    write_nifti(folder / path, array, of.affine_ras)
    return {
        "image": image,
        "session": session,
        "path": path,
        "sha256": sha256_file(folder / path),
        "units": "HU" if image == "ct" else "SUVbw",
        "modality": "CT" if image == "ct" else "PT",
        "series": f"e-{image}",
        "series_uid": "2.25.1",
        "frame_of_reference": "2.25.2",
        "shape": list(of.shape),
        "spacing_mm": list(of.spacing_mm),
        "affine_ras": of.affine_ras.tolist(),
        "facts": {},
        "flags": [],
        "sop_uids": ["2.25.3"],
    } | facts


def build(tmp_path: Path, entries: list[dict], masks: list[dict] = ()) -> dict:
    write_json(tmp_path / "images" / "images.json", {"cohort": "c", "patient": "p1", "images": entries})
    write_json(tmp_path / "masks" / "masks.json", {"masks": list(masks)})
    build_grid(
        tmp_path / "images" / "images.json", tmp_path / "masks" / "masks.json", grid="fused", out_dir=tmp_path / "out"
    )
    return read_json(tmp_path / "out" / "grid.json")


def hounsfield() -> np.ndarray:
    values = np.random.default_rng(2).integers(-1024, 3100, CT.shape).astype(np.int16)
    values[0, 0, :4] = (-1024, -1000, 3000, 3071)
    return values


@pytest.mark.parametrize(
    ("hu", "suv", "expected"),
    [(-1000, 0, 0), (3000, 50, 1), (1000, 0, 0.25), (-1000, 25, 0.25), (40, 2.5, 0.155), (-2000, -1, 0), (9999, 99, 1)],
)
def test_formula_by_hand(hu, suv, expected):
    one = grid((1, 1, 1), (1, 1, 1))
    ct = Volume(array=np.full((1, 1, 1), hu, dtype=np.int16), grid=one, units="HU")
    pet = Volume(array=np.full((1, 1, 1), suv, dtype=np.float32), grid=one, units="SUVbw")
    fused = fuse(ct, pet)
    assert fused.units == "fused"
    assert fused.array.dtype == np.float32
    assert float(fused.array[0, 0, 0]) == pytest.approx(expected, abs=1e-7)


def test_slabs_do_not_show():
    """A PET of other spacing on a CT of several slabs is what resampling it in one go gives."""
    ct_grid = grid((1.3, 1.1, 1.0), (9, 8, 45), (-3.0, -2.0, 1.0))
    ct = Volume(array=np.full(ct_grid.shape, -1000, dtype=np.int16), grid=ct_grid, units="HU")
    suv = np.random.default_rng(5).random((6, 5, 20)).astype(np.float32) * 40
    pet = Volume(array=suv, grid=grid((4.0, 4.0, 3.0), (6, 5, 20), (2.0, 2.0, 0.0)), units="SUVbw")
    whole = resample_volume(pet, ct_grid).array
    np.testing.assert_allclose(fuse(ct, pet).array, whole / 100.0, atol=1e-7)


def test_fused_image_of_a_patient(tmp_path):
    ct = hounsfield()
    entries = [
        entry(tmp_path / "images", "ct", CT, ct, flags=["lossy_compressed"]),
        entry(tmp_path / "images", "pet", PET, ramp(PET)),
    ]
    manifest = build(tmp_path, entries)
    (image,) = manifest["images"]
    array, own = read_nifti(tmp_path / "out" / image["path"])
    expected = (scaled(ct, -1000, 3000) + np.broadcast_to(ramp(CT), CT.shape) / 50.0) / 2.0
    np.testing.assert_allclose(array, expected, atol=1e-7)
    assert own.matches(CT)
    assert image["sha256"] == sha256_file(tmp_path / "out" / image["path"])
    assert {key: image[key] for key in ("image", "session", "units", "modality", "mask_image", "series", "flags")} == {
        "image": "fused",
        "session": "s1",
        "units": "fused",
        "modality": "fused",
        "mask_image": "ct",
        "series": "e-ct",
        "flags": ["lossy_compressed"],
    }
    assert image["facts"]["pet_field_share"] == 1.0
    assert set(image) >= set(entries[0]) - {"sop_uids"}
    assert manifest["set_aside"] == []
    assert [path.name for path in (tmp_path / "out" / "s1").iterdir()] == ["fused.nii.gz"]


def test_where_pet_was_not_measured_is_told_and_counts_as_no_uptake(tmp_path):
    short = grid((4.0, 4.0, 3.0), (6, 5, 3), (2.0, 2.0, 0.0))
    ct = hounsfield()
    entries = [entry(tmp_path / "images", "ct", CT, ct), entry(tmp_path / "images", "pet", short, ramp(short))]
    mask = np.zeros(CT.shape, dtype=np.uint8)
    mask[3:5, 3:5, 2:4] = 1
    write_nifti(tmp_path / "masks" / "m.nii.gz", mask, CT.affine_ras)
    masks = [{"session": "s1", "image": "ct", "roi": "lesion", "lesion": 1, "path": "m.nii.gz"}]
    (image,) = build(tmp_path, entries, masks)["images"]
    array, _ = read_nifti(tmp_path / "out" / image["path"])
    field, own = read_nifti(tmp_path / "out" / image["facts"]["pet_field_path"])
    assert own.matches(CT)
    np.testing.assert_array_equal(field.sum(axis=(0, 1)), [192, 192, 192, 0, 0, 0])
    np.testing.assert_allclose(array[..., 3:], scaled(ct[..., 3:], -1000, 3000) / 2.0, atol=1e-7)
    assert image["facts"]["pet_field_share"] == 0.5
    assert image["facts"]["rois_outside_pet_field"] == [{"roi": "lesion", "lesion": 1, "voxels": 4}]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda entries: entries[:1], "image_absent"),
        (lambda entries: entries[1:], "image_absent"),
        (lambda entries: [entries[0], entries[1] | {"frame_of_reference": "2.25.9"}], "frame_of_reference_mismatch"),
    ],
    ids=["no PET", "no CT", "two frames of reference"],
)
def test_session_that_cannot_be_fused_is_a_row_and_loses_no_other(tmp_path, change, code):
    folder = tmp_path / "images"
    one = change([entry(folder, "ct", CT, hounsfield()), entry(folder, "pet", PET, ramp(PET))])
    two = [entry(folder, "ct", CT, hounsfield(), "s2"), entry(folder, "pet", PET, ramp(PET), "s2")]
    manifest = build(tmp_path, [*one, *two])
    assert [image["session"] for image in manifest["images"]] == ["s2"]
    assert [(row["session"], row["reason"]) for row in manifest["set_aside"]] == [("s1", code)]


def test_second_run_gives_the_same_bytes(tmp_path):
    entries = [entry(tmp_path / "images", "ct", CT, hounsfield()), entry(tmp_path / "images", "pet", PET, ramp(PET))]
    build(tmp_path, entries)
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    (tmp_path / "out" / "left over").write_bytes(b"")
    build(tmp_path, entries)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == first


def test_pet_of_another_place_is_refused(tmp_path):
    far = grid((4.0, 4.0, 3.0), (6, 5, 6), (900.0, 2.0, 0.0))
    entries = [entry(tmp_path / "images", "ct", CT, hounsfield()), entry(tmp_path / "images", "pet", far, ramp(far))]
    assert [row["reason"] for row in build(tmp_path, entries)["set_aside"]] == ["frame_of_reference_mismatch"]
