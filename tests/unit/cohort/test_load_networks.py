"""Settings of networks: each problem with file, line, found, wanted."""

from __future__ import annotations

import pytest
import yaml

from osteorad.cohort import segmentation
from osteorad.cohort.keys import key_path, key_texts
from osteorad.cohort.load import load
from osteorad.cohort.load_networks import drawing_network
from osteorad.cohort.network_plan import NetworkPlan
from osteorad.cohort.plan import Plan
from osteorad.errors import ConfigError
from tests.conftest import ROOT

NETWORKS = """title: Networks
cohorts:
  digital:
    source: phantom
    phantom: {bone: true}
    rois: {lesion: ['*lesion*'], bone: ['*bone*'], marrow: ['*marrow*']}
analyses:
  drawn:
    cohort: digital
    recipe: afnouch2023
"""
AUTOMATIC = """
  outcome:
    cohort: digital
    recipe: automatic
"""
RECIPE = """name: automatic
title: Outcome on masks that a network draws
images: [ct]
roi: bone
mask_set: auto-unet
second_set: manual
preset: zhu2024
steps: [{step: impute}]
models: [logistic]
segmentation:
  lesion: lesion
  bone: bone
  networks:
    unet: {network: unet2d_tiny}
"""


@pytest.fixture
def clone(tmp_path):
    """A clone with the recipes that the tests use."""
    folder = tmp_path / "clone/resources/recipes"
    folder.mkdir(parents=True)
    (folder / "afnouch2023.yaml").write_text((ROOT / "resources/recipes/afnouch2023.yaml").read_text())
    (folder / "automatic.yaml").write_text(RECIPE)
    return tmp_path / "clone"


def loaded(tmp_path, clone, text):
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    (work / "config.yaml").write_text(text)
    return load(work, clone)


def problems(tmp_path, clone, text):
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, clone, text)
    return raised.value.problems


def overridden(**overrides):
    return NETWORKS + f"    overrides: {yaml.safe_dump(overrides, default_flow_style=True)}"


def test_a_segmentation_is_no_outcome(tmp_path, clone):
    found = loaded(tmp_path, clone, NETWORKS + AUTOMATIC)
    assert sorted(found.segmentations) == ["drawn"]
    assert sorted(found.recipes) == ["outcome"]
    assert found.outcomes_of("digital") == found.recipes
    assert found.recipes["outcome"].reference_set == "manual"
    assert found.recipes["outcome"].drawn_sets == ["manual"]


def keys_of_training(tmp_path, clone, **overrides):
    found = loaded(tmp_path, clone, overridden(segmentation=overrides))
    texts = key_texts(ROOT, found.config, found.recipes, {}, found.segmentations)
    return {name: text for name, text in texts.items() if "/train_network." in name}


def test_a_network_with_epochs_of_its_own_is_not_trained_anew_for_those_of_the_others(tmp_path, clone):
    own = {"unet": {"epochs": 3}}
    before = keys_of_training(tmp_path, clone, networks=own, training={"epochs": 5})
    after = keys_of_training(tmp_path, clone, networks=own, training={"epochs": 6})
    same = [name.split(".")[-2] for name in before if before[name] == after[name]]
    unet = key_path("train_network", "drawn.unet")
    assert same == ["unet"]
    assert keys_of_training(tmp_path, clone, training={"epochs": 3})[unet] == before[unet]  # however it is said


