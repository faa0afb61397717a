"""Losses against figures worked out by hand, and what they must never do."""

from __future__ import annotations

from math import exp, log

import pytest
import torch

from osteorad.errors import ConfigError
from osteorad.segmentation.losses import HEADS, IGNORE, LOSSES, dice_ce, dual_bce, loss_of

torch.set_num_threads(1)  # small tensors: more threads only wait for each other


def logits_of(shares: list[list[float]]) -> torch.Tensor:
    """Logits, shape (1, labels, 1, voxels), whose softmax gives these shares, a row a voxel."""
    return torch.tensor(shares).log().T[None, :, None, :]


def labels_of(*labels: int) -> torch.Tensor:
    return torch.tensor(labels, dtype=torch.uint8)[None, None, :]


SHARES = [[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.25, 0.25, 0.5], [0.7, 0.2, 0.1]]
ENTROPY = -(log(0.8) + log(0.6) + log(0.5) + log(0.7)) / 4
BONE_DICE = (2 * 0.6 + 1) / (0.1 + 0.6 + 0.25 + 0.2 + 1 + 1)  # label 1 stands at the second voxel only
LESION_DICE = (2 * 0.5 + 1) / (0.1 + 0.2 + 0.5 + 0.1 + 1 + 1)


@pytest.mark.parametrize(
    ("keywords", "want"),
    [
        ({}, ENTROPY + 0.5 * (1 - BONE_DICE) + 0.5 * (1 - LESION_DICE)),
        ({"lesion_weight": 1.0}, ENTROPY + 1 - LESION_DICE),
        ({"lesion_weight": 0.8}, ENTROPY + 0.2 * (1 - BONE_DICE) + 0.8 * (1 - LESION_DICE)),
        ({"dice_weight": 0.0}, ENTROPY),
        ({"dice_weight": 2.0, "lesion_weight": 0.0}, ENTROPY + 2 * (1 - BONE_DICE)),
        ({"smooth": 0.0, "lesion_weight": 1.0}, ENTROPY + 1 - 2 * 0.5 / (0.9 + 1)),
    ],
)
def test_dice_ce_equals_the_sum_worked_out_by_hand(keywords, want):
    loss = dice_ce(logits_of(SHARES), labels_of(0, 1, 2, 0), **keywords)
    assert float(loss) == pytest.approx(want, abs=1e-6)


def test_dice_ce_with_one_foreground_label_gives_it_the_whole_dice_term():
    loss = dice_ce(logits_of([[0.9, 0.1], [0.4, 0.6]]), labels_of(0, 1), lesion_weight=0.3)
    assert float(loss) == pytest.approx(-(log(0.9) + log(0.6)) / 2 + 1 - (2 * 0.6 + 1) / (0.7 + 1 + 1), abs=1e-6)


def test_dice_is_taken_over_the_batch():
    first, second = logits_of([[0.5, 0.5]]), logits_of([[0.8, 0.2]])
    loss = dice_ce(torch.cat([first, second]), torch.cat([labels_of(1), labels_of(0)]))
    dice = (2 * 0.5 + 1) / (0.5 + 0.2 + 1 + 1)
    assert float(loss) == pytest.approx(-(log(0.5) + log(0.8)) / 2 + 1 - dice, abs=1e-6)


def bce(logit: float, positive: bool) -> float:
    return log(1 + exp(-logit if positive else logit))


LESION_LOGITS, BONE_LOGITS = (1.5, -0.5, 0.25), (2.0, -1.0, 0.75)
OF_LESION = (bce(1.5, True) + bce(-0.5, False) + bce(0.25, False)) / 3
OF_BONE = (bce(2.0, True) + bce(-1.0, True) + bce(0.75, False)) / 3  # a lesion voxel is bone, too


