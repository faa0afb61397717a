"""Manifests to cohort tables: everything is counted twice, and a lost thing stops the job with its numbers."""

from __future__ import annotations

import copy
from pathlib import Path

import pyarrow as pa
import pytest

from osteorad.cohort.collect import FlowError, collect_cohort
from osteorad.files import read_json, read_parquet, write_json, write_parquet
from osteorad.reasons import reason


def aside(stage: str, item: str, code: str, count: int = 1, session: str = "s1") -> dict:
    kind = reason(code).kind
    return {
        "session": session,
        "stage": stage,
        "item": item,
        "count": count,
        "kind": kind,
        "reason": code,
        "detail": "",
    }


def series(name: str, files: int, *, state="used", code="", kind="image", image="ct", modality="CT") -> dict:
    return {
        "session": "s1", "session_order": 1, "session_day": 0, "series": name, "modality": modality, "kind": kind,
        "image": image,
        "files": files, "slices": files, "state": state, "reason": code, "detail": "",
    }  # fmt: skip


def image(name: str) -> dict:
    return {"image": name, "session": "s1", "sha256": "0" * 64, "facts": {"age_years": 61, "sex": "F"}}


def mask(roi: str, on: str = "ct") -> dict:
    return {"session": "s1", "image": on, "roi": roi, "lesion": 1, "sha256": "a" * 64}


def file(name: str, number: int) -> dict:
    return {"path": f"{name}/{number}.dcm", "series": name}


@pytest.fixture
def manifests() -> dict[str, list[dict]]:
    """Patient a: CT, PET, a scout, contours. Patient b: the CT cannot be converted."""
    a_files = [file("ect", n) for n in range(3)] + [file("epet", n) for n in range(2)] + [file("escout", 0)]
    b_files = [file("ebad", n) for n in range(4)]
    scout = series("escout", 1, state="not_chosen", code="localizer_excluded", image="")
    bad = series("ebad", 4, state="quarantined", code="missing_slices", image="")
    rt = series("ert", 1, kind="contours", image="", modality="RTSTRUCT")
    return {
        "dicom": [
            {"patient": "a", "part": "images", "files_in": 8, "files": a_files,
             "set_aside": [aside("files", "f1", "not_dicom"), aside("files", "f2", "screen_save")]},
            {"patient": "a", "part": "contours", "files_in": 1, "files": [file("ert", 0)], "set_aside": []},
            {"patient": "b", "part": "images", "files_in": 4, "files": b_files, "set_aside": []},
            {"patient": "b", "part": "contours", "files_in": 0, "files": [], "set_aside": []},
            {"patient": "", "part": "images", "files_in": 1, "files": [],
             "set_aside": [aside("files", "f9", "identity_missing", session="")]},
        ],
        "images": [
            {"patient": "a", "images": [image("ct"), image("pet")],
             "series": [series("ect", 3), series("epet", 2, image="pet", modality="PT"), scout],
             "set_aside": [aside("series", "escout", "localizer_excluded")]},
            {"patient": "b", "images": [], "series": [bad],
             "set_aside": [aside("series", "ebad", "missing_slices", 4)]},
        ],
        "masks": [
            {"patient": "a", "set": "manual", "rois_in": 3, "masks": [mask("marrow"), mask("lesion")],
             "series": [rt],
             "set_aside": [aside("masks", "roi-1", "roi_unmatched"), aside("masks", "x", "contour_gap")]},
            {"patient": "b", "set": "manual", "rois_in": 0, "masks": [], "series": [], "set_aside": []},
        ],
    }  # fmt: skip


def collect(
    folder: Path, manifests: dict[str, list[dict]], *, clinical=None, exclude=None, patients=("a", "b"), rejected=None
) -> dict:
    paths: dict[str, list[Path]] = {}
    for group, items in manifests.items():
        paths[group] = [folder / group / f"{number}.json" for number in range(len(items))]
        for path, manifest in zip(paths[group], items, strict=True):
            write_json(path, manifest)
    if clinical is not None:
        write_parquet(folder / "clinical.parquet", pa.Table.from_pylist(clinical))
    out = {name: folder / f"{name}.parquet" for name in ("patients", "series", "quarantine")}
    collect_cohort(
        cohort="c",
        patients=list(patients),
        dicom_manifests=paths["dicom"],
        images=paths["images"],
        masks=paths["masks"],
        clinical=None if clinical is None else folder / "clinical.parquet",
        exclude=exclude or {},
        rejected=rejected,
        out_patients=out["patients"],
        out_series=out["series"],
        out_quarantine=out["quarantine"],
        out_flow=folder / "flow.json",
    )
    return {**{name: read_parquet(path).to_pylist() for name, path in out.items()},
            "flow": {stage["stage"]: stage for stage in read_json(folder / "flow.json")["stages"]}}  # fmt: skip


