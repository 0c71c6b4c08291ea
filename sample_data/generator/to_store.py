"""The plan as rows of the store, without the detour by journal and poster.

Owns what each column says of a planned exchange; a test compares it with what the poster makes of
the same exchanges. Fast: nothing that is known from the plan is read from bodies again. Refuses
to open the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache
from typing import Any

import duckdb
import orjson

from analytics import rows
from analytics.found import Records
from analytics.usage_columns import to_columns
from proxy import dialects
from proxy.exchange import Attempt, Content, Decision, Exchange
from proxy.facts import RequestHead, Usage
from sample_data.generator import bodies
from sample_data.generator.billing import DIALECTS, Billing
from sample_data.generator.bodies import Bodies
from sample_data.generator.people import Person
from sample_data.generator.planned import Ask, Planned, reported
from sample_data.generator.rhythm import moment
from sample_data.generator.to_journal import NODE, attempt, cache_hit, key_id, rules

_TIERS = {"openai": "default", "anthropic": "standard"}
_COUNTS_EVERYTHING = "openai"
"""The provider that reports classes which are not used, as 0."""


def insert(con: duckdb.DuckDBPyConnection, batches: Iterable[rows.Rows]) -> Iterator[int]:
    """Insert batch by batch into a store's tables; yields how many exchanges there are by then.

    While one batch goes into the store, the next one is made.
    """
    number = 0
    with ThreadPoolExecutor(1) as beside:
        going: Future[None] | None = None
        for batch in batches:
            if going is not None:
                going.result()
            going = beside.submit(rows.insert, con, batch)
            number += batch.tables["exchanges"].num_rows
            yield number
        if going is not None:
            going.result()


def record(planned: Planned, made: Bodies, billing: Billing, contents: bool = True) -> Records:
    """The rows of one exchange."""
    started_at = moment(planned.started_at)
    return Records(
        exchange=_exchange(planned, made, started_at, billing),
        attempts=() if planned.asked_nobody else (_attempt(planned),),
        decisions=tuple(
            Decision(exchange_id=planned.exchange_id, number=number, **decided._asdict())
            for number, decided in enumerate(planned.ruled.decisions, 1)
        ),
        content=_content(planned, made, started_at) if contents else None,
    )


def _attempt(planned: Planned) -> Attempt:
    tried = attempt(planned)
    return Attempt(
        exchange_id=planned.exchange_id,
        number=tried.number,
        upstream=tried.upstream,
        started_at=moment(tried.started_at),
        duration_seconds=tried.duration_seconds,
        status=tried.status,
        error_type=tried.error_type,
        error_message=tried.error_message,
    )


def _exchange(planned: Planned, made: Bodies, started_at: datetime, billing: Billing) -> Exchange:
    ask, fate = planned.ask, planned.fate
    model, feature = ask.model, ask.feature
    dialect, operation = DIALECTS[model.speaks]
    answers = fate.status == 200
    tier = _TIERS.get(model.provider) if answers and model.speaks != "embeddings" else None
    usage, source = _usage(planned, made)
    cost = billing.cost(planned, usage, tier, started_at)
    return Exchange(
        exchange_id=planned.exchange_id,
        node=NODE,
        started_at=started_at,
        duration_seconds=planned.duration_seconds,
        time_to_first_chunk_seconds=planned.time_to_first_chunk_seconds,
        overhead_seconds=planned.overhead_seconds,
        provider=model.provider,
        upstream=None if planned.asked_nobody else model.provider,
        dialect=dialect,
        operation=operation,
        method="POST",
        path=ask.model.target,
        stream=feature.stream,
        status=fate.status,
        outcome=fate.outcome,  # type: ignore[arg-type]
        error_type=fate.error_type,
        error_message=fate.error_message,
        request_model=model.name,
        response_model=planned.model.full_name if answers else None,
        service_tier=tier,
        usage_source=source,
        cost_usd=cost.cost_usd,
        input_cost_usd=cost.input_cost_usd,
        output_cost_usd=cost.output_cost_usd,
        saved_usd=billing.saved_usd(planned, started_at),
        cost_status=cost.cost_status,
        price_ref=cost.price_ref,
        key_id=key_id(model.provider),
        client=feature.client,
        trace_id=ask.trace.trace_id,
        parent_span_id=ask.trace.parent_span_id,
        message_count=len(ask.messages) + (model.speaks == "openai"),
        prompt_fingerprint=_fingerprint(ask, made.request),
        request_bytes=len(made.request),
        response_bytes=len(made.response),
        truncated=False,
        parser_version=dialects.PARSER_VERSION,
        attempts=0 if planned.asked_nobody else 1,
        cache_hit=cache_hit(planned),
        rules=rules(planned) or None,
        feature=feature.name,
        user_id=ask.person.user_id if ask.person else None,
        session_id=ask.session_id,
        environment=ask.environment,
        tags=_tags(ask.person),
        **_ending(planned),
        **to_columns(usage),
    )


def _tags(person: Person | None) -> dict[str, str] | None:
    return None if person is None else {"team": person.team, "plan": person.plan}


def _ending(planned: Planned) -> dict[str, Any]:
    """What an answer that came whole says of its end and its calls."""
    speaks = planned.ask.model.speaks
    if planned.fate.outcome not in ("completed", "cached") or speaks == "embeddings":
        return {}
    tool = planned.answer.tool
    called = [] if tool is None else [tool]
    return {
        "finish_reasons": [bodies.finish_word(planned)],
        "tool_names": called or (None if speaks == "openai" else []),
        "tool_call_count": len(called),
    }


def _usage(planned: Planned, made: Bodies) -> tuple[Usage | None, Any]:
    counted, source = reported(planned)
    if counted is None:
        return None, None
    provider = planned.ask.model.provider
    zero = 0 if provider == _COUNTS_EVERYTHING and source == "provider" else None
    if planned.ask.model.speaks == "embeddings":
        zero = None
    usage = Usage(
        input_tokens=counted.input,
        output_tokens=counted.output,
        cache_read_tokens=counted.cache_read,
        cache_write_tokens=counted.cache_write,
        cache_write_1h_tokens=counted.cache_write_1h,
        reasoning_tokens=counted.reasoning,
        audio_input_tokens=zero,
        audio_output_tokens=zero,
        raw=made.usage,
    )
    return usage, source


def _content(planned: Planned, made: Bodies, started_at: datetime) -> Content:
    ask = planned.ask
    return Content(
        exchange_id=planned.exchange_id,
        started_at=started_at,
        target=ask.model.target,
        request_headers=_request_headers(ask.feature.client, ask.model.speaks),
        request_body=made.request,
        response_headers=orjson.dumps(bodies.response_headers(planned)).decode(),
        response_body=made.response,
    )


@lru_cache(maxsize=256)
def _request_headers(client: str, speaks: str) -> str:
    return orjson.dumps(bodies.request_headers(client, speaks)).decode()


_fingerprints: dict[tuple[str, str, bool], str | None] = {}


def _fingerprint(ask: Ask, body: bytes) -> str | None:
    """As the dialect reads it from a body; once for all that have the same instructions."""
    speaks = ask.model.speaks
    if speaks == "embeddings":
        return None
    known = (speaks, ask.system.text, ask.feature.tools)
    if ask.system.pieces and known in _fingerprints:
        return _fingerprints[known]
    head = RequestHead(provider=ask.model.provider, method="POST", target=ask.model.target)
    claimed = dialects.find(head)
    assert claimed is not None
    found = claimed[0].read_request(head, body).prompt_fingerprint
    if ask.system.pieces:  # instructions that differ from call to call are not worth keeping
        _fingerprints[known] = found
    return found
