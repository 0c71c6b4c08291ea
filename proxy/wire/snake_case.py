"""Member names in camelCase or snake_case, as the clients and proxies of one API mix them.

Owns finding a member by either name. Refuses to change values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

_SNAKE = re.compile("_([a-z0-9])")


def member(holder: Any, name: str) -> Any:
    """A member by its camelCase name, or else by its snake_case one."""
    if not isinstance(holder, Mapping):
        return None
    value = holder.get(name)
    return holder.get(_snake_case(name)) if value is None else value


def camel_case(document: Any) -> Any:
    """The document with the names of all members in camelCase."""
    if isinstance(document, dict):
        return {_camel_case(name): camel_case(value) for name, value in document.items()}
    if isinstance(document, list):
        return [camel_case(value) for value in document]
    return document


@cache
def _snake_case(name: str) -> str:
    return re.sub("[A-Z]", lambda capital: "_" + capital[0].lower(), name)


def _camel_case(name: str) -> str:
    return _SNAKE.sub(lambda letter: letter[1].upper(), name) if "_" in name else name
