"""What both profiles have to say, and that names of a site stand in the profile of the cluster and nowhere else."""

from __future__ import annotations

import re

import pytest
import yaml

from osteorad.cohort import keys
from tests.conftest import ROOT
from tests.unit.test_rules import RULES

SLURM = yaml.safe_load((ROOT / "slurm/profile.yaml").read_text())
LOCAL = yaml.safe_load((ROOT / "local/profile.yaml").read_text())
SITE = r"slurm_partition|slurm_account|slurm_extra|slurm_cluster|\bqos\b|constraint=|\bgres\b|gpu_model|reservation"


@pytest.mark.parametrize("profile", [SLURM, LOCAL], ids=["slurm", "local"])
def test_both_profiles_rerun_for_the_same_reasons_and_go_on(profile):
    assert sorted(profile["rerun-triggers"]) == ["input", "mtime", "software-env"]
    for word in ("keep-going", "rerun-incomplete", "show-failed-logs"):
        assert profile[word] is True, word
    assert profile["scheduler"] == "greedy"


def test_no_rule_names_a_site():
    texts = [(ROOT / "Snakefile").read_text(), *(path.read_text() for path in (ROOT / "rules").glob("*.smk"))]
    assert [found for text in texts for found in re.findall(SITE, text)] == []


def test_no_profile_is_loaded_that_nobody_asked_for():
    assert not (ROOT / "profiles").exists()


def test_rules_that_ask_for_a_gpu_go_to_its_partition():
    asking = {name for name, body in RULES.items() if re.search(r"\bgpu=", body)}
    sent = {name for name, settings in SLURM["set-resources"].items() if "slurm_partition" in settings}
    assert asking == sent & set(RULES)
    assert sent <= set(keys.RULES) | {"predict_masks", "train_network"}


def test_the_partition_with_gpus_is_named_once():
    text = (ROOT / "slurm/profile.yaml").read_text()
    partitions = re.findall(r"^ *slurm_partition: *(\S+)", text, flags=re.MULTILINE)
    assert len(partitions) == len(set(partitions)) == 2


def test_no_rule_asks_for_more_threads_than_the_profile_gives():
    threads = [int(found) for body in RULES.values() for found in re.findall(r"threads: (\d+)", body)]
    assert max(threads) <= SLURM["cores"]


def test_nothing_is_summed_over_the_rules_of_a_patient_but_their_time():
    """`tasks` would be: a bundle of ten patients would ask for ten times the processors."""
    assert "tasks" not in SLURM["default-resources"]
    assert SLURM["default-resources"]["chain"] == SLURM["resources"]["chain"] == 1
    assert SLURM["set-resource-scopes"] == {"chain": "local"}


def test_a_cancelled_job_is_seen_and_only_snakemake_restarts_it():
    assert SLURM["slurm-status-command"] == "squeue"
    assert SLURM["slurm-no-requeue"] is True
    assert SLURM["retries"] >= 1
    assert "slurm-array-jobs" not in SLURM


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_retried_job_gets_more_memory_and_more_time(name):
    """A training keeps the time of its partition, since it goes on where it was."""
    assert "mem_mb=memory(" in RULES[name]
    assert name == "train_network" or "runtime=minutes(" in RULES[name]
