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

from osteorad.errors import ConfigError, shortened

# Far above any real settings file: aliases that multiply, nesting without end and files of data stop here.
MAX_NODES = 50_000
MAX_BYTES = 500_000
DEEPEST = 30
LARGEST = 1 << 53  # beyond it whole numbers are no longer told apart
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
TOO_DEEP = (
    f"lists and mappings lie in each other more than {DEEPEST} deep. Wanted: settings as docs/reference.md shows."
)
NUMBER = re.compile(r"[-+0-9.eE]+")
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
        path = ".".join(map(shortened, keys))
        for depth in range(len(keys), -1, -1):
            if line := self.lines.get(tuple(keys[:depth])):
                return f"{self.name}:{line} {path}".rstrip()
        return f"{self.name} {path}".rstrip()


def read_located(path: Path, name: str) -> Located:
    """Read a settings file; `name` is how messages call it. ConfigError with every problem found."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{name}: the file is missing. Looked for {path.name} in the working folder.") from None
    except OSError as error:
        raise ConfigError(f"{name}: the file cannot be opened: {error.strerror}.") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name}: the file has more than {MAX_BYTES // 1000} kB. Wanted: settings, not data.")
    try:
        return parse_located(raw.decode("utf-8-sig"), name)
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: the file is not UTF-8 text. Save it again as UTF-8.") from None


def parse_located(text: str, name: str) -> Located:
    """Parse YAML text into plain values with lines; ConfigError with every problem found."""
    if found := UNPRINTABLE.search(text):
        at = text.count("\n", 0, found.start()) + 1
        raise ConfigError(f"{name}:{at}: the character U+{ord(found[0]):04X} is not allowed in settings. Remove it.")
    try:
        node = yaml.compose(text, Loader=_PlainLoader)
    except RecursionError:
        raise ConfigError(f"{name}: {TOO_DEEP}") from None
    except (ValueError, OverflowError):  # of numbers in escapes and directives, which PyYAML does not look at
        raise ConfigError(f"{name}: this is not valid YAML: an escape such as \\U00110000 is no character.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{line}: this is not valid YAML: {error.problem or error.context}.") from None
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
        place = f"{self.name}:{node.start_mark.line + 1} {'.'.join(map(shortened, keys))}".rstrip()
        self.problems.append(f"{place}: {text}")

    def build(self, node: yaml.Node, keys: Keys) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or id(node) in self.open:
            if not any("aliases" in problem for problem in self.problems):
                self.problem(node, keys, "aliases make this file endless or larger than settings can be.")
            return None
        if len(self.open) > DEEPEST:
            if not any(TOO_DEEP in problem for problem in self.problems):
                self.problem(node, keys[:4], TOO_DEEP)
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
                    if isinstance(part, dict):
                        yield from part.items()
                    elif self.nodes <= MAX_NODES:  # else nothing is read any more, and that was told
                        self.problem(key, keys, "'<<' brings in mappings. Wanted: an alias of one, such as  <<: *base")
        seen: dict[str, int] = {}
        for key, child in own:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
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
                case "str" if not UNPRINTABLE.search(node.value):
                    return str(node.value)
                case "null" if node.value in ("", "~", "null", "Null", "NULL"):
                    return None
                case "bool" if node.value.lower() in ("true", "false"):
                    return node.value.lower() == "true"
                case "int" | "float" if abs(float(node.value)) < LARGEST:
                    return int(node.value) if kind == "int" else float(node.value)
        except (TypeError, ValueError):
            pass
        self.problem(node, keys, _no_scalar(kind, node))
        return None


def _no_scalar(kind: str, node: yaml.Node) -> str:
    """Why a scalar is no value of settings."""
    if isinstance(node.value, str) and (found := UNPRINTABLE.search(node.value)):
        return f"the text holds the character U+{ord(found[0]):04X}. Remove it."
    if kind in ("int", "float") and isinstance(node.value, str) and NUMBER.fullmatch(node.value):
        return f"the number {shortened(node.value)} is larger than settings can be."
    return f"the tag '{shortened(node.tag)}' is not allowed; settings hold text, numbers, lists, mappings."


def _shown(node: yaml.Node) -> str:
    return shortened(node.value) if isinstance(node, yaml.ScalarNode) else "..."
