"""Reads `config.yaml` and the recipes, and finds every problem that can be found without opening a table or an image.

Light: runs in every start of Snakemake, also inside jobs. The tables themselves are looked at by `cohort.check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Analysis, Cohort, Config
from osteorad.cohort.load_analyses import AnalysisChecks
from osteorad.cohort.load_checks import Checks
from osteorad.cohort.load_cohorts import WRITTEN, CohortChecks
from osteorad.cohort.load_networks import NetworkChecks
from osteorad.cohort.load_recipes import AnyRecipe, Recipes
from osteorad.cohort.located import Located, read_located
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.segmentation import SegmentationRecipe
from osteorad.cohort.sources import state_folder
from osteorad.cohort.validation import validated
from osteorad.cohort.whole import COHORTS, is_whole, with_tables
from osteorad.errors import ConfigError, unknown_name

CONFIG = "config.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings of a working folder, checked."""

    workdir: Path
    root: Path  # the clone
    config: Config
    recipes: dict[str, Recipe]  # analysis of an outcome -> its recipe with the overrides applied
    segmentations: dict[str, SegmentationRecipe]  # analysis of kind segmentation -> the same
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

    def outcomes_of(self, cohort: str) -> dict[str, Recipe]:
        """Analysis of an outcome of the cohort -> its recipe."""
        return {name: recipe for name, recipe in self.recipes.items() if self.config.analyses[name].cohort == cohort}

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
    settings = _with_moved(workdir, config or _valid_parts(located))
    given = (workdir, root, located, settings)
    recipes, more = _recipes(root, located, settings)
    problems += more
    problems += [*CohortChecks(*given).cohorts(), *_analysis_problems(given, recipes), *NameChecks(*given).names()]
    if problems or config is None:
        raise ConfigError(sorted(dict.fromkeys(problems), key=_file_and_line))
    found = {name: recipe for name, (_, recipe) in recipes.items()}
    return Loaded(
        workdir=workdir,
        root=root,
        config=settings,
        recipes={name: recipe for name, recipe in found.items() if isinstance(recipe, Recipe)},
        segmentations={name: recipe for name, recipe in found.items() if isinstance(recipe, SegmentationRecipe)},
        located=located,
    )


def _with_moved(workdir: Path, config: Config) -> Config:
    """The settings, with the tables that a cohort brought from where it was ingested."""
    moved = {
        name: with_tables(cohort, workdir / COHORTS / name)
        for name, cohort in config.cohorts.items()
        if is_whole(workdir, name, cohort)
    }
    return config.model_copy(update={"cohorts": {**config.cohorts, **moved}})


def _recipes(root: Path, located: Located, config: Config) -> tuple[dict[str, tuple[Located, AnyRecipe]], list[str]]:
    """Analysis -> its recipe with the place of each of its keys, where it can be read; and the problems."""
    reader, found, problems = Recipes(root, located), {}, []
    for name, analysis in config.analyses.items():
        recipe, more = reader.of_analysis(name, analysis)
        problems += more
        if recipe is not None:
            found[name] = recipe
    return found, problems


def _analysis_problems(
    given: tuple[Path, Path, Located, Config], recipes: dict[str, tuple[Located, AnyRecipe]]
) -> Iterator[str]:
    """What does not fit between analyses, their recipes and their cohorts."""
    outcomes, networks, config = AnalysisChecks(*given), NetworkChecks(*given), given[3]
    for name in config.analyses:
        match recipes.get(name):
            case None:
                yield from outcomes.outcome(name)
            case (located, Recipe() as recipe):
                yield from outcomes.of_analysis(name, located, recipe)
                if recipe.segmentation is not None:
                    yield from networks.of_outcome(name, located, recipe, recipe.segmentation)
            case (located, SegmentationRecipe() as recipe):
                yield from networks.of_analysis(name, located, recipe)
    learned = {name: recipe for name, (_, recipe) in recipes.items() if isinstance(recipe, Recipe)}
    for name, analysis in config.analyses.items():
        if analysis.bundle is not None and not isinstance(recipes.get(name, (None, None))[1], SegmentationRecipe):
            yield from outcomes.bundle(name, analysis.bundle, learned)


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


class NameChecks(Checks):
    """Names of cohorts, analyses and the private folder."""

    def names(self) -> Iterator[str]:
        """Every problem of the names."""
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
