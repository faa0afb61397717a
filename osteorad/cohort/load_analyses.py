"""Checks of analyses that learn or validate an outcome: recipe, cohort, divisions, mask sets, bundles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os.path import isfile  # unlike Path's, it answers for names that cannot be one

from osteorad.cohort.config import SLICES, TABLE, Analysis, Cohort, FeatureTable
from osteorad.cohort.load_checks import Checks
from osteorad.cohort.located import Located
from osteorad.cohort.recipe import JUDGED, MODELS, PRESETS, Recipe
from osteorad.cohort.segmentation import AUTOMATIC
from osteorad.cohort.steps import STEPS
from osteorad.errors import shortened, unknown_name

IMAGE_NEEDS = {"ct": ("CT",), "pet": ("PT",), "fused": ("CT", "PT")}


class AnalysisChecks(Checks):
    """Every problem of the analyses."""

    def of_analysis(self, name: str, located: Located, recipe: Recipe) -> Iterator[str]:
        """Problems of an analysis whose recipe could be read; located : the places of the recipe's keys."""
        analysis = self.config.analyses[name]
        if recipe.outcome_of == "patient":
            yield from self.outcome(name)
        yield from self._recipe_names(located, recipe)
        yield from self._recipe_fits(located, recipe, analysis)
        yield from self._division_fits(located, recipe, name)
        yield from self._mask_sets(located, recipe, analysis)
        if recipe.outcome_of == "lesion":
            yield from self._lesion_outcome(located, recipe, name, analysis)

    def outcome(self, name: str) -> Iterator[str]:
        """The cohort exists, and its clinical table has the outcome."""
        analysis = self.config.analyses[name]
        if analysis.cohort not in self._raw_names("cohorts"):
            where = self._at("analyses", name, "cohort")
            yield unknown_name("cohort", analysis.cohort, self._raw_names("cohorts"), where)
        if (cohort := self.config.cohorts.get(analysis.cohort)) is None:
            return
        place = self._at("analyses", name, "outcome")
        if cohort.clinical is None and cohort.table is None:
            yield f"{place}: cohort '{analysis.cohort}' has no clinical table, so there is no outcome."
        elif analysis.outcome not in {"outcome", *cohort.covariates}:
            yield unknown_name("outcome", analysis.outcome, {"outcome", *cohort.covariates}, place)
        if cohort.table is not None:
            yield from self._table_outcome(name, analysis, cohort.table)

    def _table_outcome(self, name: str, analysis: Analysis, table: FeatureTable) -> Iterator[str]:
        if analysis.outcome == "outcome" and table.outcome is None:
            place = self._at("cohorts", analysis.cohort, "table", "outcome")
            yield f"{place}: this key is missing. Wanted: the column with the outcome of analysis '{name}'."
        for key in ("horizon_days", "image_window_days"):
            if getattr(analysis, key) is not None:
                yield f"{self._at('analyses', name, key)}: not for source table, which knows no days. Remove it."

    def _lesion_outcome(self, located: Located, recipe: Recipe, name: str, analysis: Analysis) -> Iterator[str]:
        """The outcome of each lesion, from the table of lesions."""
        place = located.where("outcome_of")
        if recipe.unit != "lesion":
            yield f"{place}: outcomes of lesions need 'unit: lesion'; here a sample is a {recipe.unit}."
        cohort = self.config.cohorts.get(analysis.cohort)
        if cohort is not None and cohort.table is not None:
            yield from self._table_outcome(name, analysis, cohort.table)
        elif cohort is not None and cohort.lesions is None:
            yield (
                f"{place}: cohort '{analysis.cohort}' has no table of lesions. "
                "Wanted there:  lesions: {path: lesions.tsv}"
            )
        if cohort is not None and analysis.outcome != "outcome":
            yield unknown_name("outcome", analysis.outcome, ["outcome"], self._at("analyses", name, "outcome"))
        if analysis.horizon_days is not None:
            where = self._at("analyses", name, "horizon_days")
            yield f"{where}: the table of lesions holds no times, only 0 and 1. Remove it, or 'outcome_of: lesion'."

    def _recipe_names(self, located: Located, recipe: Recipe) -> Iterator[str]:
        if recipe.preset not in (*PRESETS, TABLE):
            yield unknown_name("preset", recipe.preset, PRESETS, located.where("preset"))
        for index, step in enumerate(recipe.steps):
            if step.step not in STEPS:
                yield unknown_name("step", step.step, STEPS, located.where("steps", str(index), "step"))
        for index, model in enumerate(recipe.models):
            if model not in MODELS:
                yield unknown_name("model", model, MODELS, located.where("models", str(index)))
        for index, image in enumerate(recipe.images):
            if image not in (*IMAGE_NEEDS, TABLE):
                yield unknown_name("image", image, IMAGE_NEEDS, located.where("images", str(index)))

    def _recipe_fits(self, located: Located, recipe: Recipe, analysis: Analysis) -> Iterator[str]:
        """What a recipe asks for, against what its cohort has."""
        if (cohort := self.config.cohorts.get(analysis.cohort)) is None:
            return
        if cohort.source == TABLE or TABLE in (*recipe.images, recipe.preset):
            yield from self._recipe_of_tables(located, recipe, analysis, cohort)
            return
        if cohort.source == SLICES:
            yield (
                f"{located.where('preset')}: cohort '{analysis.cohort}' is slices as pictures: its grey values are no "
                "HU and its pixels have no size, so no features are computed. Wanted: a recipe of kind segmentation."
            )
            return
        if recipe.roi not in cohort.rois:
            yield unknown_name(f"ROI of cohort '{analysis.cohort}'", recipe.roi, cohort.rois, located.where("roi"))
        for index, image in enumerate(recipe.images):
            if lacking := [need for need in IMAGE_NEEDS.get(image, ()) if need not in cohort.modalities]:
                place = located.where("images", str(index))
                yield f"{place}: '{image}' needs modality {lacking[0]}, which cohort '{analysis.cohort}' does not list."
        table = cohort.clinical
        for index, name in enumerate(recipe.covariates):
            place = located.where("covariates", str(index))
            if name == analysis.outcome:
                yield f"{place}: '{name}' is the outcome of this analysis; it cannot predict itself. Remove it."
            elif table and name not in table.keep and "covariates" in analysis.overrides:
                yield unknown_name(f"covariate of cohort '{analysis.cohort}'", name, table.keep, place)

    def _recipe_of_tables(self, located: Located, recipe: Recipe, analysis: Analysis, cohort: Cohort) -> Iterator[str]:
        """Recipes of feature tables and cohorts from feature tables go together."""
        if cohort.source != TABLE:
            key = "preset" if recipe.preset == TABLE else "images"
            yield (
                f"{located.where(key)}: '{TABLE}' is for cohorts of source table; the source of "
                f"'{analysis.cohort}' is {cohort.source}."
            )
            return
        wanted = {"images": [TABLE], "roi": TABLE, "preset": TABLE, "mask_set": "manual", "second_set": None}
        for key, value in wanted.items():
            if getattr(recipe, key) != value:
                yield f"{located.where(key)}: cohort '{analysis.cohort}' is a feature table. Wanted: {key}: {value}."
        for index, name in enumerate(recipe.covariates):
            place = located.where("covariates", str(index))
            if name == analysis.outcome:
                yield f"{place}: '{name}' is the outcome of this analysis; it cannot predict itself. Remove it."
            elif name not in cohort.covariates:
                yield unknown_name(f"covariate of cohort '{analysis.cohort}'", name, cohort.covariates, place)

    def _division_fits(self, located: Located, recipe: Recipe, name: str) -> Iterator[str]:
        """How patients are divided, and whether there is a published procedure to replay."""
        analysis = self.config.analyses[name]
        if analysis.as_published and recipe.published is None:
            place = self._at("analyses", name, "as_published")
            yield f"{place}: recipe '{recipe.name}' does not say how a paper proceeded. Wanted: its key 'published'."
        column = recipe.splits.column
        if recipe.splits.kind == "column" and column is None:
            place = located.where("splits", "column")
            yield f"{place}: this key is missing. Wanted: the covariate that says which fold or part a patient is in."
        elif recipe.splits.kind != "column" and column is not None:
            place = located.where("splits", "column")
            yield f"{place}: only for kind: column, here the kind is {recipe.splits.kind}."
        cohort = self.config.cohorts.get(analysis.cohort)
        if cohort is None or column is None:
            return
        if column not in cohort.covariates:
            place = located.where("splits", "column")
            yield unknown_name(f"covariate of cohort '{analysis.cohort}'", column, cohort.covariates, place)

    def _mask_sets(self, located: Located, recipe: Recipe, analysis: Analysis) -> Iterator[str]:
        """Mask sets exist, and the second one is another reader's."""
        if (cohort := self.config.cohorts.get(analysis.cohort)) is None:
            return
        for key, name in (("mask_set", recipe.mask_set), ("second_set", recipe.second_set)):
            if name is None or (recipe.segmentation is not None and name.startswith(AUTOMATIC)):
                continue
            if name.startswith(AUTOMATIC):
                place = located.where(key)
                yield f"{place}: '{shortened(name)}' is drawn by a network. Wanted: the key segmentation, or a reader."
            else:
                yield from self._mask_set(located.where(key), name, cohort)
        if recipe.second_set == recipe.mask_set:
            yield f"{located.where('second_set')}: this is the recipe's own mask set. Wanted: a second reader's."
        if recipe.second_set is None:
            for index, step in enumerate(recipe.steps):
                if step.step == "icc":
                    place = located.where("steps", str(index), "step")
                    yield f"{place}: 'icc' compares two readers. Wanted: 'second_set', a folder below contours/."

    def bundle(self, name: str, bundle: str, recipes: Mapping[str, Recipe]) -> Iterator[str]:
        """An external validation: the bundle is another analysis', learned by the same recipe, or lies in a folder."""
        analysis, place = self.config.analyses[name], self._at("analyses", name, "bundle")
        if analysis.as_published:
            yield f"{self._at('analyses', name, 'as_published')}: nothing is learned here, so nothing can be replayed."
        source = self.config.analyses.get(bundle)
        if source is None:
            if not isfile(self.workdir / bundle / "bundle.json"):
                names = [other for other, a in self.config.analyses.items() if a.bundle is None]
                yield unknown_name("analysis, and no folder with bundle.json", bundle, names, place)
            return
        if source.bundle is not None:
            yield f"{place}: analysis '{bundle}' applies a bundle itself. Wanted: the analysis that learned it."
            return
        if analysis.cohort == source.cohort:
            yield f"{place}: '{bundle}' was learned on the same cohort '{source.cohort}'. Wanted: another cohort."
        if name in recipes and bundle in recipes:
            ours, theirs = (recipes[n].model_dump(mode="json", exclude=set(JUDGED)) for n in (name, bundle))
            if differing := sorted(key for key in ours if ours[key] != theirs[key]):
                yield (
                    f"{place}: '{bundle}' was learned by another recipe; {', '.join(differing)} differ. "
                    "Wanted: the same recipe with the same overrides."
                )
