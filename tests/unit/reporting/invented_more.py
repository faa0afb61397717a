"""Further keys of an invented evaluation, and an invented frozen bundle."""

from __future__ import annotations

from typing import Any

import numpy as np

THRESHOLDS = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6]
NADEAU = "95 % interval; covers 86 to 93 % in simulations"
CONDITIONAL = "95 % patient bootstrap, conditional on the fitted models"


def around(middle: float, half: float) -> dict[str, Any]:
    return {"estimate": middle, "low": middle - half, "high": middle + half}


def more(patients: int, events: int, auc: float) -> dict[str, Any]:
    rng = np.random.default_rng(11)
    permuted = [float(value) for value in np.clip(rng.normal(0.5, 0.07, 100), 0, 1)]
    shuffled = {"variables": "radiomics", "model": "chosen", "label": "Shuffled voxels", "auc": around(0.53, 0.12)}
    return {
        "unit": "patient",
        "split": "folds",
        "outcome_label": "bone metastases",
        "intervals": {
            "nadeau-bengio": {
                "label": "Corrected resampled t interval (Nadeau and Bengio 2003)",
                "coverage": NADEAU,
                "setting": "106 and 312 patients, 200 features, 5 by 5 folds, mRMR and logistic regression",
            },
            "patient-bootstrap": {
                "label": "Patient bootstrap of out-of-fold predictions",
                "coverage": "95 % interval; covers 78 to 83 % in simulations, conditional on the fitted models",
                "setting": "106 and 312 patients, 200 features",
            },
        },
        "multiplicity": {"method": "Holm", "comparisons": 3, "level": 0.05},
        "controls": {
            "permuted": {
                "n": 100,
                "mean": float(np.mean(permuted)),
                "low": float(np.mean(permuted)) - 0.014,
                "high": float(np.mean(permuted)) + 0.014,
                "range_low": float(np.percentile(permuted, 2.5)),
                "range_high": float(np.percentile(permuted, 97.5)),
                "values": permuted,
                "real": 0.72,
                "p": 0.0099,
                "model": "logistic",
                "label": "radiomics by logistic regression",
            },
            "shuffled": shuffled,
        },
        "decision": decision(patients, events),
        "subgroups": {
            "minimum": 15,
            "label": CONDITIONAL,
            "rows": [
                {
                    "variable": "subtype",
                    "level": "luminal",
                    "patients": 22,
                    "n": 22,
                    "events": 9,
                    "auc": 0.71,
                    "low": 0.48,
                    "high": 0.9,
                    "note": "",
                },
                {
                    "variable": "subtype",
                    "level": "HER2",
                    "patients": 18,
                    "n": 18,
                    "events": 9,
                    "auc": 0.78,
                    "low": 0.52,
                    "high": 0.97,
                    "note": "",
                },
                {
                    "variable": "site",
                    "level": "B",
                    "patients": 9,
                    "n": 9,
                    "events": 4,
                    "auc": None,
                    "low": None,
                    "high": None,
                    "note": "fewer than 15 patients",
                },
            ],
        },
        "waterfall": waterfall(rng, patients, events),
        "patient_level": None,
        "published": published(auc, rng),
        "table_one": table_one(patients, events),
        "missing": {
            "columns": [
                {"column": "clinical.ki67", "missing": 3, "n": patients, "missing_events": 2, "events": events},
                {"column": "clinical.er", "missing": 0, "n": patients, "missing_events": 0, "events": events},
                {
                    "column": "ct.original_glszm_ZoneEntropy",
                    "missing": 1,
                    "n": patients,
                    "missing_events": 0,
                    "events": events,
                },
            ],
            "features": {"columns": 1197, "with_missing": 1, "values": 1197 * patients, "missing": 1},
        },
        "sample_size": {
            "method": "Riley criteria (Riley 2019)",
            "r2_share": 0.15,
            "outcome_share": events / patients,
            "rows": [
                size_row("radiomics", 1197, 65_000, patients, events),
                size_row("clinical", 7, 385, patients, events),
            ],
            "note": "A Cox-Snell R2 of 15 % of its largest possible value is assumed.",
        },
        "optimism": {
            "variables": "clinical",
            "model": "logistic",
            "label": "Clinical variables, logistic",
            "predictors": 7,
            "patients": patients,
            "events": events,
            "bootstraps": 200,
            "apparent": 0.78,
            "optimism": 0.081,
            "corrected": 0.699,
            "slope": 0.71,
            "b632plus": 0.69,
            "note": "Steps and choice of variables are repeated in each bootstrap sample.",
        },
    }


