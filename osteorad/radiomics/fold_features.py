"""Features of the masks that one outer fold's networks drew: one table a fold (contract 4).

The masks' manifest says who was drawn on which session. A session that was drawn on and has no region of the ROI asked
for gets a row of NaN with the reason `roi_empty`: the networks looked and found nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from osteorad.cohort.fold_facts import FoldFacts, with_fold_facts
from osteorad.errors import UserError
from osteorad.files import read_json, write_parquet
from osteorad.provenance import digest, sha256_file
from osteorad.radiomics.engine import RoiFeatures
from osteorad.radiomics.extract import PatientFiles, image_features, input_hashes, read_manifests
from osteorad.radiomics.presets import Preset, kind_of, load_preset
from osteorad.radiomics.quality import Finding
from osteorad.radiomics.tables import RowKey, feature_schema, feature_table, reason_table, table_facts, with_facts

log = logging.getLogger(__name__)
ONE = 1  # number of a region that was not found
NOT_FOUND = RoiFeatures(values={}, findings=(Finding(feature_class="all", code="roi_empty"),))
Rows = list[tuple[RowKey, RoiFeatures]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is measured: images, one ROI, a preset."""

    preset: Preset
    roi: str
    images: Sequence[str]


def extract_fold_features(
    *,
    masks: Path,
    images: Sequence[Path],
    grids: Sequence[Path],
    preset: str,
    roi: str,
    wanted_images: Sequence[str],
    out_table: Path,
    out_reasons: Path,
) -> None:
    """Write the feature table and the reasons of all patients that one fold's networks drew.

    masks : manifest of the fold's masks. images, grids : manifests of at least these patients, each in a folder of the
    patient's name. Raises UserError where a patient's manifest is not the one that the fold's manifest names, or its
    images are not given.
    """
    manifest = read_json(masks)
    asked = Asked(preset=load_preset(preset), roi=roi, images=wanted_images)
    of_patient = {path.parent.name: path for path in images}
    grids_of: dict[str, list[Path]] = {}
    for path in grids:
        grids_of.setdefault(path.parent.name, []).append(path)
    rows: Rows = []
    inputs: dict[str, str] = {}
    start = time.monotonic()
    with threadpool_limits(limits=1):
        for done, drawn in enumerate(manifest["patients"], 1):
            patient = drawn["patient"]
            if patient not in of_patient:
                raise UserError(f"{masks}: patient {patient} was drawn, and there is no images.json of that patient.")
            files = _files(masks, drawn, of_patient[patient], grids_of.get(patient, []), asked)
            if files is not None:
                rows += [*_measured(files, asked), *_not_found(files, drawn, asked)]
                inputs[patient] = digest(input_hashes(files, asked.preset))
            left = (time.monotonic() - start) / done * (len(manifest["patients"]) - done)
            log.info("patient %d of %d, about %.0f s left", done, len(manifest["patients"]), left)
    table = feature_table([(key, found.values) for key, found in rows], asked.preset)
    table = with_facts(table.cast(feature_schema(asked.preset)), table_facts(asked.preset, inputs))
    findings = [(key, finding) for key, found in rows for finding in found.findings]
    write_parquet(out_reasons, reason_table(findings))
    write_parquet(out_table, with_fold_facts(table, _facts(manifest, masks)))


def _facts(manifest: Mapping[str, Any], masks: Path) -> FoldFacts:
    return FoldFacts(
        repeat=manifest["repeat"], fold=manifest["fold"], network=manifest["network"], masks=sha256_file(masks)
    )


def _files(
    masks: Path, drawn: Mapping[str, Any], images: Path, grids: Sequence[Path], asked: Asked
) -> PatientFiles | None:
    """What a patient's manifests hold of the images asked for; None for a patient on whom nothing could be drawn."""
    if not drawn["sessions"]:
        why = ", ".join(sorted({left["reason"] for left in drawn.get("left_out", ())}))
        log.info("patient %s was not drawn on: %s", drawn["patient"], why)
        return None
    own = masks.parent / drawn["path"]
    if sha256_file(own) != drawn["sha256"]:
        raise UserError(f"{own} is not the file that {masks} names. Remove the folder of masks and run again.")
    files = read_manifests(images, own, grids, rois=[asked.roi])
    return replace(files, images=[file for file in files.images if kind_of(file.image) in asked.images])


def _measured(files: PatientFiles, asked: Asked) -> Iterator[tuple[RowKey, RoiFeatures]]:
    for file in files.images:
        yield from image_features(files, file, asked.preset)


def _not_found(files: PatientFiles, drawn: Mapping[str, Any], asked: Asked) -> Iterator[tuple[RowKey, RoiFeatures]]:
    """Rows of sessions on which the networks looked for the ROI and found nothing."""
    region = (asked.roi, ONE)
    empty = {session: [region] for session in drawn["sessions"] if not files.contours.get(session)}
    bare = replace(files, contours={file.session: empty.get(file.session, []) for file in files.images})
    for file in bare.images:
        if asked.preset.settings(file.image) is not None:
            yield from ((bare.key(file, contour), NOT_FOUND) for contour in bare.rows_of(file))