def test_paths_of_networks_follow_from_the_division(tmp_path, clone):
    plan = NetworkPlan(plan=Plan(loaded=loaded(tmp_path, clone, NETWORKS + AUTOMATIC), sources={}))
    assert plan.analyses() == ["drawn", "outcome"]
    assert plan.automatic() == ["outcome"]
    assert plan.folds("drawn") == [(1, 1)]
    assert len(plan.folds("outcome")) == 25
    assert plan.compared("drawn") == ["hybrid", "unet", "attunet", "unetpp", "sequential"]
    base = "results/analyses/drawn/folds/r1f1"
    assert plan.networks("drawn", 1, 1, "unet") == [f"{base}/networks/unet/i{i}/network.json" for i in range(1, 6)]
    assert plan.gate("drawn", 1, 1, "sequential") == [f"{base}/masks/unet/masks.json"]
    assert plan.gate("drawn", 1, 1, "unet") == []
    assert plan.fold_masks("drawn") == []
    assert len(plan.fold_networks("outcome")) == 125
    assert plan.fold_samples("outcome")[0] == "results/analyses/outcome/folds/r1f1/samples.parquet"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    cohort: digital",
            "    cohort: digtal",
            "config.yaml:9 analyses.drawn.cohort: unknown cohort 'digtal'. Did you mean 'digital'? Valid: digital.",
        ),
        (
            "    recipe: afnouch2023",
            "    recipe: afnouch2023\n    subgroups: [er]",
            "config.yaml:11 analyses.drawn.subgroups: not for an analysis of kind segmentation. Remove it.",
        ),
        (
            "bone: true",
            "bone: false",
            "resources/recipes/afnouch2023.yaml:11 segmentation.bone: cohort 'digital' writes no masks of bone. "
            "Wanted in config.yaml:  cohorts: {digital: {phantom: {bone: true}}}",
        ),
        (
            ", bone: ['*bone*']",
            "",
            "resources/recipes/afnouch2023.yaml:11 segmentation.bone: unknown ROI of cohort 'digital' 'bone'. "
            "Valid: lesion, marrow.",
        ),
        (
            "    source: phantom",
            "    source: phantom\n    modalities: [PT]",
            "resources/recipes/afnouch2023.yaml:9 segmentation.image: 'ct' needs modality CT, which cohort 'digital' "
            "does not list.",
        ),
    ],
)
def test_one_mistake_one_message(tmp_path, clone, old, new, message):
    assert old in NETWORKS
    assert problems(tmp_path, clone, NETWORKS.replace(old, new)) == [message]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"segmentation.networks.unet.network": "unet2d_tini"},
            "config.yaml:11 analyses.drawn.overrides.segmentation.networks.unet.network: unknown network "
            "'unet2d_tini'. Did you mean 'unet2d_tiny'? Valid: attunet2d, attunetpp2d, dynunet3d, "
            "dynunet3d_small, hybrid_attunetpp, unet2d_basic, unet2d_tiny, unetpp2d.",
        ),
        (
            {"segmentation.networks.hybrid.loss": "dice-ce"},
            "config.yaml:11 analyses.drawn.overrides.segmentation.networks.hybrid.loss: not for 'hybrid_attunetpp'. "
            "Wanted: bce-dual.",
        ),
        (
            {"segmentation.networks.unet.settings.featurs": [8]},
            "config.yaml:11 analyses.drawn.overrides.segmentation.networks.unet.settings.featurs: unknown setting "
            "'featurs'. Did you mean 'features'? Valid: dropout, features.",
        ),
        (
            {"segmentation.networks.sequential.gate": "unett"},
            "config.yaml:11 analyses.drawn.overrides.segmentation.networks.sequential.gate: unknown network without a "
            "gate of its own 'unett'. Did you mean 'unet'? Valid: attunet, hybrid, unet, unetpp.",
        ),
        (
            {"segmentation.run": ["hybird"]},
            "config.yaml:11 analyses.drawn.overrides.segmentation.run.0: unknown network of the recipe 'hybird'. "
            "Did you mean 'hybrid'? Valid: attunet, hybrid, sequential, unet, unetpp.",
        ),
        (
            {"segmentation.mask_set": "reader3"},
            "config.yaml:11 analyses.drawn.overrides.segmentation.mask_set: the folder 'contours/reader3' does not "
            "exist.",
        ),
        (
            {"segmentation.networks": {}},
            "config.yaml:11 analyses.drawn.overrides.segmentation.networks: no network is named. Wanted: at least one "
            "of unet2d_tiny, unet2d_basic, attunet2d, unetpp2d, attunetpp2d, hybrid_attunetpp, dynunet3d_small, "
            "dynunet3d.",
        ),
    ],
)
def test_an_override_is_checked_where_it_stands(tmp_path, clone, overrides, message):
    assert problems(tmp_path, clone, overridden(**overrides)) == [message]


def test_two_decoders_and_gates_need_a_mask_of_bone(tmp_path, clone):
    base = "config.yaml:11 analyses.drawn.overrides"
    named = "resources/recipes/afnouch2023.yaml"
    found = problems(tmp_path, clone, overridden(**{"segmentation.bone": None}))
    assert found == [
        f"{named}:14 segmentation.networks.hybrid.network: 'hybrid_attunetpp' has a decoder for bone. "
        "Wanted: segmentation.bone, a ROI of bone.",
        f"{named}:18 segmentation.networks.sequential.gate: a gate is a mask of bone. "
        "Wanted: segmentation.bone, a ROI of bone.",
    ]
    assert not any(message.startswith(base) for message in found)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "mask_set: auto-unet",
            "mask_set: auto-net",
            "resources/recipes/automatic.yaml:5 mask_set: found 'auto-net'; masks are drawn by a network. "
            "Wanted: 'auto-unet'.",
        ),
        (
            "roi: bone",
            "roi: marrow",
            "resources/recipes/automatic.yaml:4 roi: unknown ROI that the network draws 'marrow'. Valid: bone, lesion.",
        ),
        (
            "models: [logistic]",
            "models: [logistic]\nunit: lesion",
            "resources/recipes/automatic.yaml:10 unit: found 'lesion'; masks are drawn by a network. "
            "Wanted: 'patient'.",
        ),
        (
            "models: [logistic]",
            "models: [logistic]\nsplits: {kind: hold-out}",
            "resources/recipes/automatic.yaml:10 splits.kind: networks are trained in folds. Wanted: folds.",
        ),
        (
            "models: [logistic]",
            "models: [logistic]\ncontrols: {shuffled: true}",
            "resources/recipes/automatic.yaml:10 controls.shuffled: shuffled voxels are not offered with automatic "
            "masks. Wanted: false.",
        ),
    ],
)
def test_an_outcome_on_automatic_masks_is_bound_to_its_network(tmp_path, clone, old, new, message):
    assert old in RECIPE
    (clone / "resources/recipes/automatic.yaml").write_text(RECIPE.replace(old, new))
    assert problems(tmp_path, clone, NETWORKS + AUTOMATIC) == [message]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("as_published: true", "as_published: not offered with automatic masks. Remove it."),
        ("bundle: other", "bundle: not offered with automatic masks. Remove it."),
    ],
)
def test_what_automatic_masks_do_not_offer(tmp_path, clone, line, message):
    found = problems(tmp_path, clone, NETWORKS + AUTOMATIC.rstrip() + f"\n    {line}\n")
    assert f"config.yaml:15 analyses.outcome.{message}" in found


