"""Pictures of one patient: the key slice of each image, five planes of each region, thumbnails for the cohort page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from osteorad.reporting import pictures, planes
from osteorad.reporting import report as doc
from osteorad.reporting.gallery import look_of
from osteorad.reporting.pictures import Region, Scan, slug
from osteorad.reporting.planes import Plane

OVERVIEW_PX, THUMB_PX = 420, 168
LEAST_FIELD_MM, MOST_FIELD_MM, FIELD_FACTOR = 70.0, 260.0, 2.2


@dataclass
class Drawn:
    """What was drawn so far: sections' galleries, pictures by name, thumbnails."""

    galleries: list[doc.Part] = field(default_factory=list)
    pixels: dict[str, str] = field(default_factory=dict)
    thumbs: list[dict[str, Any]] = field(default_factory=list)


def main_scans(scans: Sequence[Scan]) -> tuple[Scan | None, Scan | None]:
    """The CT, or the stack of pictures in its place, and the PET that is laid over it."""
    ct = next((scan for scan in scans if scan.units in ("HU", pictures.GREY)), None)
    pet = next((scan for scan in scans if scan.units == "SUVbw"), None)
    return ct, pet


def _regions_for(scan: Scan, other: Scan | None) -> tuple[Region, ...]:
    """Contours to draw on an image: its own, else those of the other image of the session."""
    return scan.regions or (other.regions if other is not None else ())


def draw_session(patient: str, session: str, scans: Sequence[Scan], tile_px: int) -> Drawn:
    """All pictures of one session."""
    drawn = Drawn()
    ct, pet = main_scans(scans)
    upper = pictures.top_suv(pet) if pet is not None else planes.LEAST_SUV
    regions = [region for scan in scans for region in scan.regions]
    level = pictures.key_level(regions) if regions else pictures.image_middle(ct or pet or scans[0])
    _draw_overview(drawn, patient, session, scans, level, upper)
    _draw_regions(drawn, session, ct, pet, upper, tile_px)
    return drawn


def looks(scans: Sequence[Scan]) -> list[tuple[str, str, Scan | None, Scan | None]]:
    """(name, look, CT, PET) of every picture of a session: each image, and the PET over the CT."""
    ct, pet = main_scans(scans)
    found: list[tuple[str, str, Scan | None, Scan | None]] = []
    for scan in scans:
        look = {"HU": "ct", pictures.GREY: pictures.GREY}.get(scan.units, "pet")
        found.append((scan.image, look, None, scan) if look == "pet" else (scan.image, look, scan, None))
    if ct is not None and pet is not None:
        found.append(("fused", "fused", ct, pet))
    return found


def _draw_overview(
    drawn: Drawn,
    patient: str,
    session: str,
    scans: Sequence[Scan],
    level: tuple[float, float, float],
    upper: float,
) -> None:
    """Axial key slice of every image and of PET over CT, and the thumbnails of CT and PET."""
    ct, pet = main_scans(scans)
    items = []
    for image, look, on_ct, on_pet in looks(scans):
        scan = on_ct or on_pet
        if scan is None:
            continue
        regions = _regions_for(scan, pet if scan is ct else ct)
        plane = pictures.body_plane(ct or scan, level, OVERVIEW_PX)
        words = pictures.look_words(look, upper)
        item = pictures.picture_item(
            slug("overview", session, image),
            look,
            plane,
            pictures.outlines_on(plane, regions, labels=True),
            subject=f"Key slice, {image}",
            label=words,
            full_letters=True,
        )
        drawn.pixels[item["picture"]] = planes.webp_base64(pictures.look_pixels(look, on_ct, on_pet, plane, upper))
        items.append(item)
        if image != "fused":
            drawn.thumbs.append(
                _thumb(patient, session, image, look, (on_ct, on_pet), (ct or scan, level, upper, regions))
            )
    drawn.galleries.append(
        {
            "kind": "gallery",
            "id": slug("key", session),
            "size": "large",
            "legend": _legend([region for scan in scans for region in scan.regions]),
            "groups": [{"label": "", "sub": "", "href": "", "items": items}],
            "caption": "Axial slice that cuts the most regions. R: the patient's right.",
        }
    )


