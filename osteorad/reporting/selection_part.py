"""The section on which features the outer fits selected, and how steadily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.usefulness import measured
from osteorad.reporting.wording import listed, none_of, plural, real

Facts = Mapping[str, Any]
MOST_BARS = 15


def split_feature(name: str) -> tuple[str, str]:
    """`ct.wavelet-LLH_glcm_Contrast` as `Contrast` and `ct, wavelet-LLH, glcm`."""
    image, _, feature = name.rpartition(".")
    pieces = feature.split("_")
    if len(pieces) < 3:
        return name, ""
    return "_".join(pieces[2:]), listed_plain([image, pieces[0], pieces[1]])


def listed_plain(words: Sequence[str]) -> str:
    """Words with commas, empty ones left out."""
    return ", ".join(word for word in words if word)


def selection_section(evaluation: Facts) -> doc.Section:
    """How often each feature was selected over the outer fits."""
    told = evaluation["selection"]
    stability = told["stability"]
    sentence = f"Features by how often the {plural(told['fits'], 'outer fit')} chose them"
    sentence += f"; {plural(told['distinct'], 'feature')} in all, {real(told['mean_features'], 1)} a fit"
    if stability is not None:
        sentence += f"; stability {measured(stability)} (Nogueira)"
    numbers = {key: told[key] for key in ("fits", "distinct", "mean_features", "stability")} | {"zero": 0}
    features = told["features"]
    if not features:
        parts = [doc.note(none_of(told["fits"], "outer fit") + " No feature was selected.")]
        return doc.section("features", "What it uses", sentence + ".", parts, numbers=numbers)
    rows = []
    for entry in features[:MOST_BARS]:
        label, sub = split_feature(entry["feature"])
        rows.append({"label": label, "sub": sub, "k": entry["times"], "n": entry["fits"], "feature": entry["feature"]})
    top = listed([row["feature"] for row in rows[:3]])
    chart = doc.figure(
        "selection",
        "bars",
        "Share of outer fits in which a feature was selected",
        f"Most often selected: {top}.",
        f"The {plural(len(rows), 'feature')} selected most often, of {told['distinct']}.",
        {"rows": rows, "shown": len(rows), "distinct": told["distinct"]},
    )
    table = doc.table(
        "selection-table",
        "The same with full names.",
        [
            doc.column("feature", "Feature", "code"),
            doc.column("times", "Selected", "share", note="fits"),
            doc.column("rank", "Mean rank", "real", digits=1),
        ],
        [
            {"feature": entry["feature"], "times": [entry["times"], entry["fits"]], "rank": entry["mean_rank"]}
            for entry in features
        ],
        empty=none_of(told["fits"], "fit"),
    )
    return doc.section("features", "What it uses", sentence + ".", [chart, table], numbers=numbers)
