"""Taking the head out of what leaves: slices of one value, contours and segmentation frames above the neck.

What lies below the neck keeps its bytes. Nothing is decoded: a blanked slice gets new, uncompressed pixels of the size
that its header gives; scale, position and all other header facts stay true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from osteorad.dicom.elements import EXPLICIT, PIXEL_DATA, DicomFile, Element, by_tag
from osteorad.dicom.head import QUARANTINE, Judged
from osteorad.dicom.places import corners
from osteorad.dicom.values import plain
from osteorad.errors import SetAside

AIR_HU = -1024.0
LARGEST = 1 << 28  # bytes of a slice; what a damaged header gives may be any number
# smallest and largest values of the pixels that were there, offset tables of compressed ones
TOLD_OF_PIXELS = frozenset({0x00280106, 0x00280107, 0x00280108, 0x00280109, 0x00280110, 0x00280111})
TOLD_OF_PIXELS |= {0x7FE00001, 0x7FE00002, 0x7FE00003}
BITS, STORED, HIGH, SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
ROWS, COLUMNS, FRAMES = 0x00280010, 0x00280011, 0x00280008
INTERCEPT, SLOPE = 0x00281052, 0x00281053
ROI_SEQUENCE, ROI_NUMBER, ROI_FRAME = 0x30060020, 0x30060022, 0x30060024
ROI_CONTOURS, CONTOURS, CONTOUR_DATA, DRAWN_NUMBER = 0x30060039, 0x30060040, 0x30060050, 0x30060084
OBJECT_FRAME, REFERENCED_FRAMES = 0x00200052, 0x30060010
SHARED_GROUPS, FRAME_GROUPS = 0x52009229, 0x52009230
SEGMENTATION_TYPE, PADDING = 0x00620001, 0x00280120
PLANE_POSITION, PLANE_ORIENTATION, PIXEL_MEASURES, SEGMENT = 0x00209113, 0x00209116, 0x00289110, 0x0062000A

Look = Callable[[str], Judged]  # frame of reference as the object names it -> what is known of it
Elements = Sequence[Element]


@dataclass(frozen=True, slots=True)
class Cut:
    """An object without its head, and how many contours or frames each ROI (segment) lost."""

    elements: list[Element]
    lost: dict[int, int]


def blanked(file: DicomFile, modality: str) -> DicomFile:
    """A slice of air (CT) or without activity (PET); SetAside `head_shown` where its size or scale is not known."""
    found = by_tag(file.elements)
    bits, rows, columns = (_short(found.get(tag)) for tag in (BITS, ROWS, COLUMNS))
    stored = _short(found.get(STORED)) or bits
    high = _short(found.get(HIGH)) if HIGH in found else stored - 1
    size = rows * columns * bits // 8
    told = PIXEL_DATA in found and bits in (8, 16, 32) and 0 < stored <= high + 1 <= bits
    if not told or not 0 < size <= LARGEST:
        raise SetAside("head_shown", "the pixels of a slice above the neck cannot be replaced")
    value = _stored_value(found, AIR_HU if modality == "CT" else 0.0, stored, signed=_short(found.get(SIGNED)) == 1)
    shift = high + 1 - stored
    word = (value << shift) % (1 << (bits if value < 0 and not shift else high + 1))
    pixels = word.to_bytes(bits // 8, "little") * (rows * columns)
    kept = [e for e in file.elements if e.tag not in TOLD_OF_PIXELS and e.tag != PIXEL_DATA]
    kept.append(Element(PIXEL_DATA, "OB" if bits == 8 else "OW", pixels))
    compressed = found[PIXEL_DATA].fragments
    return DicomFile(syntax=EXPLICIT if compressed else file.syntax, implicit=file.implicit, elements=kept)


def _stored_value(found: dict[int, Element], wanted: float, stored: int, *, signed: bool) -> int:
    """The stored value nearest to `wanted` under the slice's own scale; raises SetAside where it is none."""
    slope, intercept = _number(found.get(SLOPE), 1.0), _number(found.get(INTERCEPT), 0.0)
    least, most = (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if signed else (0, (1 << stored) - 1)
    try:
        value = round((wanted - intercept) / slope) if slope else 0
    except (ValueError, OverflowError):  # of what is no number, or endless
        raise SetAside("head_shown", "a slice above the neck has no scale by which it could hold air") from None
    return min(max(value, least), most)


def _raw(element: Element | None) -> bytes:
    return b"" if element is None or isinstance(element.value, list) else bytes(element.value)


def _short(element: Element | None) -> int:
    return int.from_bytes(_raw(element)[:2], "little")


def _numbers(element: Element | None) -> list[float]:
    """Decimal strings; raises ValueError."""
    text = plain(_raw(element)).decode("ascii", "replace").strip()
    return [float(part) for part in text.split("\\")] if text else []


def _number(element: Element | None, default: float) -> float:
    try:
        return (_numbers(element) or [default])[0]
    except ValueError:
        return default


def _text(element: Element | None) -> str:
    return plain(_raw(element)).decode("ascii", "replace").strip()


def _items(element: Element | None) -> list[list[Element]]:
    return element.value if element is not None and isinstance(element.value, list) else []


def cut_object(file: DicomFile, modality: str, look: Look, setting: str) -> Cut:
    """An RTSTRUCT or SEG without what lies above the neck; raises SetAside where the whole object has to go."""
    if modality == "RTSTRUCT":
        return cut_contours(file.elements, look, setting)
    return cut_segmentation(file, look, setting)


def _above(judged: Judged, high_mm: float | None, setting: str) -> bool:
    """True where a contour or frame has to go; raises SetAside where the whole object has to."""
    shows = judged.at(high_mm)
    if shows == "clear":
        return False
    if shows == "unknown":
        raise SetAside("head_unknown", judged.why)
    if setting == QUARANTINE or judged.plane_mm is None:
        raise SetAside("head_shown", judged.why)
    return True


# --- contours ---------------------------------------------------------------------------------------------------------


def cut_contours(elements: Elements, look: Look, setting: str) -> Cut:
    """An RTSTRUCT without the contours that reach above the plane.

    Raises SetAside where it belongs to a frame of reference of which nothing is known, and under `quarantine` where a
    contour reaches above the neck.
    """
    found = by_tag(elements)
    named = {_text(by_tag(item).get(OBJECT_FRAME)) for item in _items(found.get(REFERENCED_FRAMES))} - {""}
    whole = _text(found.get(OBJECT_FRAME)) or (named.pop() if len(named) == 1 else "")
    frames = {
        _text(roi.get(ROI_NUMBER)): _text(roi.get(ROI_FRAME)) for roi in map(by_tag, _items(found.get(ROI_SEQUENCE)))
    }
    lost: Counter[int] = Counter()
    drawn = []
    for item in _items(found.get(ROI_CONTOURS)):
        number = _text(by_tag(item).get(DRAWN_NUMBER))
        judged = look(frames.get(number) or whole)
        kept, gone = _kept_contours(item, judged, setting)
        drawn.append(kept)
        if gone:
            lost[int(number) if number.isdigit() else 0] += gone
    changed = [Element(e.tag, "SQ", drawn) if e.tag == ROI_CONTOURS else e for e in elements]
    return Cut(changed if lost else list(elements), dict(sorted(lost.items())))


def _kept_contours(item: list[Element], judged: Judged, setting: str) -> tuple[list[Element], int]:
    contours = _items(by_tag(item).get(CONTOURS))
    kept = [contour for contour in contours if not _above(judged, _highest(contour), setting)]
    changed = [Element(e.tag, "SQ", kept) if e.tag == CONTOURS else e for e in item]
    return changed, len(contours) - len(kept)


def _highest(contour: list[Element]) -> float | None:
    """Height of the highest point, minus infinity where there is none; None where the points cannot be read."""
    try:
        heights = _numbers(by_tag(contour).get(CONTOUR_DATA))[2::3]
    except ValueError:
        return None
    return max(heights, default=float("-inf"))


# --- segmentations ----------------------------------------------------------------------------------------------------


def cut_segmentation(file: DicomFile, look: Look, setting: str) -> Cut:
    """A SEG whose frames above the plane hold nothing.

    Raises SetAside as `cut_contours` does, and where frames above the plane are compressed or do not lie across the
    body.
    """
    found = by_tag(file.elements)
    judged = look(_text(found.get(OBJECT_FRAME)))
    shared = by_tag(next(iter(_items(found.get(SHARED_GROUPS))), []))
    shape = _short(found.get(ROWS)), _short(found.get(COLUMNS))
    above: dict[int, int] = {}  # frame -> segment
    for index, item in enumerate(_items(found.get(FRAME_GROUPS))):
        groups = {**shared, **by_tag(item)}
        low, high = _reach(groups, shape)
        if _above(judged, high, setting):
            if low is None or judged.plane_mm is None or low <= judged.plane_mm:
                raise SetAside("head_shown", "a frame of the segmentation lies on both sides of the neck")
            numbers = by_tag(next(iter(_items(groups.get(SEGMENT))), []))
            above[index] = _short(numbers.get(0x0062000B))
    if not above:
        return Cut(list(file.elements), {})
    pixels = _native(found.get(PIXEL_DATA))
    bits = _short(found.get(BITS))
    if pixels is None or bits not in (1, 8, 16) or len(pixels) % max(bits // 8, 1):
        raise SetAside("head_shown", "a segmentation above the neck is compressed or damaged")
    labels = _text(found.get(SEGMENTATION_TYPE)).upper() == "LABELMAP"
    background = _short(found.get(PADDING)) if labels else None
    emptied, lost = _emptied(pixels, bits, shape[0] * shape[1], above, background)
    changed = [Element(PIXEL_DATA, e.vr, emptied) if e.tag == PIXEL_DATA else e for e in file.elements]
    return Cut(changed if lost else list(file.elements), lost)


def _native(element: Element | None) -> bytes | None:
    """Pixels as they are stored; None where there are none, or only compressed ones."""
    plain_ones = element is not None and not element.fragments and not isinstance(element.value, list)
    return _raw(element) if plain_ones else None


def _reach(groups: dict[int, Element], shape: tuple[int, int]) -> tuple[float | None, float | None]:
    """Lowest and highest height of a frame; None where the functional groups do not place it."""

    def value(group: int, tag: int) -> list[float]:
        return _numbers(by_tag(next(iter(_items(groups.get(group))), [])).get(tag))

    try:
        four = corners(
            value(PLANE_POSITION, 0x00200032),
            value(PLANE_ORIENTATION, 0x00200037),
            value(PIXEL_MEASURES, 0x00280030),
            shape,
        )
    except ValueError:
        return None, None
    return (None, None) if four is None else (float(four[:, 2].min()), float(four[:, 2].max()))


def _emptied(
    pixels: bytes, bits: int, size: int, above: dict[int, int], background: int | None
) -> tuple[bytes, dict[int, int]]:
    """Pixels with nothing in the frames `above`, and how many frames each segment lost.

    background : of a label map, whose frames show all segments; None where a frame shows the one that `above` names.
    """
    raw = np.frombuffer(pixels, dtype="<u2" if bits == 16 else np.uint8)
    values = np.unpackbits(raw, bitorder="little") if bits == 1 else raw.copy()
    lost: Counter[int] = Counter()
    for index, segment in above.items():
        frame = values[index * size : (index + 1) * size]
        held = {int(value) for value in np.unique(frame)} - {0, background}
        lost.update(held if background is not None else [segment] if held else [])
        frame[:] = background or 0
    packed = np.packbits(values, bitorder="little") if bits == 1 else values
    return packed.tobytes(), dict(sorted(lost.items()))