def _thumb(
    patient: str,
    session: str,
    image: str,
    look: str,
    on: tuple[Scan | None, Scan | None],
    view: tuple[Scan, tuple[float, float, float], float, Sequence[Region]],
) -> dict[str, Any]:
    """One thumbnail for the cohort page, pixels included."""
    frame, level, upper, regions = view
    plane = pictures.close_plane(pictures.body_plane(frame, level, THUMB_PX), regions)
    outlines = pictures.outlines_on(plane, regions, labels=False)
    item = pictures.picture_item(
        slug("thumb", patient, session, image),
        look,
        plane,
        outlines,
        subject=f"Patient {patient}, {image}",
        label={"ct": "CT", pictures.GREY: "Slice"}.get(look) or pictures.look_words(look, upper),
        full_letters=False,
    )
    item.update(
        session=session,
        image=image,
        webp_base64=planes.webp_base64(pictures.look_pixels(look, *on, plane, upper), 66),
        lesions=[{"roi": entry["roi"], "lesion": entry["lesion"]} for entry in outlines],
    )
    return item


def _draw_regions(drawn: Drawn, session: str, ct: Scan | None, pet: Scan | None, upper: float, tile_px: int) -> None:
    """Five planes a region (three axial, sagittal, coronal) in every look, largest regions first."""
    pairs: dict[tuple[str, int], dict[str, Region]] = {}
    for kind, scan in (("ct", ct), ("pet", pet)):
        for region in scan.regions if scan is not None else ():
            pairs.setdefault((region.roi, region.lesion), {})[kind] = region
    by_size = sorted(pairs.items(), key=lambda pair: (-max(r.volume_ml for r in pair[1].values()), pair[0]))
    scans = [scan for scan in (ct, pet) if scan is not None]
    groups = []
    for (roi, lesion), own in by_size:
        items = _region_items(drawn, session, scans, own, upper, tile_px)
        volume = next(iter(own.values())).volume_ml
        groups.append({"label": f"{roi} {lesion}", "sub": "", "href": "", "volume_ml": volume, "items": items})
    if groups:
        drawn.galleries.append(
            {
                "kind": "gallery",
                "id": slug("regions", session),
                "size": "strip",
                "legend": [],
                "groups": groups,
                "caption": "Each region: axial slices at a quarter, at the largest cross-section and at three quarters "
                "of its length, then sagittal and coronal; CT, PET and PET over CT where there are both.",
            }
        )


def _region_items(
    drawn: Drawn, session: str, scans: Sequence[Scan], own: Mapping[str, Region], upper: float, tile_px: int
) -> list[dict[str, Any]]:
    lead = own.get("ct") or own["pet"]
    field_mm = min(max(pictures.extent_mm(lead) * FIELD_FACTOR, LEAST_FIELD_MM), MOST_FIELD_MM)
    key = pictures.key_point(lead)
    views = [
        ("axial", pictures.key_point(lead, 0.25), "axial, 1/4"),
        ("axial", key, "axial, largest"),
        ("axial", pictures.key_point(lead, 0.75), "axial, 3/4"),
        ("sagittal", key, "sagittal"),
        ("coronal", key, "coronal"),
    ]
    items = []
    for image, look, on_ct, on_pet in looks(scans):
        region = own.get("pet" if look == "pet" else "ct", lead)
        # neighbours in a stack of pictures need not be neighbours in the body
        for order, (view, point, words) in enumerate(views[:3] if look == pictures.GREY else views):
            plane = Plane(middle_ras=point, view=view, width=tile_px, height=tile_px, pixel_mm=field_mm / tile_px)
            item = pictures.picture_item(
                slug(session, lead.roi, lead.lesion, image, order),
                look,
                plane,
                pictures.outlines_on(plane, [region], labels=False),
                subject=f"{lead.label}, {image}",
                label=f"{ {'ct': 'CT', 'pet': 'PET', 'fused': 'PET/CT', pictures.GREY: 'Slice'}[look] }, {words}",
                full_letters=False,
            )
            drawn.pixels[item["picture"]] = planes.webp_base64(
                pictures.look_pixels(look, on_ct, on_pet, plane, upper), 68
            )
            items.append(item)
    return items


def _legend(regions: Sequence[Region]) -> list[dict[str, str]]:
    names = sorted({region.roi for region in regions})
    return [{"roi": roi, "color": look_of(roi)[0], "dash": look_of(roi)[1] or "none"} for roi in names]
