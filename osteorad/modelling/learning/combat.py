"""ComBat: sites brought to a common mean and spread by empirical Bayes (Johnson, Li and Rabinovic 2007).

The fit looks at training rows only; what it found is applied to rows of any part. As R's sva 3.46 computes it, with
two differences: a site with a single training row is moved in its mean alone (sva then leaves the spread of all
sites), and a column without spread inside sites is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.errors import AnalysisRefused

FloatArray = NDArray[np.float64]
TOLERANCE = 1e-4  # relative change at which sva stops its iterations
ROUNDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmony:
    """Shift and spread of each site, in units of the pooled SD around the common mean.

    sites : those with training rows. grand, pooled : of each column. shift, spread : shape (sites, columns).
    unseen : refuse, reference or leave, for rows of any other site. reference : its name, where there is one.
    effects : of covariates that stay in the values, shape (covariates, columns).
    """

    sites: tuple[str, ...]
    grand: FloatArray
    pooled: FloatArray
    shift: FloatArray
    spread: FloatArray
    unseen: str
    reference: str | None = None
    effects: FloatArray | None = None

    def adjust(self, X: FloatArray, sites: Sequence[str] = (), covariates: FloatArray | None = None) -> FloatArray:
        """Rows moved by what was found for their site, shape (rows, columns).

        A row of an unseen or unknown site is moved as the reference site is (`reference`), or stays (`leave`).
        Raises AnalysisRefused for such a row under `refuse`.
        """
        of_row = list(sites) or [""] * len(X)
        if len(of_row) != len(X):
            raise ValueError(f"{len(X)} rows, but sites of {len(of_row)}")
        unseen = sorted(set(of_row) - set(self.sites))
        if unseen and self.unseen == "refuse":
            raise AnalysisRefused(
                f"combat: no training rows of site {', '.join(name or '(unknown)' for name in unseen)}. "
                "Wanted: every site in every training part, or the step's setting unseen: leave or reference."
            )
        stays = 0.0 if self.effects is None or covariates is None else covariates @ self.effects
        out = X - stays
        for site in sorted(set(of_row)):
            place = self._place(site)
            if place is not None:
                rows = np.array([name == site for name in of_row])
                z = (out[rows] - self.grand) / self.pooled
                out[rows] = (z - self.shift[place]) / np.sqrt(self.spread[place]) * self.pooled + self.grand
        return out + stays

    def _place(self, site: str) -> int | None:
        if site not in self.sites and self.unseen == "reference" and self.reference in self.sites:
            return self.sites.index(self.reference)
        return self.sites.index(site) if site in self.sites else None

    def plain(self) -> dict[str, Any]:
        """As plain data with exact numbers; without covariates, which no recipe has."""
        arrays = {name: getattr(self, name).tolist() for name in ("grand", "pooled", "shift", "spread")}
        return {"sites": list(self.sites), "unseen": self.unseen, "reference": self.reference, **arrays}


def harmony_from_plain(plain: Mapping[str, Any]) -> Harmony:
    """The record that `Harmony.plain` described."""
    sites, grand = tuple(plain["sites"]), np.asarray(plain["grand"], dtype=np.float64)
    shape = (len(sites), len(grand))
    return Harmony(
        sites=sites,
        grand=grand,
        pooled=np.asarray(plain["pooled"], dtype=np.float64),
        shift=np.asarray(plain["shift"], dtype=np.float64).reshape(shape),
        spread=np.asarray(plain["spread"], dtype=np.float64).reshape(shape),
        unseen=plain["unseen"],
        reference=plain["reference"],
    )


def fit_combat(
    X: FloatArray,
    sites: Sequence[str],
    *,
    covariates: FloatArray | None = None,
    reference: str | None = None,
    mean_only: bool = False,
    parametric: bool = True,
    unseen: str = "leave",
) -> Harmony:
    """Find shift and spread of each site.

    X : training rows without missing values, shape (rows, columns). sites : of each row; rows of unknown site do not
    count. covariates : shape (rows, covariates), whose effect stays in the values; never the outcome that a model is to
    predict, because it is not known of new rows. reference : a site that does not move.
    parametric : normal and inverse gamma priors; else the empirical ones.
    """
    known = np.array([bool(site) for site in sites], dtype=bool)
    X, of_row = X[known], np.array([site for site in sites if site])
    names = tuple(sorted(set(of_row.tolist())))
    member = of_row[:, None] == np.array(names) if names else np.zeros((len(X), 0), dtype=bool)
    extra = np.zeros((len(X), 0)) if covariates is None else covariates[known]
    if len(names) < 2:
        return _nothing(names, X.shape[1], unseen, reference)
    grand, pooled, effects, z = _standardised(X, member, extra, names.index(reference) if reference in names else None)
    varies = pooled > 0
    pooled[~varies] = 1.0
    shift, spread = np.zeros((len(names), X.shape[1])), np.ones((len(names), X.shape[1]))
    for place, name in enumerate(names):
        if name != reference and varies.any():
            rows = z[np.ix_(member[:, place], varies)]
            found = _estimate(rows, mean_only=mean_only or len(rows) < 2, parametric=parametric)
            shift[place, varies], spread[place, varies] = found
    return Harmony(
        sites=names,
        grand=grand,
        pooled=pooled,
        shift=shift,
        spread=spread,
        unseen=unseen,
        reference=reference,
        effects=None if covariates is None else effects,
    )


def _nothing(names: tuple[str, ...], columns: int, unseen: str, reference: str | None) -> Harmony:
    """Fewer than two sites: nothing to bring together."""
    shape = (len(names), columns)
    return Harmony(
        sites=names,
        grand=np.zeros(columns),
        pooled=np.ones(columns),
        shift=np.zeros(shape),
        spread=np.ones(shape),
        unseen=unseen,
        reference=reference,
    )


def _standardised(
    X: FloatArray, member: NDArray[np.bool_], extra: FloatArray, reference: int | None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Common mean and pooled SD of each column, effects of covariates, and the rows in these units without them."""
    design = np.hstack([member.astype(float), extra])
    weight, *_ = np.linalg.lstsq(design, X, rcond=None)
    sites = member.shape[1]
    rows = np.ones(len(X), dtype=bool) if reference is None else member[:, reference]
    share = member.sum(axis=0) / len(X)
    grand = share @ weight[:sites] if reference is None else weight[reference]
    residual = X - design @ weight
    pooled = np.sqrt((residual[rows] ** 2).mean(axis=0))
    # Rounding leaves a little where there is nothing.
    pooled[pooled <= 1e-10 * np.abs(X).max(axis=0)] = 0.0
    effects = weight[sites:]
    return grand, pooled, effects, (X - grand - extra @ effects) / np.where(pooled > 0, pooled, np.inf)


