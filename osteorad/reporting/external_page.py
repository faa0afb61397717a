"""The page of an external validation: a frozen model on another cohort, and how far it carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteorad.files import read_json, write_json, write_text
from osteorad.reporting import analysis_sections as shared
from osteorad.reporting import comparisons, sentences
from osteorad.reporting import report as doc
from osteorad.reporting.checklists import checklists_section, facts_of
from osteorad.reporting.glossary import glossary_section
from osteorad.reporting.render import render_page
from osteorad.reporting.settings_part import HISTORY, flat, provenance_section
from osteorad.reporting.wording import LEAST_P, count, none_of, percent, plural, real, tidy

Facts = Mapping[str, Any]


def write_external_page(
    *,
    analysis: Facts,
    evaluation: Path | Facts,
    flow: Path | Facts,
    recipe: Facts,
    versions: Facts,
    hashes: Facts,
    out_html: Path,
    out_json: Path,
) -> None:
    """Write report.html (under 2 MB) and report.json of an external validation.

    analysis : its settings with `name`, as for an analysis page. evaluation : of procedure `external`. flow : of the
    new cohort's samples. recipe : as the bundle's. A refused bundle has the page of a refused analysis.
    """
    told = evaluation if isinstance(evaluation, Mapping) else read_json(evaluation)
    passed = flow if isinstance(flow, Mapping) else read_json(flow)
    whole = external_report(
        analysis=analysis, evaluation=told, flow=passed, recipe=recipe, versions=versions, hashes=hashes
    )
    write_text(out_html, render_page(whole))
    write_json(out_json, whole)


def external_report(
    *, analysis: Facts, evaluation: Facts, flow: Facts, recipe: Facts, versions: Facts, hashes: Facts
) -> doc.Report:
    """The dict of an external page; reads no file."""
    counts, frozen = evaluation["counts"], evaluation["external"]["bundle"]
    notice = sentences.mechanical_note(evaluation, str(analysis.get("test_only") or ""))
    sections = [
        answer_section(analysis, evaluation, notice),
        shared.patients_section(flow, evaluation),
        transport_section(evaluation),
        performance_section(evaluation, str(analysis["outcome_label"])),
        comparisons.models_section(evaluation),
        comparisons.subgroups_section(evaluation),
        settings_section(analysis, frozen),
        provenance_section(versions, hashes, [str(analysis.get("citation") or "")]),
    ]
    shown = [section for section in sections if section is not None]
    facts = facts_of(recipe, evaluation, external=True, images=bool(recipe["images"]))
    shown.insert(-2, checklists_section(shown, facts, analysis.get("statements") or {}, cohort=analysis["cohort"]))
    shown.append(glossary_section(shown))
    chips = [{"text": "External validation, frozen model", "tone": "plain"}]
    if evaluation["too_few_events"]:
        text = f"Too few events: {counts['minority']} of {counts['minority_needed']}"
        chips.insert(0, {"text": text, "tone": "warn"})
    whole = doc.report(
        "external",
        str(analysis["name"]),
        str(analysis.get("title") or analysis["name"]),
        subtitle=(
            f"The model of {frozen['analysis']} (fitted on {plural(frozen['patients'], 'patient')}) on cohort "
            f"{analysis['cohort']}: {plural(counts['patients'], 'patient')}, {counts['events']} with "
            f"{analysis['outcome_label']}."
        ),
        state=state_line(evaluation),
        sections=shown,
        chips=chips,
        notice=notice,
        numbers={
            "counts": counts,
            "answer": {key: value for key, value in evaluation["answer"].items() if key != "sentences"},
            "bundle": frozen,
            "cohort": analysis["cohort"],
            "outcome": analysis["outcome_label"],
        },
        up={"text": "All reports", "href": "../../index.html"},
        also=[HISTORY],
    )
    return tidy(whole)


def state_line(evaluation: Facts) -> str:
    """One line for the index page."""
    answer, counts = evaluation["answer"], evaluation["counts"]
    events = f"{count(counts['events'])} events in {plural(counts['patients'], 'patient')}"
    if answer["kind"] != "result":
        return f"too few events: {counts['minority']} of {counts['minority_needed']}, {events}; external"
    return f"AUC {real(answer['auc'])} ({real(answer['low'])} to {real(answer['high'])}), {events}; external"


def answer_section(analysis: Facts, evaluation: Facts, notice: str) -> doc.Section:
    """The headline in the new cohort, by rule."""
    answer, primary = evaluation["answer"], evaluation["primary"]
    forest = [comparisons.forest_part(evaluation, None)]
    parts: list[doc.Part] = []
    if answer["kind"] == "result":
        low, high = real(answer["low"]), real(answer["high"])
        text = f"{percent(evaluation['level'])} interval {low} to {high}"
        parts.append(
            {"kind": "big", "value": answer["auc"], "digits": 2, "label": "AUC", "text": text, "parts": forest}
        )
    parts.append(doc.note(sentences.estimand_sentence(evaluation), title="What is estimated."))
    if notice:
        parts.append(doc.note(notice, title="What this run proves.", tone="warn"))
    numbers = {
        "answer": {key: value for key, value in answer.items() if key != "sentences"},
        "primary": {key: primary[key] for key in ("estimate", "low", "high", "estimand", "method", "coverage")},
        "counts": evaluation["counts"],
        "patient_level": evaluation["patient_level"],
        "differences": evaluation["differences"],
        "multiplicity": evaluation["multiplicity"],
        "least": LEAST_P,
        "level": evaluation["level"],
        "chance": 0.5,
        "outcome": analysis["outcome_label"],
        "test_only": analysis.get("test_only"),
    }
    return doc.section("answer", "Answer", " ".join(answer["sentences"]), parts, numbers=numbers)


def transport_section(evaluation: Facts) -> doc.Section:
    """Frozen against recalibrated, and how much of the new cohort lies outside the training ranges."""
    told = evaluation["external"]
    outside = told["outside_ranges"]
    sentence = (
        f"On average {percent(outside['share'])} of a sample's features lie outside the range of the patients whom the "
        f"model was fitted on; {outside['any']} of {plural(outside['n'], 'sample')} have one or more outside."
    )
    parts = [
        recalibration_table(told["recalibrated"]),
        doc.note(told["note"], title="Recalibration."),
        ranges_table(outside),
    ]
    numbers = {"outside": {key: outside[key] for key in ("share", "any", "n")}, "bundle": told["bundle"], "zero": 0}
    return doc.section("transport", "Transport", sentence, parts, numbers=numbers)


def recalibration_table(rows: Sequence[Facts]) -> doc.Part:
    """The frozen probabilities beside those shifted and stretched to this cohort."""
    columns = [
        doc.column("name", "Probabilities"),
        doc.column("intercept", "Shift", "real", note="log odds"),
        doc.column("slope", "Stretch", "real"),
        doc.column("brier", "Brier score", "real", digits=3),
        doc.column("in_the_large", "Calibration in the large", "real"),
        doc.column("calibration_slope", "Calibration slope", "real"),
    ]
    caption = (
        "The frozen model, and the same recalibrated on this cohort's own outcomes. Only the first row is a test: the "
        "others have seen the outcomes."
    )
    shown = [{**row, "tone": "main" if place == 0 else ""} for place, row in enumerate(rows)]
    return doc.table("recalibration-table", caption, columns, shown, empty=none_of(0, "recalibration"))


def ranges_table(outside: Facts) -> doc.Part:
    """Samples with features outside the training ranges, the farthest first."""
    columns = [
        doc.column("sample", "Sample", "code"),
        doc.column("share", "Features outside", "percent", digits=0, note="training range"),
    ]
    shown = f"{len(outside['rows'])} of {outside['any']}"
    caption = (
        "Samples with features outside the 1st to 99th percentile of the model's own patients, the farthest first: "
        f"{shown} are listed."
    )
    facts = {"any": outside["any"], "shown": len(outside["rows"]), "range": [1, 99]}
    empty = none_of(outside["n"], "sample")
    return doc.table("ranges-table", caption, columns, outside["rows"], empty=empty, facts=facts)


def performance_section(evaluation: Facts, label: str) -> doc.Section:
    """Curves and decisions of the frozen model."""
    level = evaluation["level"]
    sentence = (
        f"The frozen model and its frozen threshold; bands are {percent(level)} patient bootstrap of this cohort."
    )
    numbers = {"level": level, "patients": evaluation["counts"]["patients"], "zero": 0}
    headless = evaluation["answer"]["kind"] != "result"
    parts = [comparisons.forest_part(evaluation, None)] if headless else []
    parts += shared.performance_parts(evaluation, label)
    return doc.section("performance", "Performance", sentence, parts, numbers=numbers)


def settings_section(analysis: Facts, frozen: Facts) -> doc.Section:
    """What was applied, and the settings of this analysis."""
    card = [{"name": f"bundle.{name}", "value": value} for name, value in flat(dict(frozen))]
    own = [{"name": name, "value": value} for name, value in flat({**analysis, "statements": None})]
    columns = [doc.column("name", "Setting", "code"), doc.column("value", "Value")]
    caption = "The bundle that was applied, and the settings of this analysis."
    table = doc.table("settings-table", caption, columns, [*card, *own], empty=none_of(0, "setting"))
    sentence = f"{plural(len(own) + len(card), 'setting')}; nothing was fitted here but the recalibration."
    numbers = {"settings": len(own) + len(card)}
    return doc.section("settings", "Settings", sentence, [table], numbers=numbers)
