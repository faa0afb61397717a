"""The job that draws: from files to masks, by networks that did not see the patient, byte by byte the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteorad.files import read_json
from osteorad.images.volume import read_nifti
from osteorad.provenance import sha256_file
from osteorad.segmentation import job_predict
from osteorad.segmentation.ensemble import InFoldMask
from osteorad.segmentation.weights import load_network
from tests.unit.segmentation.invented_fold import (
    INNER,
    TESTED,
    write_all_images,
    write_constant_network,
    write_tables,
)
from tests.unit.segmentation.invented_networks import Bright

EVEN = (0.0, 0.0, 0.0)
SETTINGS: dict[str, Any] = {
    "bone": "bone",
    "networks": {"own": {"network": "unet2d_tiny"}},
    "training": {"device": "cpu"},
    "prediction": {"smallest_ml": 0.0},
}
GATED = {
    **SETTINGS,
    "networks": {
        "bones": {"network": "unet2d_tiny"},
        "own": {"network": "unet2d_tiny", "gate": "bones", "gate_mm": 2.0},
    },
}


def _networks(root: Path, name: str = "own", bias: Sequence[float] = EVEN, **more: Any) -> list[Path]:
    return [
        write_constant_network(root / "networks" / name / f"i{inner}", bias, inner_fold=inner, network=name, **more)
        for inner in INNER
    ]


def _bright(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that draw lesion where the image is bright, whatever their weights."""

    def load(folder: Path) -> Any:
        _, plan, record = load_network(folder)
        return Bright(), plan, record

    monkeypatch.setattr(job_predict, "load_network", load)


def _predict(root: Path, images: list[Path], networks: list[Path], **more: Any) -> Path:
    samples, splits = write_tables(root)
    network = more.pop("network", "own")
    out = root / "masks" / network / "masks.json"
    usual: dict[str, Any] = {
        "gate": None,
        "settings": SETTINGS,
        "repeat": 1,
        "fold": 1,
        "analysis": "a",
        "cohort": "c",
        "threads": 1,
    }
    job_predict.predict_job(
        samples=samples,
        splits=splits,
        networks=networks,
        images=images,
        network=network,
        out=out,
        **{**usual, **more},
    )
    return out


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_patient_of_the_samples_is_drawn_in_its_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _bright(monkeypatch)
    out = _predict(tmp_path, write_all_images(tmp_path), networks := _networks(tmp_path))
    told = read_json(out)
    assert {key: told[key] for key in ("cohort", "analysis", "network", "repeat", "fold", "set", "not_sampled")} == {
        "cohort": "c",
        "analysis": "a",
        "network": "own",
        "repeat": 1,
        "fold": 1,
        "set": "auto-own",
        "not_sampled": 1,
    }
    entries = {entry["patient"]: entry for entry in told["patients"]}
    assert all(entries[patient]["networks"] == ["i1", "i2", "i3"] for patient in TESTED)
    assert all(entries[p]["networks"] == [f"i{inner}"] for inner, held in INNER.items() for p in held)
    assert {entry["role"] for patient, entry in entries.items() if patient in TESTED} == {"external"}
    hashes = {path.parent.name: read_json(path)["sha256"] for path in networks}
    for entry in entries.values():
        own = read_json(out.parent / entry["path"])
        assert entry["sha256"] == sha256_file(out.parent / entry["path"])
        assert [(one["name"], one["sha256"]) for one in own["networks"]] == [(n, hashes[n]) for n in entry["networks"]]
        assert own["role"] == entry["role"]
    assert "x1" not in str(told)
    assert not (out.parent / "x1").exists()


