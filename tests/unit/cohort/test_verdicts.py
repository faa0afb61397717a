"""What a verdict takes out of a patient's images and masks, and when it ends."""

from __future__ import annotations

import pytest

from osteorad.cohort.verdicts import left_out, left_out_of, verdict_on

PATIENT = "p0123456789ab"
IMAGES = {
    "patient": PATIENT,
    "images": [{"session": "s1", "image": name, "sha256": name.ljust(64, "0")} for name in ("ct", "pet")],
}
MASKS = {
    "patient": PATIENT,
    "set": "manual",
    "masks": [
        {"session": "s1", "image": image, "roi": "lesion", "lesion": lesion, "sha256": f"{lesion}{'f' * 63}"}
        for image, lesion in (("ct", 1), ("ct", 2), ("pet", 1))
    ],
}


def out(*items: str, verdict: str = "rejected"):
    return left_out({PATIENT: dict.fromkeys(items, verdict)}, IMAGES, MASKS)


def test_a_rejected_mask_leaves_alone():
    left = out("manual/s1/ct/lesion-1")
    assert left.masks == {("s1", "ct", "lesion", 1)}
    assert left.images == left.lesions == frozenset()


def test_a_lesion_leaves_with_its_last_mask():
    assert out("manual/s1/ct/lesion-2").lesions == {("s1", "lesion", 2)}
    assert out("manual/s1/ct/lesion-1", "manual/s1/pet/lesion-1").lesions == {("s1", "lesion", 1)}


def test_masks_leave_with_their_image():
    left = out("s1/ct")
    assert left.images == {("s1", "ct")}
    assert left.masks == {("s1", "ct", "lesion", 1), ("s1", "ct", "lesion", 2)}
    assert left.lesions == {("s1", "lesion", 2)}


@pytest.mark.parametrize(
    "item", ["reader2/s1/ct/lesion-1", "manual/s2/ct/lesion-1", "s1/ct-2", "manual/s1/ct/lesion-3"]
)
def test_other_things_stay(item):
    assert out(item) == out()


def test_accepted_things_stay():
    assert out("manual/s1/ct/lesion-1", "s1/ct", verdict="accepted") == out()


def test_a_verdict_ends_when_the_mask_was_drawn_anew():
    assert out("manual/s1/ct/lesion-1@1fffffff").masks == {("s1", "ct", "lesion", 1)}
    assert out("manual/s1/ct/lesion-1@2fffffff") == out()


def test_a_verdict_on_one_version_goes_before_one_on_any():
    item, sha256 = "manual/s1/ct/lesion-1", "1" + "f" * 63
    own = {item: "rejected", f"{item}@1fffffff": "accepted"}
    assert verdict_on({PATIENT: own}, PATIENT, item, sha256) == "accepted"
    assert verdict_on({PATIENT: own}, PATIENT, item, "2" + "f" * 63) == "rejected"
    assert verdict_on({PATIENT: own}, "p000000000000", item, sha256) == ""


def test_patients_without_verdict_are_not_looked_at():
    other = {"patient": "pother", "images": [{"broken": True}]}
    found = left_out_of({PATIENT: {"s1/ct": "rejected"}}, [other, IMAGES], [MASKS])
    assert list(found) == [PATIENT]
