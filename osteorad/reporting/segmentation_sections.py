"""Sections of the page of a segmentation analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from osteorad.reporting import flow_data
from osteorad.reporting import report as doc
from osteorad.reporting import segmentation_curves as curves
from osteorad.reporting import segmentation_networks as networks
from osteorad.reporting import segmentation_parts as parts
from osteorad.reporting import segmentation_sentences as sentences
from osteorad.reporting.contact_sheet import RANGES, Sheet, window_words
from osteorad.reporting.segmentation_findings import (
    LEAST_PATIENTS,
    LEVEL,
    NETWORK,
    ROLES,
    THRESHOLD,
    Findings,
)
from osteorad.reporting.segmentation_methods import methods_texts
from osteorad.reporting.sentences import settings_compared
from osteorad.reporting.settings_part import flat
from osteorad.reporting.wording import count, none_of, percent, plural, real
from osteorad.segmentation.hu_threshold import HuRule

Facts = Mapping[str, Any]
DEVICES = {"cpu": "a CPU"}  # others have names of their own


def answer_section(findings: Findings, notice: str) -> doc.Section:
    """The headline; with too few patients no number stands in it."""
    name = findings.best()
    role = findings.leading_role(name)
    figures = [curves.dice_forest(findings)]
    body: list[doc.Part] = []
    if role is not None:
        found = findings.score(name, role)
        assert found is not None
        dice = found["dice"]
        text = f"mean Dice of {name}, {ROLES[role]}"
        if dice["low"] is not None:
            text += f"; {percent(LEVEL)} interval {real(dice['low'])} to {real(dice['high'])}"
        body.append(
            {"kind": "big", "value": dice["estimate"], "digits": 2, "label": "Dice", "text": text, "parts": figures}
        )
    else:
        body += figures
    body.append(
        doc.note(sentences.rule_words(findings), title="What counts as found.", facts=findings.scores[0]["rule"])
    )
    if notice:
        body.append(doc.note(notice, title="What this run proves.", tone="warn"))
    numbers = {
        "best": name,
        "role": role,
        "level": LEVEL,
        "least": LEAST_PATIENTS,
        "networks": len(findings.names),
        "patients_with_lesion": {r: findings.patients_with_lesion(name, r) for r in ROLES},
        "scores": {r: _short(findings, name, r) for r in ROLES},
        "baseline": {r: _short(findings, name, r, THRESHOLD) for r in ROLES},
        "test_only": findings.analysis.get("test_only"),
    }
    return doc.section("answer", "Answer", " ".join(sentences.answer_sentences(findings)), body, numbers=numbers)


def _short(findings: Findings, name: str, role: str, procedure: str = NETWORK) -> dict[str, Any] | None:
    found = findings.score(name, role, procedure=procedure)
    if found is None:
        return None
    kept = ("patients", "cases", "n", "n_negative", "n_undefined", "dice", "false_positives")
    lesions = {key: found["lesions"][key] for key in ("n", "found", "sensitivity")}
    return {**{key: found[key] for key in kept}, "lesions": lesions}


def patients_section(findings: Findings) -> doc.Section:
    """Flow of cases, and who was drawn by whom."""
    used = findings.flow["used"]
    stages = flow_data.chart_stages(findings.flow["stages"])
    wrong, drawn = networks.in_fold_masks(findings)
    sentence = (
        f"{plural(used['patients'], 'patient')} with {plural(used['samples'], 'case')} entered. "
        f"{count(wrong)} of {count(drawn)} drawings were made by a network that had seen the patient."
    )
    chart = doc.figure(
        "flow",
        "flow",
        "Flow of cases",
        flow_data.flow_desc(stages),
        "From the cohort to the cases of this analysis: in = used + set aside at every stage.",
        {"stages": stages},
    )
    body = [chart, networks.roles_table(findings), networks.left_out_table(findings)]
    body += [doc.note(words, title="Gate.") for words in networks.gate_costs(findings)]
    sampled = {told["network"]: told["not_sampled"] for told in findings.drawn}
    numbers = {"used": used, "in_fold": wrong, "drawn": drawn, "zero": 0, "not_sampled": sampled,
               "gate": networks.gate_costs(findings)}  # fmt: skip
    return doc.section("patients", "Patients", sentence, body, numbers=numbers)


def overlap_section(findings: Findings) -> doc.Section:
    """Voxels: how well masks cover each other."""
    sentence = (
        f"{plural(len(findings.names), 'network')}, in held-out patients and out of fold; intervals are "
        f"{percent(LEVEL)} patient bootstrap."
    )
    body = [parts.overlap_table(findings, role) for role in parts.roles_of(findings)]
    if findings.bone is not None:
        own = parts.roles_of(findings, findings.bone)
        body += [parts.overlap_table(findings, role, findings.bone) for role in own]
    numbers = {"networks": len(findings.names), "level": LEVEL}
    return doc.section("overlap", "Overlap of masks", sentence, body, numbers=numbers)


def lesions_section(findings: Findings) -> doc.Section:
    """Lesions: found, missed, invented."""
    name = findings.best()
    told = [
        f"{ROLES[role]} {sentences.found_words(found)}"
        for role in ROLES
        if (found := findings.score(name, role)) and found["lesions"]["n"]
    ]
    sentence = f"{name}: {'; '.join(told)}." if told else f"None: 0 {findings.lesion}s were to be found."
    roles = parts.roles_of(findings)
    body = [
        *(parts.found_table(findings, role) for role in roles),
        *curves.froc_parts(findings),
        *(parts.froc_table(findings, role) for role in roles),
        *curves.lesion_bars(findings),
        *(parts.group_table(findings, role) for role in roles),
    ]
    numbers = {"zero": 0, "scores": {r: _short(findings, name, r) for r in ROLES}}
    return doc.section("lesions", "Lesions found", sentence, body, numbers=numbers)


def sheet_section(findings: Findings, sheet: Sheet) -> doc.Section:
    """Pictures of cases, the worst first."""
    sentence = (
        f"{sheet.shown} of {plural(sheet.of, 'case')} of {findings.best()}, from the worst to the best by Dice; "
        f"{window_words(sheet.units)}."
    )
    numbers = {"shown": sheet.shown, "of": sheet.of, "window": list(RANGES[sheet.units]), "zero": 0}
    body = [sheet.part] if sheet.shown else [doc.note(none_of(sheet.of, "case"))]
    return doc.section("cases", "Cases", sentence, body, numbers=numbers)


def training_section(findings: Findings) -> doc.Section:
    """How the networks learned, and what they cost."""
    records = findings.networks
    devices = sorted({DEVICES.get(record["device_name"], str(record["device_name"])) for record in records})
    sentence = (
        f"Trained: {plural(len(records), 'network')}, on {' and '.join(devices)}, one a fold of each class; none draws "
        "a patient whom it learned from."
    )
    body = [*curves.training_parts(findings), networks.networks_table(findings)]
    fallback = sum(bool(record["fallback"]) for record in records)
    if fallback:
        words = f"{plural(fallback, 'network')} learned on a CPU, since no GPU was there."
        body.append(doc.note(words, title="No GPU.", tone="warn"))
    numbers = {"networks": len(records), "devices": devices, "fallback": fallback}
    return doc.section("training", "Training", sentence, body, numbers=numbers)


def methods_section(findings: Findings, versions: Facts) -> doc.Section:
    """Methods in words, from the settings."""
    texts = methods_texts(findings, versions)
    settings = findings.recipe["segmentation"]
    folds = int(findings.recipe["splits"]["folds"])
    numbers = {
        "recipe": findings.recipe,
        "cohort": findings.analysis["cohort"],
        "used": findings.flow["used"],
        "folds_less_one": folds - 1,
        "networks": len(findings.names),
        "prediction": settings["prediction"],
        "rule": findings.scores[0]["rule"],
        "bootstrap": findings.scores[0]["bootstrap"],
        "losses": [0.7, 0.3],
        "percentiles": [0.5, 99.5],
        "paragraphs": len(texts),
        "baseline": asdict(HuRule()),
        "torch": versions.get("torch"),
    }
    sentence = f"Written from the settings of this run, in {plural(len(texts), 'paragraph')}."
    return doc.section("methods", "Methods", sentence, [doc.paragraphs(texts)], numbers=numbers)


def settings_section(recipe: Facts, written: Facts, overrides: Facts) -> doc.Section:
    """The recipe as written and as used."""
    told = {"citation", "title", "assumed"}
    before, after = (flat({key: one[key] for key in one if key not in told}) for one in (written, recipe))
    rows = settings_compared(before, after, overrides)
    sentence = (
        f"{plural(len(overrides), 'override')} of the recipe {recipe['name']}, marked; everything else as written."
        if overrides
        else f"None: 0 of {plural(len(rows), 'setting')} of the recipe {recipe['name']} overridden."
    )
    columns = [
        doc.column("name", "Setting", "code"),
        doc.column("written", "Recipe"),
        doc.column("here", "Here"),
        doc.column("state", "State", "state"),
    ]
    caption = "The recipe and what this analysis changed."
    body = doc.table("settings-table", caption, columns, rows, empty=none_of(0, "setting"))
    numbers = {"overrides": len(overrides), "rows": len(rows), "zero": 0, "recipe": recipe["name"]}
    return doc.section("settings", "Settings and overrides", sentence, [body], numbers=numbers)
