"""Probabilities from networks: they are shown what they learned to see, and their outputs mean what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from osteorad.images.volume import Volume
from osteorad.segmentation import infer
from osteorad.segmentation.infer import BONE, LESION, mean_probabilities, predictor, sliding, turned
from osteorad.segmentation.plan import Plan
from osteorad.segmentation.preprocess import prepare_image
from tests.unit.segmentation.invented_networks import CPU, Bright, Constant, grid, plan, trained, with_balls


def _noise(flips: tuple[int, int, int] = (-1, -1, 1)) -> Volume:
    own = grid(flips=flips)
    array = np.random.default_rng(1).normal(300, 400, own.shape).astype(np.int16)
    return Volume(array=array, grid=own, units="HU")


def _probabilities(volume: Volume, *networks: infer.TrainedNetwork, overlap: float = 0.5) -> np.ndarray:
    found = list(mean_probabilities(volume, networks, CPU, overlap=overlap))
    return np.concatenate([part for _, part in found], axis=1)


VOLUMES = {"dimensions": 3, "patch": (4, 16, 16), "spacing_mm": (1.0, 1.0, 2.5), "divisor": (2, 2, 2)}


@pytest.mark.parametrize("more", [{}, VOLUMES], ids=["2D", "3D"])
def test_a_constant_network_gives_a_constant(more: dict) -> None:
    found = _probabilities(_noise(), trained(Constant(0.0, 1.0, 2.0), **more))
    shares = [math.exp(value) for value in (0, 1, 2)]
    assert found.shape == (2, 12, 20, 24)
    np.testing.assert_allclose(found[LESION], shares[2] / sum(shares), atol=1e-6)
    np.testing.assert_allclose(found[BONE], (shares[1] + shares[2]) / sum(shares), atol=1e-6)


def test_two_labels_give_lesion_alone() -> None:
    found = _probabilities(_noise(), trained(Constant(0.0, 1.0), labels=2, bone=None))
    assert found.shape[0] == 1
    np.testing.assert_allclose(found[LESION], 1 / (1 + math.exp(-1)), atol=1e-6)


def test_two_heads_are_lesion_and_bone() -> None:
    found = _probabilities(_noise(), trained(Constant(-1.0, 2.0), network="hybrid_attunetpp"))
    np.testing.assert_allclose(found[LESION], 1 / (1 + math.exp(1)), atol=1e-6)
    np.testing.assert_allclose(found[BONE], 1 / (1 + math.exp(-2)), atol=1e-6)


def test_several_networks_give_the_mean_of_probabilities_not_of_logits() -> None:
    pair = [trained(Constant(0.0, value), labels=2, bone=None) for value in (-3.0, 1.0)]
    found = _probabilities(_noise(), *pair)
    want = (1 / (1 + math.exp(3)) + 1 / (1 + math.exp(-1))) / 2
    np.testing.assert_allclose(found, want, atol=1e-6)


def test_networks_of_other_spacings_and_dimensions_average() -> None:
    pair = [trained(Constant(0.0, 0.0), labels=2, bone=None, spacing_mm=(2.0, 1.5, None)),
            trained(Constant(0.0, 9.0), labels=2, bone=None, **VOLUMES)]  # fmt: skip
    np.testing.assert_allclose(_probabilities(_noise(), *pair), (0.5 + 1 / (1 + math.exp(-9))) / 2, atol=1e-6)


@pytest.mark.parametrize("flips", [(-1, -1, 1), (1, -1, 1), (1, 1, -1)])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, None), (0.8, 0.8, None), (1.3, 0.9, 2.2), None])
def test_networks_are_shown_what_they_learned_from(
    flips: tuple[int, int, int], spacing: tuple[float | None, ...] | None
) -> None:
    """Slices read one by one are those of the room's own preparation for training."""
    volume, chosen = _noise(flips), plan(spacing_mm=spacing)
    wanted = prepare_image(volume, chosen).array_zyx
    shown: list[np.ndarray] = []

    class Looking(Constant):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            shown.append(images[:, 0].numpy())
            return super().forward(images)

    _probabilities(volume, trained(Looking(0.0, 0.0, 0.0), spacing_mm=spacing, patch=(64, 64)))
    rows, columns = wanted.shape[1:]
    first = (64 - rows) // 2, (64 - columns) // 2
    whole = np.concatenate(shown)
    inner = (slice(None), slice(first[0], first[0] + rows), slice(first[1], first[1] + columns))
    np.testing.assert_allclose(whole[inner], wanted, atol=1e-4)
    whole[inner] = chosen.lowest
    assert np.all(whole == np.float32(chosen.lowest))


