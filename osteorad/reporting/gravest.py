"""The gravest verdict of a page, for a line that links it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TONES = ("bad", "warn", "ok")


def gravest(report: Mapping[str, Any]) -> dict[str, str]:
    """Word and tone of the gravest of a report's judged chips."""
    judged = sorted(
        (chip for chip in report["chips"] if chip["tone"] in TONES), key=lambda chip: TONES.index(chip["tone"])
    )
    first = judged[0] if judged else {"text": "no verdict", "tone": "none"}
    return {"word": first["text"], "tone": first["tone"]}
