"""Sections on what the procedure finds where there is nothing, and on the paper's own order of steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.comparisons import axis_of
from osteorad.reporting.wording import LEAST_P, none_of, p_value, plural, real

Facts = Mapping[str, Any]
BINS = 24
NOT_A_RESULT = "as published: not a result"


def controls_section(evaluation: Facts) -> doc.Section:
    """Permuted outcomes and shuffled voxels."""
    permuted, shuffled = evaluation["controls"]["permuted"], evaluation["controls"]["shuffled"]
    parts: list[doc.Part] = []
    said = []
    if permuted:
        parts.append(_permuted_figure(permuted))
        said.append(
            f"On {plural(permuted['n'], 'permuted outcome')} the mean AUC is {real(permuted['mean'])} "
            f"({real(permuted['low'])} to {real(permuted['high'])})"
        )
    else:
        parts.append(doc.note("Not done: 0 permutations were asked for.", title="Permuted outcomes."))
        said.append("Permuted outcomes: 0 of them were run")
    if shuffled:
        auc = shuffled["auc"]
        parts.append(
            doc.note(
                f"On images with shuffled voxels the AUC is {real(auc['estimate'])} ({real(auc['low'])} to "
                f"{real(auc['high'])}). What is left there comes from volume and intensities, not from texture.",
                title="Shuffled voxels.",
            )
        )
    else:
        parts.append(doc.note("Not done: it is run on demand only.", title="Shuffled voxels."))
    numbers = {"permuted": permuted, "shuffled": shuffled["auc"] if shuffled else None, "zero": 0, "chance": 0.5}
    return doc.section("controls", "Negative controls", "; ".join(said) + ".", parts, numbers=numbers)


def _permuted_figure(told: Facts) -> doc.Part:
    values = told["values"]
    beyond = f"P {p_value(told['p'])}" if told["p"] is not None else "no P value"
    return doc.figure(
        "permuted",
        "histogram",
        "AUC on permuted outcomes",
        f"{plural(len(values), 'AUC')} on permuted outcomes around {real(told['mean'])}; with the real outcomes "
        f"{real(told['real'])}.",
        f"AUC of {plural(len(values), 'fit')} on permuted outcomes (bars) and on the real ones (line), both by the "
        f"same cheap procedure: {told['label'].rstrip('.')}. {beyond[0].upper()}{beyond[1:]}: how often permuted "
        "outcomes did as well.",
        {
            **_bins(values, told["real"]),
            "mark": told["real"],
            "mark_label": f"real {real(told['real'])}",
            "chance": 0.5,
            "chance_label": "chance",
            "label": "AUC",
            "mean": told["mean"],
            "p": [told["p"], LEAST_P],
            "label_text": told["label"],
            "n": len(values),
        },
    )


def _bins(values: list[float], real_value: float | None) -> dict[str, Any]:
    """Counts of values in bins of equal width over ticks that hold everything drawn."""
    shown = [*values, 0.3, 0.7, *([real_value] if real_value is not None else [])]
    low, high = int(min(shown) * 10 + 1e-9) / 10, min(1.0, (int(max(shown) * 10 - 1e-9) + 1) / 10)
    width = (high - low) / BINS
    counts = [0] * BINS
    for value in values:
        counts[min(int((value - low) / width), BINS - 1)] += 1
    ticks = [tenth / 10 for tenth in range(round(low * 10), round(high * 10) + 1)]
    bars = [{"from": low + place * width, "to": low + (place + 1) * width, "k": k} for place, k in enumerate(counts)]
    return {"bars": bars, "ticks": ticks}


def published_section(evaluation: Facts, audit: Facts) -> doc.Section | None:
    """The appendix: the paper's own order of steps, with what it gives where there is nothing; None if not run."""
    told = evaluation["published"]
    if not told:
        return None
    permuted = told["permuted"]
    on_noise = f" On permuted outcomes the same order gives {real(permuted['auc'])}." if permuted else ""
    sentence = (
        f"Not a result. In the paper's own order of steps the same data give AUC {real(told['auc'])}; nested it is "
        f"{real(told['nested'])}, {real(abs(told['gap']))} {'less' if told['gap'] >= 0 else 'more'}.{on_noise}"
    )
    parts = [_published_figure(told), *_published_tables(told), _flagged(audit)]
    numbers = {
        **{key: told[key] for key in ("auc", "sd", "low", "high", "divisions", "nested", "gap", "choice")},
        "permuted": {key: permuted[key] for key in ("auc", "sd", "low", "high")} if permuted else None,
        "zero": 0,
        "flags": _flag_codes(audit),
        "checks": (audit.get("as_published") or {}).get("of"),
    }
    body = [{"kind": "marked", "word": NOT_A_RESULT, "parts": parts}]
    return doc.section("as-published", "Appendix: as published", sentence, body, numbers=numbers)


