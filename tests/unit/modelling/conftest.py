from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pytest

from osteorad.cohort.recipe import Recipe
from osteorad.cohort.splits import make_splits
from osteorad.modelling.auditing.tables import AuditTables
from osteorad.modelling.learning.run import Fitted, fit_analysis
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples


@dataclass(frozen=True)
class Toy:
    """A fitted toy analysis; nobody changes it."""

    samples: pa.Table
    splits: pa.Table
    recipe: Recipe
    fitted: Fitted

    def audit_tables(self, **changes) -> AuditTables:
        tables = {
            "samples": self.samples,
            "splits": self.splits,
            "predictions": self.fitted.predictions,
            "steps": self.fitted.steps,
            "selection": self.fitted.selection,
            "lineage": self.fitted.lineage,
        }
        return AuditTables(**{**tables, **changes}, recipe=self.recipe, analysis=ANALYSIS)


def fit_toy(samples: pa.Table, recipe: Recipe) -> Toy:
    splits = make_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    fitted = fit_analysis(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT)
    return Toy(samples=samples, splits=splits, recipe=recipe, fitted=fitted)


@pytest.fixture(scope="session")
def toy() -> Toy:
    """36 patients, 3 models, 3 folds, 2 repeats."""
    return fit_toy(toy_samples(), toy_recipe(repeats=2))


@pytest.fixture(scope="session")
def toy_all_models() -> Toy:
    """All seven models, one repeat of two folds."""
    models = ("logistic", "svm", "knn", "random-forest", "extra-trees", "lightgbm", "mlp")
    return fit_toy(toy_samples(), toy_recipe(models, folds=2, inner_folds=2))
