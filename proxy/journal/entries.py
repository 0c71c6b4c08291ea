"""What the journal says of an exchange: the small JSON heads of its frames.

Owns their shape and codec. Times are microseconds since the epoch, so that a head needs no date
parsing. Unknown keys are dropped when a head is read, missing ones take their default: a journal
written by another version stays readable. Entries are never changed once made, yet not frozen:
freezing triples the time to make one, on the request path.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import orjson

Headers = list[tuple[str, str]]


@dataclass(slots=True, kw_only=True)
class Opened:
    """An exchange began. Written before its first attempt, with the request's body so far."""

    kind: ClassVar[int] = 1

    exchange_id: str
    node: str
    started_at: int
    provider: str | None = None
    method: str = ""
    target: str = ""
    """Path and query as sent to the provider, secrets masked."""
    headers: Headers = field(default_factory=list)
    """Of the request, as far as the allow-list has them."""
    labels: dict[str, str] = field(default_factory=dict)
    """By column name; free ones as `tags.NAME`. Those in the body are read when posting."""
    key_id: str | None = None
    client: str | None = None
    trace_id: str | None = None
    parent_span_id: str | None = None


@dataclass(slots=True, kw_only=True)
class Part:
    """More of the bodies of an exchange under way."""

    kind: ClassVar[int] = 2

    exchange_id: str


@dataclass(slots=True, kw_only=True)
class AttemptMade:
    """One try against an upstream."""

    number: int
    upstream: str
    started_at: int
    duration_seconds: float
    status: int | None = None
    error_type: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMade:
    """What a policy did, and why."""

    policy: str
    rule: str
    action: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Closed:
    """An exchange ended. Written before the client gets the end of the answer.

    `request_gap` and `response_gap` are the offsets at which the captured body lacks bytes
    (what follows there is its tail), None where it is whole. `facts` holds what was read of the
    bodies, where these may not touch the disk.
    """

    kind: ClassVar[int] = 3

    exchange_id: str
    node: str
    started_at: int
    outcome: str
    upstream: str | None = None
    provider: str | None = None
    """Who served it, where a rule sent it to another provider than the client did."""
    model: str | None = None
    """The model that a rule put in place of the one asked for."""
    status: int | None = None
    headers: Headers = field(default_factory=list)
    error_type: str | None = None
    error_message: str | None = None
    duration_seconds: float = 0.0
    time_to_first_chunk_seconds: float | None = None
    overhead_seconds: float | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    request_gap: int | None = None
    response_gap: int | None = None
    attempts: list[AttemptMade] = field(default_factory=list)
    decisions: list[DecisionMade] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    cache_hit: str | None = None
    content: str = "full"
    facts: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Something could not be recorded earlier."""

    kind: ClassVar[int] = 4

    at: int
    reason: str
    count: int


def to_microseconds(seconds: float) -> float:
    """A duration as entries tell it. (`round` with digits takes twice as long.)"""
    return round(seconds * 1e6) / 1e6


Entry = Opened | Part | Closed | Lost
_CLASSES: dict[int, type[Entry]] = {c.kind: c for c in (Opened, Part, Closed, Lost)}


def encode(entry: Entry) -> bytes:
    return orjson.dumps(entry)


def decode(kind: int, head: bytes) -> Entry:
    """The entry of a frame; raises ValueError where the head is none of this kind."""
    try:
        known = _CLASSES[kind]
        values = _known(known, orjson.loads(head))
        if known is Closed:
            values["attempts"] = _each(AttemptMade, values.get("attempts"))
            values["decisions"] = _each(DecisionMade, values.get("decisions"))
        return known(**values)
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        raise ValueError(f"no journal entry of kind {kind}: {error}") from error


_NAMES: dict[type, frozenset[str]] = {
    c: frozenset(f.name for f in fields(c))
    for c in (Opened, Part, Closed, Lost, AttemptMade, DecisionMade)
}


def _known(record: type, values: dict[str, Any]) -> dict[str, Any]:
    names = _NAMES[record]
    if values.keys() <= names:
        return values
    return {name: value for name, value in values.items() if name in names}


def _each(record: type, items: Any) -> list[Any]:
    return [record(**_known(record, item)) for item in items or ()]
