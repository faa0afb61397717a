"""Sections of a cohort page whose cohort is a feature table: there is no scanner, no contour and no picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort.schemas import FEATURE_KEYS
from osteorad.reporting import report as doc
from osteorad.reporting.wording import count, none_of, plural

MOST_ROWS = 40


def overview(state: Mapping[str, Any], features: pa.Table) -> doc.Section:
    """What is there, in three numbers."""
    columns = len(_names(features))
    sentence = (
        f"{count(state['used'])} of {plural(state['patients'], 'patient')} used, with {plural(columns, 'feature')} "
        "that were computed elsewhere."
    )
    items = [
        {"value": state["used"], "of": state["patients"], "digits": 0, "label": "patients used"},
        {"value": features.num_rows, "of": None, "digits": 0, "label": "rows of patients or lesions"},
        {"value": columns, "of": None, "digits": 0, "label": "features"},
    ]
    numbers = {**state, "rows": features.num_rows, "features": columns}
    return doc.section("overview", "Overview", sentence, [doc.tiles(items)], numbers=numbers)


def feature_section(features: pa.Table, reasons: Sequence[Mapping[str, Any]]) -> doc.Section:
    """Which features have no value in how many rows, infinite values included."""
    names, rows = _names(features), features.num_rows
    missing = {name: int(np.isnan(features[name].to_numpy()).sum()) for name in names}
    lacking = sorted((name for name in names if missing[name]), key=lambda name: (-missing[name], name))
    infinite = len({(row["patient"], row["lesion"]) for row in reasons if row["reason"] == "value_infinite"})
    sentence = (
        f"{count(len(lacking))} of {plural(len(names), 'feature')} have missing values; "
        f"{count(infinite)} of {plural(rows, 'row')} held infinite ones, which are taken as missing."
    )
    shown = [{"feature": name, "missing": missing[name], "of": rows} for name in lacking[:MOST_ROWS]]
    more = f" The first {count(len(shown))} of {count(len(lacking))}." if len(shown) < len(lacking) else ""
    table = doc.table(
        "missing-features",
        "Features with missing values, most first." + more,
        [
            doc.column("feature", "Feature", "code"),
            doc.column("missing", "Rows without", "count"),
            doc.column("of", "Of", "count"),
        ],
        shown,
        empty=none_of(len(names), "feature"),
    )
    numbers = {"lacking": len(lacking), "features": len(names), "infinite": infinite, "rows": rows, "shown": len(shown)}
    return doc.section("features", "Features", sentence, [table], numbers=numbers)


def _names(features: pa.Table) -> list[str]:
    return [name for name in features.column_names if name not in FEATURE_KEYS]
