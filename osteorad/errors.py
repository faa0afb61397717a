"""Errors that a user can act on.

A message says where the problem is, what was found, what was wanted, and the nearest valid name.
Commands print these without a traceback; every other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

LONGEST_SHOWN = 80
MOST_COMPARED = 5000


class OsteoradError(Exception):
    """Root of all errors of this package."""


class UserError(OsteoradError):
    """Something that the user can mend: settings, tables, paths."""


class ConfigError(UserError):
    """One or more problems in the settings; `problems` holds a line for each."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class AnalysisRefused(UserError):
    """An analysis that must not run: too much was quarantined, or too few events are left."""


class SetAside(OsteoradError):
    """Data that cannot be processed rightly; the caller turns it into a row with a reason.

    code : a code of `osteorad.reasons`.
    detail : numbers and names that may be shown; never identity.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code}: {detail}" if detail else code)


def shortened(text: str) -> str:
    """A text as a message shows it: one line, no character that acts on a terminal, at most 80 characters."""
    plain = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[: LONGEST_SHOWN + 1])
    return plain if len(plain) <= LONGEST_SHOWN else plain[: LONGEST_SHOWN - 3] + "..."


def unknown_name(what: str, found: str, valid: Iterable[str], where: str) -> str:
    """Message for a name that does not exist, with the nearest valid one and at most ten others."""
    names = sorted(str(name) for name in valid)
    # comparing takes the product of the lengths
    near = difflib.get_close_matches(str(found)[:LONGEST_SHOWN], names[:MOST_COMPARED], n=1, cutoff=0.5)
    hint = f" Did you mean '{shortened(near[0])}'?" if near else ""
    listed = ", ".join(shortened(name) for name in names[:10])
    shown = listed + (f", ... ({len(names)} in all)" if len(names) > 10 else "")
    return f"{where}: unknown {what} '{shortened(str(found))}'.{hint} Valid: {shown or 'none'}."
