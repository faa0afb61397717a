"""The leakage audit: checks that look at what a run left behind, and a certificate with evidence (contract 6).

Each check is a function `AuditTables -> Finding`. To add one: write it, and its line in CHECKS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from osteorad.cohort.splits import AS_PUBLISHED, NESTED
from osteorad.modelling.auditing.fits import check_noise_refit, check_training_rows
from osteorad.modelling.auditing.networks import check_networks
from osteorad.modelling.auditing.permuted import check_permuted
from osteorad.modelling.auditing.proxies import check_proxies
from osteorad.modelling.auditing.radscore import check_radscore
from osteorad.modelling.auditing.roles import check_patient_ids, check_roles
from osteorad.modelling.auditing.rules import check_choice, check_threshold
from osteorad.modelling.auditing.tables import AuditTables, Finding
from osteorad.modelling.auditing.values import check_days, check_duplicates, check_standardised

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
        code="A4",
        title="Permuted outcomes give nothing",
        question="Is the mean AUC of the procedure on permuted outcomes 0.5 but for chance?",
        run=check_permuted,
    ),
    Check(
        code="A5",
        title="No patient stands twice",
        question="Have two patients the same features?",
        run=check_duplicates,
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
    Check(
        code="A8",
        title="Every row names its patient",
        question="Does a placeholder, or a made-up name, stand where a patient id is missing?",
        run=check_patient_ids,
    ),
    Check(
        code="A9",
        title="No feature names the site or a date",
        question="Does the value of one used feature tell the site, or follow a day or the order of the rows?",
        run=check_proxies,
    ),
    Check(
        code="A10",
        title="Features arrived unscaled",
        question="Have the features mean 0 and SD 1 over training and test rows together?",
        run=check_standardised,
    ),
    Check(
        code="A11",
        title="Rad-scores of training rows are out-of-fold",
        question="Was the combined model fitted on scores that the radiomics model gave to rows it had not seen?",
        run=check_radscore,
    ),
    Check(
        code="A12",
        title="Images lie before the event",
        question="Is any image later than the event, or outside the window that the analysis asks for?",
        run=check_days,
    ),
    Check(
        code="A13",
        title="No network saw a test patient",
        question="Was a network that drew masks or made features trained on a patient whose prediction used it?",
        run=check_networks,
    ),
)


def audit_analysis(tables: AuditTables, *, cohort: str) -> dict[str, Any]:
    """The certificate of the nested procedure, and under `as_published` that of the paper's own order, or None.

    The second is expected to fail where the paper leaks; it says nothing of the first. JSON-able.
    """
    published = tables.of(AS_PUBLISHED)
    return {
        **certificate(tables.of(NESTED), cohort=cohort),
        "as_published": certificate(published, cohort=cohort) if published.predictions.num_rows else None,
    }


def certificate(tables: AuditTables, *, cohort: str, checks: Sequence[Check] = CHECKS) -> dict[str, Any]:
    """Run the checks on one procedure. Verdict `fail` where any check fails, `warn` where one warns, else `pass`."""
    with threadpool_limits(1):
        rows = [_row(check, check.run(tables)) for check in checks]
    verdicts = [row["verdict"] for row in rows]
    return {
        "cohort": cohort,
        "analysis": tables.analysis,
        "procedure": tables.procedure,
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
