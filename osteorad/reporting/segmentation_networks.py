"""Tables on the networks themselves: who drew whom, who was left out, and what each network cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from osteorad import reasons
from osteorad.reporting import report as doc
from osteorad.reporting.segmentation_findings import ROLES, Findings
from osteorad.reporting.wording import none_of, plural

RANGE = "median, range"
TIMES = "\u00a0×\u00a0"


def in_fold_masks(findings: Findings) -> tuple[int, int]:
    """Patients drawn by a network that saw them, by the networks' own records, and all patients drawn."""
    seen = {
        (record["network"], f"i{record['inner_fold']}"): {*record["patients_trained"], *record["patients_validation"]}
        for record in findings.networks
    }
    drawn = [(told["network"], entry) for told in findings.drawn for entry in told["patients"] if entry["sessions"]]
    wrong = [
        entry
        for network, entry in drawn
        if any(entry["patient"] in seen[network, inner] for inner in entry["networks"])
    ]
    return len(wrong), len(drawn)


def roles_table(findings: Findings) -> doc.Part:
    """By whom the patients of each role were drawn."""
    rows = []
    for told in findings.drawn:
        for role, words in ROLES.items():
            own = [entry for entry in told["patients"] if entry["role"] == role]
            sessions = [session for entry in own for session in entry["facts"]]
            lost = [session["lost_by_gate"] for session in sessions if session["lost_by_gate"] is not None]
            rows.append(
                {
                    "network": told["network"],
                    "role": words,
                    "by": _by_whom(own),
                    "patients": sum(bool(entry["sessions"]) for entry in own),
                    "sessions": len(sessions),
                    "without": sum(not session["lesions"] for session in sessions),
                    "lost": sum(lost) if lost else None,
                    "left_out": sum(len(entry["left_out"]) for entry in own),
                }
            )
    columns = [
        doc.column("network", "Network"),
        doc.column("role", "Patients"),
        doc.column("by", "Drawn by"),
        doc.column("patients", "Patients", "count"),
        doc.column("sessions", "Cases", "count"),
        doc.column("without", "Cases", "count", note="nothing drawn"),
        doc.column("lost", "Lost by the gate", "count", note="components"),
        doc.column("left_out", "Cases", "count", note="not drawn"),
    ]
    caption = (
        "Who was drawn by whom: patients out of fold by the network that skipped them, held-out patients by the mean "
        "of all networks of the folds. None draws a patient from whom it learned or who chose its epoch."
    )
    return doc.table("roles-table", caption, columns, rows, empty=none_of(0, "network"))


def _by_whom(entries: Sequence[Mapping[str, Any]]) -> str:
    sizes = sorted({len(entry["networks"]) for entry in entries})
    if not sizes:
        return "nobody"
    return "one network" if sizes == [1] else f"{sizes[-1]} together"


def left_out_table(findings: Findings) -> doc.Part:
    """Cases that a network did not learn from, or that were not drawn, with the reason."""
    counted: dict[tuple[str, str, str], int] = {}
    for record in findings.networks:
        for row in record["left_out"]:
            key = (str(record["network"]), f"trained\u00a0i{record['inner_fold']}", str(row["reason"]))
            counted[key] = counted.get(key, 0) + 1
    for told in findings.drawn:
        for row in (left for entry in told["patients"] for left in entry["left_out"]):
            key = (str(told["network"]), "drawn", str(row["reason"]))
            counted[key] = counted.get(key, 0) + 1
    rows = [
        {"network": network, "when": when, "count": number, "reason": code, "words": reasons.reason(code).sentence}
        for (network, when, code), number in sorted(counted.items())
    ]
    columns = [
        doc.column("network", "Network"),
        doc.column("when", "When"),
        doc.column("count", "Cases", "count"),
        doc.column("reason", "Reason", "code"),
        doc.column("words", "What it means", "words"),
    ]
    used = int(findings.flow["used"]["samples"])
    caption = "Cases left out after the flow above, each with its reason."
    facts = {"used": used, "zero": 0}
    return doc.table("left-out-table", caption, columns, rows, empty=none_of(used, "case"), facts=facts)


# --- what the networks are --------------------------------------------------------------------------------------------


def networks_table(findings: Findings) -> doc.Part:
    """What the networks cost, a row a class; times change from run to run and stand elsewhere."""
    rows = [_network_row(name, findings) for name in findings.names]
    columns = [
        doc.column("network", "Network"),
        doc.column("class", "Class", "code"),
        doc.column("weights", "Weights", "count"),
        doc.column("count", "Trained", "count"),
        doc.column("patch", "Patch", note="voxels"),
        doc.column("batch", "Batch"),
        doc.column("spacing", "Spacing", note="mm"),
        doc.column("steps", "Steps", "range", digits=0, note=RANGE),
        doc.column("epoch", "Epoch taken", "range", digits=0, note=RANGE),
        doc.column("learned", "Learned from", "range", digits=0, note="patients"),
        doc.column("chose", "Chose the epoch", "range", digits=0, note="patients"),
        doc.column("device", "Device"),
        doc.column("same", "Repeats to the bit", "state"),
    ]
    name = findings.analysis["name"]
    caption = (
        "What the networks cost. Times change from run to run and would change this page with them; they stand in "
        f"benchmarks/train_network/{name} and benchmarks/predict_masks/{name}."
    )
    return doc.table("networks-table", caption, columns, rows, empty=none_of(0, "network"), facts={"analysis": name})


def _network_row(name: str, findings: Findings) -> dict[str, Any]:
    """One compared network over its folds; what the folds planned differently is listed."""
    own = [record for record in findings.networks if record["network"] == name]
    plans = [record["plan"] for record in own]
    same = all(record["deterministic"] for record in own)
    return {
        "network": name,
        "class": plans[0]["network"],
        "weights": own[0]["parameters"],
        "count": len(own),
        "patch": _distinct([TIMES.join(str(edge) for edge in plan["patch"]) for plan in plans]),
        "batch": _distinct([str(plan["batch"]) for plan in plans]),
        "spacing": _distinct([_spacing(plan["spacing_mm"]) for plan in plans]),
        "steps": _range([record["steps"] for record in own]),
        "epoch": _range([record["best_epoch"] for record in own]),
        "learned": _range([len(record["patients_trained"]) for record in own]),
        "chose": _range([len(record["patients_validation"]) for record in own]),
        "device": _distinct([str(record["device_name"]) for record in own]),
        "same": {"word": "yes", "tone": "none"} if same else {"word": "no", "tone": "warn"},
    }


def _distinct(words: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(words))


def _range(values: Sequence[int]) -> list[float]:
    return [float(median(values)), float(min(values)), float(max(values))]


def _spacing(spacing_mm: Sequence[float | None] | None) -> str:
    if spacing_mm is None:
        return "as in the image"
    return TIMES.join("own" if value is None else f"{value:.2f}".rstrip("0").rstrip(".") for value in spacing_mm)


def gate_costs(findings: Findings) -> list[str]:
    """A sentence for each gated network on what its gate cost."""
    told = []
    for drawn in findings.drawn:
        lost = [
            s["lost_by_gate"] for entry in drawn["patients"] for s in entry["facts"] if s["lost_by_gate"] is not None
        ]
        if lost:
            told.append(
                f"{drawn['network']} looks inside the bone of {drawn['gate']}: {plural(sum(lost), 'component')} in "
                f"{plural(len(lost), 'case')} lay outside and were lost."
            )
    return told
