"""What was spent, posted or not, and what things cost now: the answers to the proxy's questions.

Owns putting the store's rows and the journal's unposted ends together, each exchange once. Refuses
to write to either.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from analytics.assembly import assemble
from analytics.intake import collect
from analytics.positions import Positions, load
from analytics.prices import PriceBook
from analytics.store import StoreError, StoreMissing, read
from proxy.config import Settings
from proxy.facts import Usage
from proxy.limits import unanswered
from proxy.limits.money import History, Price, Spent

_LABELS = ("feature", "user_id", "session_id", "environment")
_ROUTE = ("provider", "request_model", "operation", "stream", "key_id")
_COLUMNS = ("started_at", *_ROUTE, *_LABELS, "tags", "cost_usd")
_SQL = f"""
    SELECT time_bucket(INTERVAL {{step}} seconds, started_at) AS started_at, provider,
           request_model, operation, stream, key_id, {", ".join(_LABELS)}, tags,
           sum(cost_usd) AS cost_usd, count(*) AS requests,
           sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0))::BIGINT AS tokens
    FROM exchanges WHERE started_at >= ? AND started_at < ? AND outcome <> 'refused'
    GROUP BY ALL
"""
_UNANSWERED_SQL = f"""
    WITH charged AS (
        SELECT exchange_id, reason FROM decisions
        WHERE policy = '{unanswered.POLICY}' AND action = '{unanswered.ACTION}'
    )
    SELECT started_at, {", ".join(_ROUTE)}, {", ".join(_LABELS)}, tags, reason
    FROM charged JOIN exchanges USING (exchange_id)
    WHERE started_at >= ? AND started_at < ? AND cost_usd IS NULL
"""
"""What was charged for calls without an answer: their rows have no cost."""


def history(settings: Settings) -> History:
    """The exchanges since a moment. Raises OSError where the store cannot be read now."""

    def spent(since: datetime, until: datetime, step: timedelta) -> Iterator[Spent]:
        rows, positions = _posted(settings.store_path, since, until, step)
        yield from map(_spent, rows)
        yield from _unposted(settings, positions, since, until)

    return spent


def price(settings: Settings) -> Price:
    """List prices and the user's own, as of now; ready to answer at once."""
    book = PriceBook.of(settings)

    def cost(
        *, provider: str, model: str | None, usage: Usage, operation: str | None
    ) -> Decimal | None:
        return book.cost(
            provider=provider,
            request_model=model,
            response_model=None,
            usage=usage,
            usage_source="estimated",
            service_tier=None,
            operation=operation,
            started_at=datetime.now(UTC),
        ).cost_usd

    cost(provider="openai", model="gpt-4o-mini", usage=Usage(input_tokens=1), operation="chat")
    return cost


def _posted(
    path: Path, since: datetime, until: datetime, step: timedelta
) -> tuple[list[dict[str, Any]], Positions]:
    """The rows, and how far they reach, of one moment of the store."""
    try:
        with read(path) as con:
            con.execute("BEGIN")
            positions = load(con)
            seconds = max(1, int(step.total_seconds()))
            cursor = con.execute(_SQL.format(step=seconds), [since, until])
            rows = _named(cursor)
            for row in _named(con.execute(_UNANSWERED_SQL, [since, until])):
                rows += _charged(row, row["reason"])
            return rows, positions
    except StoreMissing:
        return [], Positions("", 0)
    except StoreError as error:
        raise OSError(str(error)) from error


def _named(cursor: Any) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _charged(row: dict[str, Any], reason: str) -> Iterator[dict[str, Any]]:
    """The row of what a decision charged, beside the request that it was."""
    if (found := unanswered.told(reason)) is not None:
        yield {**row, "cost_usd": found.usd, "requests": 0, "tokens": found.tokens}


def _unposted(
    settings: Settings, positions: Positions, since: datetime, until: datetime
) -> Iterator[Spent]:
    book = PriceBook.of(settings)
    more = True
    while more:
        batch = collect(settings.journal_dir, positions)
        for found in batch.exchanges:
            try:
                records = assemble(found, book)
            except Exception:  # the poster tells of it
                continue
            exchange = records.exchange
            if since <= exchange.started_at < until and exchange.outcome != "refused":
                row = {name: getattr(exchange, name) for name in _COLUMNS}
                tokens = (exchange.input_tokens or 0) + (exchange.output_tokens or 0)
                yield _spent({**row, "requests": 1, "tokens": tokens})
                for made in records.decisions if exchange.cost_usd is None else ():
                    if (made.policy, made.action) == (unanswered.POLICY, unanswered.ACTION):
                        yield from map(_spent, _charged(row, made.reason or ""))
        positions, more = batch.after, batch.more


def _spent(row: dict[str, Any]) -> Spent:
    labels = {name: row[name] for name in _LABELS if row[name] is not None}
    labels |= {f"tags.{name}": value for name, value in (row["tags"] or {}).items()}
    return Spent(
        started_at=row["started_at"].astimezone(UTC),
        provider=row["provider"] or "",
        model=row["request_model"],
        operation=row["operation"],
        stream=row["stream"],
        labels=labels,
        key=row["key_id"],
        input_tokens=None,
        cost_usd=row["cost_usd"],
        requests=row["requests"],
        tokens=row["tokens"],
    )
