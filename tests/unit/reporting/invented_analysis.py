"""An invented analysis: what the modelling room writes, with numbers drawn from one seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.unit.reporting.invented_more import bundle, more

LEVEL = 0.95
RECIPE: dict[str, Any] = {
    "name": "zhu2024",
    "title": "Marrow of one vertebra on CT",
    "citation": "Zhu et al. 2024, an invented line of citation.",
    "kind": "outcome",
    "unit": "patient",
    "session": "first",
    "images": ["ct"],
    "roi": "marrow",
    "mask_set": "manual",
    "preset": "zhu2024",
    "covariates": ["age_years", "er", "pr", "her2", "ki67"],
    "steps": [
        {"step": "impute", "settings": {"method": "median"}},
        {"step": "variance", "settings": {}},
        {"step": "zscore", "settings": {}},
        {"step": "correlation", "settings": {"method": "pearson", "threshold": 0.9}},
        {"step": "mrmr", "settings": {"k": [20]}},
    ],
    "models": ["logistic", "svm", "knn", "random-forest", "extra-trees", "lightgbm", "mlp"],
    "trees": 500,
    "threshold": "youden",
    "clinical_model": "logistic",
    "splits": {"kind": "folds", "test_share": 0.3, "folds": 5, "inner_folds": 5, "repeats": 5, "seed": 1},
    "bootstrap": 2000,
    "assumed": ["bin width 25 HU", "resampling to 1 mm by B-spline"],
}
ANALYSIS: dict[str, Any] = {
    "name": "phantom-marrow",
    "title": "Does the marrow of T6 on chest CT tell who will develop bone metastases?",
    "cohort": "phantom",
    "recipe": "zhu2024",
    "outcome": "outcome",
    "outcome_label": "bone metastases",
    "horizon_days": 1825,
    "test_only": "",
    "statements": {"METRICS-2": "Women with breast cancer and a staging CT."},
    "cutoff": "2026-03-31",
}
OVERRIDES = {"splits.repeats": 2, "trees": 100}
VERSIONS = {"numpy": "2.4.6", "pyradiomics-bhklab": "3.1.4", "scikit-learn": "1.9.1"}
HASHES = {"samples": "7f3ac2e1b4d59a60", "splits": "0123456789abcdef", "recipe": "fedcba9876543210"}
TRUTH = {"oracle_auc": 0.871, "strength": 1.6, "n": 40, "events": 18}
MODELS = (
    "Logistic regression",
    "Support vector machine",
    "k nearest neighbours",
    "Random forest",
    "Extra trees",
    "LightGBM",
    "Multilayer perceptron",
)


def recipe_used() -> dict[str, Any]:
    return {**RECIPE, "trees": 100, "splits": {**RECIPE["splits"], "repeats": 2}}


def _about(middle: float, half: float) -> dict[str, Any]:
    return {
        "estimate": middle,
        "low": max(middle - half, 0.0),
        "high": min(middle + half, 1.0),
        "se": half / 2,
        "df": 9,
    }


def evaluation(patients: int = 40, events: int = 18, *, auc: float = 0.741, volume: float = 0.55) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    minority = min(events, patients - events)
    few = minority < 10
    folds = [
        {
            "repeat": repeat,
            "fold": fold,
            "auc": float(np.clip(rng.normal(auc, 0.1), 0, 1)),
            "n": 8,
            "events": 4,
            "model": "logistic",
        }
        for repeat in (1, 2)
        for fold in range(1, 6)
    ]
    main = _about(auc, 0.117)
    grid = np.linspace(0, 1, 101)
    tpr = 1 - (1 - grid) ** 3.1
    cells = {"tp": round(events * 0.72), "fp": round((patients - events) * 0.27)}
    cells.update(fn=events - cells["tp"], tn=patients - events - cells["fp"])
    return {
        **more(patients, events, auc),
        "cohort": "phantom",
        "analysis": "phantom-marrow",
        "procedure": "nested",
        "level": LEVEL,
        "counts": {
            "patients": patients,
            "samples": patients,
            "events": events,
            "non_events": patients - events,
            "minority": minority,
            "minority_needed": 10,
            "repeats": 2,
            "folds": 5,
            "fits": 10,
        },
        "too_few_events": few,
        "primary": {
            **main,
            "n_folds": 10,
            "method": "t interval of the fold AUCs with the variance of Nadeau and Bengio, 9 degrees of freedom",
            "formula": "mean ± t(df) × s × sqrt(1/J + n_test/n_train)",
            "estimand": "Expected AUC of the whole procedure (selection, tuning, choice of model) in new patients",
            "coverage": "95 % interval; covers 86 to 93 % in simulations",
            "headline": not few,
            "folds": folds,
        },
        "models": _models(main, volume, rng),
        "differences": [
            _difference("radiomics", "volume", auc - volume, 0.14, 0.004),
            _difference("radiomics", "clinical", 0.09, 0.16, 0.21),
            _difference("combined", "clinical", 0.11, 0.12, 0.06),
        ],
        "roc": {
            "fpr": grid.tolist(),
            "tpr": tpr.tolist(),
            "low": np.clip(tpr - 0.14, 0, 1).tolist(),
            "high": np.clip(tpr + 0.1, 0, 1).tolist(),
            "auc": {"estimate": auc - 0.01, "low": auc - 0.15, "high": auc + 0.11},
            "label": "pooled",
            "within_folds": np.clip(tpr + 0.02, 0, 1).tolist(),
            "bootstrap": 2000,
            "bootstrap_used": 2000,
        },
        "calibration": _calibration(rng, patients),
        "confusion": {
            "rule": "score at or above the threshold that the inner folds chose (Youden)",
            "repeats": [{"repeat": 1, **cells}, {"repeat": 2, **cells}],
            "measures": [
                _measure("sensitivity", cells["tp"], events),
                _measure("specificity", cells["tn"], patients - events),
                _measure("ppv", cells["tp"], cells["tp"] + cells["fp"]),
                _measure("npv", cells["tn"], cells["tn"] + cells["fn"]),
                _measure("accuracy", cells["tp"] + cells["tn"], patients),
            ],
        },
        "selection": _selection(),
        "answer": {
            "kind": "too_few_events" if few else "result",
            "auc": main["estimate"],
            "low": main["low"],
            "high": main["high"],
            "events": events,
            "patients": patients,
            "beats_chance": "yes",
            "beats_volume": "yes" if auc - volume > 0.14 else "not_shown",
            "beats_clinical": "not_shown",
            "sentences": _sentences(patients, events, auc, main, few=few),
        },
    }


def _difference(of: str, against: str, middle: float, half: float, p: float) -> dict[str, Any]:
    return {
        "of": of,
        "against": against,
        "estimate": middle,
        "low": middle - half,
        "high": middle + half,
        "se": half / 2,
        "df": 9,
        "p": p,
        "p_holm": min(1.0, 3 * p),
        "verdict": "better" if middle > half else "not_shown",
        "method": "corrected resampled t interval (Nadeau and Bengio 2003)",
    }


def _sentences(patients: int, events: int, auc: float, main: dict[str, Any], *, few: bool) -> list[str]:
    if few:
        return [f"Too few events: {min(events, patients - events)} of 10. No AUC is given as an answer."]
    return [
        f"AUC {auc:.2f} (95 % interval {main['low']:.2f} to {main['high']:.2f}) for bone metastases, from {events} "
        f"events in {patients} patients.",
        "This is better than chance.",
        "That it is better than the clinical covariates alone is not shown (difference +0.09, \u22120.07 to +0.25).",
    ]


def _models(main: dict[str, Any], volume: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    def row(variables: str, model: str, label: str, auc: dict[str, Any], chosen: int | None) -> dict[str, Any]:
        return {
            "variables": variables,
            "model": model,
            "label": label,
            "chosen_in": chosen,
            "fits": 10,
            "auc": auc,
            "pooled_auc": auc["estimate"] - 0.008,
            "brier": 0.21,
            "sensitivity": 0.72,
            "specificity": 0.71,
        }

    names = ("logistic", "svm", "knn", "random-forest", "extra-trees", "lightgbm", "mlp")
    candidates = [
        row("radiomics", name, label, _about(float(rng.uniform(0.62, 0.77)), 0.12), times)
        for name, label, times in zip(names, MODELS, (5, 0, 1, 2, 1, 0, 1), strict=True)
    ]
    return [
        row("radiomics", "chosen", "Chosen inside each fold", main, 10),
        *candidates,
        row("combined", "logistic", "Rad-score and clinical variables", _about(0.76, 0.12), None),
        row("clinical", "logistic", "Clinical variables", _about(0.65, 0.13), None),
        row("volume", "logistic", "ROI volume alone", _about(volume, 0.12), None),
        {
            **row(
                "prevalence",
                "prevalence",
                "Prevalence",
                {"estimate": 0.5, "low": None, "high": None, "se": None, "df": None},
                None,
            ),
            "sensitivity": None,
            "specificity": None,
        },
    ]


def _calibration(rng: np.random.Generator, patients: int) -> dict[str, Any]:
    at = np.linspace(0.1, 0.9, 41)
    risk = np.clip(rng.beta(2, 2.4, patients), 0.03, 0.97)
    return {
        "slope": {"estimate": 0.84, "low": 0.31, "high": 1.52},
        "intercept": {"estimate": 0.05, "low": -0.62, "high": 0.71},
        "in_the_large": {"estimate": 0.02, "low": -0.6, "high": 0.6},
        "brier": {"estimate": 0.208, "low": 0.16, "high": 0.25},
        "scaled_brier": {"estimate": 0.158, "low": 0.01, "high": 0.29},
        "ici": {"estimate": 0.061, "low": 0.03, "high": 0.14},
        "hosmer_lemeshow": {
            "chi2": 6.31,
            "df": 8,
            "p": 0.612,
            "groups": 10,
            "n": patients,
            "repeat": 1,
            "note": "It depends on the grouping and says little in small samples.",
        },
        "curve": [{"predicted": float(x), "observed": float(np.clip(0.07 + 0.85 * x, 0, 1))} for x in at],
        "bins": [
            {
                "predicted": x,
                "observed": y,
                "k": round(y * 10),
                "n": 10,
                "low": max(y - 0.25, 0.0),
                "high": min(y + 0.25, 1.0),
            }
            for x, y in ((0.18, 0.2), (0.36, 0.4), (0.55, 0.5), (0.77, 0.7))
        ],
        "rug": [{"probability": float(x), "outcome": int(x > 0.5)} for x in sorted(risk)],
        "label": "calibrated inside the fold",
    }


def _measure(name: str, k: int, n: int) -> dict[str, Any]:
    share = k / n if n else None
    low, high = (max(share - 0.19, 0.0), min(share + 0.17, 1.0)) if share is not None else (None, None)
    return {
        "name": name,
        "estimate": share,
        "low": low,
        "high": high,
        "k": k,
        "n": n,
        "wilson_low": low,
        "wilson_high": high,
        "by_repeat": [{"k": k, "n": n}, {"k": k, "n": n}],
    }


def _selection() -> dict[str, Any]:
    names = (
        "log-sigma-3-0-mm-3D_glszm_SizeZoneNonUniformityNormalized",
        "wavelet-HHL_glrlm_RunEntropy",
        "original_firstorder_Mean",
        "log-sigma-1-0-mm-3D_gldm_LargeDependenceHighGrayLevelEmphasis",
        "original_shape_Flatness",
        "wavelet-LLH_glcm_Correlation",
        "original_ngtdm_Busyness",
        "wavelet-LLL_firstorder_90Percentile",
    )
    features = [
        {
            "feature": f"ct.{name}",
            "times": 10 - place,
            "fits": 10,
            "share": (10 - place) / 10,
            "mean_rank": 1.4 + 2 * place,
        }
        for place, name in enumerate(names)
    ]
    return {
        "fits": 10,
        "stability": {"estimate": 0.61, "low": 0.5, "high": 0.7},
        "mean_features": 19.6,
        "features": features,
        "distinct": 57,
    }


def audit(verdict: str = "pass") -> dict[str, Any]:
    told = (
        (
            "A1",
            "No patient in two parts",
            "Is any patient in the training and the test part of one fold?",
            "10 folds, 400 rows",
            "none of 40 patients",
        ),
        (
            "A2",
            "Fitted on training rows only",
            "Do the rows of every fitted step equal the training rows of its fold?",
            "350 fitted steps",
            "350 of 350 row hashes equal",
        ),
        (
            "A3",
            "Test rows replaced by noise",
            "Does a refit choose the same when the test rows are noise?",
            "1 fold refitted",
            "same 20 features, same threshold",
        ),
        (
            "A6",
            "Model chosen in the inner folds",
            "Does the choice follow from inner predictions alone?",
            "10 choices",
            "10 of 10 follow",
        ),
        (
            "A7",
            "Threshold from the inner folds",
            "Was each threshold fixed before the test?",
            "110 thresholds",
            "110 of 110",
        ),
    )
    checks = [
        {
            "code": code,
            "title": title,
            "question": question,
            "verdict": "fail" if verdict == "fail" and code == "A2" else "pass",
            "looked_at": looked,
            "finding": finding,
            "evidence": [f"{code}: r1f1 equal"] if code == "A2" else [],
        }
        for code, title, question, looked, finding in told
    ]
    checks.append(
        {
            "code": "A13",
            "title": "Masks from networks that never saw the patient",
            "question": "Did a network that drew a mask see the patient?",
            "verdict": "not applicable",
            "looked_at": "manual contours",
            "finding": "no network",
            "evidence": [],
        }
    )
    passed = sum(check["verdict"] == "pass" for check in checks)
    return {
        "cohort": "phantom",
        "analysis": "phantom-marrow",
        "procedure": "nested",
        "verdict": verdict,
        "passed": passed,
        "of": 5,
        "checks": checks,
    }


def flow(patients: int = 40, events: int = 18) -> dict[str, Any]:
    def stage(
        name: str, title: str, unit: str, entering: int, losses: list[tuple[str, str, str, int]]
    ) -> dict[str, Any]:
        aside = [
            {"kind": kind, "reason": code, "sentence": words, "count": count, "items": []}
            for kind, code, words, count in losses
        ]
        return {
            "stage": name,
            "title": title,
            "unit": unit,
            "in": entering,
            "out": entering - sum(loss[3] for loss in losses),
            "set_aside": aside,
        }

    stages = [
        stage(
            "cohort",
            "Patients of the cohort",
            "patients",
            patients + 5,
            [
                ("excluded", "table_without_images", "A row in the clinical table without images.", 2),
                ("quarantined", "no_usable_ct", "No CT series of this session passed.", 1),
            ],
        ),
        stage(
            "session",
            "First session",
            "sessions",
            patients + 4,
            [("not_chosen", "session_not_asked", "The recipe asks for another session of this patient.", 2)],
        ),
        stage(
            "roi",
            "ROI drawn",
            "ROIs",
            patients + 2,
            [("excluded", "roi_absent", "The ROI that the recipe asks for was not drawn.", 1)],
        ),
        stage("features", "Features computed", "samples", patients + 1, []),
        stage(
            "outcome",
            "Outcome known",
            "samples",
            patients + 1,
            [("censored", "censored_before_horizon", "Followed for less than the horizon, without event.", 1)],
        ),
    ]
    return {
        "cohort": "phantom",
        "analysis": "phantom-marrow",
        "unit": "patient",
        "mask_set": "manual",
        "roi": "marrow",
        "images": ["ct"],
        "stages": stages,
        "used": {"patients": patients, "samples": patients, "events": events, "non_events": patients - events},
        "quarantined": {"patients": 1, "of": patients + 3, "share": 0.023, "limit": 0.2},
        "covariates": {"used": ["age_years"], "absent": ["ki67"]},
        "set_aside": [],
    }


def arguments(*, patients: int = 40, events: int = 18, **more: Any) -> dict[str, Any]:
    """Arguments of analysis_report."""
    given: dict[str, Any] = {
        "analysis": ANALYSIS,
        "evaluation": evaluation(patients, events),
        "audit": audit(),
        "flow": flow(patients, events),
        "lineage": {},
        "bundle": bundle(),
        "recipe": recipe_used(),
        "written": RECIPE,
        "overrides": OVERRIDES,
        "versions": VERSIONS,
        "hashes": HASHES,
        "truth": TRUTH,
    }
    return {**given, **more}
