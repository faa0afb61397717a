"""From pydantic's errors to messages that a user can act on: file and line, found, wanted, nearest valid name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from osteorad.cohort.located import Located
from osteorad.errors import shortened, unknown_name

Model = TypeVar("Model", bound=BaseModel)

WANTED = {
    "int": "a whole number",
    "float": "a number",
    "string": "text (in quotes where it looks like a number)",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping (key: value)",
    "model": "a mapping (key: value)",
}
NAME_RULE = "lower-case letters, digits and hyphens, at most 41, starting with a letter or digit."
BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def validated(model: type[Model], located: Located, *, prefix: Sequence[str] = ()) -> tuple[Model | None, list[str]]:
    """Value of a settings file as `model`, or None and a message for every problem.

    prefix : path of this part in its file, put before the keys of the messages.
    """
    try:
        return model.model_validate_json(json.dumps(located.value), strict=True), []
    except ValidationError as error:
        problems = [_message(model, located, item, prefix) for item in _errors(error)]
        return None, list(dict.fromkeys(problems))


def _errors(error: ValidationError) -> Iterator[dict[str, Any]]:
    """Each error; those of a model that was validated inside a validator stand on their own."""
    for item in error.errors(include_url=False):
        inner = item.get("ctx", {}).get("error")
        if isinstance(inner, ValidationError):
            for nested in _errors(inner):
                yield {**nested, "loc": (*item["loc"], "settings", *nested["loc"])}
        else:
            yield dict(item)


def field_names(model: type[BaseModel], keys: Sequence[str]) -> list[str] | None:
    """Names that may stand in a model under a path; None where the path leads to a free mapping or nowhere."""
    inner = _type_at(model, keys)
    return sorted(inner.model_fields) if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _type_at(kind: Any, keys: Sequence[str]) -> Any:
    """The type that stands under `keys`; None where there is none."""
    for key in keys:
        kind = _model_in(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found = kind.model_fields.get(key)
            kind = found.annotation if found else None
        elif get_origin(kind) in (dict, list, tuple):
            kind = get_args(kind)[1 if get_origin(kind) is dict else 0]
        else:
            return None
    return _model_in(kind)


def _model_in(kind: Any) -> Any:
    """A type without `| None` and annotations."""
    while True:
        inner = [part for part in get_args(kind) if part is not type(None)]
        if hasattr(kind, "__metadata__") or (inner and len(inner) < len(get_args(kind))):
            kind = inner[0]
        else:
            return kind


def _message(model: type[BaseModel], located: Located, error: dict[str, Any], prefix: Sequence[str]) -> str:
    loc = [str(part) for part in error["loc"] if part != "[key]"]
    where = located.where(*prefix, *loc)
    kind = str(error["type"])
    context = error.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown_name("key", loc[-1], field_names(model, loc[:-1]) or [], where)
    if kind == "missing":
        described = _description(model, loc)
        return f"{where}: this key is missing.{f' Wanted: {described}' if described else ''}"
    if kind == "literal_error":
        valid = _literals(_type_at(model, loc)) or [str(context.get("expected", ""))]
        return unknown_name("value", str(error["input"]), valid, where)
    if kind == "string_pattern_mismatch":
        return f"{where}: {_shown(error['input'])} is no valid name. Wanted: {NAME_RULE}"  # the only pattern of all
    if kind == "value_error":
        return f"{where}: {context['error']}"
    if kind in BOUNDS:
        key, words = BOUNDS[kind]
        return f"{where}: found {_shown(error['input'])}, wanted {words} {context[key]:g}."
    if wanted := WANTED.get(kind.split("_")[0]):
        return f"{where}: found {_shown(error['input'])}, wanted {wanted}."
    return f"{where}: found {_shown(error['input'])}: {error['msg']}."


def _description(model: type[BaseModel], loc: Sequence[str]) -> str:
    parent = _type_at(model, loc[:-1])
    if isinstance(parent, type) and issubclass(parent, BaseModel) and loc[-1] in parent.model_fields:
        return parent.model_fields[loc[-1]].description or ""
    return ""


def _literals(kind: Any) -> list[str]:
    return [str(value) for value in get_args(kind)] if str(get_origin(kind)).endswith("Literal") else []


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    return f"'{shortened(value)}'" if isinstance(value, str) else shortened(json.dumps(value))
