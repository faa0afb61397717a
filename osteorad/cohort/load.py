"""Reads `config.yaml` and the recipes, and finds every problem that can be found without opening a table or an image.

Light: runs in every start of Snakemake, also inside jobs. The tables themselves are looked at by `cohort.check`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from os.path import isdir, isfile, realpath  # unlike Path's, they answer for names that cannot be one
from pathlib import Path
from typing import Any

from osteorad.cohort.config import (
    LESION_COLUMNS,
    PHANTOM_SECOND_SET,
    TABLE,
    TABLE_COLUMNS,
    Analysis,
    Cohort,
    Config,
    FeatureTable,
)
from osteorad.cohort.located import Located, read_located
from osteorad.cohort.pseudonyms import FILE_NAME
from osteorad.cohort.recipe import JUDGED, MODELS, PRESETS, Recipe, apply_overrides
from osteorad.cohort.sources import state_folder
from osteorad.cohort.steps import STEPS
from osteorad.cohort.validation import validated
from osteorad.cohort.whole import COHORTS, is_whole, looks_whole, with_tables
from osteorad.errors import ConfigError, shortened, unknown_name

CONFIG = "config.yaml"
RECIPE_FOLDER = "resources/recipes"
IMAGE_NEEDS = {"ct": ("CT",), "pet": ("PT",), "fused": ("CT", "PT")}
PSEUDONYM = re.compile(r"p[0-9a-f]{12}")
WRITTEN = ("results", "contours", "work", "logs", "benchmarks", ".snakemake")  # folders of a run; contours: of people
WANTED_NAME = "Wanted: letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit."


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings of a working folder, checked."""

    workdir: Path
    root: Path  # the clone
    config: Config
    recipes: dict[str, Recipe]  # analysis -> its recipe with the overrides applied
    located: Located  # lines of config.yaml, for messages

    def path(self, name: str) -> Path:
        """A path of the settings: relative to the working folder, or absolute."""
        return self.workdir / name

    def private(self, cohort: str) -> Path:
        """The private folder of a cohort."""
        return self.path(self.config.private_dir) / cohort

    def whole(self, cohort: str) -> bool:
        """True where another site ingested the cohort and its folder was moved here."""
        return is_whole(self.workdir, cohort, self.config.cohorts[cohort])

    def state(self, cohort: str) -> Path:
        """Where the state of a cohort lies."""
        kind = self.config.cohorts[cohort].source
        return state_folder(cohort, kind=kind, workdir=self.workdir, private_dir=self.config.private_dir)

    @property
    def targets(self) -> tuple[list[str], list[str]]:
        """Cohorts and analyses that a plain run makes; an analysis brings its cohort."""
        asked = self.config.run or [*self.config.cohorts, *self.config.analyses]
        analyses = sorted(name for name in asked if name in self.config.analyses)
        cohorts = {name for name in asked if name in self.config.cohorts}
        return sorted(cohorts | {self.config.analyses[name].cohort for name in analyses}), analyses


def load(workdir: Path, root: Path) -> Loaded:
    """Settings of `workdir` with the recipes of the clone `root`.

    Raises ConfigError with every problem: file and line, found, wanted, nearest valid name.
    """
    located = read_located(workdir / CONFIG, CONFIG)
    config, problems = validated(Config, located)
    checker = _Checker(workdir, root, located, config or _valid_parts(located))
    problems += [*checker.cohorts(), *checker.analyses(), *checker.names()]
    if problems or config is None:
        raise ConfigError(sorted(dict.fromkeys(problems), key=_file_and_line))
    return Loaded(workdir=workdir, root=root, config=checker.config, recipes=checker.recipes, located=located)


def _file_and_line(problem: str) -> tuple[str, int]:
    found = re.match(r"([^\s:]+):(\d+)", problem)
    return (found[1], int(found[2])) if found else (problem.split(" ")[0].rstrip(":"), 0)


def _valid_parts(located: Located) -> Config:
    """What can be read of broken settings, so that the problems of the rest are found in the same go."""

    def parts(key: str, model: type[Cohort] | type[Analysis]) -> dict[str, Any]:
        raw = located.value.get(key) if isinstance(located.value, dict) else None
        read = {
            name: validated(model, Located(name=located.name, value=value))[0]
            for name, value in (raw.items() if isinstance(raw, dict) else ())
        }
        return {name: value for name, value in read.items() if value is not None}

    return Config.model_construct(cohorts=parts("cohorts", Cohort), analyses=parts("analyses", Analysis))


