"""Five published tables as tabular analyses: the nested AUC is that of the reference; one of them through Snakemake.

Reference: README of the shared statistics, mRMR and logistic regression, 5 by 5 folds, inner 5.
"""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow.compute as pc
import pytest

from osteorad.cohort.feature_table import open_features
from osteorad.cohort.load import Loaded, load
from osteorad.cohort.samples import CohortTables, make_samples
from osteorad.cohort.splits import frozen_splits, make_splits
from osteorad.cohort.table_source import Imported, imported
from osteorad.files import read_json, read_parquet
from osteorad.modelling.external import apply_bundle
from osteorad.modelling.learning.bundle import freeze
from osteorad.modelling.learning.run import fit_analysis
from osteorad.modelling.statistics.metrics import auc
from osteorad.reporting.check import check_page
from tests.workflow.snake import ROOT, planned, snakemake

TABLES = ("features", "reasons", "patients", "series", "clinical", "lesions")
NESTED_AUC = {"song": 0.956, "huang": 0.930, "dong": 0.675, "zhang": 0.575, "hosny": 0.555}
TOLERANCE = 0.03
WITHOUT_ID = {"MUMC": 25, "Maastro": 5}


@pytest.fixture(scope="module")
def settings(shared_data, tmp_path_factory) -> Loaded:
    """The shipped example with the paths of this machine."""
    folder = tmp_path_factory.mktemp("tables")
    text = (ROOT / "examples/tables/config.yaml").read_text(encoding="utf-8")
    changed, count = re.subn(r"(?:\.\./)+shared/data/statistics", str(shared_data("statistics")), text)
    assert count >= len(NESTED_AUC)
    (folder / "config.yaml").write_text(changed, encoding="utf-8")
    return load(folder, ROOT)


def brought_in(settings: Loaded, cohort: str, **changed) -> Imported:
    table = settings.config.cohorts[cohort].table.model_copy(update=changed)
    return imported(open_features(Path(table.path), cohort), table, cohort=cohort, exclude={}, file_hash="")


def samples_of(settings: Loaded, analysis: str):
    asked = settings.config.analyses[analysis]
    made = brought_in(settings, asked.cohort)
    return make_samples(
        CohortTables(**{name: getattr(made, name) for name in TABLES}, inputs={}),
        cohort=asked.cohort,
        analysis=analysis,
        recipe=settings.recipes[analysis],
        settings=asked,
        max_quarantined=0.2,
    ).table


def fold_aucs(predictions) -> list[float]:
    """AUC of the chosen model in each test fold."""
    rows = predictions.filter(
        (pc.field("part") == "test")
        & (pc.field("variables") == "radiomics")
        & (pc.field("control") == "none")
        & (pc.field("procedure") == "nested")
        & pc.field("chosen")
    ).to_pylist()
    folds: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for row in rows:
        folds.setdefault((row["repeat"], row["fold"]), []).append((row["outcome"], row["score"]))
    pairs = (np.array(fold).T for fold in folds.values())
    return [auc(outcome.astype(int), score) for outcome, score in pairs]


def test_every_row_without_an_id_is_found(settings):
    for site, count in WITHOUT_ID.items():
        made = brought_in(settings, "harvard", sites=[site], without_patient="set_aside")
        found = [row for row in made.quarantine.to_pylist() if row["reason"] == "patient_id_missing"]
        assert [row["detail"] for row in found] == [f"site {site}"] * count


@pytest.mark.slow
@pytest.mark.parametrize("analysis", ["huang", "dong", "zhang", "hosny"])
def test_nested_auc_is_that_of_the_reference(settings, analysis):
    recipe = settings.recipes[analysis].model_copy(deep=True)
    recipe = recipe.model_copy(update={"controls": recipe.controls.model_copy(update={"permutations": 0})})
    samples = samples_of(settings, analysis)
    splits = make_splits(samples, recipe.splits, analysis=analysis, cohort="c")
    aucs = fold_aucs(fit_analysis(samples, splits, recipe, analysis=analysis, cohort="c").predictions)
    assert len(aucs) == 25
    assert fmean(aucs) == pytest.approx(NESTED_AUC[analysis], abs=TOLERANCE)
    assert analysis != "zhang" or fmean(aucs) <= 0.65


@pytest.mark.slow
@pytest.mark.workflow
def test_a_table_goes_from_file_to_report_in_one_command(settings):
    folder = settings.workdir
    targets = ("results/analyses/song/report.html", "results/cohorts/song2020/report.html")
    done = snakemake(folder, "--cores", "2", *targets)
    assert done.returncode == 0, done.stdout[-4000:]
    evaluation = read_json(folder / "results/analyses/song/evaluation.json")
    assert evaluation["primary"]["estimate"] == pytest.approx(NESTED_AUC["song"], abs=TOLERANCE)
    assert evaluation["primary"]["low"] > 0.85
    assert read_parquet(folder / "results/analyses/song/samples.parquet").num_rows == 260
    for target in targets:
        page = folder / target
        assert check_page(page.read_text(encoding="utf-8"), read_json(page.with_suffix(".json"))) == []
    assert planned(folder, *targets) == {}


# --- a frozen model elsewhere

EXTERNAL_AUC = {"radboud": 0.551, "maastro": 0.628, "moffitt": 0.615, "mumc": 0.686, "m-spore": 0.449}
EXTERNAL_TOLERANCE = 0.05


@pytest.mark.slow
def test_a_model_frozen_at_one_site_gives_the_reference_at_five_others(settings):
    """Reference: mRMR, ten columns and logistic regression on HarvardRT; AUC of each other site."""
    recipe = settings.recipes["hosny-ten"]
    samples = samples_of(settings, "hosny-ten")
    splits = frozen_splits(samples, recipe.splits, analysis="hosny-ten", cohort="harvard")
    bundle = freeze(samples, splits, recipe, analysis="hosny-ten", cohort="harvard")
    found = {}
    for site in EXTERNAL_AUC:
        own = settings.recipes[f"to-{site}"]
        applied = apply_bundle(bundle, samples_of(settings, f"to-{site}"), own, analysis=f"to-{site}", cohort=site)
        rows = applied.predictions.filter(pc.field("variables") == "radiomics")
        found[site] = auc(rows["outcome"].to_numpy(), rows["score"].to_numpy())
    assert found == pytest.approx(EXTERNAL_AUC, abs=EXTERNAL_TOLERANCE)
