"""Tables of scores on the segmentation page: overlap, lesions found, free-response values, groups of lesions."""

from __future__ import annotations

from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.segmentation_curves import groups_of, label_words
from osteorad.reporting.segmentation_findings import BASELINE, LEVEL, ROLES, THRESHOLD, Facts, Findings
from osteorad.reporting.segmentation_sentences import limits, rule_words
from osteorad.reporting.wording import none_of, percent

SURFACE = "surface_dice_"  # then the tolerance


def rows_of(findings: Findings, role: str, roi: str | None = None) -> list[tuple[dict[str, Any], Facts]]:
    """First cell of a row and its numbers: each network that drew patients of a role, and the baseline of the best."""
    best = findings.best()
    found = []
    for name in findings.names:
        if numbers := findings.score(name, role, roi=roi):
            found.append(({"network": name, "tone": "main" if name == best else ""}, numbers))
    baseline = findings.score(best, role, procedure=THRESHOLD) if roi is None else None
    return [*found, *([({"network": BASELINE, "tone": ""}, baseline)] if baseline else [])]


def roles_of(findings: Findings, roi: str | None = None) -> list[str]:
    """Roles in which anybody was drawn, held-out patients first."""
    return [role for role in ROLES if rows_of(findings, role, roi)]


def overlap_table(findings: Findings, role: str, roi: str | None = None) -> doc.Part:
    """Voxel scores of lesions, or of another ROI, in the patients of a role."""
    told = rows_of(findings, role, roi)
    surface = _surface(told[0][1])
    rows = [
        {
            **cells,
            "cases": f"{found['n']} + {found['n_negative']}",
            "n": found["n"],
            "n_negative": found["n_negative"],
            "dice": limits(found["dice"]),
            "precision": found["precision"]["estimate"],
            "recall": found["recall"]["estimate"],
            "surface": found[surface]["estimate"],
            "hd95": found["hd95_mm"]["estimate"],
            "n_undefined": found["n_undefined"],
            "volume_error": found["volume_error_ml"]["estimate"],
        }
        for cells, found in told
    ]
    what = roi or findings.lesion
    columns = [
        doc.column("network", "Network"),
        doc.column("cases", "Cases", note="with + without"),
        doc.column("dice", "Mean Dice", "interval", note=f"{percent(LEVEL)} interval"),
        doc.column("precision", "Precision", "real", note="voxels"),
        doc.column("recall", "Recall", "real", note="voxels"),
        doc.column("surface", "Surface Dice", "real", note=surface.removeprefix(SURFACE).replace("mm", " mm")),
        doc.column("hd95", "HD95", "real", digits=1, note="mm"),
        doc.column("n_undefined", "No HD95", "count", note="cases"),
        doc.column("volume_error", "Volume error", "real", digits=1, note="mL"),
    ]
    caption = (
        f"Patients {ROLES[role]}: overlap of {what} masks, means over cases with something to find. Precision: share "
        "of the drawn voxels that the reader drew; recall: share of the reader's that were drawn. HD95 does not exist "
        "where nothing was drawn."
    )
    name = f"overlap-{'bone' if roi else 'lesion'}-{role.replace('_', '-')}"
    return doc.table(name, caption, columns, rows, empty=none_of(0, "network"), facts={"level": LEVEL})


