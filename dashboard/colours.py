"""Colours: the same name has the same colour on every page.

Owns the palette and how names are given one. A name's hash says which colour it would like; the
names that matter most choose first, so that they differ. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

PALETTE = (
    *("#5b6ee1", "#17a38b", "#e39b24", "#dd5578", "#3a9fd8", "#9763d6"),
    *("#7bab35", "#e5743a", "#29b0bd", "#cf68bf", "#6c8cb5", "#ab7b55"),
)
"""Readable on light and on dark; theme.toml gives charts the same."""
REST = "#9aa0b4"
"""All that is not named, together."""
NONE = "#b9a88d"
"""Exchanges without the label."""
GOOD, BAD, MIDDLE = "#17a38b", "#dd5578", "#e39b24"


def colours(names: Sequence[str]) -> Mapping[str, str]:
    """A colour for each name; the first names, as many as there are colours, get different ones."""
    given: dict[str, str] = {}
    free = set(PALETTE)
    for name in names:
        if name in given:
            continue
        start = crc32(name.encode("utf-8", "surrogatepass")) % len(PALETTE)
        turned = (*PALETTE[start:], *PALETTE[:start])
        given[name] = next((each for each in turned if each in free), turned[0])
        free.discard(given[name])
    return given


def colour(name: str | None, part: str, known: Mapping[str, str]) -> str:
    """The colour of a row whose part is "group" or "rest"; names that are not known by hash."""
    if part == "rest":
        return REST
    if name is None:
        return NONE
    return known.get(name) or colours([name])[name]