def test_flow_of_a_small_cohort(tmp_path, manifests):
    flow = collect(tmp_path, manifests)["flow"]
    assert {name: (s["unit"], s["in"], s["used"]) for name, s in flow.items()} == {
        "files": ("files", 14, 11),
        "series": ("series", 5, 3),
        "images": ("images", 2, 2),
        "masks": ("contours", 3, 2),
        "patients": ("patients", 2, 1),
    }
    assert flow["files"]["set_aside"] == [
        {"reason": "identity_missing", "kind": "quarantined", "count": 1},
        {"reason": "not_dicom", "kind": "quarantined", "count": 1},
        {"reason": "screen_save", "kind": "quarantined", "count": 1},
    ]
    assert flow["patients"]["set_aside"] == [{"reason": "no_image", "kind": "quarantined", "count": 1}]


def lose_file(m):
    m["dicom"][0]["files"].pop()


def lose_series(m):
    m["images"][0]["series"].pop()


def lose_image(m):
    m["images"][0]["images"].pop()


def lose_mask(m):
    m["masks"][0]["masks"].pop()


def invent_image(m):
    m["images"][0]["images"].append(image("ct"))


@pytest.mark.parametrize(
    ("breaker", "message"),
    [
        (lose_file, "series escout of a: 0 files in its folder, 1 in its rows"),
        (lose_series, "series escout of a: 1 files in its folder, 0 in its rows"),
        (lose_image, "stage images: 2 images in, but 1 used + 0 set aside = 1"),
        (lose_mask, "stage masks: 3 contours in, but 1 used + 1 set aside = 2"),
        (invent_image, "stage images: 3 images, but only 2 names"),
    ],
)
def test_whatever_is_lost_stops_the_job(tmp_path, manifests, breaker, message):
    broken = copy.deepcopy(manifests)
    breaker(broken)
    with pytest.raises(FlowError) as raised:
        collect(tmp_path, broken)
    assert str(raised.value) == message
    assert not (tmp_path / "flow.json").exists()


def test_a_file_lost_before_the_manifest_stops_the_job(tmp_path, manifests):
    manifests["dicom"][0]["files_in"] = 9
    with pytest.raises(FlowError, match="stage files: 15 files in, but 11 used \\+ 3 set aside = 14"):
        collect(tmp_path, manifests)


def test_series_state_and_reason_are_kept(tmp_path, manifests):
    rows = {
        row["series"]: (row["patient"], row["state"], row["reason"]) for row in collect(tmp_path, manifests)["series"]
    }
    assert rows == {
        "ect": ("a", "used", ""),
        "epet": ("a", "used", ""),
        "ert": ("a", "used", ""),
        "escout": ("a", "not_chosen", "localizer_excluded"),
        "ebad": ("b", "quarantined", "missing_slices"),
    }


def test_stacks_of_one_series_count_once(tmp_path, manifests):
    manifests["images"][0]["series"][0:1] = [
        series("ect", 2),
        series("ect", 1, state="not_chosen", code="derived_not_chosen", image=""),
    ]
    collected = collect(tmp_path, manifests)
    assert collected["flow"]["series"]["in"] == 5
    assert [row["files"] for row in collected["series"] if row["series"] == "ect"] == [2, 1]


def test_quarantine_lists_flags_too(tmp_path, manifests):
    rows = collect(tmp_path, manifests)["quarantine"]
    assert [(row["patient"], row["stage"], row["reason"], row["count"]) for row in rows] == [
        ("", "files", "identity_missing", 1),
        ("a", "files", "not_dicom", 1),
        ("a", "files", "screen_save", 1),
        ("a", "series", "localizer_excluded", 1),
        ("a", "masks", "roi_unmatched", 1),
        ("a", "masks", "contour_gap", 1),
        ("b", "series", "missing_slices", 4),
        ("b", "patients", "no_image", 1),
    ]


def test_patients_of_table_and_images(tmp_path, manifests):
    clinical = [
        {"patient": "a", "first_session_day": 12.0, "age_years": 60.0},
        {"patient": "z", "first_session_day": None, "age_years": 44.0},
    ]
    collected = collect(tmp_path, manifests, clinical=clinical)
    rows = {
        r["patient"]: (r["images"], r["in_table"], r["state"], r["reason"], r["age_years"])
        for r in collected["patients"]
    }
    assert rows == {
        "a": (True, True, "used", "", 60.0),
        "b": (False, False, "quarantined", "no_image", None),
        "z": (False, True, "excluded", "table_without_images", 44.0),
    }
    assert {row["session_day"] for row in collected["series"] if row["patient"] == "a"} == {12}
    assert collected["flow"]["patients"]["in"] == 3


