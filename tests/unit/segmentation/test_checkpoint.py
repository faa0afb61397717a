"""Checkpoints: whole, atomic, of one key, and no state too few."""

from __future__ import annotations

import json
import logging
import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from osteorad.cohort.segmentation import TrainingSettings
from osteorad.errors import UserError
from osteorad.segmentation import checkpoint, learner, train
from osteorad.segmentation.batches import Batches
from osteorad.segmentation.checkpoint import STATES, Checkpoints, packed, unpacked
from osteorad.segmentation.learner import Training
from osteorad.segmentation.numerics import machine_of, numerics
from osteorad.segmentation.stopping import StopFlag, Stopped
from osteorad.segmentation.validate import Validation
from tests.unit.segmentation.training_toy import toy_case, toy_plan

SETTINGS = TrainingSettings(epochs=6, steps=3, learning_rate=0.02, device="cpu", patience=3)
PLAN = toy_plan(network_settings={"features": [4, 8], "dropout": 0.1}, window=(0.0, 5e4), mean=2e4, sd=1e4)
DICE = (0.5, 0.9, 0.1, 0.2, 0.3, 0.4)  # of the epochs: the best comes before the kill, patience ends after the fifth
KILLED_AT = 11  # in the fourth epoch
STATE: dict[str, Any] = {name: {"a": 1} for name in STATES if name != "key"}


class Killed(Exception):
    """Stands for the end of the process."""


def new_training() -> Training:
    return Training(PLAN, SETTINGS, loss="dice-ce", machine=machine_of(SETTINGS, 1), name="t/1")


def run(folder: Path, *, kill_at: int | None = None, stop_at: int | None = None) -> dict[str, Any]:
    """Train, or go on; what is learned, as one comparable record. A checkpoint is kept after each step."""
    flag = StopFlag()
    training = new_training()
    plain = training.learn

    def learn(batch: Any) -> None:
        plain(batch)
        if training.steps_done == kill_at:
            raise Killed
        if training.steps_done == stop_at:
            flag.set(signal.SIGTERM, None)

    def told(module: Any, cases: list[Training], *others: Any) -> Validation:
        return Validation(dice=DICE[cases[0].progress.epoch], false_ml=None)

    training.learn = learn  # type: ignore[method-assign]
    batches = Batches([toy_case()], PLAN, SETTINGS, name="t/1")
    with pytest.MonkeyPatch.context() as patch, numerics(training.machine, SETTINGS):
        patch.setattr(train, "validated", told)
        patch.setattr(learner, "LARGEST_GRADIENT", 1.0)
        patch.setattr(train.Clock, "checkpoint_due", lambda self: True)
        done = train.train(training, batches, [training], Checkpoints(folder, "k"), flag)  # type: ignore[list-item]
    weights = {name: value.tolist() for name, value in done.weights.items()}
    return {"weights": weights, "best": done.best_epoch, "steps": done.steps, "history": done.history}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def killed(tmp_path) -> Path:
    """Folder of a training that was killed in its fourth epoch."""
    with pytest.raises(Killed):
        run(tmp_path / "k", kill_at=KILLED_AT)
    return tmp_path / "k"


# --- no state too few ------------------------------------------------------------------------------------------------


def test_the_scenario_has_what_it_needs(undisturbed):
    assert undisturbed["best"] == 2
    assert undisturbed["steps"] == 15  # patience ended it after the fifth epoch
    assert 0 < sum(row["clipped_steps"] for row in undisturbed["history"]) < 15


def test_a_killed_training_ends_in_the_same_bits(killed, undisturbed):
    assert run(killed) == undisturbed
    runs = [json.loads(line) for line in (killed / checkpoint.JOURNAL).read_text().splitlines()]
    assert [(run["event"], run["steps"]) for run in runs] == [("started", 0), ("resumed", 10), ("finished", 15)]


def test_asked_to_stop_it_leaves_after_the_step_that_it_is_in(tmp_path, undisturbed):
    with pytest.raises(Stopped, match="epoch 2 step 2 kept"):
        run(tmp_path, stop_at=5)
    assert run(tmp_path) == undisturbed


FRESH = {  # what stands in the state of a training that has just begun, and makes each a difference
    "model": lambda new: new["model"],
    "optimiser": lambda new: new["optimiser"],
    "schedule": lambda new: new["schedule"],
    "best_model": lambda new: new["best_model"],
    "torch_rng": lambda new: torch.manual_seed(0).get_state(),
}


@pytest.mark.parametrize("name", FRESH)
def test_without_this_state_the_bits_differ(name, killed, undisturbed):
    fresh = FRESH[name](new_training().states())
    alter(killed, lambda states: states.update({name: fresh}))
    assert run(killed) != undisturbed


