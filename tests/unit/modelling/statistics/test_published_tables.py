"""Exact search over integer counts behind printed rows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from osteorad.modelling.statistics.metrics import auc
from osteorad.modelling.statistics.published_tables import (
    COUNTED,
    Printed,
    PrintedRow,
    auc_granularity,
    class_sizes,
    flaws,
    solutions,
)


def row(intervals=None, **texts):
    return PrintedRow(
        values={name: Printed.of(text) for name, text in texts.items()},
        intervals={name: (Printed.of(low), Printed.of(high)) for name, (low, high) in (intervals or {}).items()},
    )


def checks(printed):
    return [flaw.check for flaw in flaws(printed)]


def test_a_printed_share_holds_all_that_rounds_to_it():
    share = Printed.of("0.929")
    assert (share.low, share.high) == (Fraction(9285, 10000), Fraction(9295, 10000))
    assert share.holds(13, 14)
    assert not share.holds(12, 14)
    assert list(share.counts(14)) == [13]
    percent = Printed.of("92.9", percent=True)
    assert (percent.low, percent.high, str(percent)) == (share.low, share.high, "0.929")
    assert Printed.of("0.75", digits=3).high == Fraction(7505, 10000)
    assert Printed.of("1.00").high == 1
    assert Printed.of("0.5").holds(9, 20)  # 0.45: halves may be rounded either way
    with pytest.raises(ValueError, match="no number"):
        Printed.of("nan")


def test_zhu_test_row_has_one_solution():
    """Zhu 2024, logistic regression, test 8+ 14-: AUC 0.929, sensitivity 0.750, specificity 0.929."""
    assert list(solutions(row(auc="0.929", sensitivity="0.750", specificity="0.929"), 8, 14)) == [(6, 13)]


def test_zhu_clinical_interval_is_not_centred():
    """Zhu 2024, clinical model, test: 0.500 (0.202-0.780) has its centre at 55/112."""
    found = flaws(row(auc="0.500", intervals={"auc": ("0.202", "0.780")}))
    assert [(flaw.check, flaw.impossible) for flaw in found] == [("interval_centre", False)]
    assert "0.491" in found[0].text
    assert checks(row(auc="0.929", intervals={"auc": ("0.814", "1.000")})) == []  # cut at 1


ZHAO = {
    "test": row(auc="0.953", sensitivity="0.789", specificity="0.933", accuracy="0.853"),
    "train": row(auc="0.936", sensitivity="0.838", specificity="0.896", accuracy="0.864"),
}


@pytest.mark.parametrize(("part", "told", "fits"), [("test", (24, 30), (19, 15)), ("train", (54, 70), (167, 134))])
def test_zhao_rows_fit_301_and_34_but_not_178_patients(part, told, fits):
    """Zhao 2024, SVM: impossible for 178 patients (78+ 100-) split 7 to 3, either class positive."""
    for sizes in (told, told[::-1]):
        assert list(solutions(ZHAO[part], *sizes)) == []
    assert len(list(solutions(ZHAO[part], *fits))) == 1
    assert fits in class_sizes([ZHAO[part]], 170)


def test_the_smallest_sizes_of_zhaos_test_row_are_19_and_15():
    assert class_sizes([ZHAO["test"]], 40) == [(19, 15), (38, 30)]


@pytest.mark.parametrize(
    "printed",
    [
        row(sensitivity="0.868", specificity="0.882", accuracy="0.939"),
        row(auc="0.990", sensitivity="0.986", specificity="0.998", accuracy="0.997"),
    ],
)
def test_lu_rows_are_impossible_either_way(printed):
    """Lu 2025, test of 65 malignant and 29 benign lesions."""
    assert list(solutions(printed, 65, 29)) == []
    assert list(solutions(printed, 29, 65)) == []


def test_lu_accuracy_lies_outside_and_one_interval_excludes_its_estimate():
    printed = row(
        sensitivity="0.868", specificity="0.882", accuracy="0.939", intervals={"specificity": ("0.893", "0.929")}
    )
    assert checks(printed) == ["accuracy_between", "interval_holds"]
    assert class_sizes([printed], 60) == []


def test_lu_confusion_matrix_has_the_benign_as_positive():
    """TP 28, FN 1, FP 2, TN 63."""
    printed = row(sensitivity="0.966", specificity="0.969", accuracy="0.968")
    assert list(solutions(printed, 65, 29)) == []
    assert list(solutions(printed, 29, 65)) == [(28, 63)]


def test_f1_must_be_the_harmonic_mean():
    """Afnouch, thesis, table 5.1, Inception V3: F1 79.34, recall 90.37, precision 45.17."""
    printed = PrintedRow(
        values={
            "f1": Printed.of("79.34", percent=True),
            "sensitivity": Printed.of("90.37", percent=True),
            "ppv": Printed.of("45.17", percent=True),
        }
    )
    found = flaws(printed)
    assert [(flaw.check, flaw.impossible) for flaw in found] == [("f1_harmonic_mean", True)]
    assert "0.6023" in found[0].text
    assert checks(row(f1="0.602", sensitivity="0.904", ppv="0.452")) == []
    assert checks(row(f1="0.793", sensitivity="0.9037", ppv="0.707")) == []  # a precision of 70.7 would fit


def test_accuracy_near_99_demands_that_specificity():
    """Afnouch, thesis, tables 4.1-4.2: the columns of sensitivity and specificity are exchanged between rows."""
    printed = row(sensitivity="0.9959", specificity="0.8268", accuracy="0.99")
    majority_negative = [(p, n) for p, n in class_sizes([printed], 60) if n > p]
    assert majority_negative == []


def test_auc_bounds_of_one_operating_point():
    assert checks(row(auc="0.562", sensitivity="0.750", specificity="0.750")) == []  # 0.5625 is the least
    assert checks(row(auc="0.9376", sensitivity="0.750", specificity="0.750")) == []  # 0.9375 is the most, rounded
    assert checks(row(auc="0.550", sensitivity="0.750", specificity="0.750")) == ["auc_bounds"]
    assert checks(row(auc="0.950", sensitivity="0.750", specificity="0.750")) == ["auc_bounds"]


def test_auc_comes_in_steps():
    assert auc_granularity(row(auc="0.929"), 8, 14) is None  # 104/112
    found = auc_granularity(row(auc="0.931"), 8, 14)
    assert "1/224" in found.text  # ties count half
    assert list(solutions(row(auc="0.931", sensitivity="0.750"), 8, 14)) == []


def test_a_share_of_nothing_is_printed_as_zero():
    assert list(solutions(row(sensitivity="0.000", specificity="1.000", ppv="0.000"), 5, 5)) == [(0, 5)]
    assert list(solutions(row(sensitivity="0.000", specificity="1.000", ppv="0.500"), 5, 5)) == []


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_counts_behind_a_printed_row_are_found(positives, negatives, data):
    tp, tn = data.draw(st.integers(0, positives)), data.draw(st.integers(0, negatives))
    shares = {name: count(tp, tn, positives, negatives) for name, count in COUNTED.items()}
    printed = row(**{name: f"{k / n if n else 0:.3f}" for name, (k, n) in shares.items()})
    assert (tp, tn) in list(solutions(printed, positives, negatives))
    assume(tp)  # without a hit, precision and F1 are printed as 0 by convention only
    assert checks(printed) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=4, max_size=30), st.integers(0, 9))
def test_a_real_score_breaks_no_rule(rows, threshold):
    outcome, score = np.array(rows).T
    assume(0 < outcome.sum() < len(outcome))
    positive = score >= threshold
    printed = row(
        auc=f"{auc(outcome, score):.3f}",
        sensitivity=f"{positive[outcome == 1].mean():.3f}",
        specificity=f"{1 - positive[outcome == 0].mean():.3f}",
        accuracy=f"{(positive == outcome).mean():.3f}",
    )
    assert checks(printed) == []
    positives = int(outcome.sum())
    assert (int((positive & (outcome == 1)).sum()), int((~positive & (outcome == 0)).sum())) in list(
        solutions(printed, positives, len(outcome) - positives)
    )
