"""A small analysis on masks that networks drew inside each fold: tables, records of networks, manifests of masks.

Nothing is trained or drawn: features of a fold are those of the reference and noise of that fold's own.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort.fold_facts import FoldFacts, with_fold_facts
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.segmentation import NetworkSettings, SegmentationSettings
from osteorad.cohort.splits import analysis_splits, folds_of, held_out, inner_folds_of, training
from osteorad.files import write_json, write_parquet
from osteorad.modelling.auditing.tables import AuditTables
from osteorad.modelling.fold_files import read_fold_masks
from osteorad.modelling.learning.drawn import FoldMasks
from osteorad.modelling.learning.run import Fitted, fit_analysis
from osteorad.provenance import digest, sha256_file
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples

NETWORK = "unet"
STEPS = [
    {"step": "impute"},
    {"step": "variance"},
    {"step": "icc", "settings": {"form": "A,1", "least": 0.75, "bound": "lower"}},
    {"step": "zscore"},
    {"step": "mrmr", "settings": {"k": [3, 6]}},
]
Manifest = dict[str, Any]


def automatic_recipe(models=("logistic",), **changes) -> Recipe:
    settings = SegmentationSettings(networks={NETWORK: NetworkSettings(network="unet2d_tiny")}, bone="bone")
    own = {"mask_set": f"auto-{NETWORK}", "second_set": "manual", "segmentation": settings, "steps": STEPS}
    return toy_recipe(models, **{"inner_folds": 2, "baselines": ["clinical", "combined", "volume"], **own, **changes})


def base_samples(**how) -> pa.Table:
    """As make_samples leaves them: features of the reference only, and the mask set that is to come."""
    samples = toy_samples(**{"n": 30, "events": 15, "features": 40, "seed": 1, **how})
    names = [name.replace("ct.", "ct@manual.") for name in samples.column_names]
    samples = samples.rename_columns(names)
    place = samples.column_names.index("mask_set")
    return samples.set_column(place, "mask_set", pa.array([f"auto-{NETWORK}"] * samples.num_rows))


def fold_features(base: pa.Table, repeat: int, fold: int, *, noise: float = 0.3) -> dict[str, np.ndarray]:
    """Features of a fold's masks: every fifth column is hardly repeatable, one region was not found."""
    rng = np.random.default_rng([repeat, fold])
    found = {}
    for at, name in enumerate(name for name in base.column_names if name.startswith("ct@manual.")):
        values = base[name].to_numpy()
        size = noise * values.std() * (10 if at % 5 == 4 else 1)
        found[name.replace("@manual", "")] = np.where(
            np.arange(len(values)) == fold, np.nan, values + size * rng.normal(size=len(values))
        )
    return found


@dataclasses.dataclass
class Automatic:
    """Tables and files of such an analysis; a test changes what it likes before `fitted`."""

    recipe: Recipe
    base: pa.Table
    splits: pa.Table
    folder: Path
    records: dict[tuple[int, int, int], Manifest]
    manifests: dict[tuple[int, int], Manifest]

    def network_path(self, repeat: int, fold: int, inner: int) -> Path:
        return self.folder / f"folds/r{repeat}f{fold}/networks/{NETWORK}/i{inner}/network.json"

    def masks_path(self, repeat: int, fold: int) -> Path:
        return self.folder / f"folds/r{repeat}f{fold}/masks/{NETWORK}/masks.json"

    def samples_path(self, repeat: int, fold: int) -> Path:
        return self.folder / f"folds/r{repeat}f{fold}/samples.parquet"

    @property
    def folds(self) -> list[tuple[int, int]]:
        return folds_of(self.splits)

    def write(self) -> None:
        """Records, then manifests, then samples that name their manifest, as the rules before make them."""
        for key, record in self.records.items():
            write_json(self.network_path(*key), record)
        for key, manifest in self.manifests.items():
            write_json(self.masks_path(*key), manifest)
            write_parquet(self.samples_path(*key), self.fold_table(*key))

    def fold_table(self, repeat: int, fold: int) -> pa.Table:
        table = self.base
        for name, values in fold_features(self.base, repeat, fold).items():
            table = table.append_column(name, pa.array(values))
        masks = sha256_file(self.masks_path(repeat, fold))
        facts = FoldFacts(repeat=repeat, fold=fold, network=NETWORK, masks=masks, features=digest([repeat, fold]))
        return with_fold_facts(table, facts)

    def masks(self) -> list[FoldMasks]:
        networks = [self.network_path(*key) for key in self.records]
        return read_fold_masks([self.masks_path(*key) for key in self.manifests], networks)

    def tables(self) -> list[pa.Table]:
        return [self.fold_table(*key) for key in self.folds]

    def fitted(self, tables=None, masks=None) -> Fitted:
        return fit_analysis(
            self.base,
            self.splits,
            self.recipe,
            analysis=ANALYSIS,
            cohort=COHORT,
            fold_samples=self.tables() if tables is None else tables,
            masks=self.masks() if masks is None else masks,
        )

    def audit_tables(self, fitted: Fitted, **changes) -> AuditTables:
        tables = {
            "samples": self.base,
            "splits": self.splits,
            "predictions": fitted.predictions,
            "steps": fitted.steps,
            "selection": fitted.selection,
            "lineage": fitted.lineage,
            "folds": dict(zip(self.folds, self.tables(), strict=True)),
            "masks": self.masks(),
        }
        return AuditTables(**{**tables, **changes}, recipe=self.recipe, analysis=ANALYSIS)


def automatic_toy(folder: Path, recipe: Recipe | None = None, **how) -> Automatic:
    """An honest analysis, its files written: each network saw its inner training part, the last patient of it as
    validation.
    """
    recipe = automatic_recipe() if recipe is None else recipe
    base = base_samples(**how)
    splits = analysis_splits(base, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    records, manifests = {}, {}
    for repeat, fold in folds_of(splits):
        where = {"repeat": repeat, "fold": fold}
        own = {"cohort": COHORT, "analysis": ANALYSIS, "network": NETWORK, **where}
        drawn = {patient: ("external", []) for patient in held_out(base, splits, **where).patients}
        for inner in inner_folds_of(splits, **where):
            seen = sorted(training(base, splits, **where, inner_fold=inner).patients)
            apart = {"patients_trained": seen[:-1], "patients_validation": seen[-1:]}
            records[(repeat, fold, inner)] = {
                **own, **apart, "inner_fold": inner, "sha256": digest([repeat, fold, inner], 64),
            }  # fmt: skip
            for patient in held_out(base, splits, **where, inner_fold=inner).patients:
                drawn[patient] = ("out_of_fold", [f"i{inner}"])
        inner_folds = inner_folds_of(splits, **where)
        named = [{"name": f"i{i}", "sha256": records[(repeat, fold, i)]["sha256"]} for i in inner_folds]
        manifests[(repeat, fold)] = {
            **own,
            "set": f"auto-{NETWORK}",
            "networks": named,
            "patients": [
                {
                    "patient": patient,
                    "sessions": ["s1"],
                    "role": role,
                    "networks": by or [one["name"] for one in named],
                    "sha256": digest(patient, 64),
                    "path": f"{patient}/masks.json",
                }
                for patient, (role, by) in sorted(drawn.items())
            ],
        }
    toy = Automatic(recipe=recipe, base=base, splits=splits, folder=folder, records=records, manifests=manifests)
    toy.write()
    return toy
