"""A13: networks inside the folds. A network that saw whom it drew is found, whoever says otherwise."""

from __future__ import annotations

import copy

import pytest

from osteorad.files import json_text
from osteorad.modelling.auditing.certificate import audit_analysis
from osteorad.modelling.auditing.networks import check_networks
from tests.unit.modelling.analysis_toy import COHORT
from tests.unit.modelling.auditing import plants
from tests.unit.modelling.automatic_toy import Automatic, automatic_recipe, automatic_toy


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> tuple[Automatic, object]:
    """An honest analysis and what was fitted; nobody changes it."""
    made = automatic_toy(tmp_path_factory.mktemp("automatic"))
    return made, made.fitted()


@pytest.fixture
def toy(tmp_path) -> Automatic:
    return automatic_toy(tmp_path, automatic_recipe(baselines=["prevalence"]))


def verdicts(tables) -> dict[str, str]:
    found = audit_analysis(tables, cohort=COHORT)
    json_text(found)
    return {row["code"]: row["verdict"] for row in found["checks"]}


def train_and_test(toy: Automatic, key=(1, 1)) -> tuple[str, str]:
    """A training and a test patient of a fold."""
    roles = {entry["role"]: entry["patient"] for entry in toy.manifests[key]["patients"]}
    return roles["out_of_fold"], roles["external"]


def entry(toy: Automatic, patient: str, key=(1, 1)) -> dict:
    return next(entry for entry in toy.manifests[key]["patients"] if entry["patient"] == patient)


def audited(toy: Automatic, **changes):
    """A13 of the analysis as its files now stand, fitted again so that the lineage tells of them."""
    toy.write()
    return check_networks(toy.audit_tables(toy.fitted(), **changes))


def test_an_honest_analysis_passes_every_check_and_names_its_networks(clean):
    toy, fitted = clean
    found = verdicts(toy.audit_tables(fitted))
    assert {code for code, verdict in found.items() if verdict != "pass"} == {"A4"}  # no permutations were asked for
    finding = check_networks(toy.audit_tables(fitted))
    assert finding.looked_at.startswith("6 networks in the lineage; mask set 'auto-unet'; records of 6 networks")
    assert finding.evidence[0] == "r1f1: 2 networks; 20 patients drawn by the one that skipped them, 10 by all"


def test_a_network_that_saw_a_test_patient_fails(toy):
    _, test = train_and_test(toy)
    toy.records[(1, 1, 2)]["patients_trained"].append(test)
    found = audited(toy)
    assert found.verdict == "fail"
    assert f"predictions/r1f1/radiomics: patient {test} was seen by network/r1f1i2/unet" in found.evidence
    assert f"network/r1f1i2/unet saw patient {test}, who is not of the training part" in found.evidence


def test_choosing_the_epoch_on_a_test_patient_is_seeing_it(toy):
    _, test = train_and_test(toy)
    toy.records[(1, 1, 1)]["patients_validation"].append(test)
    assert f"network/r1f1i1/unet drew test patient {test}, whom it saw in training" in audited(toy).evidence


def test_an_in_fold_training_mask_fails_whatever_its_role_says(toy):
    train, _ = train_and_test(toy)
    other = {"i1": "i2", "i2": "i1"}[entry(toy, train)["networks"][0]]
    entry(toy, train)["networks"] = [other]  # its role still says out_of_fold
    found = audited(toy)
    assert found.verdict == "fail"
    assert f"network/r1f1{other}/unet drew train patient {train}, whom it saw in training" in found.evidence


def test_a_network_that_was_given_a_patient_more_makes_its_mask_in_fold(toy):
    train, _ = train_and_test(toy)
    inner = int(entry(toy, train)["networks"][0].removeprefix("i"))
    toy.records[(1, 1, inner)]["patients_validation"].append(train)
    assert any(f"train patient {train}, whom it saw" in line for line in audited(toy).evidence)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"role": "in_fold"}, "train patient {patient} was drawn in the role 'in_fold' by i"),
        ({"networks": []}, "train patient {patient} was drawn in the role 'out_of_fold' by no network"),
        ({"networks": ["i1", "i2"]}, "was drawn in the role 'out_of_fold' by i1, i2"),
        ({"networks": ["i7"]}, "patient {patient} was drawn by network i7, which has no record"),
        ({"patient": "somebody"}, "the manifest of masks does not tell who drew train patient {patient}"),
    ],
)
def test_a_manifest_that_does_not_fit_the_splits_fails(toy, change, said):
    train, _ = train_and_test(toy)
    entry(toy, train).update(change)
    found = audited(toy)
    assert found.verdict == "fail"
    assert any(said.format(patient=train) in line for line in found.evidence), found.evidence


def test_a_test_patient_drawn_by_one_network_alone_fails(toy):
    _, test = train_and_test(toy)
    entry(toy, test)["networks"] = ["i1"]
    assert f"r1f1: test patient {test} was drawn in the role 'external' by i1" in audited(toy).evidence


def test_masks_of_other_weights_than_the_records_fail(toy):
    toy.manifests[(1, 2)]["networks"][0]["sha256"] = "f" * 64
    assert "r1f2: the networks that drew the masks are not those whose records are there" in audited(toy).evidence


def test_samples_of_other_masks_than_the_manifest_fail(clean, tmp_path):
    toy, fitted = clean
    other = automatic_toy(tmp_path)
    other.manifests[(1, 3)]["note"] = "drawn again"
    other.write()
    found = check_networks(toy.audit_tables(fitted, masks=other.masks()))
    assert "r1f3: features of the samples do not come from the masks of this fold" in found.evidence


def test_swapped_tables_of_two_folds_are_found(clean):
    toy, fitted = clean
    tables = dict(zip(toy.folds, toy.tables(), strict=True))
    tables[(1, 1)], tables[(1, 2)] = tables[(1, 2)], tables[(1, 1)]
    found = verdicts(toy.audit_tables(fitted, folds=tables))
    assert {found[code] for code in ("A2", "A13")} == {"fail"}


def test_a_lineage_that_leaves_a_network_out_or_lies_of_it_fails(clean):
    toy, fitted = clean
    without, lying = copy.deepcopy(fitted.lineage), copy.deepcopy(fitted.lineage)
    without["edges"] = [edge for edge in without["edges"] if edge[0] != "network/r1f2i1/unet"]
    next(node for node in lying["nodes"] if node["id"] == "network/r1f2i1/unet")["patients"] = []
    found = check_networks(toy.audit_tables(fitted, lineage=without))
    assert "predictions/r1f2/radiomics: 1 networks stand upstream, 2 drew the masks of its fold" in found.evidence
    found = check_networks(toy.audit_tables(fitted, lineage=lying))
    assert found.evidence == ("network/r1f2i1/unet: the lineage does not say what the network's record says",)


def test_no_manifest_and_no_network_fail(clean):
    toy, fitted = clean
    assert "r1f1: no manifest of masks" in check_networks(toy.audit_tables(fitted, masks=[])).text
    bare = {**fitted.lineage, "nodes": [node for node in fitted.lineage["nodes"] if node["kind"] != "network"]}
    assert check_networks(toy.audit_tables(fitted, lineage=bare)).verdict == "fail"


def test_masks_that_people_drew_are_not_the_matter_of_this_check():
    assert check_networks(plants.clean().audit_tables()).verdict == "not applicable"
