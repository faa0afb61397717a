"""Features of one patient: manifests in, two tables out (contract 4).

A row for every ROI and lesion that has a contour on any image of its session, on each image that the preset covers and
the session has. A CT contour serves the CT and the fused image, a PET contour the PET; where the lesion was not drawn
on an image the row is empty with the reason `contour_unpaired`, and no contour is moved from one image to another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from osteorad.files import read_json, write_parquet
from osteorad.images.volume import Mask, Volume, read_nifti
from osteorad.radiomics.engine import RoiFeatures, extract_roi
from osteorad.radiomics.presets import Preset, kind_of, load_preset
from osteorad.radiomics.quality import Finding
from osteorad.radiomics.shuffle import shuffle_inside
from osteorad.radiomics.tables import RowKey, feature_table, reason_table, table_facts, with_facts

log = logging.getLogger(__name__)
Contour = tuple[str, int]  # roi, lesion


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """An image of a session and the masks drawn for it."""

    session: str
    image: str
    path: Path
    sha256: str
    units: str
    contours: Mapping[Contour, Path]
    hashes: Mapping[Contour, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFiles:
    """What the manifests of a patient hold: names, images, and all contours of each session."""

    cohort: str
    patient: str
    mask_set: str
    images: Sequence[ImageFile]
    contours: Mapping[str, Sequence[Contour]] = field(default_factory=dict)

    def key(self, image: ImageFile, contour: Contour) -> RowKey:
        """Key of the row of a contour on an image."""
        return RowKey(
            cohort=self.cohort,
            patient=self.patient,
            session=image.session,
            image=image.image,
            roi=contour[0],
            lesion=contour[1],
            mask_set=self.mask_set,
        )

    def rows_of(self, image: ImageFile) -> list[Contour]:
        """Contours that get a row: of a session's first image of each kind all that the session has, of others
        (`ct-2`) their own.
        """
        wanted = self.contours[image.session] if _is_first(image.image) else image.contours
        return sorted(wanted)


def _is_first(image: str) -> bool:
    return image in ("ct", "pet") or image.startswith("fused")


def read_manifests(images: Path, masks: Path, grids: Sequence[Path], *, rois: Sequence[str]) -> PatientFiles:
    """Images and masks of a patient from the manifests of images, of a mask set and of grids, sorted.

    Paths in a manifest are relative to its own folder. A grid's image uses the masks of its `mask_image`.
    """
    image_manifest, mask_manifest = read_json(images), read_json(masks)
    entries: list[tuple[Path, Mapping[str, Any]]] = [(images.parent, entry) for entry in image_manifest["images"]]
    for grid in grids:
        entries += [(grid.parent, entry) for entry in read_json(grid)["images"]]
    drawn: dict[tuple[str, str], dict[Contour, Mapping[str, Any]]] = {}
    contours: dict[str, set[Contour]] = {}
    for entry in mask_manifest["masks"]:
        if entry["roi"] in rois:
            contour = (entry["roi"], int(entry["lesion"]))
            drawn.setdefault((entry["session"], entry["image"]), {})[contour] = entry
            contours.setdefault(entry["session"], set()).add(contour)
    files = [
        _image_file(
            folder, entry, drawn.get((entry["session"], entry.get("mask_image", entry["image"])), {}), masks.parent
        )
        for folder, entry in entries
    ]
    return PatientFiles(
        cohort=image_manifest["cohort"],
        patient=image_manifest["patient"],
        mask_set=mask_manifest["set"],
        images=sorted(files, key=lambda file: (file.session, file.image)),
        contours={file.session: sorted(contours.get(file.session, ())) for file in files},
    )


def _image_file(
    folder: Path, entry: Mapping[str, Any], drawn: Mapping[Contour, Mapping[str, Any]], mask_folder: Path
) -> ImageFile:
    return ImageFile(
        session=entry["session"],
        image=entry["image"],
        path=folder / entry["path"],
        sha256=entry["sha256"],
        units=entry["units"],
        contours={contour: mask_folder / mask["path"] for contour, mask in drawn.items()},
        hashes={contour: mask["sha256"] for contour, mask in drawn.items()},
    )


def read_mask(path: Path) -> Mask:
    """A mask file, uint8 (contract 3)."""
    array, grid = read_nifti(path)
    return Mask(array=array.astype(np.uint8, copy=False), grid=grid)


def image_features(files: PatientFiles, file: ImageFile, preset: Preset) -> Iterator[tuple[RowKey, RoiFeatures]]:
    """Features of all ROIs of one image; the image is read once, masks one after the other."""
    settings = preset.settings(file.image)
    rows = files.rows_of(file)
    if settings is None or not rows:
        return
    volume: Volume | None = None
    for contour in rows:
        key = files.key(file, contour)
        if contour not in file.contours:
            yield key, RoiFeatures(values={}, findings=(Finding(feature_class="all", code="contour_unpaired"),))
            continue
        if volume is None:
            array, grid = read_nifti(file.path)
            volume = Volume(array=array, grid=grid, units=file.units)
        mask = read_mask(file.contours[contour])
        seen = shuffle_inside(volume, mask, "/".join(map(str, astuple(key)))) if preset.shuffled else volume
        found = extract_roi(seen, mask, settings)
        codes = " ".join(sorted({finding.code for finding in found.findings}))
        log.info(
            "%s %s %s %s-%d: %d values %s", key.patient, key.session, key.image, *contour, len(found.values), codes
        )
        yield key, found


def input_hashes(files: PatientFiles, preset: Preset) -> dict[str, str]:
    """Name -> SHA-256 of the images and masks that a table was made from, as their manifests state them."""
    found: dict[str, str] = {}
    for file in files.images:
        if preset.settings(file.image) is not None and files.rows_of(file):
            found[f"{file.session}/{file.image}"] = file.sha256
            for (roi, lesion), sha256 in file.hashes.items():
                found[f"{file.session}/{file.image}/{roi}-{lesion}"] = sha256
    return found


def extract_patient(
    images: Path,
    masks: Path,
    grids: Sequence[Path],
    *,
    preset: str,
    rois: Sequence[str],
    out_table: Path,
    out_reasons: Path,
    wanted_images: Sequence[str] | None = None,
) -> None:
    """Features of one patient: `out_table` (a row an image and ROI) and `out_reasons` (what is missing or doubtful).

    images, masks, grids : manifests `images.json`, `masks.json`, `grid.json`. preset : name in `resources/presets`.
    rois : ROIs that get rows. A ROI that cannot be measured is a row of NaN with a reason. wanted_images : only these
    of the images that the preset covers; None: all. ConfigError for an unknown preset; ValueError where an image is not
    in the units of the preset.
    """
    chosen = load_preset(preset)
    for line in chosen.assumed:
        log.info("preset %s assumes: %s", preset, line)
    files = read_manifests(Path(images), Path(masks), [Path(grid) for grid in grids], rois=rois)
    if wanted_images is not None:
        files = replace(files, images=[file for file in files.images if kind_of(file.image) in wanted_images])
    with threadpool_limits(limits=1):
        rows = [row for file in files.images for row in image_features(files, file, chosen)]
    table = feature_table([(key, found.values) for key, found in rows], chosen)
    facts = table_facts(chosen, input_hashes(files, chosen))
    findings = [(key, finding) for key, found in rows for finding in found.findings]
    write_parquet(out_reasons, reason_table(findings))
    write_parquet(out_table, with_facts(table, facts))
