"""Choice of series: kernels, filters, scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from osteorad.dicom.headers import Frame, read_frames
from osteorad.dicom.series import Candidate, filter_reason, kernel_class, read_overrides, score
from osteorad.dicom.stack import build_stack
from tests.unit.dicom.dicom_build import ROOT, body, ct_series


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("STANDARD", "soft"),
        ("SOFT", "soft"),
        ("BONE", "bone"),
        ("BONEPLUS", "bone"),
        ("LUNG", "lung"),
        ("B30f", "soft"),
        ("B31s", "soft"),
        ("B70s", "bone"),
        ("B60f", "bone"),
        ("Br36f", "soft"),
        ("Br59", "bone"),
        ("Hr64", "bone"),
        ("I30f", "soft"),
        ("I70f", "bone"),
        ("Bl57", "lung"),
        ("FC08", "soft"),
        ("FC18-H", "soft"),
        ("FC30", "bone"),
        ("FC51", "lung"),
        ("B", "soft"),
        ("YC", "bone"),
        ("UB", ""),
        ("", ""),
        ("custom", ""),
    ],
)
def test_kernel_class(kernel, kind):
    assert kernel_class(kernel) == kind


def candidate(folder: Path, **settings: object) -> Candidate:
    frames = read(ct_series(folder, **settings))  # type: ignore[arg-type]
    return Candidate(
        name="e1", uid="1", session="s1", modality="CT", files=len(frames), frames=frames, stack=build_stack(frames)
    )


def read(paths: list[Path]) -> tuple[Frame, ...]:
    return tuple(frame for path in paths for frame in read_frames(path))


def test_each_part_of_the_score(tmp_path):
    frame = {ROOT + ".77"}
    base = score(candidate(tmp_path / "a"), kernel="soft", partner_frames=frame)
    assert base["thin"] == 30
    assert base["kernel"] == 20
    assert base["same_frame"] == 25
    thick = candidate(tmp_path / "b", step=(0, 0, 5.0))
    assert score(thick, kernel="soft", partner_frames=frame)["thin"] == 15
    assert score(candidate(tmp_path / "a"), kernel="bone", partner_frames=frame)["kernel"] == 0
    assert score(candidate(tmp_path / "a"), kernel="any", partner_frames=set())["kernel"] == 20
    assert score(candidate(tmp_path / "a"), kernel="any", partner_frames=set())["same_frame"] == 0
    more = candidate(tmp_path / "c", hu=body((30, 24, 20)))
    assert sum(score(more, kernel="soft", partner_frames=frame).values()) > sum(base.values())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (["ORIGINAL", "PRIMARY", "AXIAL"], None),
        (["DERIVED", "SECONDARY"], None),  # GE writes its PET and re-sampled CT so
        (["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"], None),
        (["ORIGINAL", "SECONDARY", "AXIAL"], None),
        (["DERIVED", "SECONDARY", "MPR"], "derived_not_chosen"),
        (["DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 MPR"], "derived_not_chosen"),
        (["DERIVED", "PRIMARY", "PERFUSION", "RCBF"], "derived_not_chosen"),
        (["DERIVED", "SECONDARY", "AXIAL", "MIP"], "derived_not_chosen"),
        (["ORIGINAL", "PRIMARY", "LOCALIZER"], "localizer_excluded"),
        (["ORIGINAL", "PRIMARY", "LOCALIZER", "CT_SOM5 TOP"], "localizer_excluded"),
    ],
)
def test_image_types(tmp_path, kind, reason):
    found = filter_reason(candidate(tmp_path, edit=lambda ds: setattr(ds, "ImageType", kind)))
    assert (found[0] if found else None) == reason


def test_tilted_head_is_axial_and_coronal_is_not(tmp_path):
    assert filter_reason(candidate(tmp_path / "a", column=(0, 0.9063, -0.4226))) is None  # 25 degrees
    assert filter_reason(candidate(tmp_path / "b", column=(0, 0, -1))) == ("reformat_not_chosen", "coronal")


def test_overrides_of_other_patients_are_skipped():
    rows = [{"patient": "p2", "series": "e1", "take": "no"}, {"patient": "p1", "series": "e2", "take": "Yes"}]
    found = read_overrides([*rows, {"series": "", "take": "no"}, {"series": "e3", "image": "CT-2"}], "p1")
    assert {name: (o.take, o.image) for name, o in found.items()} == {"e2": (True, ""), "e3": (True, "ct-2")}
