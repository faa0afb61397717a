"""The job that trains one network of one fold. Paths in, files out; its script calls this and nothing else."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from osteorad.cohort.segmentation import SegmentationSettings
from osteorad.cohort.splits import TrainingRows, training
from osteorad.files import read_parquet
from osteorad.provenance import code_of, digest
from osteorad.segmentation.batches import Batches
from osteorad.segmentation.cases import CaseFiles, LeftOut, find_cases
from osteorad.segmentation.checkpoint import Checkpoints
from osteorad.segmentation.learner import Training
from osteorad.segmentation.numerics import Machine, Repeatable, machine_of, numerics
from osteorad.segmentation.plan import Plan, make_plan
from osteorad.segmentation.prepared import cases_hash, facts_of, prepared_cases
from osteorad.segmentation.stopping import EXIT_CODE, Stopped, stop_flag
from osteorad.segmentation.train import Trained, train
from osteorad.segmentation.validate import validation_patients
from osteorad.segmentation.weights import write_network

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "scripts/train_network.py"
PREPARED = "cases"  # folder beside the checkpoints
DRAWING = {"prediction"}  # settings that do not touch training


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which network this is: of which analysis, fold and inner fold."""

    cohort: str
    analysis: str
    network: str
    repeat: int
    fold: int
    inner_fold: int

    def seed_name(self, seed: int) -> str:
        """The name from which all randomness derives."""
        return f"{self.analysis}/{self.network}/{self.repeat}/{self.fold}/{self.inner_fold}/{seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learners:
    """Who is learned from, who chooses the epoch, and who could not be taken."""

    rows: TrainingRows
    learning: tuple[CaseFiles, ...]
    validation: tuple[CaseFiles, ...]
    left_out: tuple[LeftOut, ...]


def train_job(
    *,
    samples: Path,
    splits: Path,
    images: Sequence[Path],
    masks: Sequence[Path],
    settings: Mapping[str, Any],
    network: str,
    repeat: int,
    fold: int,
    inner_fold: int,
    analysis: str,
    cohort: str,
    work: Path,
    threads: int,
    out: Path,
) -> None:
    """Train a network of a fold; write `out` (network.json) and weights.safetensors beside it.

    samples, splits : tables of the analysis. images, masks : manifests of all its patients. settings : a dump of
    SegmentationSettings. network : our name in it. work : folder for checkpoints of this analysis; each training has a
    folder of its own in it, named by a hash of all that its result depends on.
    Leaves with exit code 75 after SIGTERM, SIGUSR1 or SIGINT, with the state kept; the next run goes on there. Raises
    AnalysisRefused where the training part has no lesion.
    """
    chosen = SegmentationSettings.model_validate(settings).for_training(network)
    place = Place(cohort=cohort, analysis=analysis, network=network, repeat=repeat, fold=fold, inner_fold=inner_fold)
    rows = training(read_parquet(samples), read_parquet(splits), repeat=repeat, fold=fold, inner_fold=inner_fold)
    learners = _learners(rows, images, masks, chosen, place)
    machine = machine_of(chosen.training, threads)
    with numerics(machine, chosen.training) as repeatable:
        plan = make_plan(facts_of(learners.learning), chosen, network)
        _tell(plan, learners, machine)
        checkpoints = _checkpoints(work, plan, chosen, learners, place, machine)
        trained, hashed = _trained(plan, chosen, learners, place, machine, checkpoints)
    record = _record(place, plan, chosen, learners, trained)
    write_network(out.parent, trained.weights, {**record, **_machine_record(machine, repeatable), "fit_hash": hashed})
    shutil.rmtree(checkpoints.folder / PREPARED, ignore_errors=True)
    checkpoints.clear()


def _learners(
    rows: TrainingRows, images: Sequence[Path], masks: Sequence[Path], settings: SegmentationSettings, place: Place
) -> Learners:
    wanted = set(zip(rows.patients, rows.table["session"].to_pylist(), strict=True))
    cases, left_out = find_cases(wanted, images, masks, settings)
    apart = validation_patients(cases, settings.training.validation_share, place.seed_name(settings.training.seed))
    return Learners(
        rows=rows,
        learning=tuple(case for case in cases if case.patient not in apart),
        validation=tuple(case for case in cases if case.patient in apart),
        left_out=tuple(left_out),
    )


