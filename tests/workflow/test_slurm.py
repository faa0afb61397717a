"""`snakemake --profile slurm` on a real SLURM: where jobs run, and what becomes of those that do not end well.

Skipped where SLURM cannot be installed. The cluster has two nodes on this machine, without latency between them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from osteorad.files import read_json
from tests.contracts.test_8_same_bytes import differing, results
from tests.workflow import slurm
from tests.workflow.slurm import SUBMITTED, Run, accounts
from tests.workflow.snake import ROOT, copied_clone, snakemake, working_folder

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
CONFIG = ROOT / "tests/configs/small/config.yaml"
PATIENTS = 12
STARVED = "make_splits"  # gets too little memory at its first attempt
MEMORY_MB = (60, 1200)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A SLURM with partitions `cpu` and `gpu`; it is stopped afterwards where it was not there before."""
    was_up = slurm.is_up()
    if reason := slurm.start():
        pytest.skip(f"skipped: SLURM cannot be installed here: {reason}")
    yield
    if not was_up:
        slurm.stop()


def clone_with_profile(target: Path) -> Path:
    """A clone whose code a test may change, with the profile."""
    shutil.copytree(ROOT / "slurm", copied_clone(target) / "slurm")
    return target


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run that ended: exit status, output, the number of the job that was cancelled, and the accounts of all jobs."""

    folder: Path
    status: int
    output: str
    cancelled: str
    accounts: dict[str, slurm.Account]


@pytest.fixture(scope="module")
def phantom(cluster, tmp_path_factory) -> Finished:
    """The phantom from DICOM to its pages; one job is cancelled, another gets too little memory."""
    folder = working_folder(tmp_path_factory.mktemp("slurm"), CONFIG)
    starved = f"{STARVED}:mem_mb={MEMORY_MB[0]} if attempt == 1 else {MEMORY_MB[1]}"
    run = Run(folder, "--jobs", "3", "--set-resources", starved)
    try:
        slurm.until(lambda: bool(run.numbers) and slurm.state_now(run.numbers[0]) == "RUNNING")
        cancelled = run.numbers[0]
        slurm.cancel(cancelled)
        status = run.finish()
    finally:
        run.stop()
    return Finished(
        folder=folder, status=status, output=run.output, cancelled=cancelled, accounts=accounts(run.numbers)
    )


def test_the_phantom_goes_to_its_reports(phantom):
    assert phantom.status == 0, phantom.output[-4000:]
    for page in ("index.html", "cohorts/small/report.html", "analyses/marrow/report.html"):
        assert (phantom.folder / "results" / page).stat().st_size > 1000
    assert {account.partition for account in phantom.accounts.values()} == {"cpu"}


def test_the_bytes_are_those_of_a_run_on_one_machine(phantom, run):
    assert differing(results(run), results(phantom.folder)) == []


def test_a_patient_is_one_job_as_large_as_the_largest_of_its_rules(phantom):
    """Rules that do not wait for one another follow one another, so their memory is not summed; their time is."""
    groups = [account for account in phantom.accounts.values() if account.comment.startswith("rule_patient_")]
    assert len(groups) == PATIENTS + 1  # one was cancelled
    assert sorted({account.memory_mb for account in groups}) == [4000, 8000]


def test_a_cancelled_job_is_retried(phantom):
    states = [account.state for account in phantom.accounts.values()]
    assert phantom.accounts[phantom.cancelled].state == "CANCELLED"
    number = phantom.cancelled
    told = rf"SLURM-job '{number}' failed, SLURM status is: 'CANCELLED'|JOB {number} ON \S+ CANCELLED"
    assert re.search(told, phantom.output)  # of a group Snakemake shows the log alone
    assert "Trying to restart job" in phantom.output
    assert states.count("CANCELLED") == 1


def test_a_job_over_its_memory_is_retried_with_more(phantom):
    found = [account for account in phantom.accounts.values() if account.comment.startswith(f"rule_{STARVED}")]
    assert [account.memory_mb for account in found] == list(MEMORY_MB)
    assert found[0].state in ("FAILED", "OUT_OF_MEMORY")
    assert found[1].state == "COMPLETED"


def test_the_queue_shows_nobody(phantom):
    """Comments and log paths of jobs, which other users of a cluster see, hold no PatientID."""
    manifests = (phantom.folder / "private/small/source").glob("*/manifest.json")
    people = {read_json(path)["patient"] for path in manifests}
    assert len(people) == PATIENTS
    shown = SUBMITTED.findall(phantom.output), [account.comment for account in phantom.accounts.values()]
    assert [person for person in sorted(people) if person in str(shown)] == []


def test_a_failing_job_shows_its_log_and_the_others_finish(cluster, tmp_path):
    """A patient whose conversion fails: path and last lines of its own log, in the output of the one command."""
    clone = clone_with_profile(tmp_path / "clone")
    folder = working_folder(tmp_path / "run", CONFIG)
    assert snakemake(folder, "-n", "--cores", "1", clone=clone).returncode == 0
    bad, good = read_json(folder / "results/.state/patients/small.json")["patients"][:2]
    with (clone / "scripts/convert_images.py").open("a", encoding="utf-8") as script:
        script.write(f"\nif snakemake.wildcards.patient == {bad!r}:\n    raise RuntimeError('planned by a test')\n")
    pages = [folder / f"results/cohorts/small/pages/{patient}.html" for patient in (bad, good)]
    run = Run(folder, "--jobs", "2", "--retries", "0", *(str(p.relative_to(folder)) for p in pages), clone=clone)
    try:
        assert run.finish() == 1
    finally:
        run.stop()
    printed = run.output.splitlines()
    at = printed.index(f"    Logfile logs/convert_images/small/{bad}.log:")
    assert "    RuntimeError: planned by a test" in printed[at : at + 30]
    assert [page.exists() for page in pages] == [False, True]


PAGE = "results/analyses/draw/report.html"
NETWORK = "results/analyses/draw/folds/r1f1/networks/unet/i1/network.json"
STEPS = "epochs: 10, steps: 300"  # some minutes on one core


def clone_with_short_trainings(target: Path, changes: dict[str, str]) -> Path:
    """A clone with the profile as shipped, but for the time of a training and of its warning."""
    profile = clone_with_profile(target) / "slurm/profile.yaml"
    text = profile.read_text(encoding="utf-8")
    for shipped, wanted in changes.items():
        assert text.count(shipped) == 1, shipped
        text = text.replace(shipped, wanted)
    profile.write_text(text, encoding="utf-8")
    return target


@pytest.fixture(scope="module")
def networks(cluster, tmp_path_factory) -> tuple[Finished, Finished]:
    """Networks from DICOM to their page, each told before its time is up; then one whose time ends without a word."""
    base = tmp_path_factory.mktemp("slurm-networks")
    folder = working_folder(base / "run", ROOT / "tests/configs/networks/config.yaml")
    config = folder / "config.yaml"
    text = config.read_text(encoding="utf-8").replace("run: [hybrid, unet]", "run: [unet]")
    text, replaced = re.subn(r"epochs: \d+, steps: \d+", STEPS, text)
    assert replaced == 2
    first = {"runtime: 1440": "runtime: 3 if attempt == 1 else 60", "USR1@180": "USR1@90"}
    second = {"runtime: 1440": "runtime: 1 if attempt == 1 else 60", "slurm_extra: \"'--signal=USR1@180'\"": ""}
    found = []
    for name, changes, target, seed in (("told", first, PAGE, 1), ("killed", second, NETWORK, 2)):
        config.write_text(text.replace(STEPS, f"{STEPS}, seed: {seed}"), encoding="utf-8")
        run = Run(folder, "--jobs", "3", target, clone=clone_with_short_trainings(base / name, changes))
        try:
            status = run.finish()
        finally:
            run.stop()
        end = Finished(folder=folder, status=status, output=run.output, cancelled="", accounts=accounts(run.numbers))
        assert end.status == 0, end.output[-4000:]
        found.append(end)
    return found[0], found[1]


def of_rule(run: Finished, rule: str) -> list[slurm.Account]:
    """Accounts of the jobs of a rule, in the order of their numbers."""
    found = sorted(run.accounts.items(), key=lambda item: int(item[0]))
    return [account for _, account in found if account.comment.startswith(f"rule_{rule}")]


def test_networks_are_trained_and_draw_on_the_partition_with_gpus(networks):
    for rule in ("train_network", "predict_masks"):
        assert {(account.partition, account.gpus) for account in of_rule(networks[0], rule)} == {("gpu", 1)}
    others = {a.partition for a in networks[0].accounts.values() if "_network" not in a.comment and not a.gpus}
    assert others == {"cpu"}
    assert (networks[0].folder / PAGE).stat().st_size > 1000


def test_a_training_that_is_told_saves_itself_and_goes_on_in_the_next_job(networks):
    told, _ = networks
    assert sorted(account.state for account in of_rule(told, "train_network")) == ["COMPLETED"] * 2 + ["FAILED"] * 2
    assert "Error in rule train_network" in told.output  # the Snakemake around the script was not ended by the signal
    assert "the next run resumes" in told.output
    logs = sorted((told.folder / "logs/train_network/draw/unet").glob("*.log"))
    assert len(logs) == 2
    for log in logs:
        assert "resumed at epoch" in log.read_text(encoding="utf-8")


def test_a_training_whose_time_ends_goes_on_from_its_last_checkpoint(networks):
    _, killed = networks
    assert [account.state for account in of_rule(killed, "train_network")] == ["TIMEOUT", "COMPLETED"]
    log = killed.folder / "logs/train_network/draw/unet/r1f1i1.log"
    assert "resumed at epoch" in log.read_text(encoding="utf-8")


def test_a_fresh_clone_needs_no_slurm_to_say_what_it_would_do(tmp_path):
    """Neither its programs nor a site's file: `snakemake --profile slurm -n`."""
    run = Run(working_folder(tmp_path / "run", CONFIG), "-n", clone=clone_with_profile(tmp_path / "clone"))
    assert run.finish(300) == 0, run.output[-4000:]
    assert f"write_phantom_patient       {PATIENTS}" in run.output


def test_a_job_process_writes_no_state(tmp_path):
    """Contract 9: keys, states and lists are the main process's, from the settings that it read when it started."""
    folder = working_folder(tmp_path / "run", CONFIG)

    def state_after(*words: str) -> dict[str, bytes]:
        assert snakemake(folder, "-n", "--cores", "1", *words).returncode == 0
        return {str(path): path.read_bytes() for path in (folder / "results/.state").rglob("*.json")}

    before = state_after()
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("trees: 20", "trees: 21"), encoding="utf-8")
    assert state_after("--mode", "remote") == before
    assert state_after() != before
