"""Usage objects of Anthropic's messages, wherever they are served.

Owns which counts contain which, and which iterations the top level leaves out. Refuses to price
anything; a cost is read only where a gateway states one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from proxy.facts import Pass, Usage
from proxy.wire.counts import amount, count, total
from proxy.wire.words import word

# https://platform.claude.com/docs/en/build-with-claude/compaction: the tokens of these are in no
# top-level count. All other iterations are.
_APART = frozenset({"compaction", "advisor_message"})


def anthropic_usage(raw: Mapping[str, Any], model: str | None) -> Usage:
    """All that was used: the top level, and the iterations that it leaves out."""
    top = _counts(raw)
    listed = raw.get("iterations")
    iterations = [_object(part) for part in listed] if isinstance(listed, list) else []
    if not _covers([_counts(part) for part in iterations], top):
        iterations = [part for part in iterations if part.get("type") in _APART]
        parts = [top, *map(_counts, iterations)]
    else:
        parts = [_counts(part) for part in iterations]
    elsewhere = [
        Pass(model=other, usage=_counts(part))
        for part in iterations
        if (other := word(part.get("model"))) and other != model
    ]
    return replace(
        top,
        input_tokens=_sum([part.input_tokens for part in parts]),
        output_tokens=_sum([part.output_tokens for part in parts]),
        cache_read_tokens=_sum([part.cache_read_tokens for part in parts]),
        cache_write_tokens=_sum([part.cache_write_tokens for part in parts]),
        cache_write_1h_tokens=_sum([part.cache_write_1h_tokens for part in parts]),
        raw=raw,
        passes=tuple(elsewhere),
    )


def _covers(parts: list[Usage], top: Usage) -> bool:
    """Whether the iterations account for all that the top level counts."""
    listed_input = _sum([part.input_tokens for part in parts])
    listed_output = _sum([part.output_tokens for part in parts])
    return (
        bool(parts)
        and (listed_input or 0) >= (top.input_tokens or 0)
        and (listed_output or 0) >= (top.output_tokens or 0)
    )


def _counts(raw: Mapping[str, Any]) -> Usage:
    """One set of counts. `input_tokens` on the wire is without cache reads and writes."""
    fresh, output = count(raw.get("input_tokens")), count(raw.get("output_tokens"))
    read = count(raw.get("cache_read_input_tokens"))
    written = count(raw.get("cache_creation_input_tokens"))
    split = _object(raw.get("cache_creation"))
    hour = count(split.get("ephemeral_1h_input_tokens"))
    if total(hour, count(split.get("ephemeral_5m_input_tokens"))) != written:
        hour = None  # the split is of another moment than the total
    return Usage(
        input_tokens=None if fresh is None else total(fresh, read, written),
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=hour,
        reasoning_tokens=count(_object(raw.get("output_tokens_details")).get("thinking_tokens")),
        web_searches=count(_object(raw.get("server_tool_use")).get("web_search_requests")),
        cost_usd=_cost(raw),
    )


def _cost(raw: Mapping[str, Any]) -> Decimal | None:
    """What a gateway says it cost; with one's own key it bills 0 and the model's provider more."""
    cost = amount(raw.get("cost"))
    upstream = amount(_object(raw.get("cost_details")).get("upstream_inference_cost"))
    return cost or upstream or cost


def _sum(counts: list[int | None]) -> int | None:
    known = [number for number in counts if number is not None]
    return sum(known) if len(known) == len(counts) else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
