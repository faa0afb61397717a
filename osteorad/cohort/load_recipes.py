"""Recipes as they stand in their files, and with the overrides of an analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Analysis
from osteorad.cohort.located import Located, read_located
from osteorad.cohort.recipe import Recipe, apply_overrides
from osteorad.cohort.segmentation import SegmentationRecipe
from osteorad.cohort.validation import validated
from osteorad.errors import ConfigError, unknown_name

AnyRecipe = Recipe | SegmentationRecipe
KINDS: dict[str, type[Recipe] | type[SegmentationRecipe]] = {"outcome": Recipe, "segmentation": SegmentationRecipe}

RECIPE_FOLDER = "resources/recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class _OverriddenRecipe(Located):
    """A recipe with overrides: a message points at the override where there is one."""

    config: Located
    analysis: str
    overrides: Mapping[str, Any]

    def where(self, *keys: str) -> str:
        names = self._named(keys)
        for depth in range(len(names), 0, -1):
            if ".".join(names[:depth]) in self.overrides:
                return _override_place(self.config, self.analysis, ".".join(names))
        return Located.where(self, *keys)

    def _named(self, keys: tuple[str, ...]) -> list[str]:
        """Keys as overrides write them: a step's name in place of its number, and its settings right below."""
        if len(keys) > 1 and keys[0] == "steps" and keys[1].isdigit():
            step = str(self.value["steps"][int(keys[1])].get("step"))
            return ["steps", step, *(key for key in keys[2:] if key != "settings")]
        return list(keys)


def _override_place(config: Located, analysis: str, key: str) -> str:
    base = ("analyses", analysis, "overrides")
    return config.where(*base, key) if (*base, key) in config.lines else config.where(*base, *key.split("."))


class Recipes:
    """Reads the recipes of a clone; the problems of a file are told once. located : config.yaml, for messages."""

    def __init__(self, root: Path, located: Located) -> None:
        self.root, self.located = root, located
        self.files: dict[str, tuple[Located, AnyRecipe | None]] = {}

    def of_analysis(self, name: str, analysis: Analysis) -> tuple[tuple[Located, AnyRecipe] | None, list[str]]:
        """The recipe of an analysis with its overrides, with the place of each of its keys, and the problems."""
        names = sorted(path.stem for path in (self.root / RECIPE_FOLDER).glob("*.yaml"))
        if analysis.recipe not in names:
            where = self.located.where("analyses", name, "recipe")
            return None, [unknown_name("recipe", analysis.recipe, names, where)]
        located, recipe, problems = self._of_file(analysis.recipe)
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
        changed, more = validated(type(recipe), merged)
        return (None if changed is None else (merged, changed)), problems + more

    def _of_file(self, name: str) -> tuple[Located, AnyRecipe | None, list[str]]:
        """A recipe as it stands in its file."""
        if name in self.files:
            return (*self.files[name], [])
        file = f"{RECIPE_FOLDER}/{name}.yaml"
        try:
            located = read_located(self.root / file, file)
        except ConfigError as error:
            self.files[name] = (Located(name=file, value={}), None)
            return (*self.files[name], error.problems)
        recipe, problems = self._typed(located)
        if recipe is not None and recipe.name != name:
            problems.append(f"{located.where('name')}: found '{recipe.name}', wanted '{name}', the name of the file.")
        self.files[name] = (located, recipe)
        return located, recipe, problems

    def _typed(self, located: Located) -> tuple[AnyRecipe | None, list[str]]:
        kind = located.value.get("kind", "outcome") if isinstance(located.value, dict) else "outcome"
        if kind not in KINDS:
            return None, [unknown_name("kind of analysis", str(kind), KINDS, located.where("kind"))]
        return validated(KINDS[kind], located)
