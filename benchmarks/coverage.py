"""How often the intervals of an evaluation cover the truth, by simulation: `python -m benchmarks.coverage [--scale S]`.

Each interval is simulated in the setting that it is used in, by the functions that the evaluation uses. Intervals of
nested analyses: 5 repeats of 5 folds; in each training part mRMR takes 10 of 200 columns, a logistic model is fitted,
threshold and calibration come from 5 inner folds. All fold models are judged on a large population of their own, so
two truths are known: `procedure`, the mean over data sets (what new training sets would give), and `models`, that
of the 25 models at hand. Figures go to `osteorad/modelling/evaluation/coverage.py` and docs/benchmarks.md by hand.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from osteorad.cohort.splits import divide
from osteorad.modelling.evaluation.bootstrap import draw_weights, everyone, measured
from osteorad.modelling.evaluation.calibration import calibration_numbers
from osteorad.modelling.evaluation.confusion import measure
from osteorad.modelling.evaluation.decision import net_benefits
from osteorad.modelling.evaluation.roc import areas
from osteorad.modelling.evaluation.rows import TestRows
from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.learning.filters import mrmr
from osteorad.modelling.statistics.delong import clustered_auc, delong_auc
from osteorad.modelling.statistics.metrics import (
    Interval,
    Platt,
    auc,
    expit,
    fit_platt,
    nadeau_bengio,
    wilson,
    youden_threshold,
)
from osteorad.provenance import seed_from

FOLDS, REPEATS, INNER, COLUMNS, BLOCKS, TAKEN = 5, 5, 5, 200, 40, 10
PENALTY = 10.0  # of the ridge, on the scale where the logistic loss is a sum over rows
INFORMATIVE = 5
POPULATION = 3000
DRAWS = 500
TREATED_AT = 0.3  # threshold of the net benefit


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A source of data: patients, how strongly the outcome depends on five of 200 columns, simulations."""

    name: str
    patients: int
    effect: float
    simulations: int


NESTED = (
    Setting(name="106 patients, weak", patients=106, effect=1.2, simulations=300),
    Setting(name="106 patients, strong", patients=106, effect=3.0, simulations=200),
    Setting(name="312 patients, weak", patients=312, effect=1.2, simulations=60),
)


