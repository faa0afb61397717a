"""Check of features that stand for something else than the image: A9."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import stats

from osteorad.modelling.auditing.tables import AuditTables, Finding, not_applicable, outer_records, prediction_rows
from osteorad.modelling.learning.block import FloatArray
from osteorad.modelling.statistics.metrics import auc

LEAST_ROWS = 10  # of a site and of all others, or of days: fewer separate by chance
# Scanners leave their mark on many features: whole models tell two hospitals apart with an AUC near 0.85. One single
# feature at 0.98 is another matter: its value names the site.
NAMES_SITE = 0.98
FOLLOWS_DAYS = 0.98  # Spearman's correlation
MOST_NAMED = 3
BASELINES = ("volume", "site", "prevalence")  # their columns are declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """How well one feature tells something else. size : AUC or |Spearman|."""

    feature: str
    of: str
    measure: str
    size: float
    limit: float

    def said(self) -> str:
        """As evidence."""
        return f"{self.feature}: {self.measure} {self.size:.3f} for {self.of}"


def check_proxies(tables: AuditTables) -> Finding:
    """A9 (warns): a feature of a chosen model whose value names the site, or follows a day or the order of the rows."""
    used = _used_columns(tables)
    proxies = [proxy for name, values in used.items() for proxy in _proxies(name, values, tables.samples)]
    looked_at = f"{len(used)} columns that chosen models use, each against {_against(tables.samples)}"
    if not used:
        return not_applicable("Chosen models use no column of the samples table.", looked_at=looked_at)
    order = sorted(proxies, key=lambda proxy: (-round(proxy.size, 12), proxy.feature, proxy.of))
    bad = [proxy.said() for proxy in order if proxy.size >= proxy.limit]
    if bad:
        text = f"{len(bad)} found: {bad[0]}; a model may learn it in place of the disease"
        return Finding(verdict="warn", looked_at=looked_at, text=text, evidence=tuple(bad))
    strongest = [proxy.said() for proxy in order[:MOST_NAMED]]
    return Finding(
        verdict="pass",
        looked_at=looked_at,
        text=f"No used column names the site or follows a day (AUC {NAMES_SITE:g} or more).",
        evidence=tuple(strongest),
    )


def _used_columns(tables: AuditTables) -> dict[str, FloatArray]:
    """Columns of the samples that chosen models of any fold use, as numbers; levels of a text as 0 and 1."""
    records = outer_records(tables.steps)
    names: set[str] = set()
    for rows in prediction_rows(tables.predictions):
        if rows.chosen and rows.variables not in BASELINES:
            own = records.get((rows.repeat, rows.fold, rows.variables), {})
            names |= set(own[(rows.model, None)]["record"]["features"]) if (rows.model, None) in own else set()
    found = {}
    for name in sorted(names):
        column, _, level = name.rpartition("=")
        if name in tables.samples.column_names:
            found[name] = tables.samples[name].to_numpy().astype(float)
        elif column in tables.samples.column_names:
            texts = tables.samples[column].to_pylist()
            found[name] = np.array([np.nan if text is None else float(str(text) == level) for text in texts])
    return found


def _against(samples: pa.Table) -> str:
    sites = sorted(set(samples["site"].drop_null().to_pylist()))
    return f"{len(sites)} sites, the days of image and event, and the order of the rows"


def _proxies(name: str, values: FloatArray, samples: pa.Table) -> Iterator[Proxy]:
    known = np.isfinite(values)
    sites = np.array([str(site or "") for site in samples["site"].to_pylist()])
    for site in sorted(set(sites) - {""}):
        inside = (sites == site)[known & (sites != "")]
        size = auc(inside.astype(np.int64), values[known & (sites != "")])
        if size is not None and min(inside.sum(), (~inside).sum()) >= LEAST_ROWS:
            yield Proxy(feature=name, of=f"site {site}", measure="AUC", size=max(size, 1 - size), limit=NAMES_SITE)
    orders = {
        "the day of the image": samples["image_day"].to_numpy().astype(float),
        "the day of the event": samples["event_day"].to_numpy().astype(float),
        "the order of the rows": np.arange(len(values), dtype=float),
    }
    for what, order in orders.items():
        both = known & np.isfinite(order)
        if min(len(np.unique(values[both])), len(np.unique(order[both]))) >= LEAST_ROWS:
            size = abs(float(stats.spearmanr(values[both], order[both]).statistic))
            yield Proxy(feature=name, of=what, measure="|Spearman's rho|", size=size, limit=FOLLOWS_DAYS)
