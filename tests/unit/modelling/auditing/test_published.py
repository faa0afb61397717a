"""The certificate of a paper's own order of steps fails where the paper leaks; the nested one beside it passes."""

from __future__ import annotations

import pyarrow as pa
import pytest

from osteorad.cohort.recipe import Published
from osteorad.cohort.splits import AS_PUBLISHED, make_splits
from osteorad.modelling.auditing.certificate import audit_analysis
from osteorad.modelling.learning.run import fit_analysis
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples
from tests.unit.modelling.conftest import Toy

LESIONS = {"n": 30, "events": 15, "features": 40, "lesions": 2}
PATIENTS = {"n": 30, "events": 15, "features": 40}


def certificates(size: dict, paper: Published, permutations: int = 0) -> dict:
    samples = toy_samples(**size, strength=0.0)
    recipe = toy_recipe(
        ("logistic", "knn"),
        inner_folds=2,
        published=paper,
        baselines=["clinical", "combined", "volume", "prevalence"],
        permutations=permutations,
    )
    names = {"analysis": ANALYSIS, "cohort": COHORT}
    parts = [
        make_splits(samples, recipe.splits, **names),
        make_splits(samples, recipe.splits, **names, procedure=AS_PUBLISHED, published=paper),
    ]
    splits = pa.concat_tables(parts)
    fitted = fit_analysis(samples, splits, recipe, **names)
    return audit_analysis(
        Toy(samples=samples, splits=splits, recipe=recipe, fitted=fitted).audit_tables(), cohort=COHORT
    )


def failed(certificate: dict) -> set[str]:
    return {row["code"] for row in certificate["checks"] if row["verdict"] == "fail"}


@pytest.mark.parametrize(
    ("size", "paper", "codes"),
    [
        (PATIENTS, {}, {"A2", "A3", "A6", "A7", "A11"}),
        (PATIENTS, {"select_on": "train", "split": "folds", "folds": 3}, {"A3", "A6", "A7", "A11"}),
        (LESIONS, {"by": "sample"}, {"A1", "A2", "A3", "A6", "A7", "A11"}),
    ],
)
def test_each_leak_of_the_paper_is_named(size, paper, codes):
    found = certificates(size, Published(repeats=2, **paper))
    assert found["verdict"] == "pass"
    assert found["procedure"] == "nested"
    published = found["as_published"]
    assert (published["procedure"], published["verdict"]) == ("as-published", "fail")
    assert failed(published) == codes
    assert all(row["evidence"] for row in published["checks"] if row["verdict"] == "fail")


def test_permuted_outcomes_show_the_leak():
    found = certificates(PATIENTS, Published(repeats=2), permutations=20)
    verdict = {name: {row["code"]: row["verdict"] for row in of["checks"]} for name, of in
               (("nested", found), ("published", found["as_published"]))}  # fmt: skip
    assert verdict["nested"]["A4"] == "not applicable"  # 20 can show a leak, but not that there is none
    assert verdict["published"]["A4"] == "fail"
