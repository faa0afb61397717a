"""What readers' verdicts do: which images and masks leave, as files of that very content (contract 7).

A verdict names an image `<session>/<image>` or a mask `<set>/<session>/<image>/<roi>-<n>`, and behind an `@` the first
digits of the SHA-256 of the file that was looked at: it ends when the file is made anew with another content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ACCEPTED, REJECTED = "accepted", "rejected"
BY_READER = "rejected_by_reader"
VERSION_DIGITS = 8

Verdicts = Mapping[str, Mapping[str, str]]  # patient -> item, with `@<version>` or for any version -> verdict
MaskKey = tuple[str, str, str, int]  # session, image, roi, lesion


def rejecting(verdicts: Verdicts) -> dict[str, dict[str, str]]:
    """Verdicts that can make something leave: rejections, and what excepts one version from a rejection of all."""
    found = {
        patient: {
            item: verdict
            for item, verdict in own.items()
            if verdict == REJECTED or ("@" in item and own.get(name_of(item)) == REJECTED)
        }
        for patient, own in verdicts.items()
    }
    return {patient: own for patient, own in found.items() if own}


def name_of(item: str) -> str:
    """An item without its version."""
    return item.split("@")[0]


def image_item(entry: Mapping[str, Any]) -> str:
    """How an entry of images.json is called in the table of verdicts."""
    return f"{entry['session']}/{entry['image']}"


def mask_item(mask_set: str, entry: Mapping[str, Any]) -> str:
    """How an entry of masks.json is called in the table of verdicts."""
    return f"{mask_set}/{entry['session']}/{entry['image']}/{entry['roi']}-{entry['lesion']}"


def version_of(sha256: str) -> str:
    """The digits by which a verdict names one version of a file."""
    return sha256[:VERSION_DIGITS]


def verdict_on(verdicts: Verdicts, patient: str, item: str, sha256: str) -> str:
    """The verdict on a file as it is now; empty where there is none, or only on an earlier version."""
    own = verdicts.get(patient, {})
    return own.get(f"{item}@{version_of(sha256)}", own.get(item, ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What verdicts leave out of one patient's images and masks of one set.

    images : (session, image). masks : (session, image, roi, lesion), rejected or drawn on a rejected image.
    lesions : (session, roi, lesion) of which no mask stays.
    """

    images: frozenset[tuple[str, str]] = frozenset()
    masks: frozenset[MaskKey] = frozenset()
    lesions: frozenset[tuple[str, str, int]] = frozenset()

    def has_image(self, entry: Mapping[str, Any]) -> bool:
        """True where an entry with session and image is, or is drawn on, a rejected image."""
        return bool(self.images) and (entry["session"], entry["image"]) in self.images

    def has_mask(self, entry: Mapping[str, Any]) -> bool:
        """True where an entry of masks.json leaves."""
        return bool(self.masks) and _mask_key(entry) in self.masks


def left_out(verdicts: Verdicts, images: Mapping[str, Any], masks: Mapping[str, Any]) -> LeftOut:
    """What leaves by the verdicts: rejected images with the masks on them, and rejected masks.

    images, masks : the manifests images.json and masks.json of one patient.
    """
    patient = images["patient"]
    on_images = LeftOut(
        images=frozenset(
            (entry["session"], entry["image"])
            for entry in images["images"]
            if verdict_on(verdicts, patient, image_item(entry), entry["sha256"]) == REJECTED
        )
    )
    gone: set[MaskKey] = set()
    stays: set[MaskKey] = set()
    for entry in masks["masks"]:
        verdict = verdict_on(verdicts, patient, mask_item(masks["set"], entry), entry["sha256"])
        leaves = verdict == REJECTED or on_images.has_image(entry)
        (gone if leaves else stays).add(_mask_key(entry))
    lesions = {(session, roi, lesion) for session, _, roi, lesion in gone}
    return LeftOut(
        images=on_images.images,
        masks=frozenset(gone),
        lesions=frozenset(lesions - {(session, roi, lesion) for session, _, roi, lesion in stays}),
    )


def left_out_of(
    verdicts: Verdicts, images: Iterable[Mapping[str, Any]], masks: Iterable[Mapping[str, Any]]
) -> dict[str, LeftOut]:
    """Patient -> what leaves, for those with verdicts; images, masks : their manifests, and of other patients."""
    drawn = {manifest["patient"]: manifest for manifest in masks}
    return {
        manifest["patient"]: left_out(verdicts, manifest, drawn[manifest["patient"]])
        for manifest in images
        if manifest["patient"] in verdicts
    }


def _mask_key(entry: Mapping[str, Any]) -> MaskKey:
    return entry["session"], entry["image"], entry["roi"], int(entry["lesion"])
