"""Settings files with the line of every key, read as plain data: no tags, no dates, no surprises of YAML 1.1.

`no`, `on` and `2026-05-01` stay text, `001` stays text, `1e-3` is a number; a key that stands twice is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from osteorad.errors import ConfigError

MAX_NODES = 50_000  # far above any real settings file; aliases that multiply stop here
Keys = tuple[str, ...]


class _PlainLoader(yaml.SafeLoader):
    """Composes nodes only; its resolvers know true, false, null, decimal numbers and text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own name)


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$", "-+0123456789."),
    ("merge", r"^<<$", "<"),
):
    _PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Parsed settings: the value, and the line of every key under its path."""

    name: str
    value: Any
    lines: dict[Keys, int] = field(default_factory=dict)

    def where(self, *keys: str) -> str:
        """`config.yaml:41 analyses.os.outcome`; the line is that of the nearest key that stands in the file."""
        for depth in range(len(keys), -1, -1):
            if line := self.lines.get(tuple(keys[:depth])):
                return " ".join([f"{self.name}:{line}", ".".join(keys)]).rstrip()
        return " ".join([self.name, ".".join(keys)]).rstrip()


def read_located(path: Path, name: str) -> Located:
    """Read a settings file; `name` is how messages call it. ConfigError with every problem found."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{name}: the file is missing. Looked for {path.name} in the working folder.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: the file is not UTF-8 text.") from None
    return parse_located(text, name)


def parse_located(text: str, name: str) -> Located:
    """Parse YAML text into plain values with lines; ConfigError with every problem found."""
    try:
        node = yaml.compose(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{line}: this is not valid YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError:
        raise ConfigError(f"{name}: this is not valid YAML.") from None
    if node is None:
        raise ConfigError(f"{name}: the file is empty.")
    builder = _Builder(name)
    value = builder.build(node, ())
    if builder.problems:
        raise ConfigError(builder.problems)
    return Located(name=name, value=value, lines=builder.lines)


class _Builder:
    """Turns nodes into values, notes lines, collects problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Keys, int] = {(): 1}
        self.problems: list[str] = []
        self.nodes = 0
        self.open: set[int] = set()

    def problem(self, node: yaml.Node, keys: Keys, text: str) -> None:
        place = " ".join([f"{self.name}:{node.start_mark.line + 1}", ".".join(keys)]).rstrip()
        self.problems.append(f"{place}: {text}")

    def build(self, node: yaml.Node, keys: Keys) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or id(node) in self.open:
            if not any("aliases" in problem for problem in self.problems):
                self.problem(node, keys, "aliases make this file endless or larger than settings can be.")
            return None
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag.endswith(":map"):
                return dict(self.pairs(node, keys))
            if isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
                return [self.item(child, (*keys, str(index))) for index, child in enumerate(node.value)]
            return self.scalar(node, keys)
        finally:
            self.open.discard(id(node))

    def item(self, node: yaml.Node, keys: Keys) -> Any:
        self.lines[keys] = node.start_mark.line + 1
        return self.build(node, keys)

    def pairs(self, node: yaml.MappingNode, keys: Keys) -> Iterator[tuple[str, Any]]:
        """Keys and values; what `<<` brings in comes first, so that the mapping's own keys win."""
        own = [pair for pair in node.value if not pair[0].tag.endswith(":merge")]
        for key, child in node.value:
            if key.tag.endswith(":merge"):
                merged = self.build(child, keys)
                for part in merged if isinstance(merged, list) else [merged]:
                    yield from part.items() if isinstance(part, dict) else ()
        seen: dict[str, int] = {}
        for key, child in own:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or not key.tag.endswith(":str"):
                self.problem(key, keys, f"the key '{_shown(key)}' is not text. Put it in quotes.")
                continue
            if key.value in seen:
                first = seen[key.value]
                self.problem(key, (*keys, key.value), f"the key stands twice, first on line {first}.")
                continue
            seen[key.value] = line
            self.lines[(*keys, key.value)] = line
            yield key.value, self.build(child, (*keys, key.value))

    def scalar(self, node: yaml.Node, keys: Keys) -> Any:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        try:
            match kind:
                case "str":
                    return str(node.value)
                case "null":
                    return None
                case "bool":
                    return node.value.lower() == "true"
                case "int":
                    return int(node.value)
                case "float":
                    return float(node.value)
        except (TypeError, ValueError):
            pass
        self.problem(node, keys, f"the tag '{node.tag}' is not allowed; settings hold text, numbers, lists, mappings.")
        return None


def _shown(node: yaml.Node) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else "..."
