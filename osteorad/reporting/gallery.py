"""Picture tiles: a WebP slice with contours drawn over it as lines, orientation letters as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from osteorad.provenance import sha256_bytes
from osteorad.reporting import svg
from osteorad.reporting.svg import element, join, text

# Colour and dash of a ROI: two cues, so that neither colour vision nor a grey print decides (Okabe and Ito 2008).
LOOKS: dict[str, tuple[str, str]] = {
    "lesion": (svg.ORANGE, ""),
    "marrow": (svg.SKY, "6 3"),
    "bone": ("#009E73", "2 3"),
    "liver": (svg.PURPLE, "9 3 2 3"),
    "tumour": (svg.ORANGE, ""),
    "tumor": (svg.ORANGE, ""),
}
SPARE: tuple[tuple[str, str], ...] = (
    (svg.RED, ""),
    ("#F0E442", "7 4"),
    ("#009E73", "4 2 1 2"),
    (svg.PURPLE, "3 3"),
    (svg.SKY, "10 3"),
)


def look_of(roi: str) -> tuple[str, str]:
    """Colour and dash of a ROI, the same on every page of every cohort."""
    if roi in LOOKS:
        return LOOKS[roi]
    return SPARE[int(sha256_bytes(roi.encode())[:8], 16) % len(SPARE)]


def tile(item: Mapping[str, Any], picture: str) -> Markup:
    """One picture: item has id, title, alt, width, height, letters (left, right, top, bottom), light, outlines.

    outlines : roi, lesion, d (path data in pixels of the picture), x, y, anchor (where the label stands, x None: none).
    """
    width, height = float(item["width"]), float(item["height"])
    parts = [element("image", href=f"data:image/webp;base64,{picture}", width=width, height=height, class_="mark")]
    for outline in item["outlines"]:
        color, dash = look_of(outline["roi"])
        parts.append(element("path", d=outline["d"], class_="halo"))
        parts.append(element("path", d=outline["d"], class_="outline", stroke=color, stroke_dasharray=dash or None))
    for outline in item["outlines"]:
        if outline.get("x") is not None:
            color, _ = look_of(outline["roi"])
            parts.append(
                text(outline["x"], outline["y"], outline["label"], "mark-label", outline["anchor"], fill=color)
            )
    left, right, top, bottom = item["letters"]
    letter = max(round(width / 22, 1), 9.0)
    parts += [
        text(4.0, height / 2, left, "side", font_size=letter),
        text(width - 4.0, height / 2, right, "side", "end", font_size=letter),
    ]
    if item["full_letters"]:
        parts += [
            text(width / 2, letter + 1, top, "side", "middle", font_size=letter),
            text(width / 2, height - 4.0, bottom, "side", "middle", font_size=letter),
        ]
    return svg.drawing(
        item["id"], item["title"], item["alt"], width, height, join(*parts), "tile light" if item["light"] else "tile"
    )
