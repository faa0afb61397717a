"""The leakage audit: checks that look at what a run left behind, and a certificate with evidence (contract 6).

Each check is a function `AuditTables -> Finding`. To add one: write it, and its line in CHECKS. Checks of the splits
and of everything fitted stand in `fits`, those of choice, threshold and calibration in `rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from osteorad.modelling.auditing.fits import check_noise_refit, check_roles, check_training_rows
from osteorad.modelling.auditing.rules import check_choice, check_threshold
from osteorad.modelling.auditing.tables import AuditTables, Finding

MOST_EVIDENCE = 20
VERDICTS = ("pass", "fail", "warn", "not applicable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check of the audit."""

    code: str
    title: str
    question: str
    run: Callable[[AuditTables], Finding]


CHECKS: tuple[Check, ...] = (
    Check(
        code="A1",
        title="No patient in two roles",
        question="Is any patient in the training and the test part of one fold, or tested other than once a repeat?",
        run=check_roles,
    ),
    Check(
        code="A2",
        title="Everything was fitted on training rows only",
        question="Does the hash that each step took of its array equal that of the training rows of its fold?",
        run=check_training_rows,
    ),
    Check(
        code="A3",
        title="Test rows replaced by noise",
        question="Does a fold fitted again with noise in its test rows give the same features, model and threshold?",
        run=check_noise_refit,
    ),
    Check(
        code="A6",
        title="The model was chosen in the inner loop",
        question="Do inner scores alone give the model that was chosen in each fold?",
        run=check_choice,
    ),
    Check(
        code="A7",
        title="Threshold and calibration come from inner scores",
        question="Do inner scores alone give the threshold and the probabilities of each fold?",
        run=check_threshold,
    ),
)


def audit_analysis(tables: AuditTables, *, cohort: str, checks: Sequence[Check] = CHECKS) -> dict[str, Any]:
    """Run the checks; JSON-able. Verdict `fail` where any check fails, `warn` where one warns, else `pass`."""
    with threadpool_limits(1):
        rows = [_row(check, check.run(tables)) for check in checks]
    verdicts = [row["verdict"] for row in rows]
    return {
        "cohort": cohort,
        "analysis": tables.analysis,
        "procedure": "nested",
        "verdict": next((worst for worst in ("fail", "warn") if worst in verdicts), "pass"),
        "passed": verdicts.count("pass"),
        "of": len(verdicts) - verdicts.count("not applicable"),
        "checks": rows,
    }


def _row(check: Check, finding: Finding) -> dict[str, Any]:
    return {
        "code": check.code,
        "title": check.title,
        "question": check.question,
        "verdict": finding.verdict,
        "looked_at": finding.looked_at,
        "finding": finding.text,
        "evidence": list(finding.evidence[:MOST_EVIDENCE]),
        "evidence_in_all": len(finding.evidence),
    }