@pytest.mark.parametrize(
    ("keywords", "want"),
    [
        ({}, 0.7 * OF_LESION + 0.3 * OF_BONE),
        ({"lesion_share": 1.0, "bone_share": 0.0}, OF_LESION),
        ({"lesion_share": 0.0, "bone_share": 1.0}, OF_BONE),
    ],
)
def test_dual_bce_equals_the_sum_worked_out_by_hand(keywords, want):
    logits = torch.tensor([LESION_LOGITS, BONE_LOGITS])[None, :, None, :]
    assert float(dual_bce(logits, labels_of(2, 1, 0), **keywords)) == pytest.approx(want, abs=1e-6)


CHANNELS = {"dice-ce": 3, "bce-dual": 2}


def random_batch(name: str, spatial: tuple[int, ...] = (6, 5)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(11)
    logits = torch.randn((3, CHANNELS[name], *spatial), generator=generator)
    return logits, torch.randint(0, 3, (3, *spatial), generator=generator, dtype=torch.uint8)


def loss_and_gradient(name: str, logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = logits.clone().requires_grad_()
    loss = loss_of(name)(leaf, target)
    loss.backward()
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("spatial", [(6, 5), (4, 3, 5)])
def test_gradient_is_the_slope_of_the_loss(name, spatial):
    logits, target = random_batch(name, spatial)
    _, gradient = loss_and_gradient(name, logits, target)
    step = torch.randn(logits.shape, generator=torch.Generator().manual_seed(5)) * 1e-2
    rise = loss_of(name)(logits + step, target) - loss_of(name)(logits - step, target)
    assert float(rise) == pytest.approx(2 * float((gradient * step).sum()), rel=2e-3)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_voxel_that_is_not_known_does_nothing(name):
    logits, target = random_batch(name)
    target[:, :, 3:] = IGNORE
    loss, gradient = loss_and_gradient(name, logits, target)
    without, _ = loss_and_gradient(name, logits[..., :3], target[:, :, :3])
    assert float(loss) == pytest.approx(float(without), rel=1e-6)
    assert not gradient[..., 3:].any()
    assert gradient[..., :3].any()
    changed = logits.clone()
    changed[..., 3:] = 50.0
    assert torch.equal(loss_of(name)(changed, target), loss)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_batch_of_which_nothing_is_known_gives_zero_and_no_gradient(name):
    logits, target = random_batch(name)
    loss, gradient = loss_and_gradient(name, logits, torch.full_like(target, IGNORE))
    assert float(loss) == 0.0
    assert not gradient.any()


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("size", [0.0, 300.0])
def test_loss_and_gradient_are_finite_with_one_label_only_and_logits_of_any_size(name, label, size):
    logits, target = random_batch(name)
    loss, gradient = loss_and_gradient(name, logits * size, torch.full_like(target, label))
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_right_answer_costs_nothing_and_the_same_twice(name):
    _, target = random_batch(name)
    lesion, bone = target == 2, target == 1
    sure = torch.stack([lesion, lesion | bone] if name == "bce-dual" else [target == 0, bone, lesion], dim=1)
    logits = (sure.float() - 0.5) * 60
    assert float(loss_of(name)(logits, target)) == pytest.approx(0.0, abs=1e-6)
    assert torch.equal(loss_of(name)(logits, target), loss_of(name)(logits, target))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_half_precision_logits_are_summed_in_float32(name):
    logits, target = random_batch(name)
    short = logits.to(torch.bfloat16)
    loss = loss_of(name)(short, target)
    assert loss.dtype is torch.float32
    assert torch.equal(loss, loss_of(name)(short.float(), target))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_labels_that_do_not_belong_to_the_logits_are_refused(name):
    logits, target = random_batch(name)
    with pytest.raises(ValueError, match="differ in shape"):
        loss_of(name)(logits, target[:2])
    target[0, 0, 0] = 3
    with pytest.raises(ValueError, match="a label is 3; the highest possible is 2"):
        loss_of(name)(logits, target)


def test_dual_bce_refuses_a_network_of_one_head():
    with pytest.raises(ValueError, match="the logits have 3 channels"):
        dual_bce(*random_batch("dice-ce"))


def test_unknown_loss_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown loss 'dice_ce'. Did you mean 'dice-ce'\?"):
        loss_of("dice_ce")  # type: ignore[arg-type]
    assert HEADS.keys() == LOSSES.keys()