def test_turned_is_right_for_every_order_of_axes() -> None:
    """A bright voxel at the patient's left, back and head is the last of each axis of what networks see."""
    for flips in [(-1, -1, 1), (1, 1, 1), (1, -1, -1)]:
        own = grid((4, 5, 6), flips=flips)
        array = np.zeros(own.shape, dtype=np.int16)
        at = [0 if way > 0 else size - 1 for way, size in zip((flips[0], flips[1], -flips[2]), own.shape, strict=True)]
        array[tuple(at)] = 1  # RAS: left is -x, back is -y, head is +z
        assert np.argwhere(turned(array, own)).tolist() == [[5, 4, 3]]


def test_the_order_of_axes_in_the_file_changes_no_probability() -> None:
    balls = [((3.0, -2.0, 4.0), 6.0, 900)]
    one = _probabilities(with_balls(grid(flips=(-1, -1, 1)), *balls), trained(Bright()))
    other = _probabilities(with_balls(grid(flips=(1, 1, -1)), *balls), trained(Bright()))
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert one[LESION].max() > 0.99


def test_windows_have_the_size_of_the_patch_and_change_nothing_else() -> None:
    volume = _noise()
    whole = _probabilities(volume, trained(Bright(), patch=(64, 64)))
    np.testing.assert_allclose(_probabilities(volume, trained(Bright(), patch=(8, 8))), whole, atol=1e-6)


def test_windows_at_once_change_no_label() -> None:
    torch.manual_seed(3)
    net = torch.nn.Sequential(torch.nn.Conv3d(1, 3, 3, padding=1), torch.nn.InstanceNorm3d(3))
    own = trained(net, **VOLUMES)
    image = np.random.default_rng(2).normal(size=(4, 4, 16, 16)).astype(np.float32)
    predict = predictor(own, CPU)
    single = np.concatenate([predict(image[at : at + 1]) for at in range(4)])
    np.testing.assert_allclose(predict(image), single, atol=1e-6)


@pytest.mark.parametrize("more", [{"patch": (8, 16)}, VOLUMES], ids=["2D", "3D"])
def test_a_window_is_the_patch(more: dict) -> None:
    seen: list[tuple[int, ...]] = []

    def predict(windows: np.ndarray) -> np.ndarray:
        seen.append(windows.shape[1:])
        return windows[:, None]

    own: Plan = plan(**more)
    list(sliding(lambda a, b: np.zeros((b - a, 20, 24), np.float32), (12, 20, 24), predict, own, overlap=0.5))
    assert set(seen) == {tuple(more["patch"])}


def test_an_image_in_other_units_is_refused() -> None:
    volume = Volume(array=np.zeros((24, 20, 12), np.float32), grid=grid(), units="SUVbw")
    with pytest.raises(ValueError, match="learned from images in HU; this one is in SUVbw"):
        _probabilities(volume, trained(Bright()))


def test_networks_with_other_labels_are_not_averaged() -> None:
    with pytest.raises(ValueError, match="different labels"):
        _probabilities(_noise(), trained(Bright()), trained(Constant(0.0, 1.0), labels=2, bone=None))
