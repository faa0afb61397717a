"""Names of contours to ROIs of the configuration, by patterns."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase


def assign(names: Sequence[str], patterns: Mapping[str, list[str]]) -> list[tuple[str, int] | None]:
    """ROI and number of each contour name, or None where no pattern matches.

    names : in ROI-number order. patterns : ROI -> shell patterns (`*`, `?`, `[...]`), case-insensitive, blanks at both
    ends ignored; the first ROI with a matching pattern wins. Numbers count from 1 within a ROI, in the order given.
    """
    folded = [(roi, [_fold(p) for p in wanted]) for roi, wanted in patterns.items()]
    counts: Counter[str] = Counter()
    result: list[tuple[str, int] | None] = []
    for name in names:
        plain = _fold(name)
        roi = next((roi for roi, wanted in folded if any(fnmatchcase(plain, p) for p in wanted)), None)
        if roi is None:
            result.append(None)
            continue
        counts[roi] += 1
        result.append((roi, counts[roi]))
    return result


def labels(names: Sequence[str], patterns: Mapping[str, list[str]]) -> list[str]:
    """Label of each contour that may be shown: `<roi>-<n>`, or `roi-<n>` where no pattern matches."""
    unmatched = 0
    result = []
    for found in assign(names, patterns):
        if found is None:
            unmatched += 1
            result.append(f"roi-{unmatched}")
        else:
            result.append(f"{found[0]}-{found[1]}")
    return result


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()
