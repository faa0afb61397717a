"""What the page of a segmentation analysis says by rule: its answer, and its state in one line."""

from __future__ import annotations

from osteorad.reporting.segmentation_findings import (
    BASELINE,
    EXTERNAL,
    LEAST_PATIENTS,
    LEVEL,
    OUT_OF_FOLD,
    ROLES,
    THRESHOLD,
    Facts,
    Findings,
)
from osteorad.reporting.wording import count, percent, plural, real


def limits(number: Facts) -> list[float | None]:
    """Estimate and limits, as a table shows them."""
    return [number["estimate"], number["low"], number["high"]]


def with_interval(number: Facts, digits: int = 2) -> str:
    """`0.71 (95 % interval 0.60 to 0.82)`; without limits the estimate alone."""
    if number["low"] is None:
        return real(number["estimate"], digits)
    low, high = real(number["low"], digits), real(number["high"], digits)
    return f"{real(number['estimate'], digits)} ({percent(LEVEL)} interval {low} to {high})"


def answer_sentences(findings: Findings) -> list[str]:
    """The answer made by rule; numbers only of at least LEAST_PATIENTS patients with a lesion."""
    name = findings.best()
    role = findings.leading_role(name)
    if role is None:
        return [_too_few(findings, name)]
    sentences = [_overlap(findings, name, role), _found(findings, name, role)]
    other = OUT_OF_FOLD if role == EXTERNAL else EXTERNAL
    sentences.append(_other_role(findings, name, other))
    if len(findings.names) > 1:
        sentences.append(
            f"{name} has the best mean Dice of {plural(len(findings.names), 'network')} out of fold; for that its "
            "out-of-fold figure is a little too good, while held-out patients had no say."
        )
    return [sentence for sentence in sentences if sentence]


def _too_few(findings: Findings, name: str) -> str:
    held, folds = (findings.patients_with_lesion(name, role) for role in (EXTERNAL, OUT_OF_FOLD))
    return (
        f"Too few patients with a {findings.lesion}: {held} held out and {folds} out of fold, wanted {LEAST_PATIENTS} "
        "in one of the two. The figures below show that the machinery works, and not how good the networks are."
    )


def _who(role: str) -> str:
    return "whom no network had seen" if role == EXTERNAL else "each drawn by the network that had not seen the patient"


def _overlap(findings: Findings, name: str, role: str) -> str:
    found = findings.score(name, role)
    assert found is not None
    patients = findings.patients_with_lesion(name, role)
    where = "held-out patients" if role == EXTERNAL else "patients out of fold"
    return (
        f"{name} draws {findings.lesion}s with a mean Dice of {with_interval(found['dice'])} in {count(patients)} "
        f"{where} with a {findings.lesion}, {_who(role)}."
    )


def _found(findings: Findings, name: str, role: str) -> str:
    found = findings.score(name, role)
    assert found is not None
    words = f"It finds {found_words(found)}"
    baseline = findings.score(name, role, procedure=THRESHOLD)
    if baseline is None:
        return f"{words}; no {BASELINE} stands beside it, since no bone is drawn."
    return f"{words}; a {BASELINE} inside the bone that it draws finds {found_words(baseline)}."


def found_words(found: Facts) -> str:
    """`40 of 45 lesions (0.89) at 0.30 false positives a case`."""
    lesions = found["lesions"]
    share = real(lesions["sensitivity"]["estimate"])
    per_case = real(found["false_positives"]["per_case"]["estimate"])
    return (
        f"{count(lesions['found'])} of {plural(lesions['n'], 'lesion')} ({share}) at {per_case} false positives a case"
    )


def _other_role(findings: Findings, name: str, role: str) -> str:
    found = findings.score(name, role)
    patients = findings.patients_with_lesion(name, role)
    where = "held out" if role == EXTERNAL else "out of fold"
    if patients < LEAST_PATIENTS or found is None:
        return f"Of the {count(patients)} patients with a {findings.lesion} {where} no number is a headline."
    return f"In the {count(patients)} patients {where} the mean Dice is {with_interval(found['dice'])}."


def state_line(findings: Findings) -> str:
    """One line for the index page."""
    name = findings.best()
    role = findings.leading_role(name)
    if role is None:
        held, folds = (findings.patients_with_lesion(name, role) for role in (EXTERNAL, OUT_OF_FOLD))
        return f"too few patients with a {findings.lesion}: {held} held out, {folds} out of fold, of {LEAST_PATIENTS}"
    found = findings.score(name, role)
    assert found is not None
    dice = found["dice"]
    patients = f"{plural(findings.patients_with_lesion(name, role), 'patient')} {ROLES[role]}"
    return f"Dice {real(dice['estimate'])} in {patients}; {found_words(found)}"


def mechanical_note(findings: Findings) -> str:
    """What a run proves that is too small, or that its configuration calls a mechanical test; else empty."""
    test_only = str(findings.analysis.get("test_only") or "")
    told = f"{test_only.rstrip('.')}. " if test_only else ""
    too_few = findings.leading_role(findings.best()) is None
    if not (too_few or test_only):
        return ""
    return (
        f"{told}This run shows that the machinery works from images to report; its Dice proves nothing about how well "
        "networks find the disease."
    )


def rule_words(findings: Findings) -> str:
    """The rule by which lesions count as found, and what was too small to count; stands beside every figure of it."""
    rule = findings.scores[0]["rule"]
    words = str(rule["words"]).replace(" %", "\u00a0%")
    return (
        f"A {findings.lesion} is found where {words}; a false positive touches none. Components below "
        f"{rule['smallest_ml']:g} mL or {plural(rule['smallest_voxels'], 'voxel')} are dropped."
    )
