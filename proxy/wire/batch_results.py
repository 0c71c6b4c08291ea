"""Results of batches: JSONL, each line an answer of its own.

Owns the lines, whether all of them are there, and the sum. Refuses a sum of which a part is
missing: it would pass for the whole. The line's own form is its dialect's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from proxy.facts import ReplyFacts, ReplyHead
from proxy.wire.copies import Copy
from proxy.wire.decode import loads
from proxy.wire.errors import error_facts, refusal_in
from proxy.wire.usage_sum import Used, main_model, summed

TIER = "batch"
# What decides the price beside the tier; all results must agree on it.
_TERMS = ("inference_geo", "speed")


class Line(NamedTuple):
    """A result: what it used, None where it failed and used nothing."""

    used: Used | None


def read_results(
    copy: Copy, head: ReplyHead, read_line: Callable[[dict[str, Any]], Line | None], batch_id: str
) -> ReplyFacts:
    """The facts of a results file. `read_line` gives None for what is no result of a batch:
    such a file has no facts."""
    if copy.is_empty:
        return ReplyFacts()
    if head.status >= 400:
        value = copy.document().value if copy.is_json else copy.words()
        kind, message = error_facts(refusal_in(value))
        return ReplyFacts(error_type=kind, error_message=message)
    if not copy.is_json:
        return ReplyFacts()
    found: list[Line] = []
    unreadable = 0
    for value in _values(copy):
        line = read_line(value) if isinstance(value, dict) else None
        if line is not None:
            found.append(line)
        elif value is None:
            unreadable += 1
        else:
            return ReplyFacts()
    if not found:
        return ReplyFacts()
    if missing := _missing(copy, head, unreadable):
        reason = f"{missing}: {len(found)} results read, not all of them"
        return ReplyFacts(service_tier=TIER, parse_error=reason)
    return _facts([line.used for line in found if line.used], len(found), batch_id)


def _facts(used: list[Used], results: int, batch_id: str) -> ReplyFacts:
    model = main_model(used)
    usage = summed(used, model, {"results": results, **_terms(used)})
    return ReplyFacts(model=model, response_id=batch_id, service_tier=TIER, usage=usage)


def _values(copy: Copy) -> Iterator[Any]:
    """The value of each line, None for one that cannot be read. A gap makes lines of its own."""
    for segment in copy.segments:
        for line in segment.split(b"\n"):
            if not line.strip():
                continue
            try:
                yield loads(line)
            except ValueError:
                yield None


def _missing(copy: Copy, head: ReplyHead, unreadable: int) -> str | None:
    if copy.has_gap:
        return "bytes are missing"
    if unreadable:
        return f"{unreadable} unreadable lines"
    length = head.headers.get("content-length", "")
    coded = head.headers.get("content-encoding", "identity").strip().lower() != "identity"
    if length.isdecimal() and not coded and int(length) > len(copy.segments[0]):
        return "the end is missing"
    return None


def _terms(used: list[Used]) -> dict[str, Any]:
    """The terms that all results state alike."""
    terms = {}
    for name in _TERMS:
        stated = {u.usage.raw.get(name) for u in used if isinstance(u.usage.raw, dict)}
        if len(stated) == 1 and (value := stated.pop()) is not None:
            terms[name] = value
    return terms
