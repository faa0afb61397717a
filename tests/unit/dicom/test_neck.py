"""The finder of the neck on bodies of many shapes: a head is never taken for none, and the chest is never cut."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from osteorad.dicom.neck import Level, filled_holes, judge, levels_of, outline
from tests.unit.dicom.head_build import CHIN_MM, LUNGS_MM, PIXEL_MM, SIDE_MM, Body, chin_mm, found, heights, volume

OBESE = {"neck_mm": (88.0, 90.0), "trunk_mm": (210.0, 150.0)}
WITH_HEAD = {
    "arms down": Body(),
    "arms up": Body(arms="up"),
    "arms touch the head": Body(arms="touching"),
    "forearms over the vertex": Body(arms="over", top_mm=540),
    "thin": Body(neck_mm=(45, 48), trunk_mm=(135, 80)),
    "obese": Body(**OBESE),
    "obese, arms touch the head": Body(arms="touching", **OBESE),
    "raised shoulders close in on the neck": Body(arms="up", shoulders_mm=285),
    "raised shoulders, arms touch the head": Body(arms="touching", shoulders_mm=300),
    "obese, raised shoulders": Body(arms="touching", shoulders_mm=300, **OBESE),
    "raised shoulders, up to the mouth": Body(arms="up", shoulders_mm=285, top_mm=320),
    "small head": Body(head=0.85),
    "head to one side": Body(tilt=0.25),
    "noise": Body(noise_hu=60),
    "metal": Body(metal=True),
    "no table": Body(table=False),
    "up to the brow": Body(top_mm=360),
    "up to the brow, arms touch the head": Body(arms="touching", top_mm=350),
    "up to the mouth": Body(top_mm=315),
    "obese, up to the eyes": Body(top_mm=340, **OBESE),
    "whole body": Body(bottom_mm=-600),
}
WITHOUT_HEAD = {
    "chest": Body(top_mm=170),
    "chest, arms up": Body(arms="up", top_mm=170),
    "apex of the lungs": Body(top_mm=210),
    "low neck": Body(top_mm=250),
    "low neck, arms up": Body(arms="up", top_mm=250),
    "low neck, raised shoulders": Body(arms="up", shoulders_mm=285, top_mm=225),
    "abdomen": Body(bottom_mm=-400, top_mm=-100),
    "chest with noise": Body(top_mm=170, noise_hu=60),
    "obese chest": Body(top_mm=180, **OBESE),
}


@pytest.mark.parametrize("name", WITH_HEAD)
def test_a_head_is_found_and_the_plane_lies_between_lungs_and_chin(name):
    told = found(WITH_HEAD[name])
    assert told.state == "shown"
    assert told.plane_mm is not None
    assert LUNGS_MM < told.plane_mm <= CHIN_MM


def test_raised_shoulders_do_not_move_the_plane():
    free, raised = found(Body(arms="up")), found(Body(arms="up", shoulders_mm=300))
    assert free.plane_mm == pytest.approx(raised.plane_mm, abs=12)


@pytest.mark.parametrize("name", WITHOUT_HEAD)
def test_a_scan_that_ends_in_chest_or_neck_has_no_head(name):
    assert found(WITHOUT_HEAD[name]).state == "none"


def test_a_head_without_shoulders_has_no_plane():
    told = found(Body(bottom_mm=290))
    assert (told.state, told.plane_mm) == ("shown", None)


def test_a_neck_as_wide_as_the_head_is_not_guessed():
    assert found(Body(neck_mm=(100, 112), trunk_mm=(235, 175))).state != "none"


def test_a_chin_held_down_lowers_the_plane():
    straight, bent = found(Body()), found(Body(flexion_mm=55))
    assert bent.plane_mm is not None
    assert straight.plane_mm is not None
    assert bent.plane_mm < straight.plane_mm


def drawn_by_lot(rng: np.random.Generator) -> Body:
    """A body with a head in the field, wholly or in part, or one that ends below the chin."""
    slim = rng.random()
    top = (500.0, rng.uniform(300, 460), rng.uniform(120, 258))[rng.integers(3)]
    arms = ("down", "up", "touching", "over")[rng.integers(4)]
    return Body(
        arms=arms,
        shoulders_mm=0.0 if arms == "down" else (0.0, 260.0, 285.0, 300.0)[rng.integers(4)],
        neck_mm=(45 + 45 * slim + rng.normal(0, 4), 48 + 42 * slim + rng.normal(0, 4)),
        trunk_mm=(130 + 80 * slim, 78 + 75 * slim),
        head=rng.uniform(0.88, 1.06),
        tilt=rng.uniform(-0.25, 0.25),
        flexion_mm=(0.0, 0.0, 20.0, 45.0)[rng.integers(4)],
        noise_hu=(0.0, 20.0, 50.0)[rng.integers(3)],
        table=bool(rng.random() < 0.8),
        metal=bool(rng.random() < 0.3),
        bottom_mm=(-300.0, -100.0, 0.0, 60.0)[rng.integers(4)],
        top_mm=top,
    )


@pytest.mark.slow
def test_no_head_of_many_bodies_is_missed():
    """The figures of docs/privacy.md."""
    rng = np.random.default_rng(11)
    tally: Counter[str] = Counter()
    for _ in range(200):
        body = drawn_by_lot(rng)
        told = found(body)
        head = body.top_mm > 290
        if told.plane_mm is not None:
            assert LUNGS_MM - 50 < told.plane_mm <= chin_mm(body) + 2
        assert told.state != "none" or not head
        tally[f"{'head' if head else 'chest'} {told.state}"] += 1
    assert tally["head shown"] + tally["head unknown"] + tally["chest none"] + tally["chest shown"] == 200
    assert tally["head unknown"] <= 4
    assert tally["chest shown"] <= 12


def test_a_body_upside_down_is_never_without_head():
    """Positions that run towards the feet: the skull lies below the trunk."""
    z, hu = heights(Body(), 12.0), volume(Body(), 12.0)
    outlines = [
        outline(p.astype(float), z_mm=-float(h), pixel_mm=(4.0, 4.0), x_mm=-SIDE_MM) for h, p in zip(z, hu, strict=True)
    ]
    assert judge(levels_of(outlines)).state != "none"


def test_a_chin_that_hangs_apart_is_above_the_plane():
    """Going up: lungs, shoulders, neck, head; the chin hangs in front of two levels below the narrowest."""
    chest = Level(z_mm=0, depth_mm=220, width_mm=400, lung_cm2=200, ring_cm2=0, chin=False)
    bare = replace(chest, lung_cm2=0)
    depths = [220, 220, 220, 180, 160, 140, 115, 130, 160, 190, 190]
    levels = [replace(chest if k < 3 else bare, z_mm=10.0 * k, depth_mm=d) for k, d in enumerate(depths)]
    assert judge(levels).plane_mm == 60
    hanging = [replace(level, chin=level.z_mm in (40, 50)) for level in levels]
    assert judge(hanging).plane_mm == 30


@pytest.mark.parametrize(
    ("heights_mm", "why"),
    [([0, 10, 20], "too few slices"), ([0, 10, 20, 60, 70, 80], "slices too far apart"), ([], "too few slices")],
)
def test_what_cannot_be_judged_is_unknown(heights_mm, why):
    flat = Level(z_mm=0, depth_mm=220, width_mm=300, lung_cm2=0, ring_cm2=0, chin=False)
    told = judge([replace(flat, z_mm=z) for z in heights_mm])
    assert (told.state, told.why) == ("unknown", why)


def test_a_limb_is_not_judged():
    limb = Level(z_mm=0, depth_mm=120, width_mm=140, lung_cm2=0, ring_cm2=0, chin=False)
    assert judge([replace(limb, z_mm=10.0 * k) for k in range(20)]).state == "unknown"


def test_the_table_is_no_body():
    hu = volume(replace(Body(), top_mm=6))[0].astype(float)
    bare = volume(replace(Body(table=False), top_mm=6))[0].astype(float)
    one, other = (outline(p, z_mm=0, pixel_mm=(PIXEL_MM, PIXEL_MM), x_mm=-SIDE_MM).body for p in (hu, bare))
    assert np.array_equal(one, other)


def test_holes_are_filled_and_bays_are_not():
    mask = np.zeros((7, 7), dtype=bool)
    mask[1:6, 1:6] = True
    mask[2:4, 2:4] = False
    mask[5, 3] = False
    filled = filled_holes(mask)
    assert filled[2:4, 2:4].all()
    assert not filled[5, 3]
