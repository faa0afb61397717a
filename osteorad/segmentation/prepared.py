"""Prepared cases of a training: in memory as long as they fit, the others in files that are mapped into it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from osteorad.provenance import rows_hash
from osteorad.segmentation.cases import CaseFiles, read_case
from osteorad.segmentation.plan import CaseFacts, Plan, case_facts
from osteorad.segmentation.preprocess import TrainingCase, prepare_case

log = logging.getLogger(__name__)

Value = TypeVar("Value", bound=np.generic)
IN_MEMORY_GB = 4.0
LINES = 10  # of progress at most


def facts_of(files: Sequence[CaseFiles]) -> list[CaseFacts]:
    """Facts of cases for the plan; one image at a time is in memory."""
    tell = _progress("looked at", len(files))
    found = []
    for file in files:
        found.append(case_facts(read_case(file)))
        tell()
    return found


def prepared_cases(files: Sequence[CaseFiles], plan: Plan, folder: Path) -> list[TrainingCase]:
    """Cases as the network sees them. folder : emptied; takes the arrays beyond IN_MEMORY_GB."""
    shutil.rmtree(folder, ignore_errors=True)
    tell = _progress("prepared", len(files))
    held, found = 0, []
    for number, file in enumerate(files):
        case = prepare_case(read_case(file), plan)
        held += case.array_zyx.nbytes + case.labels_zyx.nbytes
        found.append(case if held <= IN_MEMORY_GB * 1e9 else _mapped(case, folder, number))
        tell()
    return found


def _mapped(case: TrainingCase, folder: Path, number: int) -> TrainingCase:
    folder.mkdir(parents=True, exist_ok=True)
    return replace(
        case,
        array_zyx=_to_file(folder / f"{number}-image.npy", case.array_zyx),
        labels_zyx=_to_file(folder / f"{number}-labels.npy", case.labels_zyx),
    )


def _to_file(path: Path, array: NDArray[Value]) -> NDArray[Value]:
    written = open_memmap(path, mode="w+", dtype=array.dtype, shape=array.shape)
    written[:] = array
    written.flush()
    mapped: NDArray[Value] = np.load(path, mmap_mode="r")
    return mapped


def cases_hash(samples: Sequence[str], cases: Sequence[TrainingCase]) -> str:
    """Hash of what is learned from: the rows of the samples table, and the very arrays that the network sees."""
    arrays = [part.data for case in cases for part in (case.array_zyx, case.labels_zyx)]
    return rows_hash(samples, *arrays)


def _progress(verb: str, total: int) -> Callable[[], None]:
    """What to call after each case: a line now and then, with an estimate."""
    began, done = time.monotonic(), 0

    def tell() -> None:
        nonlocal done
        done += 1
        if done == total or done % max(total // LINES, 1) == 0:
            left = (time.monotonic() - began) / done * (total - done)
            log.info("%s %d of %d cases, %.0f s left", verb, done, total, left)

    return tell
