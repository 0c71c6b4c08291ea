"""Labels: who and what an exchange was for, from headers and path.

Owns the precedence: Meterline's own headers, the path, what other products' users already send,
client conventions. (Fields of the body come last and are read by the dialects.) Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import orjson

COLUMNS = {
    "feature": "feature",
    "user": "user_id",
    "user_id": "user_id",
    "session": "session_id",
    "session_id": "session_id",
    "environment": "environment",
    "env": "environment",
}
MAX_VALUE_CHARACTERS = 1024
MAX_LABELS = 64
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")

OWN, PATH, PRODUCT, CLIENT = range(4)
_EXACT = {
    "meterline-feature": (OWN, "feature"),
    "meterline-user": (OWN, "user_id"),
    "meterline-session": (OWN, "session_id"),
    "meterline-environment": (OWN, "environment"),
    "helicone-user-id": (PRODUCT, "user_id"),
    "helicone-session-id": (PRODUCT, "session_id"),
    "x-litellm-customer-id": (PRODUCT, "user_id"),
    "x-claude-code-session-id": (CLIENT, "session_id"),
    "session-id": (CLIENT, "session_id"),
    "session_id": (CLIENT, "session_id"),
}
_PREFIXES = {"meterline-tag-": OWN, "helicone-property-": PRODUCT}
_JSON = {"x-portkey-metadata", "cf-aig-metadata"}
_INTERESTING = ("meterline-", "helicone-", "x-portkey-", "cf-aig-", "x-litellm-", "x-claude-")


def is_label(name: str) -> bool:
    """Whether a header of this (lower-case) name may carry labels."""
    return name.startswith(_INTERESTING) or name in _EXACT


def collect(headers: Iterable[tuple[str, str]], path: dict[str, str]) -> dict[str, str]:
    """Labels by column name, free ones as `tags.NAME`; names of headers in lower case."""
    ranked: list[dict[str, str]] = [{}, {}, {}, {}]
    for name, value in path.items():
        ranked[PATH].setdefault(_key(name), value)
    for name, value in headers:
        rank, found = _read(name, value)
        for key, label in found:
            ranked[rank].setdefault(key, label)
    labels: dict[str, str] = {}
    for group in ranked:
        for key, label in group.items():
            if key not in labels and (text := clean(label)) and len(labels) < MAX_LABELS:
                labels[key] = text
    return labels


def _read(name: str, value: str) -> tuple[int, list[tuple[str, str]]]:
    if known := _EXACT.get(name):
        return known[0], [(known[1], value)]
    if name in _JSON:
        return PRODUCT, _from_json(value)
    if name == "x-litellm-tags":
        return PRODUCT, [(f"tags.{tag.strip()}", "true") for tag in value.split(",") if tag.strip()]
    for prefix, rank in _PREFIXES.items():
        if name.startswith(prefix) and len(name) > len(prefix):
            key = name[len(prefix) :]
            return rank, [(f"tags.{key}" if rank == OWN else _key(key), value)]
    return CLIENT, []


def _from_json(value: str) -> list[tuple[str, str]]:
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError:
        return []
    if not isinstance(fields, dict):
        return []
    return [
        (_key(name.removeprefix("_")), field if isinstance(field, str) else str(field))
        for name, field in fields.items()
        if isinstance(field, str | int | float)
    ]


def _key(name: str) -> str:
    return COLUMNS.get(name.lower()) or f"tags.{clean(name)}"


def clean(text: str) -> str:
    """One line of bounded length."""
    return _CONTROL.sub(" ", text[:MAX_VALUE_CHARACTERS]).strip()