def _surface(found: Facts) -> str:
    """The surface Dice that is shown: that of the middle tolerance."""
    names = sorted(
        (name for name in found if name.startswith(SURFACE)),
        key=lambda name: float(name.removeprefix(SURFACE).removesuffix("mm")),
    )
    return names[len(names) // 2]


def found_table(findings: Findings, role: str) -> doc.Part:
    """Lesions found, false positives, merges and splits in the patients of a role."""
    rows = [
        {
            **cells,
            "lesions": [found["lesions"]["found"], found["lesions"]["n"]],
            "sensitivity": limits(found["lesions"]["sensitivity"]),
            "wilson": [found["lesions"]["wilson"][limit] for limit in ("low", "high")],
            "per_case": limits(found["false_positives"]["per_case"]),
            "negatives": _right_negatives(found),
            "mixed": f"{found['merges']} and {found['splits']}",
            "dropped": found["dropped"],
        }
        for cells, found in rows_of(findings, role)
    ]
    columns = [
        doc.column("network", "Network"),
        doc.column("lesions", "Found", "share"),
        doc.column("sensitivity", "Lesion sensitivity", "interval", note=f"{percent(LEVEL)} interval"),
        doc.column("wilson", "Wilson", "limits", note="of lesions"),
        doc.column("per_case", "False positives", "interval", note="a case, interval"),
        doc.column("negatives", "Correct", "share", note="negatives"),
        doc.column("mixed", "Merges", note="and splits"),
        doc.column("dropped", "Dropped", "count"),
    ]
    lesion = findings.lesion
    caption = (
        f"Patients {ROLES[role]}: {lesion}s found. {rule_words(findings)} Merge: a component that touches two "
        f"{lesion}s; split: a {lesion} that two components touch. Correct negatives: cases without where nothing was "
        f"drawn. Intervals are drawn over patients; Wilson's takes the {lesion}s of a patient for independent, but has "
        "a width where all is found, or nothing."
    )
    facts = {"level": LEVEL, "rule": findings.scores[0]["rule"]}
    name = f"found-{role.replace('_', '-')}"
    return doc.table(name, caption, columns, rows, empty=none_of(0, "network"), facts=facts)


def _right_negatives(found: Facts) -> list[int] | None:
    share = found["correct_negatives"]["estimate"]
    return None if share is None else [round(share * found["n_negative"]), found["n_negative"]]


def froc_table(findings: Findings, role: str) -> doc.Part:
    """Lesion sensitivity at the usual rates of false positives in the patients of a role."""
    told = [(cells, found) for cells, found in rows_of(findings, role) if found["froc"] is not None]
    rates = [point["false_positives_per_case"] for point in told[0][1]["froc"]["points"]] if told else []
    rows = [
        {
            **cells,
            **{f"at{place}": point["sensitivity"]["estimate"] for place, point in enumerate(found["froc"]["points"])},
            "last": found["froc"]["last"]["false_positives_per_case"],
            "ml": found["false_positives"]["ml_per_case"]["estimate"],
            "end": found["froc"]["last"]["sensitivity"],
        }
        for cells, found in told
    ]
    columns = [
        doc.column("network", "Network"),
        *(doc.column(f"at{place}", f"{rate:g}", "real") for place, rate in enumerate(rates)),
        doc.column("end", "Sensitivity", "real", note="of all components"),
        doc.column("last", "False positives", "real", note="of all components"),
        doc.column("ml", "False volume", "real", note="mL a case"),
    ]
    caption = (
        f"Patients {ROLES[role]}: lesion sensitivity at so many false positives a case; where the components of a "
        f"network end before, the value of its last one stands. {rule_words(findings)}"
    )
    facts = {"rates": rates, "rule": findings.scores[0]["rule"]}
    name = f"froc-table-{role.replace('_', '-')}"
    return doc.table(name, caption, columns, rows, empty=none_of(0, "network"), facts=facts)


def group_table(findings: Findings, role: str) -> doc.Part:
    """Lesion sensitivity by volume, type and place in the patients of a role."""
    told = [(cells["network"], found["lesions"]) for cells, found in rows_of(findings, role)]
    columns = [
        doc.column("label", "Group"),
        doc.column("n", "Lesions", "count"),
        *(doc.column(f"s{place}", name, "interval") for place, (name, _) in enumerate(told)),
    ]
    rows = []
    for _, group, label in groups_of(told[0][1]):
        shown = {f"s{place}": limits(own[group][label]["sensitivity"]) for place, (_, own) in enumerate(told)}
        rows.append({"label": label_words(label), "n": told[0][1][group][label]["n"], **shown})
    caption = (
        f"Patients {ROLES[role]}: lesion sensitivity by volume, type and place, with {percent(LEVEL)} interval. "
        f"{rule_words(findings)}"
    )
    facts = {"level": LEVEL, "rule": findings.scores[0]["rule"]}
    name = f"groups-{role.replace('_', '-')}"
    return doc.table(name, caption, columns, rows, empty=none_of(0, "lesion"), facts=facts)
