"""The page of an analysis: the answer first, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osteorad.files import read_json, write_json, write_text
from osteorad.reporting import analysis_sections as parts
from osteorad.reporting import comparisons, data_sections, sentences
from osteorad.reporting import report as doc
from osteorad.reporting.checklists import checklists_section, facts_of
from osteorad.reporting.controls_part import controls_section, published_section
from osteorad.reporting.glossary import glossary_section
from osteorad.reporting.nomogram_part import nomogram_part
from osteorad.reporting.render import render_page
from osteorad.reporting.selection_part import selection_section
from osteorad.reporting.settings_part import HISTORY, provenance_section
from osteorad.reporting.wording import plural, tidy

Facts = Mapping[str, Any]

VERDICT_WORDS = {"pass": "passed", "fail": "FAILED", "warn": "passed with warnings"}

DESIGNS = {
    "folds": "{repeats} × {folds} nested folds, by patient",
    "hold-out": "{repeats} nested hold-outs, by patient",
    "site": "{folds} nested folds, one a site",
    "column": "{folds} nested folds, as a column says",
}


def write_analysis_page(
    *,
    analysis: Facts,
    evaluation: Path | Facts,
    audit: Path | Facts,
    flow: Path | Facts,
    lineage: Path | Facts | None,
    bundle: Path | Facts | None,
    recipe: Facts,
    written: Facts | None,
    overrides: Facts,
    versions: Facts,
    hashes: Facts,
    truth: Path | Facts | None,
    out_html: Path,
    out_json: Path,
) -> None:
    """Write report.html (under 2 MB) and report.json of an analysis.

    analysis : its settings with `name`, title, cohort, recipe, outcome_label, horizon_days, test_only, and where known
    cutoff, citation, statements. evaluation, audit, flow, lineage, bundle : as the modelling room writes them; without
    a bundle no nomogram is drawn. recipe : as used; written :
    as in its file, before the overrides (None: nothing is compared). truth : a phantom's {"oracle_auc", ...}, or None.
    """
    whole = analysis_report(
        analysis=analysis,
        evaluation=_content(evaluation),
        audit=_content(audit),
        flow=_content(flow),
        lineage=_content(lineage) if lineage is not None else {},
        bundle=_content(bundle) if bundle is not None else None,
        recipe=recipe,
        written=written if written is not None else recipe,
        overrides=overrides,
        versions=versions,
        hashes=hashes,
        truth=_content(truth) if truth is not None else None,
    )
    write_text(out_html, render_page(whole))
    write_json(out_json, whole)


def _content(source: Path | str | Facts) -> Facts:
    return source if isinstance(source, Mapping) else read_json(source)


def analysis_report(
    *,
    analysis: Facts,
    evaluation: Facts,
    audit: Facts,
    flow: Facts,
    lineage: Facts,
    bundle: Facts | None,
    recipe: Facts,
    written: Facts,
    overrides: Facts,
    versions: Facts,
    hashes: Facts,
    truth: Facts | None,
) -> doc.Report:
    """The dict of an analysis page; reads no file."""
    notice = sentences.mechanical_note(evaluation, str(analysis.get("test_only") or ""))
    state = sentences.state_line(evaluation, audit)
    counts = evaluation["counts"]
    label = str(analysis["outcome_label"])
    nomogram, why = nomogram_part(bundle, evaluation)
    sections = [
        parts.answer_section(analysis, evaluation, audit, truth, notice),
        parts.patients_section(flow, evaluation),
        data_sections.data_section(evaluation),
        parts.performance_section(evaluation, audit, label, truth),
        comparisons.models_section(evaluation),
        comparisons.subgroups_section(evaluation),
        selection_section(evaluation),
        data_sections.clinical_section(evaluation, nomogram, why),
        controls_section(evaluation),
        parts.audit_section(audit, lineage),
        parts.methods_section(analysis, recipe, evaluation, flow, versions, lineage),
        parts.settings_section(recipe, written, overrides),
        provenance_section(versions, hashes, _citations(analysis, recipe)),
    ]
    shown = [section for section in sections if section is not None]
    facts = facts_of(recipe, evaluation, external=False, images=bool(recipe["images"]))
    shown.insert(-2, checklists_section(shown, facts, analysis.get("statements") or {}, cohort=analysis["cohort"]))
    if (appendix := published_section(evaluation, audit)) is not None:
        shown.append(appendix)
    shown.append(glossary_section(shown))
    whole = doc.report(
        "analysis",
        str(analysis["name"]),
        str(analysis.get("title") or analysis["name"]),
        subtitle=_subtitle(analysis, recipe, counts),
        state=state,
        sections=shown,
        chips=_chips(audit, counts, evaluation["split"]),
        notice=notice,
        numbers={
            "counts": counts,
            "answer": evaluation["answer"],
            "audit": [audit["passed"], audit["of"]],
            "cutoff": analysis.get("cutoff"),
            "horizon": analysis.get("horizon_days"),
            "recipe": recipe["name"],
            "cohort": analysis["cohort"],
            "outcome": analysis["outcome_label"],
        },
        up={"text": "All reports", "href": "../../index.html"},
        also=[HISTORY],
    )
    return tidy(whole)


def _subtitle(analysis: Facts, recipe: Facts, counts: Facts) -> str:
    horizon = analysis.get("horizon_days")
    within = f" within {plural(horizon, 'day')}" if horizon else ""
    words = (
        f"Recipe {recipe['name']} on cohort {analysis['cohort']}: {plural(counts['patients'], 'patient')}, "
        f"{counts['events']} with {analysis['outcome_label']}{within}."
    )
    return words + (f" Data cut-off {analysis['cutoff']}." if analysis.get("cutoff") else "")


def _chips(audit: Facts, counts: Facts, split: str) -> list[dict[str, str]]:
    words = f"Audit {VERDICT_WORDS[audit['verdict']]}: {audit['passed']} of {audit['of']} checks"
    chips = [{"text": words, "tone": parts.TONES[audit["verdict"]]}]
    if counts["minority"] < counts["minority_needed"]:
        text = f"Too few events: {counts['minority']} of {counts['minority_needed']}"
        chips.append({"text": text, "tone": "warn"})
    return [*chips, {"text": DESIGNS[split].format(**counts), "tone": "plain"}]


def _citations(analysis: Facts, recipe: Facts) -> list[str]:
    return [str(entry) for entry in (recipe.get("citation"), analysis.get("citation")) if entry]


def write_refused_page(*, analysis: Facts, why: str, patients: Facts, out_html: Path, out_json: Path) -> None:
    """The page of an analysis that was refused.

    why : the refusal's own words. patients : the numbers that they rest on, such as {"quarantined", "of", "limit"}.
    """
    sentence = f"Refused: {why}"
    sections = [
        doc.section(
            "answer",
            "Answer",
            sentence,
            [
                doc.note(
                    "No model was fitted: 0 of 1. The cohort page lists every reason.",
                    tone="bad",
                )
            ],
            numbers={**patients, "models": 0, "analyses": 1, "why": why},
        )
    ]
    whole = tidy(
        doc.report(
            "analysis",
            str(analysis["name"]),
            str(analysis.get("title") or analysis["name"]),
            subtitle=f"Recipe {analysis['recipe']} on cohort {analysis['cohort']}.",
            state="refused",
            sections=sections,
            chips=[{"text": "Refused", "tone": "bad"}],
            numbers={**patients, "recipe": analysis["recipe"], "cohort": analysis["cohort"]},
            up={"text": "All reports", "href": "../../index.html"},
            also=[HISTORY],
        )
    )
    write_text(out_html, render_page(whole))
    write_json(out_json, whole)
