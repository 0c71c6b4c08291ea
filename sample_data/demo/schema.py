"""Values that fit a JSON schema, for tool arguments and structured answers.

Owns the choice of plausible values, the same for the same prompt. Refuses to validate: a part of
a schema it does not know is answered with a short text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PLACES = (
    "Paris", "Oslo", "Lagos", "Lima", "Kyoto", "Berlin", "Madrid", "Toronto", "Nairobi", "London",
    "Tokyo", "Boston", "Vienna", "Dublin", "Sydney", "Mumbai",
)  # fmt: skip
_WORDS = ("amber", "harbour", "lantern", "meadow", "cobalt", "orchard")
_PLACE_NAMES = ("location", "city", "place", "town", "address")
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What the values are drawn from."""

    seed: int
    place: str


def places_in(text: str) -> list[str]:
    """The known places a text names, in its order."""
    found = [(text.find(place), place) for place in PLACES if place in text]
    return [place for _, place in sorted(found)]


def value_for(schema: Any, hint: Hint, *, name: str = "", root: Any = None, depth: int = 0) -> Any:
    """A value of the schema (JSON schema, or Gemini's with its capital type names)."""
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return _text(name, hint)
    root = schema if root is None else root
    schema = _resolve(schema, root)
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return choices[hint.seed % len(choices)]
    kind = _kind(schema)
    if kind == "object":
        return _object(schema, hint, root, depth)
    if kind == "array":
        count = min(2, schema.get("maxItems") or 2)
        items = schema.get("items", {})
        return [value_for(items, hint, name=name, root=root, depth=depth + 1) for _ in range(count)]
    return _scalar(kind, schema, name, hint)


def _resolve(schema: dict[str, Any], root: Any) -> dict[str, Any]:
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target = root
        for part in reference[2:].split("/"):
            target = target.get(part, {}) if isinstance(target, dict) else {}
        return target if isinstance(target, dict) else {}
    for key in ("anyOf", "oneOf", "allOf"):
        options = schema.get(key)
        if isinstance(options, list) and options and isinstance(options[0], dict):
            return _resolve(options[0], root)
    return schema


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0] if kind else "string"
    return str(kind).lower()


def _object(schema: dict[str, Any], hint: Hint, root: Any, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    required = schema.get("required")
    names = required if isinstance(required, list) and required else list(properties)
    return {
        key: value_for(properties.get(key), hint, name=key, root=root, depth=depth + 1)
        for key in names
        if isinstance(key, str)
    }


def _scalar(kind: str, schema: dict[str, Any], name: str, hint: Hint) -> Any:
    if kind in ("integer", "number"):
        low = schema.get("minimum", 1)
        high = schema.get("maximum", low + 9)
        value = low + hint.seed % max(1, int(high - low) + 1)
        return int(value) if kind == "integer" else float(value)
    if kind == "boolean":
        return bool(hint.seed & 1)
    return None if kind == "null" else _text(name, hint)


def _text(name: str, hint: Hint) -> str:
    if any(part in name.lower() for part in _PLACE_NAMES):
        return hint.place
    return _WORDS[hint.seed % len(_WORDS)]
