"""What is read of each provider and endpoint, as the README shows it.

Owns the way from the exchanges of `tests.support.exchanges_read` through the reader, the prices
and the assembly to one table. A cell says what the rows hold; refuses to say more.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from analytics.assembly import assemble
from analytics.found import Unposted
from analytics.prices import PriceBook
from proxy.exchange import Exchange
from proxy.journal import Closed, Opened
from tests.support.exchanges_read import Said, everything

_EXCHANGE = "01900000-0000-7000-8000-000000000000"
_AT = 1_790_000_000_000_000
_BOOK = PriceBook()

ASPECTS: dict[str, Callable[[Exchange], bool]] = {
    "model": lambda row: (row.response_model or row.request_model) is not None,
    "usage": lambda row: row.usage_source == "provider" and _counted(row),
    "cache": lambda row: bool(row.cache_read_tokens),
    "reasoning": lambda row: bool(row.reasoning_tokens),
    "tools": lambda row: row.tool_names == ["look"] and row.tool_call_count == 1,
}
_COSTS = {
    "provider_reported": "reported",
    "priced": "priced",
    "estimated": "counted here",
    "partial": "in part",
}


class Line(NamedTuple):
    """One line of the table: what all framings of an endpoint give alike."""

    provider: str
    endpoint: str
    framings: tuple[str, ...]
    aspects: tuple[bool, ...]
    cost: str


def row_of(said: Said) -> Exchange:
    """The row that the exchange gets."""
    opened = Opened(
        exchange_id=_EXCHANGE,
        node="",
        started_at=_AT,
        provider=said.provider,
        method=said.method,
        target=said.target,
        headers=[("content-type", "application/json")],
    )
    closed = Closed(
        exchange_id=_EXCHANGE,
        node="",
        started_at=_AT,
        outcome="completed",
        status=said.status,
        headers=list(said.headers.items()),
        response_bytes=len(said.answer),
    )
    found = Unposted(
        exchange_id=_EXCHANGE,
        opened=opened,
        closed=closed,
        request=said.request,
        response=said.answer,
    )
    return assemble(found, _BOOK).exchange


@cache
def lines() -> tuple[Line, ...]:
    """All lines, providers in the order of their first exchange."""
    groups: dict[tuple[str, str], list[Said]] = {}
    for said in everything():
        groups.setdefault((said.provider, said.endpoint), []).append(said)
    order = list(dict.fromkeys(provider for provider, _ in groups))
    found = [_line(provider, endpoint, group) for (provider, endpoint), group in groups.items()]
    return tuple(sorted(found, key=lambda line: order.index(line.provider)))


def _line(provider: str, endpoint: str, group: list[Said]) -> Line:
    rows = [row_of(said) for said in group]
    costs = {_COSTS.get(row.cost_status or "", "") for row in rows}
    return Line(
        provider=provider,
        endpoint=endpoint,
        framings=tuple(said.framing for said in group),
        aspects=tuple(all(map(read, rows)) for read in ASPECTS.values()),
        cost=costs.pop() if len(costs) == 1 else "",
    )


def _counted(row: Exchange) -> bool:
    detail = row.usage_detail or ""
    return row.input_tokens is not None or "audio_seconds" in detail or "units" in detail


def markdown() -> str:
    """The table for the README."""
    head = ["provider", "endpoint", "answer", *ASPECTS, "cost"]
    text = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    provider = ""
    for line in lines():
        shown = f"`{line.provider}`" if line.provider != provider else ""
        provider = line.provider
        cells = [shown, line.endpoint, ", ".join(line.framings)]
        cells += ["yes" if has else "" for has in line.aspects]
        text.append(f"| {' | '.join([*cells, line.cost])} |")
    return "\n".join(text) + "\n"
