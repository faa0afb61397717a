"""The scoring job on a small fold: hit, miss, false positive, correct negative, bone, baseline, lost contours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osteorad.cohort.schemas import LESIONS
from osteorad.errors import ConfigError
from osteorad.files import read_json, read_parquet, table_from_rows, write_json, write_parquet
from osteorad.images.volume import write_nifti
from osteorad.segmentation.job_score import score_job, settings_of
from tests.unit.segmentation.masks import box, fold_manifest, grid_of, mask_entry, mask_set, pair

GRID = grid_of()
L1, L2, BONE = box((2, 4), (5, 14), (5, 14)), box((2, 4), (20, 29), (20, 29)), box((0, 11), (2, 35), (2, 35))
OUT = ("case_scores.parquet", "lesion_scores.parquet", "scores.json")


def fold(folder: Path) -> dict[str, Path | list[Path]]:
    """Inputs of a job: four patients, the first with two sessions."""
    drawn = {
        "p1": [("s1", "lesion", 1, L1), ("s1", "lesion", 2, L2), ("s1", "bone", 1, BONE), ("s2", "lesion", 1, L2)],
        "p2": [("s1", "lesion", 3, 0 * L1)],
        "p3": [],
        "p4": [("s1", "lesion", 1, L1)],
    }
    lost = {"session": "s1", "stage": "masks", "item": "e/lesion-9", "count": 1, "reason": "roi_outside_image"}
    manual = []
    for patient, masks in drawn.items():
        at = folder / "manual" / patient
        entries = [mask_entry(at, array, GRID, session=s, roi=roi, lesion=n) for s, roi, n, array in masks]
        entries += [mask_entry(at, L2, GRID, session="s1", roi="lesion", lesion=1, image="pet")]
        aside = [{**lost, "kind": "quarantined"}, {**lost, "kind": "flag"}] if patient == "p4" else []
        manual.append(mask_set(at, patient, "manual", entries, aside))
    predicted = {
        "p1": [("s1", "lesion", 1, L1, 0.9), ("s1", "bone", 1, BONE, None)],
        "p2": [("s1", "lesion", 1, L2, 0.6)],
        "p3": [("s1", "bone", 1, BONE, None)],
        "p4": [("s1", "lesion", 1, np.roll(L1, 2, axis=0), 0.8)],
    }
    patients = []
    for patient, masks in predicted.items():
        at = folder / "fold" / patient
        entries = [
            mask_entry(at, array, GRID, session=s, roi=roi, lesion=n, **({"score": score} if score else {}))
            for s, roi, n, array, score in masks
        ]
        mask_set(at, patient, "auto-net", entries)
        sessions = ["s1", "s2"] if patient == "p1" else ["s1"]
        role = "out_of_fold" if patient == "p4" else "external"
        patients.append({"patient": patient, "sessions": sessions, "role": role, "path": f"{patient}/masks.json"})
    facts = [
        {"patient": "p1", "session": "s1", "roi": "lesion", "lesion": n, "type": t}
        for n, t in ((1, "lytic"), (2, "mixed"))
    ]
    write_parquet(folder / "lesions.parquet", table_from_rows(facts, LESIONS))
    return {"masks": fold_manifest(folder / "fold", patients), "manual": manual, "lesions": folder / "lesions.parquet"}


def score(folder: Path, inputs, **more) -> tuple[list[dict], list[dict], dict]:
    cases, lesions, scores = (folder / name for name in OUT)
    score_job(**inputs, out_cases=cases, out_lesions=lesions, out_scores=scores, **more)
    return read_parquet(cases).to_pylist(), read_parquet(lesions).to_pylist(), read_json(scores)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fold")
    return score(folder, fold(folder), params={"bootstrap": 200})


def test_every_session_of_the_fold_is_a_case(scored):
    cases, _, _ = scored
    keys = [(row["patient"], row["session"], row["roi"], row["role"]) for row in cases]
    assert keys == [
        ("p1", "s1", "bone", "external"),
        ("p1", "s1", "lesion", "external"),
        ("p1", "s2", "lesion", "external"),
        ("p2", "s1", "lesion", "external"),
        ("p3", "s1", "lesion", "external"),
        ("p4", "s1", "lesion", "out_of_fold"),
    ]
    assert {(row["cohort"], row["analysis"], row["network"], row["repeat"], row["fold"]) for row in cases} == {
        ("test", "a", "net", 1, 2)
    }


def test_contours_of_another_image_are_no_reference(scored):
    assert [row["lesions"] for row in scored[0]] == [None, 2, 1, 0, 0, 1]


def test_cases_hold_the_empty_convention(scored):
    rows = {(row["patient"], row["session"]): row for row in scored[0] if row["roi"] == "lesion"}
    assert rows["p1", "s1"]["dice"] == pytest.approx(2 / 3)
    assert (rows["p1", "s2"]["dice"], rows["p1", "s2"]["hd95_mm"]) == (0.0, None)
    assert (rows["p2", "s1"]["dice"], rows["p2", "s1"]["correct_negative"]) == (None, False)
    assert (rows["p2", "s1"]["false_positives"], rows["p2", "s1"]["lesions_empty"]) == (1, 1)
    assert (rows["p3", "s1"]["dice"], rows["p3", "s1"]["correct_negative"]) == (None, True)
    assert rows["p4", "s1"]["contours_lost"] == 1


def test_lesion_rows_know_type_and_score(scored):
    rows = [row for row in scored[1] if row["patient"] == "p1" and row["session"] == "s1"]
    facts = [(row["side"], row["lesion"], row["type"], row["found"], row["score"]) for row in rows]
    assert facts == [
        ("reference", 1, "lytic", True, 0.9), ("reference", 2, "mixed", False, None), ("predicted", 1, None, True, 0.9),
    ]  # fmt: skip


def test_summary_tells_rule_and_numbers_by_role(scored):
    summary = scored[2]
    assert summary["rule"]["words"] == "at least 10 % of the lesion's volume is covered"
    groups = {(row["procedure"], row["role"], row["roi"]): row for row in summary["scores"]}
    assert list(groups) == [
        ("network", "external", "bone"), ("network", "external", "lesion"), ("network", "out_of_fold", "lesion"),
    ]  # fmt: skip
    external = groups["network", "external", "lesion"]
    assert (external["n"], external["n_negative"], external["n_undefined"]) == (2, 2, 1)
    assert external["dice"]["estimate"] == pytest.approx(1 / 3)
    assert external["lesions"]["sensitivity"]["estimate"] == pytest.approx(1 / 3)
    assert external["false_positives"]["per_case"]["estimate"] == 0.25
    assert external["froc"]["last"]["false_positives_per_case"] == 0.25
    assert groups["network", "external", "bone"]["dice"]["estimate"] == 1.0


def test_two_runs_give_the_same_bytes(tmp_path):
    contents = []
    for name in ("one", "other"):
        score(tmp_path / name, fold(tmp_path / name), params={"bootstrap": 50})
        contents.append([(tmp_path / name / file).read_bytes() for file in OUT])
    assert contents[0] == contents[1]


def test_baseline_stands_beside_the_network_where_there_is_bone(tmp_path):
    hu = np.where(BONE, 180, -1000) + np.random.default_rng(1).normal(0, 15, BONE.shape)
    hu[L1 > 0] = 500
    path = tmp_path / "images/p1/s1/ct.nii.gz"
    write_nifti(path, hu.astype(np.int16), GRID.affine_ras)
    entry = {"session": "s1", "image": "ct", "path": "s1/ct.nii.gz"}
    write_json(tmp_path / "images/p1/images.json", {"patient": "p1", "images": [entry]})
    inputs = fold(tmp_path)
    cases, lesions, summary = score(tmp_path, inputs, images=[tmp_path / "images/p1/images.json"])
    [row] = [row for row in cases if row["procedure"] == "threshold"]
    assert (row["patient"], row["session"], row["roi"], row["lesions"], row["detected"]) == ("p1", "s1", "lesion", 2, 1)
    assert any(row["procedure"] == "threshold" and row["side"] == "predicted" for row in lesions)
    assert [group["procedure"] for group in summary["scores"]].count("threshold") == 1


def test_pictures_have_no_lengths_no_volumes_and_no_hu(tmp_path):
    """Nobody knows the size of their voxels; components are dropped by their number alone."""
    path = tmp_path / "images/p1/s1/ct.nii.gz"
    write_nifti(path, np.zeros(BONE.shape, np.uint8), GRID.affine_ras)
    entry = {"session": "s1", "image": "ct", "path": "s1/ct.nii.gz", "units": "grey"}
    write_json(tmp_path / "images/p1/images.json", {"patient": "p1", "images": [entry]})
    inputs = fold(tmp_path)
    cases, lesions, summary = score(tmp_path, inputs, images=[tmp_path / "images/p1/images.json"])
    pictures = [row for row in (*cases, *lesions) if (row["patient"], row["session"]) == ("p1", "s1")]
    told = {name: value for row in pictures for name, value in row.items() if value is not None}
    assert not [name for name in told if name.endswith(("_mm", "_ml")) or name.startswith("surface_dice")]
    assert told["dice"] is not None
    assert "threshold" not in [group["procedure"] for group in summary["scores"]]
    others = [row for row in cases if row["patient"] != "p1"]
    assert any(row["volume_error_ml"] is not None for row in others)


def test_reference_pair_through_files(tmp_path):
    reference, prediction = pair()
    at = tmp_path / "manual/p1"
    manual = mask_set(at, "p1", "manual", [mask_entry(at, reference, GRID, session="s1", roi="lesion", lesion=1)])
    at = tmp_path / "fold/p1"
    mask_set(at, "p1", "auto-net", [mask_entry(at, prediction, GRID, session="s1", roi="lesion", lesion=1, score=0.7)])
    entry = {"patient": "p1", "sessions": ["s1"], "role": "external", "path": "p1/masks.json"}
    inputs = {"masks": fold_manifest(tmp_path / "fold", [entry]), "manual": [manual]}
    [row], _, _ = score(tmp_path, inputs, params={"bootstrap": 10})
    assert row["hd95_mm"] == pytest.approx(4.624303, abs=1e-6)
    assert row["dice"] == pytest.approx(0.730586, abs=1e-6)


def test_masks_on_two_grids_are_refused(tmp_path):
    inputs = fold(tmp_path)
    moved = grid_of(spacing=(0.8, 0.8, 2.5))
    mask_entry(tmp_path / "fold/p4", L1, moved, session="s1", roi="lesion", lesion=1)
    with pytest.raises(ValueError, match="different grids"):
        score(tmp_path, inputs)


def test_patient_without_reference_manifest_is_refused(tmp_path):
    inputs = fold(tmp_path)
    with pytest.raises(ValueError, match="no manifest of reference masks of p4"):
        score(tmp_path, {**inputs, "manual": inputs["manual"][:3]})


def test_settings_by_name():
    settings = settings_of({"image": "pet", "rule": "iou", "at_least": 0.5, "smallest_ml": 0.0, "bootstrap": 10})
    assert (settings.image, settings.matching.rule.name, settings.matching.rule.at_least) == ("pet", "iou", 0.5)
    assert (settings.matching.smallest_ml, settings.matching.smallest_voxels, settings.bootstrap) == (0.0, 3, 10)
    with pytest.raises(ConfigError, match="Did you mean 'one-to-one'"):
        settings_of({"rule": "one-to-ones"})
    with pytest.raises(TypeError):
        settings_of({"treshold": 1})
