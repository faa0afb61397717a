"""The section of the cohort page that tells of readers' verdicts, and leads to the page where they are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.review_page import numbers_line


def review_section(numbers: Mapping[str, Any], href: str) -> doc.Section:
    """The state of the review. numbers : those of review.json."""
    link = doc.links([("Accept or reject images and masks", href)])
    return doc.section("review", "Review", numbers_line(numbers), [link], numbers=numbers)