def test_masks_are_those_of_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _bright(monkeypatch)
    for flips in ((-1, -1, 1), (1, 1, -1)):
        root = tmp_path / str(flips)
        images = write_all_images(root, flips=flips)
        own = _predict(root, images, _networks(root)).parent / "p1"
        ct, grid = read_nifti(root / "images/p1/s2/ct.nii.gz")
        rows = read_json(own / "masks.json")["masks"]
        assert [(row["session"], row["roi"], row["lesion"]) for row in rows] == [
            (session, *mask) for session in ("s1", "s2") for mask in (("bone", 1), ("lesion", 1), ("lesion", 2))
        ]
        second = {(row["roi"], row["lesion"]): row for row in rows if row["session"] == "s2"}
        arrays = {}
        for key, row in second.items():
            array, placed = read_nifti(own / row["path"])
            assert placed.matches(grid)
            assert array.dtype == np.uint8
            assert row["voxels"] == array.sum()
            assert row["sha256"] == sha256_file(own / row["path"])
            assert row["volume_ml"] == pytest.approx(array.sum() * 0.8 * 0.8 * 3 / 1000)
            arrays[key] = array
        np.testing.assert_array_equal(arrays["bone", 1], ct >= 600)
        np.testing.assert_array_equal(arrays["lesion", 1] + arrays["lesion", 2], ct == 950)
        assert arrays["lesion", 1].sum() >= arrays["lesion", 2].sum()
        assert all(0.99 < second["lesion", n]["score"] <= 1 for n in (1, 2))


def test_no_lesion_and_no_image_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _bright(monkeypatch)
    out = _predict(tmp_path, write_all_images(tmp_path), _networks(tmp_path))
    healthy = read_json(out.parent / "p5/masks.json")
    assert [row["roi"] for row in healthy["masks"]] == ["bone"]
    assert healthy["sessions"][0]["lesions"] == 0
    without = next(entry for entry in read_json(out)["patients"] if entry["patient"] == "p6")
    assert without["sessions"] == []
    assert without["left_out"] == [{"session": "s1", "reason": "image_absent"}]
    (row,) = read_json(out.parent / "p6/masks.json")["set_aside"]
    assert (row["stage"], row["kind"], row["reason"]) == ("masks", "excluded", "image_absent")


def test_real_networks_with_constant_outputs_average(tmp_path: Path) -> None:
    """Logits +3, -1, -1 of lesion against background: a test patient's mean is (0.95 + 0.27 + 0.27) / 3 = 0.50."""
    images = write_all_images(tmp_path)
    networks = [
        write_constant_network(tmp_path / f"n/i{inner}", (0.0, value), inner_fold=inner)
        for inner, value in zip(INNER, (3.0, -1.0, -1.0), strict=True)
    ]
    mean = (1 / (1 + np.exp(-3)) + 2 / (1 + np.exp(1))) / 3
    settings = {**SETTINGS, "bone": None, "prediction": {"threshold": mean - 1e-4, "smallest_ml": 0.0}}
    out = _predict(tmp_path, images, networks, settings=settings)
    lesions = {p: read_json(out.parent / p / "masks.json")["masks"] for p in ("p1", "p2", "t1")}
    assert [row["voxels"] for row in lesions["t1"]] == [24 * 20 * 12]
    assert lesions["t1"][0]["score"] == pytest.approx(mean, abs=1e-6)
    assert [row["score"] for row in lesions["p1"]] == pytest.approx([1 / (1 + np.exp(-3))] * 2, abs=1e-6)
    assert lesions["p2"] == []
    settings["prediction"] = {"threshold": mean + 1e-4, "smallest_ml": 0.0}
    assert read_json(_predict(tmp_path, images, networks, settings=settings).parent / "t1/masks.json")["masks"] == []


def test_two_runs_give_the_same_bytes_and_leave_nothing_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _bright(monkeypatch)
    images, networks = write_all_images(tmp_path), _networks(tmp_path)
    out = _predict(tmp_path, images, networks)
    before = _files(out.parent)
    (out.parent / "p1/s1/ct/lesion-9.nii.gz").write_bytes(b"old")
    _predict(tmp_path, images, networks)
    assert _files(out.parent) == before


@pytest.mark.parametrize("field", ["patients_trained", "patients_validation"])
@pytest.mark.parametrize(("inner", "patient"), [(1, "p1"), (3, "t2")])
def test_a_network_that_saw_whom_it_would_draw_stops_the_job(
    tmp_path: Path, field: str, inner: int, patient: str
) -> None:
    networks = _networks(tmp_path)
    write_constant_network(networks[inner - 1].parent, EVEN, inner_fold=inner, **{field: ["p9", patient]})
    with pytest.raises(InFoldMask, match=f"network i{inner} saw patient {patient}"):
        _predict(tmp_path, write_all_images(tmp_path), networks)
    assert not (tmp_path / "masks").exists()


