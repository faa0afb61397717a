"""Training: it learns, it repeats to the bit, it survives being killed, and held-out patients have no part in it."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from osteorad.cohort.segmentation import SegmentationSettings, TrainingSettings
from osteorad.errors import AnalysisRefused, ConfigError
from osteorad.files import read_json
from osteorad.segmentation import job_train, learner
from osteorad.segmentation.batches import Batch
from osteorad.segmentation.job_train import train_job
from osteorad.segmentation.learner import Training
from osteorad.segmentation.numerics import machine_of, numerics
from osteorad.segmentation.schedule import optimiser_of, schedule_of
from osteorad.segmentation.stopping import stop_flag
from osteorad.segmentation.weights import load_network
from tests.unit.segmentation.training_toy import (
    SHAPE,
    in_a_process,
    make_toy,
    settings,
    steps_taken,
    toy_plan,
    write_patient,
    write_session,
)

SHORT = {"epochs": 3, "steps": 4}
STEPS = 12
DROPOUT = {"tiny": {"network": "unet2d_tiny", "settings": {"features": [4, 8], "dropout": 0.1}}}
EVERY_STEP = 1e-9  # minutes between checkpoints
KEPT = {  # minutes between checkpoints -> steps done at each: of every step and every epoch, or of epochs alone
    EVERY_STEP: [1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12, 12],
    10.0: [4, 8, 12],
}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return make_toy(tmp_path_factory.mktemp("toy"))


def outcome(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "network.json").read_bytes(), (folder / "weights.safetensors").read_bytes()


def trained(toy, folder: Path, **changes) -> tuple[bytes, bytes]:
    """Files of a short training in this process."""
    changes = {"settings": settings(networks=DROPOUT, training=SHORT), **changes}
    train_job(**toy.job(folder / "out", folder / "work", **changes))
    return outcome(folder / "out")


@pytest.fixture(scope="module")
def undisturbed(toy, tmp_path_factory) -> tuple[bytes, bytes]:
    return trained(toy, tmp_path_factory.mktemp("undisturbed"))


# --- learning --------------------------------------------------------------------------------------------------------


def test_a_network_learns_lesions_of_cases_that_it_has_not_seen(toy, tmp_path):
    trained(toy, tmp_path, settings=settings(training={"epochs": 4, "steps": 20}))
    _, plan, record = load_network(tmp_path / "out")
    assert record["curves"][record["best_epoch"] - 1]["validation_dice"] > 0.9
    assert record["curves"][-1]["train_loss"] < record["curves"][0]["train_loss"] / 3
    assert (plan.labels, record["steps"]) == (2, 80)


@pytest.mark.parametrize(
    ("network", "loss", "bone"), [("unet2d_tiny", "dice-ce", "bone"), ("hybrid_attunetpp", "bce-dual", "bone")]
)
def test_bone_is_learned_beside_lesions_by_one_head_and_by_two(network, loss, bone, tmp_path):
    toy = make_toy(tmp_path, 3, bone=True)
    own = {"tiny": {"network": network, "loss": loss, "settings": {"features": [4, 8]}}}
    record, _ = trained(toy, tmp_path, settings=settings(networks=own, bone=bone, training={"epochs": 1, "steps": 3}))
    assert json.loads(record)["plan"]["labels"] == 3


# --- the same again --------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(toy, tmp_path, undisturbed):
    assert trained(toy, tmp_path / "again") == undisturbed
    other = settings(networks=DROPOUT, training={**SHORT, "seed": 2})
    assert trained(toy, tmp_path / "other", settings=other)[1] != undisturbed[1]


def test_what_a_network_draws_with_is_not_in_its_record(toy, tmp_path, undisturbed):
    plain = settings(networks=DROPOUT, training=SHORT)
    assert trained(toy, tmp_path, settings={**plain, "prediction": {"threshold": 0.7}}) == undisturbed


def test_cases_beyond_the_memory_are_mapped_and_give_the_same(toy, tmp_path, undisturbed, monkeypatch):
    monkeypatch.setattr("osteorad.segmentation.prepared.IN_MEMORY_GB", 1e-4)
    seen = []
    plain = job_train.Batches

    def batches(cases, *others, **more):
        seen.extend(type(case.array_zyx) for case in cases)
        return plain(cases, *others, **more)

    monkeypatch.setattr(job_train, "Batches", batches)
    assert trained(toy, tmp_path) == undisturbed
    assert {np.ndarray, np.memmap} == set(seen)  # the first stay in memory
    assert sorted(path.name for path in (tmp_path / "work").glob("*/*")) == ["runs.jsonl"]


# --- who is learned from ---------------------------------------------------------------------------------------------


def test_the_held_out_patient_changes_nothing(tmp_path, undisturbed):
    toy = make_toy(tmp_path)
    write_patient(toy, "p0", np.random.default_rng(99), lesion=False)
    assert trained(toy, tmp_path) == undisturbed


def test_validation_patients_change_no_plan(tmp_path, undisturbed):
    toy = make_toy(tmp_path)
    (patient,) = json.loads(undisturbed[0])["patients_validation"]
    array = np.random.default_rng(5).normal(900, 300, SHAPE).astype(np.int16)
    mask = np.zeros(SHAPE, bool)
    mask[3:9, 4:8, 2:4] = True
    write_session(toy, patient, array, {"lesion": mask})
    changed, before = (json.loads(text) for text in (trained(toy, tmp_path)[0], undisturbed[0]))
    assert changed["plan"] == before["plan"]
    assert changed["fit_hash"] == before["fit_hash"]
    assert changed["curves"][0]["validation_dice"] != before["curves"][0]["validation_dice"]
    assert [row["train_loss"] for row in changed["curves"]] == [row["train_loss"] for row in before["curves"]]


def test_the_record_tells_whom_the_network_has_seen(undisturbed, toy):
    record = json.loads(undisturbed[0])
    seen = [*record["patients_trained"], *record["patients_validation"]]
    assert sorted(seen) == ["p1", "p2", "p3", "p4", "p5"]
    assert sorted(case["patient"] for case in record["inputs"]) == sorted(seen)
    assert record["fit_rows"] == 5


def test_without_validation_the_last_epoch_is_taken(toy, tmp_path):
    record, _ = trained(toy, tmp_path, settings=settings(training={**SHORT, "validation_share": 0}))
    assert json.loads(record)["best_epoch"] == 3
    assert json.loads(record)["patients_validation"] == []


def test_training_ends_where_no_epoch_is_better_for_as_long_as_set(toy, tmp_path):
    plain = settings(training={"epochs": 30, "steps": 1, "patience": 2, "learning_rate": 1e-9})
    record = json.loads(trained(toy, tmp_path, settings=plain)[0])
    assert record["steps"] == record["best_epoch"] + 2 < 30


def test_a_session_that_is_no_case_is_counted(tmp_path):
    toy = make_toy(tmp_path)
    path = toy.root / "images" / "p2" / "images.json"
    path.write_text(path.read_text().replace('"ct"', '"ct-2"'))
    record = json.loads(trained(toy, tmp_path)[0])
    assert record["left_out"] == [{"patient": "p2", "session": "s", "reason": "image_absent"}]
    assert "p2" not in record["patients_trained"]


def test_without_any_lesion_training_is_refused(tmp_path):
    toy = make_toy(tmp_path, 3)
    for patient in toy.patients:
        write_patient(toy, patient, np.random.default_rng(1), lesion=False)
    with pytest.raises(AnalysisRefused, match="none of the 2 training cases has a lesion"):
        trained(toy, tmp_path)


# --- killed ----------------------------------------------------------------------------------------------------------


def run_killed(toy, folder: Path, *, die_at=None, in_checkpoint=None, minutes=10.0) -> tuple[int, int]:
    """Train in a process that is killed, then in another; steps of both."""
    plain = settings(networks=DROPOUT, training={**SHORT, "checkpoint_minutes": minutes})
    job = toy.job(folder / "out", folder / "work", settings=plain)
    assert in_a_process((job, folder / "first", die_at, in_checkpoint)) == -signal.SIGKILL
    assert not (folder / "out" / "network.json").exists()
    assert in_a_process((job, folder / "second")) == 0
    return steps_taken(folder / "first"), steps_taken(folder / "second")


def weights_alike(folder: Path, undisturbed: tuple[bytes, bytes]) -> bool:
    """The same weights; and the same record but for the time between checkpoints, which the test has set."""
    record, weights = outcome(folder / "out")
    one, other = json.loads(record), json.loads(undisturbed[0])
    one["settings"]["training"].pop("checkpoint_minutes"), other["settings"]["training"].pop("checkpoint_minutes")
    return weights == undisturbed[1] and one == other


def test_killed_at_a_random_step_it_goes_on_and_ends_in_the_same_bytes(toy, tmp_path, undisturbed):
    at = random.Random(os.urandom(8)).randint(1, STEPS - 1)
    first, second = run_killed(toy, tmp_path, die_at=at)
    assert outcome(tmp_path / "out") == undisturbed, f"killed after step {at}"
    assert first == at
    assert second == STEPS - (at - 1) // 4 * 4  # from the last epoch that was kept: the one of this step is not yet
    assert not list((tmp_path / "work").glob("*/*.pt"))


def test_killed_between_writing_a_checkpoint_and_its_rename_it_ends_in_the_same_bytes(toy, tmp_path, undisturbed):
    first, second = run_killed(toy, tmp_path, in_checkpoint=7, minutes=EVERY_STEP)
    assert weights_alike(tmp_path, undisturbed)
    assert first + second <= STEPS + 1


@pytest.mark.slow
@pytest.mark.parametrize("minutes", [EVERY_STEP, 10.0])
@pytest.mark.parametrize("seed", range(5))
def test_killed_anywhere_it_goes_on_from_what_was_kept_and_ends_in_the_same_weights(
    seed, minutes, toy, tmp_path, undisturbed
):
    at, kept = random.Random(seed), KEPT[minutes]
    if seed % 2:
        number = at.randint(2, len(kept))
        how, taken, resumed = {"in_checkpoint": number}, kept[number - 1], kept[number - 2]
    else:
        taken = at.randint(kept[0] + 1, STEPS)
        how, resumed = {"die_at": taken}, max(steps for steps in kept if steps < taken)
    assert run_killed(toy, tmp_path, minutes=minutes, **how) == (taken, STEPS - resumed)
    assert weights_alike(tmp_path, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_a_signal_lets_it_keep_its_state_and_leave_with_75(number, toy, tmp_path, undisturbed):
    job = toy.job(tmp_path / "out", tmp_path / "work", settings=settings(networks=DROPOUT, training=SHORT))
    assert in_a_process((job, tmp_path / "first"), send=(number, tmp_path / "first", 5)) == 75
    assert in_a_process((job, tmp_path / "second")) == 0
    assert steps_taken(tmp_path / "first") + steps_taken(tmp_path / "second") == STEPS
    assert outcome(tmp_path / "out") == undisturbed
    (journal,) = (tmp_path / "work").glob("*/runs.jsonl")
    assert [json.loads(line)["event"] for line in journal.read_text().splitlines()] == [
        "started", "stopped", "resumed", "finished",
    ]  # fmt: skip


def test_signals_set_a_flag_in_the_block_and_act_as_before_after_it():
    before = signal.getsignal(signal.SIGUSR1)
    with stop_flag() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.signal == "SIGUSR1"
    assert signal.getsignal(signal.SIGUSR1) is before


# --- the machine -----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_a_cpu_where_a_gpu_was_hoped_for_is_told_and_recorded(no_gpu, toy, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        record, _ = trained(toy, tmp_path, settings=settings(training={**SHORT, "device": "auto"}))
    assert "no GPU here: the network is trained on the CPU" in caplog.text
    found = json.loads(record)
    assert (found["device"], found["fallback"], found["amp"], found["threads"]) == ("cpu", True, "off", 1)


def test_a_gpu_that_was_asked_for_and_is_not_there_stops_the_job(no_gpu):
    with pytest.raises(ConfigError, match=r"training\.device: cuda was asked for"):
        machine_of(TrainingSettings(device="cuda"), 1)


def test_torch_is_as_it_was_after_the_block():
    wanted = TrainingSettings(device="cpu", deterministic=True)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with numerics(machine_of(wanted, 1), wanted) as repeatable:
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 1
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
    assert repeatable.exceptions == []


def test_an_operation_that_does_not_repeat_is_recorded():
    wanted = TrainingSettings(device="cpu")
    with numerics(machine_of(wanted, 1), wanted) as repeatable:
        torch.empty(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
    assert len(repeatable.exceptions) == 1


# --- optimiser and loss ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("constant", [1, 1, 1, 1, 1, 1]),
        ("thirds", [1, 1, 0.5, 0.5, 0.1, 0.1]),
        ("poly", [(1 - step / 6) ** 0.9 for step in range(6)]),
    ],
)
def test_the_learning_rate_takes_the_course_of_its_name(schedule, shares):
    wanted = TrainingSettings(epochs=3, steps=2, learning_rate=0.2, schedule=schedule, optimiser="sgd")
    optimiser = optimiser_of(wanted, [torch.nn.Parameter(torch.zeros(1))])
    course = schedule_of(wanted, optimiser)
    found = []
    for _ in shares:
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        course.step()
    assert found == pytest.approx([0.2 * share for share in shares])


def test_one_cycle_rises_to_the_rate_that_is_set_and_falls_to_nothing():
    wanted = TrainingSettings(epochs=10, steps=10, learning_rate=0.2)
    optimiser = optimiser_of(wanted, [torch.nn.Parameter(torch.zeros(1))])
    course = schedule_of(wanted, optimiser)
    found = []
    for _ in range(100):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        course.step()
    assert max(found) == pytest.approx(0.2)
    assert found[0] < 0.01
    assert found[-1] < 1e-5


def new_training(**changes) -> Training:
    wanted = TrainingSettings(device="cpu", **changes)
    return Training(toy_plan(), wanted, loss="dice-ce", machine=machine_of(wanted, 1), name="t")


def test_a_loss_that_is_no_number_stops_training_and_names_the_cases():
    images, labels = np.full((2, 1, 8, 8), np.nan, np.float32), np.zeros((2, 8, 8), np.uint8)
    batch = Batch(images=images, labels=labels, cases=("q/s", "p/s"))
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step 0; patches of p/s, q/s"):
        new_training().learn(batch)


def test_large_gradients_are_cut_off_and_counted(monkeypatch):
    monkeypatch.setattr(learner, "LARGEST_GRADIENT", 1e-3)
    training = new_training(optimiser="sgd", schedule="constant", weight_decay=0.0)
    rng = np.random.default_rng(0)
    before = [weight.detach().clone() for weight in training.module.parameters()]
    images, labels = rng.normal(size=(2, 1, 8, 8)).astype(np.float32), np.full((2, 8, 8), 2, np.uint8)
    training.learn(Batch(images=images, labels=labels, cases=("p/s",)))
    after = [weight.detach() for weight in training.module.parameters()]
    moved = sum(float(((a - b) ** 2).sum()) for a, b in zip(before, after, strict=True)) ** 0.5
    assert training.progress.clipped == 1
    assert moved == pytest.approx(1e-3 * 1e-3 * 1.99, rel=0.01)  # learning rate x norm, twice by Nesterov's look ahead


# --- the job ---------------------------------------------------------------------------------------------------------


def test_the_log_has_a_line_an_epoch(toy, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        trained(toy, tmp_path)
    lines = [line for line in caplog.messages if line.startswith("epoch ")]
    assert len(lines) == 3
    assert lines[0].startswith("epoch 1/3: loss ")
    assert all(part in lines[0] for part in ("validation Dice", "lr ", "s/step", "left"))


def test_other_settings_find_no_checkpoint_of_these(toy, tmp_path):
    plain = settings(networks=DROPOUT, training={**SHORT, "seed": 3})
    trained(toy, tmp_path)
    trained(toy, tmp_path, settings=plain)
    assert len(list((tmp_path / "work").iterdir())) == 2
    assert read_json(tmp_path / "out" / "network.json")["seed"] == 3


def test_a_network_may_have_epochs_of_its_own():
    raw = {"networks": {"a": {"network": "unet2d_tiny", "epochs": 3}, "b": {"network": "unet2d_tiny"}}}
    settings = SegmentationSettings.model_validate({**raw, "training": {"epochs": 7, "steps": 5}})
    assert [settings.for_training(name).training.epochs for name in ("a", "b")] == [3, 7]
    assert settings.for_training("a").training.steps == 5