@dataclass(frozen=True, slots=True, kw_only=True)
class _OverriddenRecipe(Located):
    """A recipe with overrides: a message points at the override where there is one."""

    config: Located
    analysis: str
    overrides: Mapping[str, Any]

    def where(self, *keys: str) -> str:
        names = [key for key in self._named(keys) if key != "settings"]
        for depth in range(len(names), 0, -1):
            if ".".join(names[:depth]) in self.overrides:
                return _override_place(self.config, self.analysis, ".".join(names))
        return Located.where(self, *keys)

    def _named(self, keys: tuple[str, ...]) -> list[str]:
        """Keys with a step's name in place of its number."""
        if len(keys) > 1 and keys[0] == "steps" and keys[1].isdigit():
            return ["steps", str(self.value["steps"][int(keys[1])].get("step")), *keys[2:]]
        return list(keys)


def _override_place(config: Located, analysis: str, key: str) -> str:
    base = ("analyses", analysis, "overrides")
    return config.where(*base, key) if (*base, key) in config.lines else config.where(*base, *key.split("."))


class _Checker:
    """Checks of names, references and files that the models alone cannot make."""

    def __init__(self, workdir: Path, root: Path, located: Located, config: Config) -> None:
        self.workdir, self.root, self.located = workdir, root, located
        moved = {
            name: with_tables(cohort, workdir / COHORTS / name)
            for name, cohort in config.cohorts.items()
            if is_whole(workdir, name, cohort)
        }
        self.config = config.model_copy(update={"cohorts": {**config.cohorts, **moved}})
        self.recipes: dict[str, Recipe] = {}
        self.recipe_files: dict[str, tuple[Located, Recipe | None]] = {}

    # --- cohorts

    def cohorts(self) -> Iterator[str]:
        for name, cohort in self.config.cohorts.items():
            yield from self._source(name, cohort)
            yield from self._tables(name, cohort)
            yield from self._rois(name, cohort)
            yield from self._exclusions(name, cohort)

    def _at(self, *keys: str) -> str:
        return self.located.where(*keys)

    def _source(self, name: str, cohort: Cohort) -> Iterator[str]:
        at = ("cohorts", name)
        if cohort.table is not None and cohort.source != TABLE:
            yield f"{self._at(*at, 'table')}: only for source table, here the source is {cohort.source}."
        if cohort.source == "phantom":
            for key in ("path", "clinical", "lesions", "series"):
                if (*at, key) in self.located.lines:
                    yield f"{self._at(*at, key)}: not for source phantom, which writes its own files. Remove it."
            return
        if cohort.phantom is not None:
            yield f"{self._at(*at, 'phantom')}: only for source phantom, here the source is {cohort.source}."
        if cohort.source == TABLE:
            yield from self._feature_table(name, cohort)
            return
        if not is_whole(self.workdir, name, cohort):
            yield from self._head(name, cohort)
        if cohort.path is None:
            yield f"{self._at(*at, 'path')}: this key is missing. Wanted: the folder with the DICOM files."
        elif not isdir(self.workdir / cohort.path):
            yield (
                f"{self._at(*at, 'path')}: the folder '{shortened(cohort.path)}' does not exist "
                "(seen from the working folder)."
            )
        elif is_whole(self.workdir, name, cohort):
            for key in ("clinical", "lesions", "series", "head"):
                if (*at, key) in self.located.lines:
                    place = self._at(*at, key)
                    yield f"{place}: was said where this cohort was ingested, and came along. Remove it."
        elif cohort.source == "deidentified" and looks_whole(self.workdir / cohort.path):
            yield (
                f"{self._at(*at, 'path')}: this cohort was ingested already. "
                f"Wanted: its folder at {COHORTS}/{name}, and  path: {COHORTS}/{name}"
            )
        elif made := self._within(cohort.path):
            place = self._at(*at, "path")
            yield f"{place}: this folder holds '{made}', which a run writes. Wanted: a folder of its own."

    def _head(self, name: str, cohort: Cohort) -> Iterator[str]:
        """What becomes of faces is for the user to say."""
        place = self._at("cohorts", name, "head")
        blank = "blank (every slice above the neck becomes air)"
        if cohort.source == "deidentified":
            blank = "blank needs 'source: dicom', because files of this source are read in place and never rewritten"
        if cohort.head is None or (cohort.head == "blank" and cohort.source == "deidentified"):
            found = "this key is missing" if cohort.head is None else "'blank' is not for source deidentified"
            yield (
                f"{place}: {found}: an image of the head shows a face, which can be matched with photographs. "
                "Wanted: keep (faces stay in the results) or quarantine (series that show a head, or may show one, are "
                f"held back); {blank}."
            )

    def _within(self, path: str) -> str:
        """A folder that a run writes and that lies in the export, or is it; empty where there is none."""
        export = self._real(path)
        own = (self.config.private_dir, *WRITTEN)
        return next((name for name in own if self._real(name).is_relative_to(export)), "")

    def _real(self, path: str) -> Path:
        return Path(realpath(self.workdir / path))

    def _feature_table(self, name: str, cohort: Cohort) -> Iterator[str]:
        at = ("cohorts", name)
        for key in ("path", "clinical", "lesions", "series", "head"):
            if (*at, key) in self.located.lines:
                yield f"{self._at(*at, key)}: not for source table, where all stands in one file. Remove it."
        if cohort.table is None:
            yield f"{self._at(*at, 'table')}: this key is missing. Wanted:  table: {{path: FILE}}"
        elif not isfile(self.workdir / cohort.table.path):
            yield _no_file(self._at(*at, "table", "path"), cohort.table.path)

    def _tables(self, name: str, cohort: Cohort) -> Iterator[str]:
        at = ("cohorts", name)
        if cohort.source in ("phantom", TABLE) or is_whole(self.workdir, name, cohort):
            return
        files = {
            ("clinical", "path"): cohort.clinical.path if cohort.clinical else None,
            ("lesions", "path"): cohort.lesions.path if cohort.lesions else None,
            ("series",): cohort.series,
        }
        for keys, path in files.items():
            if path is not None and not isfile(self.workdir / path):
                yield _no_file(self._at(*at, *keys), path)
        for key in cohort.lesions.columns if cohort.lesions else ():
            if key not in LESION_COLUMNS:
                yield unknown_name("column", key, LESION_COLUMNS, self._at(*at, "lesions", "columns", key))
        if cohort.clinical is None:
            return
        for key in cohort.clinical.columns:
            if key not in {*TABLE_COLUMNS, *cohort.clinical.keep}:
                where = self._at(*at, "clinical", "columns", key)
                yield unknown_name("column", key, {*TABLE_COLUMNS, *cohort.clinical.keep}, where)
        for index, key in enumerate(cohort.clinical.keep):
            if key in {*TABLE_COLUMNS, "index_day", "first_session_day"} - {"site", "outcome"}:
                where = self._at(*at, "clinical", "keep", str(index))
                yield f"{where}: '{key}' identifies or is written as days already; it cannot be kept. Remove it."

    def _rois(self, name: str, cohort: Cohort) -> Iterator[str]:
        at = ("cohorts", name)
        if not cohort.rois:
            yield f"{self._at(*at, 'rois')}: no ROI is named. Wanted: at least one, such as  lesion: ['*gtv*']."
        if "roi" in cohort.rois:
            yield f"{self._at(*at, 'rois', 'roi')}: 'roi' is what contours without a pattern are called. Rename it."
        for roi, patterns in cohort.rois.items():
            if not patterns or not all(pattern.strip() for pattern in patterns):
                yield f"{self._at(*at, 'rois', roi)}: an empty list or pattern matches nothing. Wanted: ['*{roi}*']."
        if not cohort.modalities and cohort.source != TABLE:
            yield f"{self._at(*at, 'modalities')}: the list is empty. Wanted: CT, PT or both."

    def _exclusions(self, name: str, cohort: Cohort) -> Iterator[str]:
        form = FILE_NAME if cohort.source in ("deidentified", TABLE) else PSEUDONYM
        for patient in cohort.exclude:
            if not form.fullmatch(patient):
                place = self._at("cohorts", name, "exclude")
                yield f"{place}: an excluded patient is no pseudonym. Wanted: one as the cohort page shows it."
        if cohort.cutoff is not None and not _is_iso_date(cohort.cutoff):
            place, found = self._at("cohorts", name, "cutoff"), shortened(cohort.cutoff)
            yield f"{place}: found '{found}', wanted a date such as 2026-05-31."

    # --- analyses

    def analyses(self) -> Iterator[str]:
        for name, analysis in self.config.analyses.items():
            recipe, problems = self._recipe(name, analysis)
            yield from problems
            if recipe is None or recipe[1].outcome_of == "patient":
                yield from self._outcome(name, analysis)
            if recipe is not None:
                self.recipes[name] = recipe[1]
                yield from self._recipe_names(recipe[0], recipe[1])
                yield from self._recipe_fits(recipe[0], recipe[1], analysis)
                yield from self._division_fits(recipe[0], recipe[1], name)
                yield from self._mask_sets(recipe[0], recipe[1], analysis)
                if recipe[1].outcome_of == "lesion":
                    yield from self._lesion_outcome(recipe[0], recipe[1], name, analysis)
        for name, analysis in self.config.analyses.items():
            if analysis.bundle is not None:
                yield from self._bundle(name, analysis, analysis.bundle)

    def _raw_names(self, key: str) -> Iterable[str]:
        raw = self.located.value.get(key) if isinstance(self.located.value, dict) else None
        return raw if isinstance(raw, dict) else ()

    def _outcome(self, name: str, analysis: Analysis) -> Iterator[str]:
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

    def _recipe(self, name: str, analysis: Analysis) -> tuple[tuple[Located, Recipe] | None, list[str]]:
        """The recipe of an analysis with its overrides, and the place of each of its keys."""
        names = sorted(path.stem for path in (self.root / RECIPE_FOLDER).glob("*.yaml"))
        if analysis.recipe not in names:
            return None, [unknown_name("recipe", analysis.recipe, names, self._at("analyses", name, "recipe"))]
        located, recipe, problems = self._recipe_file(analysis.recipe)
        if recipe is None:
            return None, problems
        whole = recipe.model_dump(mode="json")
        for key, value in analysis.overrides.items():
            try:
                whole = apply_overrides(whole, {key: value})
            except KeyError as error:
                where = _override_place(self.located, name, key)
                problems.append(unknown_name("recipe key", error.args[0], error.args[1], where))
        merged = _OverriddenRecipe(
            name=located.name,
            value=whole,
            lines=located.lines,
            config=self.located,
            analysis=name,
            overrides=analysis.overrides,
        )
        changed, more = validated(Recipe, merged)
        return (None if changed is None else (merged, changed)), problems + more

    def _recipe_file(self, name: str) -> tuple[Located, Recipe | None, list[str]]:
        """A recipe as it stands in its file; its problems are told once."""
        if name in self.recipe_files:
            return (*self.recipe_files[name], [])
        file = f"{RECIPE_FOLDER}/{name}.yaml"
        try:
            located = read_located(self.root / file, file)
        except ConfigError as error:
            self.recipe_files[name] = (Located(name=file, value={}), None)
            return (*self.recipe_files[name], error.problems)
        recipe, problems = validated(Recipe, located)
        if recipe is not None and recipe.name != name:
            problems.append(f"{located.where('name')}: found '{recipe.name}', wanted '{name}', the name of the file.")
        self.recipe_files[name] = (located, recipe)
        return located, recipe, problems

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
        present = {"manual"} | ({PHANTOM_SECOND_SET} if cohort.phantom and cohort.phantom.reader2 else set())
        for key, name in (("mask_set", recipe.mask_set), ("second_set", recipe.second_set)):
            if name is None or name in present:
                continue
            if not FILE_NAME.fullmatch(name):
                yield f"{located.where(key)}: '{shortened(name)}' is no name of a folder below contours/. {WANTED_NAME}"
            elif not isdir(self.workdir / "contours" / name):
                yield f"{located.where(key)}: the folder 'contours/{name}' does not exist."
        if recipe.second_set == recipe.mask_set:
            yield f"{located.where('second_set')}: this is the recipe's own mask set. Wanted: a second reader's."
        if recipe.second_set is None:
            for index, step in enumerate(recipe.steps):
                if step.step == "icc":
                    place = located.where("steps", str(index), "step")
                    yield f"{place}: 'icc' compares two readers. Wanted: 'second_set', a folder below contours/."

    def _bundle(self, name: str, analysis: Analysis, bundle: str) -> Iterator[str]:
        """An external validation: the bundle is another analysis', learned by the same recipe, or lies in a folder."""
        place = self._at("analyses", name, "bundle")
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
        if name in self.recipes and bundle in self.recipes:
            ours, theirs = (self.recipes[n].model_dump(mode="json", exclude=set(JUDGED)) for n in (name, bundle))
            if differing := sorted(key for key in ours if ours[key] != theirs[key]):
                yield (
                    f"{place}: '{bundle}' was learned by another recipe; {', '.join(differing)} differ. "
                    "Wanted: the same recipe with the same overrides."
                )

    # --- names

    def names(self) -> Iterator[str]:
        yield from self._private_dir()
        cohorts, analyses = self._raw_names("cohorts"), self._raw_names("analyses")
        if isinstance(self.located.value, dict) and self.located.value.get("cohorts") == {}:
            yield f"{self._at('cohorts')}: no cohort is named. Wanted: at least one."
        for name in analyses:
            if name in cohorts:
                yield f"{self._at('analyses', name)}: a cohort has this name, too. Rename one of them."
        for index, name in enumerate(self.config.run):
            if name not in {*cohorts, *analyses}:
                yield unknown_name("cohort or analysis", name, {*cohorts, *analyses}, self._at("run", str(index)))

    def _private_dir(self) -> Iterator[str]:
        """Identity has a folder of its own, not one that holds what leaves."""
        private, workdir = self._real(self.config.private_dir), self._real("")
        shared = [name for name in WRITTEN if private.is_relative_to(self._real(name))]
        if shared or workdir.is_relative_to(private):
            where = f"below '{shared[0]}'" if shared else "the working folder itself or above it"
            yield f"{self._at('private_dir')}: this is {where}. Wanted: a folder of its own, such as 'private'."


def _no_file(where: str, path: str) -> str:
    return f"{where}: the file '{shortened(path)}' does not exist (seen from the working folder)."


def _is_iso_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
