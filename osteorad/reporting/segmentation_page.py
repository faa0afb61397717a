"""The page of a segmentation analysis: how well networks draw patients whom they never saw, then what it rests on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteorad.files import read_json, read_parquet, write_json, write_text
from osteorad.reporting import report as doc
from osteorad.reporting import segmentation_sections as sections
from osteorad.reporting import segmentation_sentences as sentences
from osteorad.reporting.contact_sheet import Files, Sheet, draw_sheet
from osteorad.reporting.glossary import glossary_section
from osteorad.reporting.render import render_page
from osteorad.reporting.segmentation_findings import EXTERNAL, LEAST_PATIENTS, ROLES, Findings
from osteorad.reporting.segmentation_networks import in_fold_masks
from osteorad.reporting.settings_part import HISTORY, provenance_section
from osteorad.reporting.wording import plural, tidy

Facts = Mapping[str, Any]
WEIGHTS = "weights.safetensors"
NO_WEIGHTS = ("running_mean", "running_var", "num_batches_tracked")  # what normalisation counts, not what is learned


def write_segmentation_page(
    *,
    analysis: Facts,
    recipe: Facts,
    written: Facts | None,
    overrides: Facts,
    versions: Facts,
    scores: Sequence[Path],
    cases: Sequence[Path],
    lesions: Sequence[Path],
    networks: Sequence[Path],
    drawn: Sequence[Path],
    images: Sequence[Path],
    masks: Sequence[Path],
    flow: Path,
    hashes: Facts,
    out_html: Path,
    out_json: Path,
) -> None:
    """Write report.html (under 3 MB) and report.json of a segmentation analysis.

    analysis, recipe, written, overrides, versions : as of an analysis page. scores, cases, lesions : what the scoring
    job wrote, a file each compared network, in the order of the recipe. networks : network.json of all trained
    networks, their weights beside them. drawn : masks.json of the held-out division, one a compared network. images,
    masks : manifests of all patients, masks of the set that is the reference. flow : of the cases.
    """
    findings = Findings(
        analysis=analysis,
        recipe=recipe,
        scores=[read_json(path) for path in scores],
        cases=[row for path in cases for row in read_parquet(path).to_pylist()],
        lesions=[row for path in lesions for row in read_parquet(path).to_pylist()],
        networks=[_network(path) for path in networks],
        drawn=[_drawn(path) for path in drawn],
        flow=read_json(flow),
    )
    own = next(path for path, told in zip(drawn, findings.drawn, strict=True) if told["network"] == findings.best())
    files = Files(
        images=_by_patient(images),
        reference=_by_patient(masks),
        drawn={entry["patient"]: own.parent / entry["path"] for entry in read_json(own)["patients"]},
    )
    sheet = draw_sheet(findings, findings.best(), files)
    whole = segmentation_report(
        findings, sheet, written=written or recipe, overrides=overrides, versions=versions, hashes=hashes
    )
    write_text(out_html, render_page(whole, sheet.pixels))
    write_json(out_json, whole)


def _by_patient(manifests: Sequence[Path]) -> dict[str, Path]:
    return {path.parent.name: path for path in map(Path, manifests)}


def _network(path: Path) -> dict[str, Any]:
    """A network's record, with the number of its weights."""
    return {**read_json(path), "parameters": count_weights(path.parent / WEIGHTS)}


def count_weights(path: Path) -> int:
    """Learned numbers in a safetensors file, by its header: its length (8 bytes), then JSON."""
    with path.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    total = 0
    for name, facts in header.items():
        if name != "__metadata__" and not name.endswith(NO_WEIGHTS):
            size = 1
            for edge in facts["shape"]:
                size *= int(edge)
            total += size
    return total


def _drawn(path: Path) -> dict[str, Any]:
    """The masks of a network, each patient's entry with what the patient's own manifest says of the sessions."""
    told = read_json(path)
    patients = [{**entry, "facts": read_json(path.parent / entry["path"])["sessions"]} for entry in told["patients"]]
    return {**told, "patients": patients}


def segmentation_report(
    findings: Findings, sheet: Sheet, *, written: Facts, overrides: Facts, versions: Facts, hashes: Facts
) -> doc.Report:
    """The dict of the page; reads no file."""
    analysis, recipe = findings.analysis, findings.recipe
    notice = sentences.mechanical_note(findings)
    cited = [str(entry) for entry in (recipe.get("citation"), analysis.get("citation")) if entry]
    shown = [
        sections.answer_section(findings, notice),
        sections.patients_section(findings),
        sections.overlap_section(findings),
        sections.lesions_section(findings),
        sections.sheet_section(findings, sheet),
        sections.training_section(findings),
        sections.methods_section(findings, versions),
        sections.settings_section(recipe, written, overrides),
        provenance_section(versions, hashes, cited),
    ]
    shown.append(glossary_section(shown))
    used = findings.flow["used"]
    whole = doc.report(
        "segmentation",
        str(analysis["name"]),
        str(analysis.get("title") or analysis["name"]),
        subtitle=_subtitle(findings),
        state=sentences.state_line(findings),
        sections=shown,
        chips=_chips(findings),
        notice=notice,
        numbers={
            "used": used,
            "best": findings.best(),
            "least": LEAST_PATIENTS,
            "patients_with_lesion": {r: findings.patients_with_lesion(findings.best(), r) for r in ROLES},
            "in_fold": in_fold_masks(findings),
            "networks": len(findings.networks),
            "cutoff": analysis.get("cutoff"),
            "recipe": recipe["name"],
            "cohort": analysis["cohort"],
            "test_only": analysis.get("test_only"),
            "folds": recipe["splits"]["folds"],
        },
        up={"text": "All reports", "href": "../../index.html"},
        also=[HISTORY],
    )
    return tidy(whole)


def _subtitle(findings: Findings) -> str:
    analysis, used = findings.analysis, findings.flow["used"]
    words = (
        f"Recipe {findings.recipe['name']} on cohort {analysis['cohort']}: {plural(used['patients'], 'patient')}, "
        f"{plural(used['samples'], 'case')}, {used['with_lesion']} with a {findings.lesion}."
    )
    return words + (f" Data cut-off {analysis['cutoff']}." if analysis.get("cutoff") else "")


def _chips(findings: Findings) -> list[dict[str, str]]:
    wrong, drawn = in_fold_masks(findings)
    seen = f"{wrong} of {drawn} drawings by a network that saw the patient"
    chips = [{"text": seen, "tone": "bad" if wrong else "ok"}]
    if findings.leading_role(findings.best()) is None:
        held = findings.patients_with_lesion(findings.best(), EXTERNAL)
        chips.append({"text": f"Too few: {held} of {LEAST_PATIENTS} held-out patients with a lesion", "tone": "warn"})
    folds = findings.recipe["splits"]["folds"]
    return [*chips, {"text": f"Held-out part and {folds} folds, by patient", "tone": "plain"}]
