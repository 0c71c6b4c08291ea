"""The text of a prompt that stays the same from call to call: instructions and tools.

Owns finding it in captured requests, how it is cut into lines, and in what two such texts differ.
Which parts belong to it is the dialects' (`prompt_fingerprint`); a text here says the same in
words. Refuses to judge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from difflib import unified_diff
from typing import Any, NamedTuple

import duckdb

from analytics.bodies import said
from analytics.exports.conversation import asked
from proxy.wire.words import plain

_INSTRUCTING = ("system", "developer")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_LONG_LINE = 100
_SHOWN = 60
_COLUMNS = (
    "target, request_headers, request_body, request_gap, "
    "NULL AS response_headers, NULL AS response_body, NULL AS response_gap"
)


def prompt_text(document: Any) -> str | None:
    """The instructions and tools of a request's JSON value, None where it has none."""
    try:
        request = asked(document)
    except (TypeError, ValueError):  # of no known shape
        return None
    leading = []
    for message in request.messages or ():
        if message.get("role") not in _INSTRUCTING:
            break
        leading.append(plain(message.get("content")))
    parts = [text for text in leading if text]
    if request.tools:
        parts.append(json.dumps(request.tools, indent=2, ensure_ascii=False))
    return "\n\n".join(parts) or None


def prompt_texts(con: duckdb.DuckDBPyConnection, ids: Iterable[str]) -> dict[str, str]:
    """The texts of the exchanges whose contents are stored whole, by identifier."""
    found = con.execute(
        f"""SELECT CAST(exchange_id AS VARCHAR) AS exchange_id, {_COLUMNS} FROM contents
        WHERE exchange_id IN (SELECT CAST(unnest(?::VARCHAR[]) AS UUID))""",
        [list(ids)],
    )
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    texts = {row["exchange_id"]: _text(row) for row in rows}
    return {exchange_id: text for exchange_id, text in texts.items() if text is not None}


def _text(row: Mapping[str, Any]) -> str | None:
    spoken = said({"status": None}, row)
    return None if spoken is None else prompt_text(spoken.request.document())


def diff(before: str, after: str) -> str:
    """A unified diff of two prompts, a sentence a line; empty where they are the same."""
    return "\n".join(unified_diff(lines(before), lines(after), "before", "after", lineterm="", n=1))


def lines(text: str) -> list[str]:
    """The lines of a text; long ones are cut behind sentences."""
    return [
        piece
        for line in text.splitlines()
        for piece in ([line] if len(line) <= _LONG_LINE else _SENTENCE_END.split(line))
    ]


class Differing(NamedTuple):
    """Where two texts begin to differ, how many characters they share behind that, and the
    differing words of both."""

    at: int
    shared_after: int
    first: str
    second: str


def differing(first: str, second: str) -> Differing | None:
    """In what two texts differ, None where they are the same."""
    if first == second:
        return None
    at = common_prefix(first, second)
    rest, other = first[at:], second[at:]
    tail = common_prefix(rest[::-1], other[::-1])
    end, other_end = len(first) - tail, len(second) - tail
    start = first.rfind(" ", 0, at) + 1
    return Differing(at, tail, _shown(first, start, end), _shown(second, start, other_end))


def common_prefix(first: str, second: str) -> int:
    """How many characters two texts have in common from their beginning on."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _shown(text: str, start: int, end: int) -> str:
    """To the end of the word in which the difference ends."""
    stop = text.find(" ", end)
    words = text[start : len(text) if stop < 0 else stop].strip()
    return words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"
