"""Tables of a small cohort, features and outcomes, from which a test makes samples."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from osteorad.cohort.config import Analysis
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.samples import CohortTables, make_samples
from osteorad.cohort.schemas import FEATURES, LESIONS, PATIENTS, REASONS, SERIES
from osteorad.files import table_from_rows

NAMES = ("original_shape_VoxelVolume", "original_firstorder_Mean", "suv_Max")


def patients(n=20):
    return [f"p{at:02d}" for at in range(n)]


class Cohort:
    """Tables of a small cohort that a test changes before it builds the samples."""

    def __init__(self, n=20):
        self.patients = [
            {
                "cohort": "c",
                "patient": p,
                "images": True,
                "in_table": True,
                "sessions": 1,
                "state": "used",
                "reason": "",
            }
            for p in patients(n)
        ]
        self.series = [self.image(p, "s1", 0) for p in patients(n)]
        self.features = [self.feature(p, "s1", "ct") for p in patients(n)]
        self.reasons: list[dict] = []
        self.lesions: list[dict] | None = None
        self.second: list[dict] | None = None
        self.clinical = [
            {"patient": p, "outcome": at % 2, "index_day": 0, "event_day": None, "last_seen_day": 900.0,
             "first_session_day": -3.0, "site": "north", "age_years": 50.0 + at, "er": "pos"}
            for at, p in enumerate(patients(n))
        ]  # fmt: skip

    @staticmethod
    def image(patient, session, order, state="used", day=-3):
        return {
            "cohort": "c", "patient": patient, "session": session, "session_order": order, "session_day": day,
            "kind": "image", "image": "ct", "state": state,
        }  # fmt: skip

    @staticmethod
    def feature(patient, session, image, *, roi="marrow", lesion=1, mask_set="manual", value=1.0):
        keys = {"cohort": "c", "patient": patient, "session": session, "image": image, "roi": roi, "lesion": lesion}
        suv = value if image == "pet" else np.nan
        numbers = dict(zip(NAMES, (value + 100, value, suv), strict=True))
        return {**keys, "mask_set": mask_set, **numbers}

    def tables(self) -> CohortTables:
        clinical = pa.schema(
            [
                ("patient", pa.string()), ("outcome", pa.int32()), ("index_day", pa.int32()),
                *((name, pa.float64()) for name in ("event_day", "last_seen_day", "first_session_day")),
                ("site", pa.string()), ("age_years", pa.float64()), ("er", pa.string()),
            ]
        )  # fmt: skip
        unit = {b"unit": b"mm3"}
        features = pa.schema([*FEATURES, *(pa.field(name, pa.float64(), metadata=unit) for name in NAMES)])
        return CohortTables(
            features=pa.Table.from_pylist(self.features, schema=features),
            reasons=table_from_rows(self.reasons, REASONS),
            patients=table_from_rows(self.patients, PATIENTS),
            series=table_from_rows(self.series, SERIES),
            clinical=pa.Table.from_pylist(self.clinical, schema=clinical),
            inputs={"features": "abc"},
            lesions=None if self.lesions is None else table_from_rows(self.lesions, LESIONS),
            second=None if self.second is None else pa.Table.from_pylist(self.second, schema=features),
        )

    def row(self, kind, patient):
        return next(row for row in getattr(self, kind) if row["patient"] == patient)

    def drop(self, kind, patient):
        setattr(self, kind, [row for row in getattr(self, kind) if row["patient"] != patient])


def recipe(**changes) -> Recipe:
    settings = {"images": ["ct"], "roi": "marrow", "covariates": ["age_years", "ki67"], **changes}
    return Recipe(name="toy", title="Toy", preset="zhu2024", steps=[], models=["logistic"], **settings)


def make(cohort: Cohort, *, limit=0.2, settings=None, **changes):
    return make_samples(
        cohort.tables(),
        cohort="c",
        analysis="a",
        recipe=recipe(**changes),
        settings=settings or Analysis(cohort="c", recipe="toy"),
        max_quarantined=limit,
    )


def losses(made) -> dict[str, list[str]]:
    """Reason -> patients, of all stages; every stage must balance."""
    found: dict[str, list[str]] = {}
    for stage in made.flow["stages"]:
        assert stage["in"] == stage["out"] + sum(group["count"] for group in stage["set_aside"])
        for group in stage["set_aside"]:
            found.setdefault(group["reason"], []).extend(group["items"])
    return found
