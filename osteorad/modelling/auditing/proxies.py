"""Check of features that stand for something else than the image: A9."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import stats

from osteorad.modelling.auditing.tables import AuditTables, Finding, not_applicable, outer_records, prediction_rows
from osteorad.modelling.learning.block import FloatArray
from osteorad.modelling.learning.drawn import FoldKey
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
    """A9 (warns): a feature of a chosen model whose value names the site, or follows a day or the order of the rows.

    Where networks draw inside each fold, a column counts with its values in the fold where it tells most.
    """
    used = _used_columns(tables)
    proxies = [p for name, each in used.items() for p in _strongest(name, each, tables.samples)]
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


def _used_columns(tables: AuditTables) -> dict[str, list[FloatArray]]:
    """Columns of the samples that chosen models of any fold use, as numbers; levels of a text as 0 and 1.

    A column has one array where all folds see one table, else one of each fold that uses it.
    """
    records = outer_records(tables.steps)
    folds: dict[str, set[FoldKey]] = {}
    for rows in prediction_rows(tables.predictions):
        own = records.get((rows.repeat, rows.fold, rows.variables), {})
        if rows.chosen and rows.variables not in BASELINES and (rows.model, None) in own:
            for name in own[(rows.model, None)]["record"]["features"]:
                folds.setdefault(name, set()).add((rows.repeat, rows.fold))
    found = {}
    for name, keys in sorted(folds.items()):
        seen = [tables.by_fold.of(*key) for key in sorted(keys)] if tables.folds else [tables.samples]
        if values := [column for table in seen for column in _numbers(table, name)]:
            found[name] = values
    return found


def _numbers(samples: pa.Table, name: str) -> Iterator[FloatArray]:
    """A column of a model as numbers; nothing where the samples do not have it."""
    column, _, level = name.rpartition("=")
    if name in samples.column_names:
        yield samples[name].to_numpy().astype(float)
    elif column in samples.column_names:
        texts = samples[column].to_pylist()
        yield np.array([np.nan if text is None else float(str(text) == level) for text in texts])


def _strongest(name: str, each: Sequence[FloatArray], samples: pa.Table) -> Iterator[Proxy]:
    """For everything that a column may stand for the fold in which it tells most."""
    found: dict[str, Proxy] = {}
    for values in each:
        for proxy in _proxies(name, values, samples):
            if proxy.of not in found or proxy.size > found[proxy.of].size:
                found[proxy.of] = proxy
    yield from found.values()


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