def _tell(plan: Plan, learners: Learners, machine: Machine) -> None:
    log.info(
        "%s on %s with %d threads: %d cases, %d for validation, %d left out",
        plan.network,
        machine.name,
        machine.threads,
        len(learners.learning),
        len(learners.validation),
        len(learners.left_out),
    )
    log.info(
        "plan: spacing %s mm, window %s, patch %s, batch %d, about %.1f GB a step",
        plan.spacing_mm,
        plan.window,
        plan.patch,
        plan.batch,
        plan.step_gb,
    )


def _learned_settings(settings: SegmentationSettings, network: str) -> dict[str, Any]:
    """The settings that training depends on: this network's, and nothing of how it draws."""
    plain = settings.model_dump(mode="json", exclude=DRAWING)
    own = {key: value for key, value in plain.pop("networks")[network].items() if not key.startswith("gate")}
    return {**plain, "network": own}


def _checkpoints(
    work: Path, plan: Plan, settings: SegmentationSettings, learners: Learners, place: Place, machine: Machine
) -> Checkpoints:
    key = digest(
        {
            "name": place.seed_name(settings.training.seed),
            "plan": plan.plain(),
            "settings": _learned_settings(settings, place.network),
            "rows": list(learners.rows.samples),
            "cases": [case.hashes for case in learners.learning],
            "validation": [case.hashes for case in learners.validation],
            "code": code_of(ROOT).digests(SCRIPT),
            "torch": torch.__version__,
            "device": machine.device.type,
            "threads": machine.threads,
        }
    )
    name = f"{place.network}-r{place.repeat}f{place.fold}i{place.inner_fold}-{key}"
    return Checkpoints(work / name, key)


def _trained(
    plan: Plan,
    settings: SegmentationSettings,
    learners: Learners,
    place: Place,
    machine: Machine,
    checkpoints: Checkpoints,
) -> tuple[Trained, str]:
    """Train from where the checkpoints say; returns the outcome and the hash of what was learned from."""
    files = [*learners.learning, *learners.validation]
    cases = prepared_cases(files, plan, checkpoints.folder / PREPARED)
    learning, validation = cases[: len(learners.learning)], cases[len(learners.learning) :]
    name = place.seed_name(settings.training.seed)
    own = settings.networks[place.network]
    learner = Training(plan, settings.training, loss=own.loss, machine=machine, name=name)
    batches = Batches(learning, plan, settings.training, name=name)
    with stop_flag() as stop:
        try:
            trained = train(learner, batches, validation, checkpoints, stop)
        except Stopped:
            raise SystemExit(EXIT_CODE) from None
    return trained, cases_hash(learners.rows.samples, learning)


def _record(
    place: Place, plan: Plan, settings: SegmentationSettings, learners: Learners, trained: Trained
) -> dict[str, Any]:
    """What network.json says of who was learned from, with what, and how it went."""
    return {
        "cohort": place.cohort,
        "analysis": place.analysis,
        "network": place.network,
        "repeat": place.repeat,
        "fold": place.fold,
        "inner_fold": place.inner_fold,
        "settings": _learned_settings(settings, place.network),
        "plan": plan.plain(),
        "patients_trained": sorted({case.patient for case in learners.learning}),
        "patients_validation": sorted({case.patient for case in learners.validation}),
        "inputs": [case.hashes for case in (*learners.learning, *learners.validation)],
        "left_out": [{"patient": o.patient, "session": o.session, "reason": o.reason} for o in learners.left_out],
        "fit_rows": len(learners.rows.samples),
        "seed": settings.training.seed,
        "steps": trained.steps,
        "best_epoch": trained.best_epoch,
        "curves": trained.history,
    }


def _machine_record(machine: Machine, repeatable: Repeatable) -> dict[str, Any]:
    return {
        "device": machine.device.type,
        "device_name": machine.name,
        "fallback": machine.fallback,
        "amp": machine.amp,
        "threads": machine.threads,
        "torch": torch.__version__,
        "deterministic": repeatable.asked and not repeatable.exceptions,
        "not_deterministic": repeatable.exceptions,
    }
