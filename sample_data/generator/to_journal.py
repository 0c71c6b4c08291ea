"""The plan as journal frames, so that the real poster makes the rows.

Owns what the proxy would have written of each exchange. Refuses to know the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from proxy.journal import Closed, JournalWriter, Opened
from proxy.journal.entries import AttemptMade, DecisionMade
from sample_data.generator import bodies
from sample_data.generator.bodies import Bodies
from sample_data.generator.planned import Planned, labels

NODE = "sample"


def write(data_dir: Path, exchanges: Iterable[tuple[Planned, Bodies]]) -> int:
    """Append them to the journal of a data folder, in order; how many."""
    journal = JournalWriter(data_dir / "journal")
    number = 0
    try:
        for planned, made in exchanges:
            journal.append(opened(planned), made.request)
            journal.append(closed(planned, made), b"", made.response)
            number += 1
    finally:
        journal.close()
    return number


def opened(planned: Planned) -> Opened:
    ask = planned.ask
    return Opened(
        exchange_id=planned.exchange_id,
        node=NODE,
        started_at=planned.started_at,
        provider=ask.model.provider,
        method="POST",
        target=ask.model.target,
        headers=bodies.request_headers(ask.feature.client, ask.model.speaks),
        labels=labels(ask),
        key_id=key_id(ask.model.provider),
        client=ask.feature.client,
        trace_id=ask.trace.trace_id,
        parent_span_id=ask.trace.parent_span_id,
    )


def closed(planned: Planned, made: Bodies) -> Closed:
    fate, ruled = planned.fate, planned.ruled
    answered = fate.status is not None and fate.status >= 400 and not planned.asked_nobody
    return Closed(
        exchange_id=planned.exchange_id,
        node=NODE,
        started_at=planned.started_at,
        outcome=fate.outcome,
        upstream=None if planned.asked_nobody else planned.ask.model.provider,
        model=ruled.model.name if ruled.model else None,
        status=fate.status,
        headers=bodies.response_headers(planned),
        error_type=None if answered else fate.error_type,
        error_message=None if answered else fate.error_message,
        duration_seconds=planned.duration_seconds,
        time_to_first_chunk_seconds=planned.time_to_first_chunk_seconds,
        overhead_seconds=planned.overhead_seconds,
        request_bytes=len(made.request),
        response_bytes=len(made.response),
        attempts=[] if planned.asked_nobody else [attempt(planned)],
        decisions=[DecisionMade(**made._asdict()) for made in ruled.decisions],
        rules=rules(planned),
        cache_hit=cache_hit(planned),
    )


def rules(planned: Planned) -> list[str]:
    """The rules that did anything, in their order."""
    return list(dict.fromkeys(made.rule for made in planned.ruled.decisions))


def cache_hit(planned: Planned) -> str | None:
    return "exact" if planned.ruled.again else None


def attempt(planned: Planned) -> AttemptMade:
    fate, overhead = planned.fate, planned.overhead_seconds
    head_seconds = planned.time_to_first_chunk_seconds or planned.duration_seconds
    never = fate.status is None
    return AttemptMade(
        number=1,
        upstream=planned.ask.model.provider,
        started_at=planned.started_at + round(overhead * 1e6),
        duration_seconds=round(head_seconds - overhead, 6),
        status=fate.status,
        error_type=(fate.error_type or "cancelled") if never else None,
        error_message=fate.error_message if never else None,
    )


@cache
def key_id(provider: str) -> str:
    """One key for each provider, named as a hash would be."""
    return f"{sum(map(ord, provider)) * 2654435761 % 2**64:016x}"
