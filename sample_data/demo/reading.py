"""Reads the fields of a request body that somebody else wrote.

Owns the complaint for a field of the wrong type. Refuses to know which fields a dialect has.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import orjson

from sample_data.demo.answers import Json, Refusal

_OTHER_PART = "[part] " * 36
"""Stands for an image or a file: 63 tokens, whatever its size."""


def parse(data: bytes) -> Json:
    """The body as an object; anything else is refused with 400."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"We could not parse the JSON body of your request. ({error})") from None
    if not isinstance(body, dict):
        raise Refusal(400, "The JSON body of your request has to be an object.")
    return body


def objects(value: Any) -> list[Json]:
    """The objects in a list, or nothing."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def either(value: Json, name: str) -> Any:
    """A field by its camelCase name or its snake_case one: Google's clients send both."""
    return value[name] if name in value else value.get(_snake(name))


@cache
def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)


def required_list(body: Json, name: str) -> list[Json]:
    """A list of objects that the request has to have."""
    value = objects(body.get(name))
    if not value:
        message = f"Missing required parameter: '{name}': a list of at least one object."
        raise Refusal(400, message, param=name)
    return value


def limit(body: Json, *names: str) -> int | None:
    """The first of the fields that holds a count of tokens."""
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Refusal(400, f"'{name}' has to be a positive integer.", param=name)
        return value
    return None


def text_of(content: Any) -> str:
    """All text of a message's content, with a stand-in for what is not text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(_part(part) for part in content)


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return ""
    for name in ("text", "refusal", "output"):
        if isinstance(part.get(name), str):
            return str(part[name])
    if "content" in part:
        return text_of(part["content"])
    for name in ("input", "functionCall", "functionResponse", "function_call", "function_response"):
        if name in part:
            return orjson.dumps(part[name]).decode()
    return _OTHER_PART


def json_text(value: Any) -> str:
    """The text of tools and schemas, which the model reads as well."""
    return orjson.dumps(value).decode() if value else ""