@pytest.mark.parametrize(
    ("field", "begun"),
    [("epoch", 2), ("step", 0), ("loss_sum", 0.0), ("clipped", 7), ("best_dice", -1.0), ("best_epoch", 0),
     ("epochs_since_best", 0), ("history", [])],
)  # fmt: skip
def test_without_this_part_of_the_progress_the_record_differs(field, begun, killed, undisturbed):
    alter(killed, lambda states: states["progress"].update({field: begun}))
    assert run(killed) != undisturbed


def test_every_part_of_the_progress_was_tried():
    tried = {"epoch", "step", "loss_sum", "clipped", "best_dice", "best_epoch", "epochs_since_best", "history"}
    assert set(learner.Progress.__dataclass_fields__) == tried
    untried = set(STATES) - set(FRESH) - {"progress"}
    assert untried == {"key", "scaler", "cuda_rng"}  # only a GPU uses the latter two; without them a load is refused


@pytest.mark.parametrize("name", STATES)
def test_a_checkpoint_without_a_state_is_refused(name, killed):
    alter(killed, lambda states: states.pop(name))
    (killed / checkpoint.BEFORE).unlink()
    with pytest.raises(UserError, match="Delete the folder"):
        run(killed)


def alter(folder: Path, change: Any) -> None:
    states = unpacked((folder / checkpoint.LAST).read_bytes())
    change(states)
    (folder / checkpoint.LAST).write_bytes(packed(states))


def test_a_generator_that_no_checkpoint_holds_must_not_be_used():
    training = new_training()
    before = np.random.get_state()
    try:
        training.states()
        np.random.rand()
        with pytest.raises(RuntimeError, match="numpy's own generator"):
            training.states()
    finally:
        np.random.set_state(before)


# --- files -----------------------------------------------------------------------------------------------------------


def saved(folder: Path, *numbers: int) -> Checkpoints:
    kept = Checkpoints(folder, "k")
    for number in numbers:
        kept.save({**STATE, "progress": {"step": number}})
    return kept


def test_the_last_two_are_kept(tmp_path):
    kept = saved(tmp_path, 1, 2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last-1.pt", "last.pt"]
    assert kept.load()["progress"] == {"step": 3}
    assert unpacked((tmp_path / "last-1.pt").read_bytes())["progress"] == {"step": 2}


def cut_off(content: bytes) -> bytes:
    return content[:-1]


def changed(content: bytes) -> bytes:
    return content[:500] + bytes([content[500] ^ 1]) + content[501:]


@pytest.mark.parametrize("damage", [cut_off, changed, lambda content: b""])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(damage, tmp_path, caplog):
    kept = saved(tmp_path, 1, 2)
    (tmp_path / "last.pt").write_bytes(damage((tmp_path / "last.pt").read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert kept.load()["progress"] == {"step": 1}
    assert "checkpoint last.pt cannot be used: it is not whole" in caplog.text


def test_where_no_checkpoint_can_be_read_training_does_not_start_anew(tmp_path):
    kept = saved(tmp_path, 1, 2)
    for name in ("last.pt", "last-1.pt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=rf"last.pt and last-1.pt cannot be read.*Delete the folder {tmp_path}"):
        kept.load()


def test_a_checkpoint_of_another_key_is_not_used(tmp_path):
    saved(tmp_path, 1)
    with pytest.raises(UserError):
        Checkpoints(tmp_path, "other").load()


def test_a_checkpoint_runs_no_code(tmp_path):
    kept = saved(tmp_path)
    (tmp_path / "last.pt").write_bytes(packed({**STATE, "key": "k", "model": Killed()}))
    with pytest.raises(pickle.UnpicklingError, match="weights_only"):
        kept.load()


def test_killed_before_the_rename_the_last_checkpoint_is_still_there(tmp_path, monkeypatch):
    kept = saved(tmp_path, 1)

    def killed(*names: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "replace", killed)
        with pytest.raises(Killed):
            kept.save({**STATE, "progress": {"step": 2}})
    assert (tmp_path / checkpoint.HALF_WRITTEN).exists()
    again = Checkpoints(tmp_path, "k")
    assert again.load()["progress"] == {"step": 1}
    assert not (tmp_path / checkpoint.HALF_WRITTEN).exists()


def test_without_hard_links_there_is_a_whole_checkpoint_all_the_same(tmp_path, monkeypatch):
    def no_links(*names: Any) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(checkpoint.os, "link", no_links)
    assert saved(tmp_path, 1, 2).load()["progress"] == {"step": 2}
    assert (tmp_path / "last-1.pt").exists()


def test_a_finished_training_leaves_its_journal_only(tmp_path):
    kept = saved(tmp_path, 1, 2)
    kept.note(event="finished", steps=2)
    kept.clear()
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.JOURNAL]
    assert kept.load() is None