def test_networks_in_the_wrong_order_stop_the_job(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="network i1 of own was trained for inner_fold 3"):
        _predict(tmp_path, write_all_images(tmp_path), _networks(tmp_path)[::-1])


@pytest.mark.parametrize(("name", "value"), [("analysis", "b"), ("fold", 2), ("repeat", 2), ("network", "other")])
def test_networks_of_another_fold_stop_the_job(tmp_path: Path, name: str, value: Any) -> None:
    networks = _networks(tmp_path)
    write_constant_network(networks[1].parent, EVEN, inner_fold=2, **{name: value})
    with pytest.raises(ValueError, match=f"network i2 of own was trained for {name} {value}"):
        _predict(tmp_path, write_all_images(tmp_path), networks)


def test_a_patient_without_manifest_stops_the_job(tmp_path: Path) -> None:
    images = [path for path in write_all_images(tmp_path) if path.parent.name != "t2"]
    with pytest.raises(ValueError, match="t2 is to be drawn, but has no manifest"):
        _predict(tmp_path, images, _networks(tmp_path))


# --- gate -------------------------------------------------------------------------------------------------------------


def _gate(root: Path, images: list[Path]) -> Path:
    return _predict(root, images, _networks(root, "bones"), settings=GATED, network="bones")


def test_the_gate_costs_what_lies_far_from_bone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lesion far from bone is bone to its own network, too; without it in the gate's mask it is lost."""
    _bright(monkeypatch)
    images = write_all_images(tmp_path)
    gate = _gate(tmp_path, images)
    bone = gate.parent / "t1/s1/ct/bone-1.nii.gz"
    array, grid = read_nifti(bone)
    ct, _ = read_nifti(tmp_path / "images/t1/s1/ct.nii.gz")
    apart = np.asarray(array).copy()
    apart[:, :, 7:] = 0  # the slices of the lesion outside bone
    job_predict.write_nifti(bone, apart, grid.affine_ras)
    out = _predict(tmp_path, images, _networks(tmp_path), settings=GATED, gate=gate)
    told = read_json(out.parent / "t1/masks.json")
    assert told["sessions"][0]["lost_by_gate"] == 1
    assert [row["lesion"] for row in told["masks"] if row["roi"] == "lesion"] == [1]
    kept, _ = read_nifti(out.parent / "t1/s1/ct/lesion-1.nii.gz")
    np.testing.assert_array_equal(kept, (ct == 950) & (apart == 1))
    assert read_json(out.parent / "t2/masks.json")["sessions"][0]["lost_by_gate"] == 0
    assert read_json(out)["gate"] == "bones"


def test_a_gate_of_another_fold_or_role_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _bright(monkeypatch)
    images = write_all_images(tmp_path)
    gate = _gate(tmp_path, images)
    told = read_json(gate)
    for change, words in (({"fold": 2}, "are of fold 2"), ({"network": "other"}, "are of network other")):
        job_predict.write_json(gate, {**told, **change})
        with pytest.raises(ValueError, match=words):
            _predict(tmp_path, images, _networks(tmp_path), settings=GATED, gate=gate)
    for change in ({"role": "external"}, {"networks": ["i2"]}):
        rows = [{**row, **change} if row["patient"] == "p1" else row for row in told["patients"]]
        job_predict.write_json(gate, {**told, "patients": rows})
        with pytest.raises(ValueError, match="p1 was not drawn as out_of_fold"):
            _predict(tmp_path, images, _networks(tmp_path), settings=GATED, gate=gate)


def test_gate_and_settings_go_together(tmp_path: Path) -> None:
    images = write_all_images(tmp_path)
    with pytest.raises(ValueError, match="gate bones is asked for, and masks of it are not given"):
        _predict(tmp_path, images, _networks(tmp_path), settings=GATED)
    with pytest.raises(ValueError, match="gate None is asked for, and masks of it are given"):
        _predict(tmp_path, images, _networks(tmp_path), gate=tmp_path / "masks.json")