def _published_figure(told: Facts) -> doc.Part:
    def row(label: str, values: Facts, tone: str) -> dict[str, Any]:
        return {
            "label": label,
            "sub": "",
            "group": "",
            "tone": tone,
            "estimate": values["auc"],
            "low": values.get("low"),
            "high": values.get("high"),
        }

    rows = [row("As published", told, "published")]
    if told["permuted"]:
        rows.append(row("As published, permuted outcomes", told["permuted"], "control"))
    rows.append(row("Nested, the answer of this page", {"auc": told["nested"]}, "main"))
    return doc.figure(
        "published",
        "forest",
        "AUC as published, on permuted outcomes, and nested",
        ". ".join(f"{entry['label']}: {real(entry['estimate'])}" for entry in rows) + ".",
        f"Mean AUC over {plural(told['divisions'], 'division')}; lines: smallest to largest, no interval. "
        f"{told['choice'][:1].upper()}{told['choice'][1:].rstrip('.')}.",
        {
            "rows": rows,
            **axis_of(rows),
            "divisions": told["divisions"],
            "choice_text": told["choice"],
        },
    )


def _published_tables(told: Facts) -> list[doc.Part]:
    leaks = doc.table(
        "leaks-table",
        "Which leaks this order has.",
        [doc.column("code", "Check", "code"), doc.column("text", "Leak", "words")],
        [{"code": leak["code"], "text": leak["text"]} for leak in told["leaks"]],
        empty="None: 0 leaks are known of this order.",
    )
    models = doc.table(
        "published-models",
        "Models in that order, best of each division chosen.",
        [
            doc.column("label", "Model"),
            doc.column("chosen", "Chosen in", "share", note="divisions"),
            doc.column("range", "AUC", "interval", note="mean, smallest, largest"),
        ],
        [
            {
                "label": row["label"],
                "chosen": [row["chosen_in"], told["divisions"]] if row["chosen_in"] is not None else None,
                "range": [row["auc"], row["low"], row["high"]],
            }
            for row in told["models"]
        ],
        empty=none_of(0, "model"),
    )
    return [leaks, models]


def _flag_codes(audit: Facts) -> list[str]:
    certificate = audit.get("as_published")
    return [check["code"] for check in certificate["checks"] if check["verdict"] == "fail"] if certificate else []


def _flagged(audit: Facts) -> doc.Part:
    """What the leakage audit says of that order."""
    certificate = audit.get("as_published")
    if not certificate:
        return doc.note("Not done: the audit holds 0 certificates of this order.", title="Audit.")
    codes = _flag_codes(audit)
    if not codes:
        return doc.note(
            f"0 of {plural(certificate['of'], 'check')} flag it; the gap above is then chance or choice.",
            title="Audit.",
        )
    return doc.note(
        f"{len(codes)} of {plural(certificate['of'], 'check')} flag it, as they should: {', '.join(codes)}.",
        title="Audit.",
        tone="bad",
    )
