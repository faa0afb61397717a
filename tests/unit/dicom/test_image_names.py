"""Image names: a name that goes over to another series is flagged, on this run and on every later one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osteorad.dicom.image_names import ImageNames
from osteorad.files import read_json
from tests.unit.dicom.dicom_build import convert, ct_series


def images(work: Path, **settings: Any) -> dict[str, tuple[str, list[str]]]:
    """Image -> its series UID's last part and its flags."""
    result = convert(work / "in", work, modalities=["CT"], names=work / "names/p1.json", **settings)
    flagged = [(row["item"], row["detail"]) for row in result["set_aside"] if row["reason"] == "image_name_moved"]
    moved = [image for image in result["images"] if "image_name_moved" in image["flags"]]
    assert flagged == [(image["series"], image["image"]) for image in moved]
    return {image["image"]: (image["series_uid"].rsplit(".", 1)[-1], image["flags"]) for image in result["images"]}


@pytest.fixture
def soft(tmp_path: Path) -> Path:
    ct_series(tmp_path / "in" / "soft", uid="1")
    return tmp_path


def sharp(work: Path) -> None:
    ct_series(work / "in" / "sharp", uid="3", edit=lambda ds: setattr(ds, "ConvolutionKernel", "BONEPLUS"))


def test_a_series_that_comes_later_and_is_not_chosen_moves_nothing(soft):
    before = images(soft)
    sharp(soft)
    assert images(soft) == before == {"ct": ("1", [])}


def test_a_name_that_another_series_takes_over_is_flagged_from_then_on(soft):
    images(soft)
    sharp(soft)
    for _ in range(2):
        assert images(soft, kernel="bone") == {"ct": ("3", ["image_name_moved"])}
    assert images(soft) == {"ct": ("1", ["image_name_moved"])}


def test_without_a_register_nothing_is_flagged(soft):
    images(soft)
    sharp(soft)
    (soft / "names/p1.json").unlink()
    assert images(soft, kernel="bone") == {"ct": ("3", [])}


def test_a_second_image_beside_the_first_leaves_it_its_name(soft):
    images(soft)
    sharp(soft)
    (series,) = {row["series"] for row in read_json(soft / "images/images.json")["series"]}
    other = convert(soft / "in", soft, modalities=["CT"])["series"]
    named = [{"series": row["series"], "image": "ct-2"} for row in other if row["series"] != series]
    assert images(soft, overrides=named) == {"ct": ("1", []), "ct-2": ("3", [])}
    swapped = [*({"series": row["series"], "image": "ct"} for row in named), {"series": series, "image": "ct-2"}]
    assert images(soft, overrides=swapped) == {"ct": ("3", ["image_name_moved"]), "ct-2": ("1", ["image_name_moved"])}


def test_the_register_is_the_same_file_where_nothing_moved(soft):
    file = soft / "names/p1.json"
    images(soft)
    before, made = file.read_bytes(), file.stat().st_ino
    images(soft)
    assert (file.read_bytes(), file.stat().st_ino) == (before, made)


def test_the_last_series_of_a_name_has_it():
    names = ImageNames({})
    assert [names.take("s1", "ct", series) for series in ("e1", "e1", "e2", "e1")] == [False, False, True, True]
    assert names.take("s2", "ct", "e2") is False
    assert names.series == {"s1/ct": ["e2", "e1"], "s2/ct": ["e2"]}
