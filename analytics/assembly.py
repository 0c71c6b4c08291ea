"""Journal entries and bodies to records.

Owns what each column of a row means in terms of the journal: which source wins, what follows from
a status, when usage is estimated. Pure; refuses to read files and to open the store. Whatever
cannot be known stays None.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import orjson

from analytics.estimates import usage_of
from analytics.found import Records, Unposted
from analytics.prices import Cost, PriceBook
from analytics.usage_columns import to_columns
from proxy import reading
from proxy.dialects import PARSER_VERSION
from proxy.exchange import Attempt, Content, Decision, Exchange, Outcome, UsageSource
from proxy.facts import ReplyFacts, RequestFacts, RequestHead, Usage
from proxy.facts_codec import facts_from_json
from proxy.journal import Closed, Opened
from proxy.journal.entries import Headers
from proxy.reading import Copied, Reading

_NOTHING_PAID = Cost(cost_usd=Decimal(0), input_cost_usd=Decimal(0), output_cost_usd=Decimal(0))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_MESSAGE = 2000
_OUTCOMES = frozenset(get_args(Outcome))
_LABELS = ("feature", "user_id", "session_id", "environment")
_FETCHED_AGAIN = frozenset(
    {"openai_responses", "gemini_interactions", "openai_batches", "anthropic_batches"}
)
"""Dialects whose answers can be fetched again by id, with their usage."""


def assemble(found: Unposted, book: PriceBook) -> Records:
    """The rows of an exchange; may raise on what nobody foresaw: then `bare` has to do."""
    head = _head(found.opened)
    read = _read(found, head)
    usage, source = usage_of(found, read)
    exchange = _exchange(found, head, read, usage, source, book)
    fetched = _fetches(head, read.operation)
    return Records(
        exchange=exchange,
        attempts=_attempts(found),
        decisions=_decisions(found),
        content=_content(found, exchange.started_at),
        response_id=None if _from_cache(found) else _response_id(read, fetched=fetched),
        fetched=fetched,
    )


def bare(found: Unposted, error: str) -> Records:
    """The row of an exchange that cannot be assembled: that it happened, and what is wrong."""
    opened, closed = found.opened, found.closed
    return Records(
        exchange=Exchange(
            exchange_id=found.exchange_id,
            started_at=_started_at(found),
            provider=_safe(opened.provider) if opened else None,
            outcome=_outcome(closed, None) if closed is None or closed.outcome else None,
            parse_error=_safe(error),
            parser_version=PARSER_VERSION,
        )
    )


def _exchange(
    found: Unposted,
    head: RequestHead | None,
    read: Reading,
    usage: Usage | None,
    source: UsageSource | None,
    book: PriceBook,
) -> Exchange:
    request, reply = read.request or RequestFacts(), read.reply or ReplyFacts()
    started_at = _started_at(found)
    tier = reply.service_tier or request.service_tier
    cost, saved = _cost(found, read, usage, source, tier, started_at, book), None
    if _from_cache(found):  # what the answer says was used when it was given first
        saved, cost, usage, source = cost.cost_usd, _NOTHING_PAID, None, None
    return Exchange(
        exchange_id=found.exchange_id,
        started_at=started_at,
        dialect=read.dialect,
        operation=read.operation,
        stream=request.stream,
        finish_reasons=_listed(reply.finish_reasons),
        request_model=request.model,
        response_model=reply.model,
        service_tier=tier,
        usage_source=source,
        cost_usd=cost.cost_usd,
        input_cost_usd=cost.input_cost_usd,
        output_cost_usd=cost.output_cost_usd,
        saved_usd=saved,
        cost_status=cost.cost_status,
        price_ref=cost.price_ref,
        message_count=request.message_count,
        tool_names=_listed(reply.tool_names),
        tool_call_count=reply.tool_call_count,
        prompt_fingerprint=request.prompt_fingerprint,
        parse_error=_parse_error(found, read),
        parser_version=PARSER_VERSION,
        **_route(found, head),
        **_ending(found, read),
        **_labels(found.opened, request),
        **to_columns(usage),
    )


def _from_cache(found: Unposted) -> bool:
    """Also where the client left before it had all of it."""
    closed = found.closed
    return closed is not None and (closed.cache_hit is not None or closed.outcome == "cached")


def _provider(found: Unposted) -> str | None:
    """Who served and bills: a rule may have sent it elsewhere than the client did."""
    if found.closed is not None and found.closed.provider is not None:
        return found.closed.provider
    return found.opened.provider if found.opened else None


def _route(found: Unposted, head: RequestHead | None) -> dict[str, Any]:
    opened = found.opened
    if opened is None or head is None:
        return {}
    return {
        "provider": _provider(found),
        "method": opened.method or None,
        "path": head.path or None,
        "key_id": opened.key_id,
        "client": opened.client,
        "trace_id": opened.trace_id,
        "parent_span_id": opened.parent_span_id,
    }


def _ending(found: Unposted, read: Reading) -> dict[str, Any]:
    """The columns that say how it went."""
    closed, reply = found.closed, read.reply or ReplyFacts()
    node = found.opened.node if found.opened else closed.node if closed else None
    values: dict[str, Any] = {"node": node, "outcome": _outcome(closed, reply)}
    message = reply.error_message or (closed.error_message if closed else None)
    values["error_message"] = message[:_LONGEST_MESSAGE] if message else None
    if closed is None:
        return values | {"error_type": reply.error_type}
    word = reply.error_type or closed.error_type
    if word is None and closed.status is not None and closed.status >= 400:
        word = f"http_{closed.status}"
    return values | {
        "error_type": word,
        "upstream": closed.upstream,
        "status": closed.status,
        "duration_seconds": closed.duration_seconds,
        "time_to_first_chunk_seconds": closed.time_to_first_chunk_seconds,
        "overhead_seconds": closed.overhead_seconds,
        "request_bytes": closed.request_bytes,
        "response_bytes": closed.response_bytes,
        "truncated": closed.request_gap is not None or closed.response_gap is not None,
        "attempts": len(closed.attempts),
        "cache_hit": closed.cache_hit,
        "rules": closed.rules or None,
    }


def _outcome(closed: Closed | None, reply: ReplyFacts | None) -> Any:
    """An error told within a stream is the provider's, whether or not the client stayed for the
    end: many hang up on reading it."""
    if closed is None:
        return "interrupted"
    told = reply is not None and reply.error_type is not None
    if closed.outcome == "completed" and ((closed.status or 0) >= 400 or told):
        return "provider_error"
    if closed.outcome == "client_disconnected" and told:
        return "provider_error"
    return closed.outcome if closed.outcome in _OUTCOMES else None


def _labels(opened: Opened | None, request: RequestFacts) -> dict[str, Any]:
    """Labels of headers and path go before those of the body."""
    merged = {**request.labels, **(opened.labels if opened else {})}
    tags = {
        name.removeprefix("tags."): value
        for name, value in merged.items()
        if name.startswith("tags.")
    }
    named: dict[str, Any] = {name: merged.get(name) for name in _LABELS}
    return named | {"tags": tags or None}


def _read(found: Unposted, head: RequestHead | None) -> Reading:
    """What the bodies say. Of an interrupted answer the status is unknown: if it has bytes, they
    are read as those of a success."""
    closed = found.closed
    if closed is not None and closed.facts is not None:
        return facts_from_json(closed.facts)
    if head is None or (closed is not None and closed.content != "full"):
        return Reading()
    status = closed.status if closed else 200 if found.response else None
    return reading.read(
        head,
        Copied(found.request, closed.request_gap if closed else None),
        status,
        _mapping(closed.headers) if closed else {},
        Copied(found.response, closed.response_gap if closed else None),
    )


def _cost(
    found: Unposted,
    read: Reading,
    usage: Usage | None,
    source: UsageSource | None,
    tier: str | None,
    started_at: datetime,
    book: PriceBook,
) -> Cost:
    """Nothing is billed where the provider did not answer with a success, or was not asked; of an
    answer from the cache it is what was not billed."""
    closed = found.closed
    unanswered = closed is None or closed.status is None or closed.status >= 300
    if usage is None and (unanswered or read.operation is None):
        return Cost()
    if closed is not None and _unbilled(closed):
        return Cost()
    asked = read.request.model if read.request else None
    return book.cost(
        provider=_provider(found) or "",
        request_model=(closed.model if closed else None) or asked,
        response_model=read.reply.model if read.reply else None,
        usage=usage,
        usage_source=source,
        service_tier=tier,
        operation=read.operation,
        started_at=started_at,
    )


def _unbilled(closed: Closed) -> bool:
    """Nobody was asked; an answer that a rule kept from the client is billed all the same."""
    return closed.outcome == "refused" and not closed.attempts


def _attempts(found: Unposted) -> tuple[Attempt, ...]:
    made = found.closed.attempts if found.closed else ()
    return tuple(
        Attempt(
            exchange_id=found.exchange_id,
            number=attempt.number,
            upstream=attempt.upstream,
            started_at=_time(attempt.started_at),
            duration_seconds=attempt.duration_seconds,
            status=attempt.status,
            error_type=attempt.error_type,
            error_message=attempt.error_message,
        )
        for attempt in made
    )


def _decisions(found: Unposted) -> tuple[Decision, ...]:
    made = found.closed.decisions if found.closed else ()
    return tuple(
        Decision(
            exchange_id=found.exchange_id,
            number=number,
            policy=decision.policy,
            rule=decision.rule,
            action=decision.action,
            reason=decision.reason,
        )
        for number, decision in enumerate(made, 1)
    )


def _content(found: Unposted, started_at: datetime) -> Content | None:
    opened, closed = found.opened, found.closed
    if closed is not None and closed.content != "full":
        return None
    if closed is None and not found.request and not found.response:
        return None
    return Content(
        exchange_id=found.exchange_id,
        started_at=started_at,
        target=opened.target if opened else None,
        request_headers=_json(opened.headers) if opened else None,
        request_body=found.request,
        request_gap=closed.request_gap if closed else None,
        response_headers=_json(closed.headers) if closed else None,
        response_body=found.response if closed or found.response else None,
        response_gap=closed.response_gap if closed else None,
    )


def _response_id(read: Reading, *, fetched: bool) -> str | None:
    """Of an answer whose usage may be told here, or by whoever fetches it. A fetch that is told
    none says nothing of it."""
    if read.dialect not in _FETCHED_AGAIN or read.reply is None:
        return None
    return None if fetched and read.reply.usage is None else read.reply.response_id


def _fetches(head: RequestHead | None, operation: str | None) -> bool:
    """Whether it asks for an answer that is made elsewhere. (A GET may also open a socket, on which
    answers are made.)"""
    read_back = head is not None and head.method == "GET" and operation != "chat"
    return read_back or operation == "cancel"


def _parse_error(found: Unposted, read: Reading) -> str | None:
    errors = (
        found.fault,
        read.parse_error,
        read.request.parse_error if read.request else None,
        read.reply.parse_error if read.reply else None,
    )
    return "; ".join(error for error in errors if error) or None


def _head(opened: Opened | None) -> RequestHead | None:
    if opened is None:
        return None
    return RequestHead(
        provider=opened.provider or "",
        method=opened.method,
        target=opened.target,
        headers=_mapping(opened.headers),
    )


def _mapping(headers: Headers) -> Mapping[str, str]:
    """Of repeated fields the last, but all content codings, in order (RFC 9110, 8.4)."""
    values = dict(headers)
    codings = [value for name, value in headers if name == "content-encoding"]
    return values | {"content-encoding": ", ".join(codings)} if len(codings) > 1 else values


def _started_at(found: Unposted) -> datetime:
    """As the journal says, else from the identifier itself: a UUIDv7 begins with the time."""
    entry = found.opened or found.closed
    if entry is not None:
        return _time(entry.started_at)
    return _time(int(found.exchange_id.replace("-", "")[:12], 16) * 1000)


def _time(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _listed(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _safe(text: str | None) -> str | None:
    return None if text is None else text[:500].encode("utf-8", "replace").decode()


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