def test_excluded_patients_leave_with_their_images(tmp_path, manifests):
    collected = collect(tmp_path, manifests, exclude={"a": "second cancer"})
    assert collected["flow"]["images"]["set_aside"] == [
        {"reason": "excluded_by_config", "kind": "excluded", "count": 2}
    ]
    assert collected["patients"][0]["state"] == "excluded"


def test_a_patient_without_ct_is_quarantined(tmp_path, manifests):
    manifests["images"][0]["images"] = [image("pet")]
    manifests["images"][0]["series"][0].update(state="quarantined", reason="hu_out_of_range", image="")
    rows = {r["patient"]: (r["state"], r["reason"]) for r in collect(tmp_path, manifests)["patients"]}
    assert rows["a"] == ("quarantined", "no_usable_ct")


BY_READER = {"reason": "rejected_by_reader", "kind": "rejected"}


def by_reader(collected: dict) -> list[tuple]:
    rows = [row for row in collected["quarantine"] if row["reason"] == "rejected_by_reader"]
    assert {row["kind"] for row in rows} <= {"rejected"}
    return [(row["stage"], row["item"], row["count"], row["detail"]) for row in rows]


def reject(*items: str) -> dict:
    return {"a": dict.fromkeys(items, "rejected")}


def test_a_rejected_mask_leaves_with_its_reason(tmp_path, manifests):
    collected = collect(tmp_path, manifests, rejected=reject("manual/s1/ct/lesion-1"))
    masks = collected["flow"]["masks"]
    assert (masks["in"], masks["used"]) == (3, 1)
    assert {**BY_READER, "count": 1} in masks["set_aside"]
    assert by_reader(collected) == [("masks", "manual/s1/ct/lesion-1", 1, "")]
    assert collected["patients"][0]["state"] == "used"


def test_a_verdict_on_an_earlier_version_does_nothing(tmp_path, manifests):
    collect(tmp_path / "one", manifests)
    collect(tmp_path / "two", manifests, rejected=reject(f"manual/s1/ct/lesion-1@{'b' * 8}", "s1/ct-2"))
    for name in ("patients.parquet", "series.parquet", "quarantine.parquet", "flow.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_rejected_image_leaves_with_its_masks(tmp_path, manifests):
    manifests["masks"][0]["masks"].append(mask("lesion", "pet"))
    manifests["masks"][0]["rois_in"] = 4
    collected = collect(tmp_path, manifests, rejected=reject("s1/pet"))
    assert by_reader(collected) == [
        ("series", "epet", 2, "image pet"),
        ("masks", "manual/s1/pet/lesion-1", 1, "with its image"),
    ]
    row = next(row for row in collected["series"] if row["series"] == "epet")
    assert (row["state"], row["reason"], row["image"]) == ("rejected", "rejected_by_reader", "")
    flow = {name: (stage["in"], stage["used"]) for name, stage in collected["flow"].items()}
    assert (flow["series"], flow["images"], flow["masks"]) == ((5, 2), (1, 1), (4, 2))
    assert {**BY_READER, "count": 1} in collected["flow"]["series"]["set_aside"]
    assert collected["patients"][0]["state"] == "used"


@pytest.mark.parametrize("items", [("s1/ct",), ("s1/ct", "s1/pet")])
def test_a_patient_whose_ct_was_rejected_leaves_with_that_reason(tmp_path, manifests, items):
    collected = collect(tmp_path, manifests, rejected=reject(*items))
    person = collected["patients"][0]
    assert (person["state"], person["reason"], person["images"]) == ("rejected", "rejected_by_reader", True)
    assert person["sessions"] == 2 - len(items)
    assert {**BY_READER, "count": 1} in collected["flow"]["patients"]["set_aside"]
    assert ("patients", "a", 1, "") in by_reader(collected)


def test_a_patient_without_usable_ct_is_not_said_to_be_rejected(tmp_path, manifests):
    manifests["images"][0]["images"] = [image("pet")]
    manifests["images"][0]["series"][0].update(state="quarantined", reason="hu_out_of_range", image="")
    person = collect(tmp_path, manifests, rejected=reject("s1/pet"))["patients"][0]
    assert (person["state"], person["reason"]) == ("quarantined", "no_usable_ct")


def test_order_of_manifests_does_not_matter(tmp_path, manifests):
    collect(tmp_path / "one", manifests)
    collect(tmp_path / "two", {group: items[::-1] for group, items in manifests.items()})
    for name in ("patients.parquet", "series.parquet", "quarantine.parquet", "flow.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
