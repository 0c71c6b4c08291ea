"""The ledger: what was generated, as plain data, and what a store has to say of it.

Owns the file: JSON lines, gzipped, each with a `record`: one `window`, the `price`s and `event`s,
then one `exchange` each. The same window gives the same bytes. It is the oracle for tests of
queries and reports, so it shares no computation with them: tokens are counted and costs
multiplied here.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from sample_data.generator.bodies import Bodies
from sample_data.generator.events import Event, Events
from sample_data.generator.plan import Window, events_of
from sample_data.generator.planned import Planned, reported
from sample_data.generator.prices import PriceTable, price_table
from sample_data.generator.rhythm import moment
from sample_data.generator.to_journal import cache_hit

NAME = "ledger.jsonl.gz"
_HASH_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A ledger as read back, in plain values."""

    window: dict[str, Any]
    prices: list[dict[str, Any]]
    events: list[dict[str, Any]]
    exchanges: list[dict[str, Any]]

    def event(self, kind: str) -> dict[str, Any]:
        """The planted event of that kind."""
        return next(event for event in self.events if event["kind"] == kind)


def read(path: Path) -> Ledger:
    """Raises OSError, and ValueError for what is no ledger."""
    found: dict[str, list[dict[str, Any]]] = {}
    with gzip.open(path, "rb") as file:
        for line in file:
            value = orjson.loads(line)
            found.setdefault(value.pop("record"), []).append(value)
    return Ledger(
        window=found["window"][0],
        prices=found["price"],
        events=found["event"],
        exchanges=found.get("exchange", []),
    )


class LedgerWriter:
    """Writes the ledger of a window: what holds for all of it, then lines as they come."""

    def __init__(self, path: Path, window: Window) -> None:
        self._file = gzip.GzipFile(path, "wb", compresslevel=6, mtime=0)
        for line in _preface(window, events_of(window)):
            self._file.write(_encoded(line))

    def add(self, lines: bytes) -> None:
        self._file.write(lines)

    def close(self) -> None:
        self._file.close()


def _preface(window: Window, events: Events) -> Iterator[dict[str, Any]]:
    yield {
        "record": "window",
        "first_day": window.first_day,
        "end": window.end.astimezone(UTC),
        "days": window.days,
        "seed": window.seed,
        "scale": window.scale,
    }
    for price in price_table(events):
        yield {"record": "price", **asdict(price)}
    for event in events.all():
        yield _event_line(event)


def _event_line(event: Event) -> dict[str, Any]:
    return {
        "record": "event",
        "kind": event.kind,
        "feature": event.feature,
        "starts_at": event.starts_at,
        "ends_at": event.ends_at,
        "detail": dict(event.detail),
    }


def exchange_line(planned: Planned, made: Bodies, table: PriceTable) -> bytes:
    ask, fate = planned.ask, planned.fate
    at = moment(planned.started_at)
    counted, source = reported(planned)
    money = table.expected(planned, at)
    line = {
        "record": "exchange",
        "exchange_id": planned.exchange_id,
        "started_at": at,
        "feature": ask.feature.name,
        "user_id": ask.person.user_id if ask.person else None,
        "session_id": ask.session_id,
        "environment": ask.environment,
        "trace_id": ask.trace.trace_id,
        "provider": ask.model.provider,
        "model": ask.model.name,
        "stream": ask.feature.stream,
        "client": ask.feature.client,
        "outcome": fate.outcome,
        "status": fate.status,
        "error_type": fate.error_type,
        "ending": planned.answer.ending if fate.outcome == "completed" else None,
        "duration_seconds": planned.duration_seconds,
        "time_to_first_chunk_seconds": planned.time_to_first_chunk_seconds,
        "tokens": None if counted is None else counted._asdict(),
        "usage_source": source,
        "cost_usd": _plain(money.cost_usd),
        "input_cost_usd": _plain(money.input_cost_usd),
        "output_cost_usd": _plain(money.output_cost_usd),
        "cost_status": money.cost_status,
        "saved_usd": _plain(money.saved_usd),
        "cache_hit": cache_hit(planned),
        "served_model": planned.ruled.model.name if planned.ruled.model else None,
        "decisions": [decided._asdict() for decided in planned.ruled.decisions],
        "prompt_version": ask.version,
        "request_hash": request_hash(planned, made.request),
        **planned.flags._asdict(),
    }
    return _encoded(line)


def _encoded(line: dict[str, Any]) -> bytes:
    return orjson.dumps(line, default=str) + b"\n"


def request_hash(planned: Planned, body: bytes) -> str:
    """Equal for requests that ask the same provider exactly the same."""
    digest = blake2b(body, digest_size=_HASH_BYTES)
    digest.update(f"{planned.ask.model.provider} {planned.ask.model.target}".encode())
    return digest.hexdigest()


def _plain(usd: Any) -> str | None:
    return None if usd is None else format(usd, "f")