def size_row(variables: str, parameters: int, needed: int, patients: int, events: int) -> dict[str, Any]:
    return {
        "variables": variables,
        "parameters": parameters,
        "r2": 0.15,
        "criteria": [
            {"name": "shrinkage", "needed": needed},
            {"name": "optimism of R2", "needed": needed // 3},
            {"name": "prevalence", "needed": 376},
        ],
        "needed": needed,
        "needed_events": needed // 3,
        "have": patients,
        "have_events": events,
        "events_per_parameter": events / parameters,
        "enough": False,
    }


def decision(patients: int, events: int) -> dict[str, Any]:
    share = events / patients
    at = np.array(THRESHOLDS)
    everyone = share - (1 - share) * at / (1 - at)

    def curve(name: str, label: str, sens: float, spec: float) -> dict[str, Any]:
        model = sens * share - (1 - spec) * (1 - share) * at / (1 - at)
        value = np.maximum(model, np.where(at < 0.15, everyone, -1))
        return {
            "name": name,
            "label": label,
            "net_benefit": value.tolist(),
            "low": (value - 0.08).tolist(),
            "high": (value + 0.07).tolist(),
        }

    return {
        "thresholds": THRESHOLDS,
        "curves": [
            curve("radiomics", "This analysis", 0.8, 0.7),
            curve("combined", "Combined", 0.82, 0.73),
            curve("clinical", "Clinical", 0.7, 0.6),
            curve("volume", "Volume", 0.6, 0.55),
        ],
        "all": everyone.tolist(),
        "prevalence": share,
        "events": events,
        "n": patients,
        "label": CONDITIONAL,
        "added": [],
    }


def waterfall(rng: np.random.Generator, patients: int, events: int) -> dict[str, Any]:
    outcome = np.array([1] * events + [0] * (patients - events))
    margin = np.clip(rng.normal(0.18 * (2 * outcome - 1), 0.2), -0.5, 0.55)
    rows = [
        {
            "sample": f"s{at:02d}",
            "outcome": int(outcome[at]),
            "margin": float(margin[at]),
            "predicted": int(margin[at] >= 0),
        }
        for at in np.argsort(-margin)
    ]
    return {"repeat": 1, "rows": rows}


def published(auc: float, rng: np.random.Generator) -> dict[str, Any]:
    values = [float(value) for value in np.clip(rng.normal(0.93, 0.03, 5), 0, 1)]
    noise = [float(value) for value in np.clip(rng.normal(0.86, 0.04, 20), 0, 1)]
    mean = float(np.mean(values))
    return {
        "auc": mean,
        "sd": float(np.std(values)),
        "low": min(values),
        "high": max(values),
        "divisions": 5,
        "values": values,
        "chosen": {"logistic": 3, "mlp": 2},
        "models": [
            {
                "model": "logistic",
                "label": "Logistic regression",
                "auc": mean - 0.01,
                "sd": 0.03,
                "low": 0.88,
                "high": 0.97,
                "chosen_in": 3,
            },
            {"model": "mlp", "label": "MLP", "auc": mean - 0.02, "sd": 0.04, "low": 0.86, "high": 0.96, "chosen_in": 2},
        ],
        "choice": "In each division the model with the best AUC on the test patients was taken",
        "permuted": {"auc": float(np.mean(noise)), "sd": 0.04, "low": min(noise), "high": max(noise), "values": noise},
        "leaks": [
            {"code": "A2", "text": "Features were selected on all patients, test patients included."},
            {"code": "A6", "text": "The model was chosen on the test patients."},
        ],
        "nested": auc,
        "gap": mean - auc,
    }


def table_one(patients: int, events: int) -> dict[str, Any]:
    def number(median: float) -> dict[str, float]:
        return {"n": patients, "median": median, "q1": median - 6, "q3": median + 7, "mean": median, "sd": 9.1}

    def level(k: int, n: int) -> dict[str, int]:
        return {"k": k, "n": n}

    others = patients - events
    return {
        "n": {"all": patients, "events": events, "others": others},
        "rows": [
            {
                "variable": "age_years",
                "level": None,
                "kind": "number",
                "all": number(58.5),
                "events": number(60.0),
                "others": number(57.0),
                "missing": 0,
            },
            {
                "variable": "subtype",
                "level": "luminal",
                "kind": "level",
                "all": level(patients // 2, patients),
                "events": level(events // 2, events),
                "others": level(others // 2, others),
                "missing": 0,
            },
            {
                "variable": "site",
                "level": "A",
                "kind": "level",
                "all": level(patients - 9, patients),
                "events": level(events - 4, events),
                "others": level(others - 5, others),
                "missing": 0,
            },
        ],
    }


def linear(columns: dict[str, tuple[float, float, float, float, float]], intercept: float) -> dict[str, Any]:
    """columns : name -> coefficient, centre, scale, low, high."""
    return {
        "intercept": intercept,
        "columns": [
            {
                "feature": name,
                "coefficient": b,
                "fill": centre,
                "centre": centre,
                "scale": scale,
                "clip": 8.0,
                "low": low,
                "high": high,
            }
            for name, (b, centre, scale, low, high) in columns.items()
        ],
    }


def bundle() -> dict[str, Any]:
    clinical = {
        "clinical.age_years": (0.31, 58.0, 9.0, 34.0, 83.0),
        "clinical.er": (-0.22, 0.6, 0.49, 0.0, 1.0),
        "clinical.ki67": (0.44, 22.0, 14.0, 2.0, 78.0),
        "clinical.subtype=HER2": (0.18, 0.3, 0.46, 0.0, 1.0),
        "clinical.subtype=triple-negative": (0.21, 0.2, 0.4, 0.0, 1.0),
    }
    combined = {**clinical, "radscore": (0.9, -0.2, 0.8, -2.1, 1.9)}

    def part(columns: dict[str, Any]) -> dict[str, Any]:
        return {
            "linear": linear(columns, -0.2),
            "calibration": {"intercept": -0.05, "slope": 0.8},
            "threshold": -0.1,
            "model": "logistic",
        }

    return {
        "state": "frozen",
        "why": "",
        "card": {
            "patients": 40,
            "samples": 40,
            "events": 18,
            "estimate": "The nested result estimates it.",
        },
        "parts": {"clinical": part(clinical), "combined": part(combined)},
    }


def external() -> dict[str, Any]:
    """Arguments of external_report."""
    from tests.unit.reporting import invented_analysis as invented

    evaluation = invented.evaluation()
    card = {
        "analysis": "phantom-marrow",
        "cohort": "phantom",
        "recipe": "zhu2024",
        "model": "logistic",
        "patients": 40,
        "events": 18,
    }
    recalibrated = [
        {"name": name, "intercept": a, "slope": b, "brier": brier, "in_the_large": c, "calibration_slope": d}
        for name, a, b, brier, c, d in (
            ("as frozen", 0.0, 1.0, 0.231, 0.42, 0.7),
            ("intercept", 0.42, 1.0, 0.222, 0.0, 0.7),
            ("intercept and slope", 0.31, 0.7, 0.217, 0.0, 1.0),
        )
    ]
    rows = [{"sample": "s07", "share": 0.4}, {"sample": "s03", "share": 0.12}]
    evaluation |= {
        "procedure": "external",
        "split": "external",
        "answer": {**evaluation["answer"], "sentences": evaluation["answer"]["sentences"][:2]},
        "primary": {**evaluation["primary"], "folds": evaluation["primary"]["folds"][:1], "formula": ""},
        "controls": {"permuted": None, "shuffled": None},
        **dict.fromkeys(("published", "optimism", "sample_size", "selection")),
        "roc": {**evaluation["roc"], "within_folds": []},
        "counts": {**evaluation["counts"], "repeats": 1, "folds": 1, "fits": 1},
        "external": {
            "bundle": card,
            "outside_ranges": {"share": 0.03, "any": 2, "n": 40, "rows": rows},
            "recalibrated": recalibrated,
            "note": "Recalibrated on these very patients, so the lower lines flatter.",
        },
    }
    return {
        "analysis": {**invented.ANALYSIS, "name": "carried", "bundle": "phantom-marrow"},
        "evaluation": evaluation,
        "flow": invented.flow(),
        "recipe": invented.recipe_used(),
        "versions": invented.VERSIONS,
        "hashes": invented.HASHES,
    }