def test_a_mask_set_of_a_network_needs_the_network(tmp_path, clone):
    bare = RECIPE[: RECIPE.index("segmentation:")]
    (clone / "resources/recipes/automatic.yaml").write_text(bare)
    assert problems(tmp_path, clone, NETWORKS + AUTOMATIC) == [
        "resources/recipes/automatic.yaml:5 mask_set: 'auto-unet' is drawn by a network. "
        "Wanted: the key segmentation, or a reader."
    ]


def test_a_kind_of_analysis_is_known(tmp_path, clone):
    path = clone / "resources/recipes/afnouch2023.yaml"
    path.write_text(path.read_text().replace("kind: segmentation", "kind: segmentaton"))
    assert problems(tmp_path, clone, NETWORKS)[0] == (
        "resources/recipes/afnouch2023.yaml:5 kind: unknown kind of analysis 'segmentaton'. "
        "Did you mean 'segmentation'? Valid: outcome, segmentation."
    )


def test_a_feature_table_has_nothing_to_draw_on(tmp_path, clone):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/t.csv").write_text("patient,Target,a\n")
    text = "cohorts: {digital: {source: table, table: {path: t.csv}}}\n"
    text += "analyses: {drawn: {cohort: digital, recipe: afnouch2023}}\n"
    assert problems(tmp_path, clone, text) == [
        "resources/recipes/afnouch2023.yaml:8 segmentation: cohort 'digital' is a feature table; there is nothing to "
        "draw on."
    ]


def test_the_network_that_draws_is_the_one_that_runs():
    networks = {name: {"network": "unet2d_tiny"} for name in ("a", "b")}
    settings = segmentation.SegmentationSettings.model_validate({"networks": networks})
    assert drawing_network(settings) == "a"
    assert drawing_network(settings.model_copy(update={"run": ["b"]})) == "b"


SLICES = """title: Slices
cohorts:
  digital:
    source: slices
    slices: {path: pictures, manifest: slices.tsv}
analyses:
  drawn:
    cohort: digital
    recipe: afnouch2023
"""


@pytest.fixture
def pictures(tmp_path):
    """A folder of pictures."""
    (tmp_path / "work/pictures").mkdir(parents=True)
    (tmp_path / "work/slices.tsv").write_text("slice\tpatient\torder\n")


def test_slices_are_stacked_under_our_own_names(tmp_path, clone, pictures):
    found = loaded(tmp_path, clone, SLICES)
    assert sorted(found.config.cohorts["digital"].rois) == ["bone", "lesion"]
    assert found.config.cohorts["digital"].modalities == ["CT"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    source: slices\n",
            "    source: phantom\n    phantom: {bone: true}\n    rois: {lesion: ['*l*'], bone: ['*b*']}\n",
            "config.yaml:7 cohorts.digital.slices: only for source slices, here the source is phantom.",
        ),
        (
            "    source: slices\n",
            "    source: slices\n    kernel: soft\n",
            "config.yaml:5 cohorts.digital.kernel: not for source slices, where 'slices' says all. Remove it.",
        ),
        (
            "    slices: {path: pictures, manifest: slices.tsv}\n",
            "",
            "config.yaml:3 cohorts.digital.slices: this key is missing. "
            "Wanted:  slices: {path: FOLDER, manifest: FILE}",
        ),
        (
            "path: pictures",
            "path: .",
            "config.yaml:5 cohorts.digital.slices.path: this folder holds 'private', which a run writes. "
            "Wanted: a folder of its own.",
        ),
    ],
)
def test_mistakes_in_a_cohort_of_slices(tmp_path, clone, pictures, old, new, message):
    assert old in SLICES
    assert problems(tmp_path, clone, SLICES.replace(old, new)) == [message]


def test_slices_give_no_features(tmp_path, clone, pictures):
    bare = RECIPE[: RECIPE.index("segmentation:")].replace("mask_set: auto-unet", "mask_set: manual")
    (clone / "resources/recipes/automatic.yaml").write_text(bare.replace("second_set: manual\n", ""))
    text = SLICES.replace("recipe: afnouch2023", "recipe: automatic")
    assert (
        "resources/recipes/automatic.yaml:6 preset: cohort 'digital' is slices as pictures: its grey values are no HU "
        "and its pixels have no size, so no features are computed. Wanted: a recipe of kind segmentation."
    ) in problems(tmp_path, clone, text)
