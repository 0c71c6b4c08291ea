"""What captured requests have in common with each other, as short sketches.

Owns how a request is made comparable: labels and the order of keys do not matter, everything else
does. A sketch keeps hashes and the last user's text, never a body. Requests whose copy is cut, or
that no format explains, have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import duckdb
import orjson

from analytics.bodies import said
from analytics.exports.conversation import asked

BLOCK_BYTES = 1_024
_SHORTEST_BYTES = 2_048
"""What is shorter than that no provider caches; it has no chain."""
_DIGEST = 16
_CHAIN_DIGEST = 8
PORTION_BYTES = 32 << 20
_INSTRUCTING = ("system", "developer")
_SORTED = orjson.OPT_SORT_KEYS


class Sketch(NamedTuple):
    """One request. Equal `frame` and `text`: the same request to the same model."""

    frame: bytes
    """A hash of everything but the last user's text, where that is plain text."""
    text: str | None
    size: int
    """Bytes of the prompt: tools, instructions and messages."""
    chain: tuple[bytes, ...]
    """Of the prompt's beginnings, each BLOCK_BYTES longer, a hash each: what a provider's cache
    could know of it."""
    tail: tuple[bytes, ...]
    """Likewise of the endings of its tools and instructions."""

    @property
    def same(self) -> tuple[bytes, str | None]:
        return self.frame, self.text


def sketches(
    con: duckdb.DuckDBPyConnection, exchanges: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Sketch]]:
    """Sketches by exchange, in no order, of those exchanges whose requests are stored.

    `exchanges` are rows by identifier, with `started_at`, `provider`, `request_model` and
    `request_bytes`. Requests are read in portions of about PORTION_BYTES.
    """
    if not exchanges:
        return
    times = [row["started_at"] for row in exchanges.values()]
    places = con.execute(
        """SELECT rowid, CAST(exchange_id AS VARCHAR) FROM contents
        WHERE started_at BETWEEN ? AND ? ORDER BY rowid""",
        [min(times), max(times)],
    ).fetchall()
    sizes = [(place, exchanges[key]["request_bytes"]) for place, key in places if key in exchanges]
    for first, last in _portions(sizes):
        found = con.sql(
            """SELECT CAST(exchange_id AS VARCHAR) AS exchange_id, target, request_headers,
                request_body, request_gap
            FROM contents WHERE rowid BETWEEN ? AND ?
                AND request_gap IS NULL AND request_body IS NOT NULL""",
            params=[first, last],
        ).to_arrow_table()
        for row in found.to_pylist():
            exchange = exchanges.get(row["exchange_id"])
            if exchange and (sketch := _sketch({**row, **_to_whom(exchange)})) is not None:
                yield row["exchange_id"], sketch


def _portions(sizes: Iterable[tuple[int, int | None]]) -> Iterator[tuple[int, int]]:
    """The first and last place of each portion; a request of unknown size is a small one."""
    first: int | None = None
    last, total = 0, 0
    for place, size in sizes:
        if first is not None and total + (size or 0) > PORTION_BYTES:
            yield first, last
            first, total = None, 0
        first = place if first is None else first
        last, total = place, total + (size or 0)
    if first is not None:
        yield first, last


def _to_whom(exchange: Mapping[str, Any]) -> dict[str, Any]:
    return {name: exchange[name] for name in ("provider", "request_model")}


def _sketch(row: Mapping[str, Any]) -> Sketch | None:
    try:
        return sketch(_document(row), f"{row['provider']} {row['target']} {row['request_model']}")
    except (TypeError, ValueError):  # of no known shape, nested too deeply, or beyond 64 bits
        return None


def _document(row: Mapping[str, Any]) -> Any:
    headers = row["request_headers"] or ""
    if "content-encoding" not in headers:
        try:
            return orjson.loads(row["request_body"])
        except orjson.JSONDecodeError:
            return None
    none = {"response_headers": None, "response_body": None, "response_gap": None}
    spoken = said({"status": None}, {**row, **none})
    return None if spoken is None else spoken.request.document()


def sketch(document: Any, address: str) -> Sketch | None:
    """The sketch of a request's JSON value; `address` is to whom it is sent, model included."""
    request = asked(document)
    if not request.messages:
        return None
    leading = 0
    while leading < len(request.messages) and request.messages[leading].get("role") in _INSTRUCTING:
        leading += 1
    messages, text = _without_last_text(request.messages[leading:])
    instructions = _encoded([request.tools, request.messages[:leading]])
    prompt = instructions + _encoded(messages)
    frame = blake2b(prompt, digest_size=_DIGEST)
    frame.update(_encoded(request.parameters))
    frame.update(address.encode())
    whole = prompt + (text or "").encode("utf-8", "surrogatepass")
    return Sketch(
        frame=frame.digest(),
        text=text,
        size=len(whole),
        chain=_chain(whole),
        tail=_tail(instructions),
    )


def _encoded(value: Any) -> bytes:
    return orjson.dumps(value, option=_SORTED)


def _without_last_text(
    messages: list[dict[str, Any]],
) -> tuple[list[dict[str, Any]], str | None]:
    """The messages with the last one's text taken out, where it is a user's and plain."""
    if not messages or messages[-1].get("role") != "user":
        return messages, None
    content = messages[-1].get("content")
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        content = content[0].get("text")
    if not isinstance(content, str):
        return messages, None
    return [*messages[:-1], {"role": "user"}], content


@lru_cache(maxsize=1024)
def _tail(instructions: bytes) -> tuple[bytes, ...]:
    return _chain(instructions[::-1])


def _chain(data: bytes) -> tuple[bytes, ...]:
    if len(data) < _SHORTEST_BYTES:
        return ()
    digest = blake2b(digest_size=_CHAIN_DIGEST)
    links = []
    for end in range(BLOCK_BYTES, len(data) + 1, BLOCK_BYTES):
        digest.update(data[end - BLOCK_BYTES : end])
        links.append(digest.digest())
    return tuple(links)
