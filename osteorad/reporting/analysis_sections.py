"""Sections of the analysis page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteorad.reporting import comparisons, data_sections, flow_data, performance, sentences, usefulness
from osteorad.reporting import report as doc
from osteorad.reporting.settings_part import flat
from osteorad.reporting.wording import LEAST_P, count, listed, none_of, percent, plural, real

Facts = Mapping[str, Any]
VERDICTS = {"fail": "failed", "warn": "with a warning", "not applicable": "not applicable"}
TONES = {"pass": "ok", "fail": "bad", "warn": "warn", "not applicable": "none"}


def answer_section(analysis: Facts, evaluation: Facts, audit: Facts, truth: Facts | None, notice: str) -> doc.Section:
    """The headline. Without a result no AUC stands here; the forest then follows under performance."""
    answer, primary = evaluation["answer"], evaluation["primary"]
    numbers = {
        "answer": {key: value for key, value in answer.items() if key != "sentences"},
        "differences": evaluation["differences"],
        "multiplicity": evaluation["multiplicity"],
        "patient_level": evaluation["patient_level"],
        "least": LEAST_P,
        "counts": evaluation["counts"],
        "level": evaluation["level"],
        "chance": 0.5,
        "estimand": primary["estimand"],
        "method": primary["method"],
        "formula": primary["formula"],
        "coverage": primary["coverage"],
        "truth": truth,
        "audit": [audit["passed"], audit["of"]],
        "estimate": primary["estimate"],
        "outcome": analysis["outcome_label"],
    }
    parts: list[doc.Part] = []
    if sentences.is_result(evaluation, audit):
        text = f"{percent(evaluation['level'])} interval {real(answer['low'])} to {real(answer['high'])}"
        parts.append(
            {
                "kind": "big",
                "value": answer["auc"],
                "digits": 2,
                "label": "AUC",
                "text": text,
                "parts": [comparisons.forest_part(evaluation, truth)],
            }
        )
        parts.append(doc.note(sentences.estimand_sentence(evaluation), title="What is estimated."))
    if notice:
        parts.append(doc.note(notice, title="What this run proves.", tone="warn"))
    if truth is not None:
        parts.append(doc.note(sentences.oracle_sentence(truth, evaluation), title="Phantom."))
    sentence = sentences.answer_sentence(evaluation, audit)
    return doc.section("answer", "Answer", sentence, parts, numbers=numbers)


def patients_section(flow: Facts, evaluation: Facts) -> doc.Section:
    """Flow from the cohort to the samples, and table 1."""
    stages = flow_data.chart_stages(flow["stages"])
    used = flow["used"]
    wrong = [stage["label"] for stage in stages if not stage["adds_up"]]
    sentence = (
        f"{plural(used['patients'], 'patient')}, {used['events']} with and {used['non_events']} without the event, "
        "entered; everyone else stands in a line with a reason."
    )
    if wrong:
        sentence = f"Numbers do not add up at {len(wrong)} of {len(stages)} stages: {', '.join(wrong)}."
    chart = doc.figure(
        "flow",
        "flow",
        "Flow of patients",
        flow_data.flow_desc(stages),
        "From the cohort to the samples of this analysis: in = used + set aside at every stage.",
        {"stages": stages},
    )
    numbers = {"used": used, "wrong": len(wrong), "stages": len(stages), "quarantined": flow.get("quarantined")}
    parts = [chart, data_sections.table_one_part(evaluation)]
    absent = (flow.get("covariates") or {}).get("absent") or []
    if absent:
        words = f"{', '.join(absent)}: not in the clinical table, so not in the clinical model."
        parts.append(doc.note(words, title="Covariates absent."))
        numbers["absent"] = absent
    return doc.section("patients", "Patients", sentence, parts, numbers=numbers)


def performance_section(evaluation: Facts, audit: Facts, label: str, truth: Facts | None) -> doc.Section:
    """Curves and decisions; the forest too where it is no headline."""
    level = evaluation["level"]
    sentence = (
        f"From {sentences.TESTED[evaluation['split']]}; bands and intervals are {percent(level)} patient bootstrap, "
        "conditional on the fitted models."
    )
    parts: list[doc.Part] = []
    if not sentences.is_result(evaluation, audit):
        sentence = "For the mechanics only: none of these is a result. " + sentence
        parts.append(comparisons.forest_part(evaluation, truth))
    parts += performance_parts(evaluation, label)
    numbers = {
        "level": level,
        "repeats": evaluation["counts"]["repeats"],
        "patients": evaluation["counts"]["patients"],
        "zero": 0,
    }
    return doc.section("performance", "Performance", sentence, parts, numbers=numbers)


def performance_parts(evaluation: Facts, label: str) -> list[doc.Part]:
    """Curves, decisions and measures of one set of predictions, of an analysis or an external cohort."""
    row = [
        performance.roc_part(evaluation),
        performance.calibration_part(evaluation),
        usefulness.decision_part(evaluation),
    ]
    decisions = [performance.confusion_part(evaluation, label), performance.measures_table(evaluation)]
    return [
        doc.row_of(row),
        usefulness.waterfall_part(evaluation),
        {"kind": "beside", "parts": decisions},
        *performance.calibration_table(evaluation),
        *performance.patient_level_part(evaluation),
        usefulness.intervals_table(evaluation),
    ]


def audit_section(audit: Facts, lineage: Facts) -> doc.Section:
    """Verdicts of the leakage audit with their evidence."""
    rows = [
        {
            "code": check["code"],
            "title": check["title"],
            "question": check["question"],
            "looked_at": check["looked_at"],
            "finding": check["finding"],
            "verdict": {"word": check["verdict"], "tone": TONES[check["verdict"]]},
            "tone": "",
        }
        for check in audit["checks"]
    ]
    columns = [
        doc.column("code", "Check", "code"),
        doc.column("title", "Name"),
        doc.column("question", "Question"),
        doc.column("looked_at", "Looked at"),
        doc.column("finding", "Found"),
        doc.column("verdict", "Verdict", "state"),
    ]
    evidence = [
        {"code": check["code"], "line": line} for check in audit["checks"] for line in check.get("evidence", [])
    ]
    found = {verdict: sum(check["verdict"] == verdict for check in audit["checks"]) for verdict in TONES}
    others = [f"{number} {words}" for verdict, words in VERDICTS.items() if (number := found[verdict])]
    more = f", {listed(others)}" if others else ""
    sentence = (
        f"{audit['passed']} of {plural(audit['of'], 'check')} passed{more}. They walk "
        "the lineage of every test prediction back to the images."
    )
    parts = [
        doc.table("audit-table", "Checks for leakage.", columns, rows, empty=none_of(0, "check")),
        doc.table(
            "evidence",
            "Evidence.",
            [doc.column("code", "Check", "code"), doc.column("line", "Evidence")],
            evidence,
            empty=none_of(audit["of"], "check") + " No check lists single lines.",
        ),
    ]
    sizes = {name: len(lineage[name]) for name in ("nodes", "edges") if name in lineage}
    if sizes:
        words = " and ".join(f"{count(size)} {name}" for name, size in sizes.items())
        parts.append(doc.note(f"{words} in lineage.json, from the predictions back to the inputs.", title="Lineage."))
    numbers = {"passed": audit["passed"], "of": audit["of"], "zero": 0, "verdicts": found, "lineage": sizes}
    return doc.section("audit", "Audit", sentence, parts, numbers=numbers)


def methods_section(
    analysis: Facts, recipe: Facts, evaluation: Facts, flow: Facts, versions: Facts, lineage: Facts
) -> doc.Section:
    """Methods in words, from the settings."""
    networks = sum(node["kind"] == "network" for node in lineage.get("nodes", ()))
    texts = sentences.methods_texts(analysis, recipe, evaluation, flow, versions, networks=networks)
    primary = evaluation["primary"]
    numbers = {
        "recipe": recipe,
        "counts": evaluation["counts"],
        "used": flow["used"],
        "horizon_days": analysis.get("horizon_days"),
        "cohort": analysis["cohort"],
        "outcome": analysis["outcome_label"],
        "models": len(recipe["models"]),
        "steps": [step["settings"] for step in recipe["steps"]],
        "comparisons": evaluation["multiplicity"]["comparisons"],
        "permutations": (evaluation["controls"]["permuted"] or {}).get("n"),
        "scaled_to": [0, 1],
        "extractor": {name: version for name, version in versions.items() if "pyradiomics" in name},
        "estimand": primary["estimand"],
        "method": primary["method"],
    }
    if evaluation.get("automatic"):
        numbers |= {"automatic": evaluation["automatic"], "networks": networks}
    sentence = f"Written from the settings of this run, in {plural(len(texts), 'paragraph')}."
    numbers["paragraphs"] = len(texts)
    return doc.section("methods", "Methods", sentence, [doc.paragraphs(texts)], numbers=numbers)


def settings_section(recipe: Facts, written: Facts, overrides: Facts) -> doc.Section:
    """The recipe as written and as used."""
    rows = sentences.settings_compared(_steps_named(written), _steps_named(recipe), overrides)
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
    body = doc.table(
        "settings-table", "The recipe and what this analysis changed.", columns, rows, empty=none_of(0, "setting")
    )
    numbers = {"overrides": len(overrides), "rows": len(rows), "zero": 0, "recipe": recipe["name"]}
    return doc.section("settings", "Settings and overrides", sentence, [body], numbers=numbers)


def _steps_named(recipe: Facts) -> list[tuple[str, str]]:
    """The recipe's settings flat, each step under its place and name; prose about the paper left out."""
    plain = {key: value for key, value in recipe.items() if key not in ("steps", "citation", "title")}
    steps = {f"{place} {step['step']}": step.get("settings") or {} for place, step in enumerate(recipe["steps"], 1)}
    return flat({**plain, "steps": steps})