def _estimate(z: FloatArray, *, mean_only: bool, parametric: bool) -> tuple[FloatArray, FloatArray]:
    """Shift and spread of one site, shrunk to what is common to all columns."""
    mean = z.mean(axis=0)
    variance = np.ones_like(mean) if mean_only else z.var(axis=0, ddof=1)
    if len(mean) < 2:
        # One column has no others to borrow from.
        return mean, np.where(variance > 0, variance, 1.0)
    if not parametric:
        return _empirical(z, mean, variance, mean_only=mean_only)
    prior_mean, prior_variance = mean.mean(), mean.var(ddof=1)
    if mean_only:
        return (prior_variance * mean + prior_mean) / (prior_variance + 1.0), variance
    return _parametric(z, mean, variance, prior_mean, prior_variance)


def _parametric(
    z: FloatArray, mean: FloatArray, variance: FloatArray, prior_mean: float, prior_variance: float
) -> tuple[FloatArray, FloatArray]:
    """Posterior means under a normal and an inverse gamma prior, found by turns."""
    rows = len(z)
    centre, width = variance.mean(), variance.var(ddof=1)
    if width <= 0:
        return mean, np.where(variance > 0, variance, 1.0)
    shape, rate = (2 * width + centre**2) / width, (centre * width + centre**3) / width
    shift, spread = mean, variance
    squares, total = (z**2).sum(axis=0), z.sum(axis=0)
    for _ in range(ROUNDS):
        new_shift = (rows * prior_variance * mean + spread * prior_mean) / (rows * prior_variance + spread)
        around = squares - 2 * new_shift * total + rows * new_shift**2
        new_spread = (0.5 * around + rate) / (rows / 2.0 + shape - 1.0)
        change = max(_change(shift, new_shift), _change(spread, new_spread))
        shift, spread = new_shift, new_spread
        if change <= TOLERANCE:
            break
    return shift, spread


def _change(old: FloatArray, new: FloatArray) -> float:
    """Largest relative change; as in sva a fall below zero does not count, so that iterations stop where sva stops."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.nanmax(np.abs(new - old) / old, initial=0.0))


def _empirical(
    z: FloatArray, mean: FloatArray, variance: FloatArray, *, mean_only: bool
) -> tuple[FloatArray, FloatArray]:
    """Posterior means under the empirical prior: what all other columns have, weighted by their likelihood."""
    spread = np.ones_like(variance) if mean_only else variance
    rows, squares, total = len(z), (z**2).sum(axis=0), z.sum(axis=0)
    around = squares[:, None] - 2 * total[:, None] * mean + rows * mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        fit = -rows / 2.0 * np.log(2 * np.pi * spread) - around / (2 * spread)
    fit[np.isnan(fit)] = -np.inf
    np.fill_diagonal(fit, -np.inf)
    weight = np.exp(fit - fit.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    return weight @ mean, np.ones_like(variance) if mean_only else weight @ variance
