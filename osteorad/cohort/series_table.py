"""The table of series (`series.tsv`): what is taken or left, checked before any job; light, without Arrow.

A row names a series as the cohort page does, and says `take` (yes, no) or `image` (the name that it shall have).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from osteorad.cohort.tables import Table, is_missing, lines_text, unknown_column

COLUMNS = ("patient", "series", "take", "image")
YES, NO = ("1", "yes", "y", "true", "take"), ("0", "no", "n", "false", "leave")
IMAGE_NAME = re.compile(r"(ct|pet)(-[1-9]\d?)?")
SERIES_NAME = re.compile(r"e[0-9a-f]{8}(-[1-9]\d{0,2})?")


def series_problems(table: Table, where: str) -> Iterator[str]:
    """A message for each problem; they name lines, never cells. where : place of the setting."""
    if "series" not in table.header:
        yield unknown_column(table.name, table.header, "series", COLUMNS, where)
        return

    def lines(column: str, wrong: list[str]) -> str:
        cells = table.column(column) if column in table.header else []
        return lines_text(found) if (found := [line for line, text in cells if text.lower() in wrong]) else ""

    named = {text for _, text in table.column("series")}
    if bad := lines(
        "series", [text.lower() for text in named if not is_missing(text) and not SERIES_NAME.fullmatch(text)]
    ):
        yield f"{table.name}: no series on {bad}. Wanted: the names that the cohort page shows, such as e0123abcd."
    told = {row.cells.get("take", "").lower() for row in table.rows}
    if bad := lines("take", sorted(told - {*YES, *NO, ""})):
        yield f"{table.name}: column 'take' is neither yes nor no on {bad}. Wanted: yes, no or empty."
    images = {row.cells.get("image", "").lower() for row in table.rows}
    if bad := lines("image", sorted(name for name in images if name and not IMAGE_NAME.fullmatch(name))):
        yield f"{table.name}: column 'image' is no name of an image on {bad}. Wanted: ct, pet, ct-2, pet-2."