def draw(patients: int, effect: float, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """Columns in 40 correlated blocks (r about 0.5) and an outcome that about 35 % have."""
    latent = rng.normal(size=(patients, BLOCKS))
    X = np.sqrt(0.5) * latent[:, np.arange(COLUMNS) % BLOCKS] + np.sqrt(0.5) * rng.normal(size=(patients, COLUMNS))
    risk = effect * X[:, :INFORMATIVE].sum(axis=1) / np.sqrt(INFORMATIVE)
    return X, (rng.uniform(size=patients) < expit(risk - 0.7)).astype(np.int64)


# --- nested analyses -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """What one fold froze."""

    columns: list[int]
    beta: FloatArray
    platt: Platt
    threshold: float

    def score(self, X: FloatArray) -> FloatArray:
        """Scores of rows with all columns."""
        return score_of(X, self.columns, self.beta)


def select_and_fit(X: FloatArray, y: IntArray, columns: Sequence[int] | None) -> tuple[list[int], FloatArray]:
    """mRMR and logistic regression; `columns` instead of mRMR for a baseline."""
    taken = list(columns) if columns is not None else mrmr(X, y, TAKEN, floor=0.1)[0]
    return taken, ridge(X[:, taken], y)


def ridge(X: FloatArray, y: IntArray) -> FloatArray:
    """Logistic regression with a ridge penalty by Newton's method: the intercept, which is free, and coefficients."""
    Z = np.column_stack([np.ones(len(X)), X])
    penalty = np.append(0.0, np.full(X.shape[1], PENALTY))
    beta = np.zeros(Z.shape[1])
    for _ in range(30):
        p = expit(Z @ beta)
        slope = Z.T @ (p - y) + penalty * beta
        step = np.linalg.solve((Z * (p * (1 - p))[:, None]).T @ Z + np.diag(penalty), slope)
        beta = beta - step
        if np.abs(step).max() < 1e-8:
            break
    return beta


def score_of(X: FloatArray, columns: Sequence[int], beta: FloatArray) -> FloatArray:
    """Linear predictor of rows with all columns."""
    return np.asarray(beta[0] + X[:, columns] @ beta[1:])


def fit_fold(X: FloatArray, y: IntArray, name: str, columns: Sequence[int] | None) -> Fold:
    """A training part: threshold and calibration from inner out-of-fold scores, model on all its rows."""
    place = folds_of(y, INNER, name)
    score = np.empty(len(y))
    for inner in range(1, INNER + 1):
        taken, beta = select_and_fit(X[place != inner], y[place != inner], columns)
        score[place == inner] = score_of(X[place == inner], taken, beta)
    taken, beta = select_and_fit(X, y, columns)
    return Fold(columns=taken, beta=beta, platt=fit_platt(y, score), threshold=youden_threshold(y, score))


def folds_of(y: IntArray, folds: int, name: str) -> IntArray:
    """Fold (from 1) of each row, stratified, as the workflow divides."""
    place = divide({f"{row:05d}": int(value) for row, value in enumerate(y)}, folds, name)
    return np.array([place[f"{row:05d}"] for row in range(len(y))])


def rows_by(fits: Sequence[Fold], of: IntArray, X: FloatArray, y: IntArray, patient: IntArray, repeat: int) -> TestRows:
    """Predictions of rows, each by the fold model that `of` names (from 0)."""
    score = np.empty(len(y))
    probability, cut = np.empty(len(y)), np.empty(len(y))
    for at, fit in enumerate(fits):
        rows = of == at
        score[rows] = fit.score(X[rows])
        probability[rows] = fit.platt.probability(score[rows])
        cut[rows] = fit.threshold
    return TestRows(
        repeat=repeat,
        sample=tuple(map(str, range(len(y)))),
        patient=patient,
        fold=of + 1,
        outcome=y,
        score=score,
        probability=probability,
        cut=cut,
        predicted=(score >= cut).astype(np.int64),
    )


Found = dict[str, tuple[float, float | None, float | None, float]]  # name -> estimate, low, high, truth of the models


def simulate_nested(
    setting: Setting, name: str, X: FloatArray, y: IntArray, population: tuple[FloatArray, IntArray]
) -> Found:
    """Every interval of one data set, with the truth of its own models."""
    main, base = (_nested(name, X, y, population, columns) for columns in (None, [0]))
    repeats, whole = main["rows"], main["population"]
    weights = draw_weights(len(y), DRAWS, seed_from(f"{name}/bootstrap"))
    share = 1 / (FOLDS - 1)
    found: Found = {}
    found["AUC, Nadeau-Bengio"] = _told(nadeau_bengio(main["auc"], test_share=share), float(np.mean(main["truth"])))
    gap = [a - b for a, b in zip(main["auc"], base["auc"], strict=True)]
    truth = float(np.mean(main["truth"]) - np.mean(base["truth"]))
    found["difference of AUC, Nadeau-Bengio"] = _told(nadeau_bengio(gap, test_share=share), truth)
    once, many = everyone(weights), np.ones((1, len(whole[0].outcome)))
    pooled = measured(float(areas(repeats, once).mean()), areas(repeats, weights))
    found["pooled AUC, patient bootstrap"] = _of(pooled, float(np.mean(main["truth"])))
    sources = ((repeats, once), (repeats, weights), (whole, many))
    numbers = [calibration_numbers(rows, w) for rows, w in sources]
    for number in ("brier", "slope", "in_the_large"):
        told = measured(float(numbers[0][number].mean()), numbers[1][number])
        found[f"{number}, patient bootstrap"] = _of(told, float(numbers[2][number].mean()))
    for number in ("sensitivity", "specificity"):
        told = measure(number, repeats, weights)
        real = measure(number, whole, many)["estimate"]
        found[f"{number}, patient bootstrap"] = _of(told, real)
        first = measure(number, whole[:1], many)["estimate"]
        interval = (told["k"] / told["n"], told["wilson_low"], told["wilson_high"], first)
        found[f"{number} of repeat 1, Wilson"] = interval
    point, drawn, true = (net_benefits(rows, [TREATED_AT], w)[:, :, 0] for rows, w in sources)
    found["net benefit at 0.3, patient bootstrap"] = _of(measured(float(point.mean()), drawn), float(true.mean()))
    return found


def _nested(
    name: str, X: FloatArray, y: IntArray, population: tuple[FloatArray, IntArray], columns: Sequence[int] | None
) -> dict[str, list]:
    """Fold AUCs and their truths, test rows of each repeat, and the population's rows under each repeat's models."""
    out: dict[str, list] = defaultdict(list)
    everybody, truth = population
    # Each member of the population is judged by one of the five models of a repeat, as a test row is.
    turn = np.arange(len(truth)) % FOLDS
    for repeat in range(1, REPEATS + 1):
        place = folds_of(y, FOLDS, f"{name}/{repeat}")
        fits = [
            fit_fold(X[place != fold], y[place != fold], f"{name}/{repeat}/{fold}", columns)
            for fold in range(1, FOLDS + 1)
        ]
        rows = rows_by(fits, place - 1, X, y, np.arange(len(y)), repeat)
        out["rows"].append(rows)
        out["auc"] += [auc(y[place == fold], rows.score[place == fold]) for fold in range(1, FOLDS + 1)]
        out["truth"] += [auc(truth, fit.score(everybody)) for fit in fits]
        out["population"].append(rows_by(fits, turn, everybody, truth, np.arange(len(truth)), repeat))
    return out


def _told(interval: Interval, truth: float) -> tuple[float, float | None, float | None, float]:
    return (interval.estimate or 0.0, interval.low, interval.high, truth)


def _of(told: dict, truth: float) -> tuple[float, float | None, float | None, float]:
    return (told["estimate"], told["low"], told["high"], truth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Share of simulations whose interval holds the truth, its Monte Carlo error, and the mean width."""

    setting: str
    interval: str
    target: str
    truth: float
    coverage: float
    error: float
    width: float
    simulations: int

    def line(self) -> str:
        """A line of the printed table."""
        shown = f"{100 * self.coverage:.1f} +- {100 * self.error:.1f}"
        cells = (self.setting, self.interval, self.target, f"{self.truth:.3f}", shown, f"{self.width:.3f}")
        return "| " + " | ".join((*cells, str(self.simulations))) + " |"


def coverage_of(setting: str, interval: str, target: str, rows: FloatArray) -> Coverage:
    """rows : low, high, truth of each simulation; an interval that does not exist covers nothing."""
    low, high, truth = rows.T
    inside = (low <= truth) & (truth <= high)
    share = float(inside.mean())
    return Coverage(
        setting=setting,
        interval=interval,
        target=target,
        truth=float(truth.mean()),
        coverage=share,
        error=float(np.sqrt(max(share * (1 - share), 0.25 / len(rows) ** 2) / len(rows))),
        width=float(np.nanmean(high - low)),
        simulations=len(rows),
    )


def nested_coverage(setting: Setting, simulations: int) -> Iterator[Coverage]:
    """Coverage of every interval of a nested analysis, for both truths."""
    population = draw(POPULATION, setting.effect, np.random.default_rng(seed_from(f"{setting.name}/population")))
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for number in range(simulations):
        name = f"{setting.name}/{number}"
        X, y = draw(setting.patients, setting.effect, np.random.default_rng(seed_from(name)))
        for interval, (_, low, high, truth) in simulate_nested(setting, name, X, y, population).items():
            found[interval].append((np.nan if low is None else low, np.nan if high is None else high, truth))
    for interval, values in found.items():
        rows = np.array(values)
        expected = np.column_stack([rows[:, :2], np.full(len(rows), rows[:, 2].mean())])
        yield coverage_of(setting.name, interval, "procedure", expected)
        yield coverage_of(setting.name, interval, "models", rows)


# --- frozen models on other patients ---------------------------------------------------------------------------------


def frozen_coverage(patients: int, distance: float, simulations: int) -> Coverage:
    """DeLong's interval on another cohort of patients, about 35 % of them with the event; normal scores."""
    rng = np.random.default_rng(seed_from(f"delong/{patients}/{distance}"))
    truth = float(stats.norm.cdf(distance / np.sqrt(2)))
    rows = []
    for _ in range(simulations):
        y = (rng.uniform(size=patients) < 0.35).astype(np.int64)
        told = delong_auc(y, rng.normal(size=patients) + distance * y)
        rows.append((told.low, told.high, truth))
    return coverage_of(f"external, {patients} patients", "AUC, DeLong", "frozen model", np.array(rows, dtype=float))


def lesions(patients: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], IntArray, FloatArray]:
    """Patient, outcome and score of lesions, one to six a patient; both vary by patient as well as by lesion."""
    count = rng.integers(1, 7, patients)
    patient = np.repeat(np.arange(patients), count)
    together = rng.normal(size=patients)[patient]
    y = (rng.normal(size=len(patient)) * 0.7 + together * 0.7 > 0.4).astype(np.int64)
    score = 0.9 * y + 0.7 * rng.normal(size=patients)[patient] + 0.7 * rng.normal(size=len(patient))
    return patient, y, score


def lesion_coverage(patients: int, simulations: int) -> Iterator[Coverage]:
    """Obuchowski's interval, the bootstrap by patient, and DeLong's, which takes lesions for patients."""
    rng = np.random.default_rng(seed_from(f"obuchowski/{patients}"))
    _, y, score = lesions(60_000, rng)
    truth = auc(y, score) or 0.0
    rows: dict[str, list[tuple[float | None, float | None, float]]] = defaultdict(list)
    for number in range(simulations):
        patient, y, score = lesions(patients, rng)
        for name, told in (
            ("AUC, Obuchowski", clustered_auc(y, score, patient)),
            ("AUC, DeLong on lesions", delong_auc(y, score)),
        ):
            rows[name].append((told.low, told.high, truth))
        one = [lesion_rows(patient, y, score)]
        weights = draw_weights(patients, DRAWS, seed_from(f"lesions/{patients}/{number}"))
        drawn = measured(None, areas(one, weights))
        rows["AUC, patient bootstrap"].append((drawn["low"], drawn["high"], truth))
    setting = f"external, {patients} patients with lesions"
    for name, values in rows.items():
        yield coverage_of(setting, name, "frozen model", np.array(values, dtype=float))


def lesion_rows(patient: IntArray, y: IntArray, score: FloatArray) -> TestRows:
    """Lesions as test rows."""
    p = expit(score - 1.0)
    return TestRows(
        repeat=1,
        sample=tuple(map(str, range(len(y)))),
        patient=patient,
        fold=np.ones_like(patient),
        outcome=y,
        score=score,
        probability=p,
        cut=np.full(len(y), 0.5),
        predicted=(p >= 0.5).astype(np.int64),
    )


def wilson_coverage(n: int) -> Coverage:
    """Wilson's interval of a share of n, exactly, mean over true shares from 0.50 to 0.95."""
    limits = np.array([wilson(k, n) for k in range(n + 1)], dtype=float)
    shares = np.linspace(0.5, 0.95, 91)
    inside = (limits[:, 0] <= shares[:, None]) & (shares[:, None] <= limits[:, 1])
    chance = stats.binom.pmf(np.arange(n + 1)[None, :], n, shares[:, None])
    by_share = (inside * chance).sum(axis=1)
    width = float((chance * (limits[:, 1] - limits[:, 0])).sum(axis=1).mean())
    return Coverage(
        setting=f"external, {n} counted",
        interval=f"share, Wilson (from {by_share.min():.3f} to {by_share.max():.3f})",
        target="frozen model",
        truth=float(shares.mean()),
        coverage=float(by_share.mean()),
        error=0.0,
        width=width,
        simulations=0,
    )


def measurements(scale: float) -> Iterator[Coverage]:
    """All measurements; `scale` times the simulations."""
    for distance in (0.6, 1.5):
        for patients in (60, 106):
            yield frozen_coverage(patients, distance, max(2, int(2000 * scale)))
    for patients in (40, 100):
        yield from lesion_coverage(patients, max(2, int(600 * scale)))
    for n in (14, 37, 69):
        yield wilson_coverage(n)
    for setting in NESTED:
        yield from nested_coverage(setting, max(2, int(setting.simulations * scale)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line a measurement. Exit status 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the simulations to run")
    options = parser.parse_args(arguments)
    start = time.process_time()
    print("| setting | interval | truth of | mean truth | covered, % | mean width | simulations |")
    print("|---|---|---|--:|--:|--:|--:|")
    with threadpool_limits(1):
        for found in measurements(options.scale):
            print(found.line(), flush=True)
    print(f"{time.process_time() - start:.0f} CPU-s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
