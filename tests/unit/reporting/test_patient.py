"""The patient page: sound with and without PET, contours or images, small, and the same on every run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osteorad.files import read_json, write_json
from osteorad.reporting import patient as page
from osteorad.reporting.check import check_page
from osteorad.reporting.patient import draw_patient
from tests.unit.reporting.invented_patient import write_patient


def _draw(root: Path, **kind: Any) -> tuple[str, dict[str, Any]]:
    images, masks = write_patient(root, matrix=96, slices=30, **kind)
    draw_patient(images, masks, out_page=root / "page.html", out_thumb=root / "thumb.json")
    return (root / "page.html").read_text(encoding="utf-8"), read_json(root / "thumb.json")


@pytest.mark.parametrize("kind", [{}, {"pet": False}, {"masks": False}, {"empty": True}])
def test_page_is_sound(tmp_path: Path, kind: dict[str, Any]) -> None:
    html, thumb = _draw(tmp_path, **kind)
    assert check_page(html, thumb["page"]) == []
    assert len(html) < page.PAGE_BYTES
    assert [item["image"] for item in thumb["items"]] == (["ct"] if kind.get("pet") is False else ["ct", "pet"])


def test_every_region_is_drawn_in_three_views_and_all_looks(tmp_path: Path) -> None:
    _, thumb = _draw(tmp_path)
    session = next(part for part in thumb["page"]["sections"] if part["id"].startswith("session"))
    strips = next(part for part in session["parts"] if part.get("size") == "strip")
    assert [group["label"] for group in strips["groups"]] == ["lesion 1", "marrow 1", "lesion 2"]
    for group in strips["groups"]:
        assert len(group["items"]) == 15
        assert all(item["outlines"] for item in group["items"])
        assert {item["letters"][0] for item in group["items"]} == {"R", "A"}


def test_a_mask_without_voxels_is_said(tmp_path: Path) -> None:
    html, _ = _draw(tmp_path, empty=True)
    assert "The ROI holds no voxel." in html
    assert "No contour was drawn on this session." in html


def test_pet_without_own_contours_shows_those_of_the_ct_and_says_so(tmp_path: Path) -> None:
    images, masks = write_patient(tmp_path, matrix=96, slices=30)
    assert masks is not None
    told = read_json(masks)
    write_json(masks, {**told, "masks": [row for row in told["masks"] if row["image"] == "ct"]})
    draw_patient(images, masks, out_page=tmp_path / "page.html", out_thumb=tmp_path / "thumb.json")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "drawn on the CT; the PET shows the same" in html
    assert all(item["outlines"] for item in read_json(tmp_path / "thumb.json")["items"])


def test_patient_without_images(tmp_path: Path) -> None:
    facts = {"cohort": "c", "patient": "p1", "sessions": [], "images": [], "series": [], "set_aside": []}
    write_json(tmp_path / "images.json", facts)
    draw_patient(tmp_path / "images.json", None, out_page=tmp_path / "page.html", out_thumb=tmp_path / "thumb.json")
    thumb = read_json(tmp_path / "thumb.json")
    assert thumb["items"] == []
    assert check_page((tmp_path / "page.html").read_text(encoding="utf-8"), thumb["page"]) == []


def test_two_runs_in_two_folders_give_the_same_bytes(tmp_path: Path) -> None:
    _draw(tmp_path / "one")
    _draw(tmp_path / "two")
    for name in ("page.html", "thumb.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_smallest_regions_leave_a_page_that_grows_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PICTURE_CHARACTERS", 40_000)
    html, thumb = _draw(tmp_path)
    assert "largest of 3 regions" in html
    assert check_page(html, thumb["page"]) == []
