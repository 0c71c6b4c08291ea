"""Usage objects of the OpenAI family, whatever names their speakers give the counts.

Owns which counts contain which. Where the names leave it open the total decides, and where even
the total fits no reading, the count is None. Refuses to price anything; a cost is read only where
the provider states one.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from proxy.facts import Usage
from proxy.wire.counts import amount, count, seconds

# https://docs.x.ai/developers/cost-tracking: one dollar is 10^10 ticks.
_TICKS_PER_USD = Decimal(10) ** 10
_NOTHING: Mapping[str, Any] = {}
# Most usage objects have none of either.
_COSTS = frozenset(
    {"cost", "cost_in_usd_ticks", "total_cost", "estimated_cost", "pydantic_ai_gateway"}
)
_SEARCHES = frozenset(
    {"server_tool_use_details", "server_tool_use", "server_side_tool_usage_details"}
    | {"num_search_queries"}
)


class Counts(NamedTuple):
    """Input and output as the total allows them to be read."""

    input_tokens: int | None
    output_tokens: int | None
    fits: bool


def read_usage(raw: Any, *, hidden_output: bool = False) -> Usage | None:
    """The usage that a provider's object states, None where it states nothing.

    `hidden_output` says that this provider leaves thinking out of every count but the total.
    """
    if not isinstance(raw, dict) or not raw:
        return None
    into = _details(raw, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    out = _details(
        raw, "completion_tokens_details", "output_tokens_details", "output_token_details"
    )
    cached_into = _details(into, "cached_tokens_details")
    cache_read, cache_write = _cache_read(raw, into), _cache_write(raw, into)
    reasoning = _first((out, "reasoning_tokens"), (raw, "reasoning_tokens"))
    counts = _counts(raw, reasoning, (cache_read or 0) + (cache_write or 0), hidden_output)
    return Usage(
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        reasoning_tokens=reasoning,
        audio_input_tokens=count(into.get("audio_tokens")),
        audio_output_tokens=count(out.get("audio_tokens")),
        cached_audio_input_tokens=count(cached_into.get("audio_tokens")),
        image_input_tokens=count(into.get("image_tokens")),
        image_output_tokens=count(out.get("image_tokens")),
        web_searches=_web_searches(raw),
        audio_seconds=_audio_seconds(raw),
        cost_usd=reported_cost(raw),
        raw=raw,
    )


def usage_doubt(usage: Usage | None) -> str | None:
    """Why a count is missing although the provider reported its parts, for `parse_error`."""
    if usage is None or None not in (usage.input_tokens, usage.output_tokens):
        return None
    raw = usage.raw
    parts = (_first((raw, "prompt_tokens"), (raw, "input_tokens")), count(raw.get("total_tokens")))
    output = _first((raw, "completion_tokens"), (raw, "output_tokens"))
    if None in parts or output is None:
        return None
    return f"usage: a total of {parts[1]} fits no reading of {parts[0]} in and {output} out"


def reported_cost(raw: Mapping[str, Any]) -> Decimal | None:
    """The cost in USD where the provider states it.

    With one's own key at a router, `cost` is the router's fee and the upstream's cost comes on
    top of it.
    """
    if raw.keys().isdisjoint(_COSTS):
        return None
    cost = raw.get("cost")
    if isinstance(cost, dict):
        return amount(cost.get("total_cost"))
    ticks = amount(raw.get("cost_in_usd_ticks"))
    if cost is None and ticks is not None:
        return ticks / _TICKS_PER_USD
    gateway = _details(raw, "pydantic_ai_gateway").get("cost_estimate")
    stated = next(
        (
            money
            for value in (cost, raw.get("total_cost"), raw.get("estimated_cost"), gateway)
            if (money := amount(value)) is not None
        ),
        None,
    )
    upstream = amount(_details(raw, "cost_details").get("upstream_inference_cost"))
    own_key = raw.get("is_byok", stated == 0)
    return stated + upstream if stated is not None and upstream and own_key is True else stated


def _counts(raw: dict[str, Any], reasoning: int | None, cached: int, hidden: bool) -> Counts:
    given = _first((raw, "prompt_tokens"), (raw, "input_tokens"))
    made = _first((raw, "completion_tokens"), (raw, "output_tokens"))
    total = count(raw.get("total_tokens")) or None
    if given is None or total is None:
        return Counts(given, made, True)
    if made is None:
        return Counts(given, total - given if total >= given else None, total >= given)
    if given + made == total:
        return Counts(given, made, True)
    apart = reasoning or 0
    for more_in, more_out in ((0, apart), (cached, 0), (cached, apart)):
        if given + more_in + made + more_out == total:
            return Counts(given + more_in, made + more_out, True)
    if hidden and total > given + made:
        return Counts(given, total - given, True)
    if total > given + made and _hears(raw):
        return Counts(None, made, False)
    return Counts(None, None, False)


def _cache_read(raw: Mapping[str, Any], into: Mapping[str, Any]) -> int | None:
    return _first(
        (into, "cached_tokens"),
        (raw, "prompt_cache_hit_tokens"),
        (raw, "num_cached_tokens"),
        (raw, "cached_tokens"),
        (raw, "cache_read_input_tokens"),
    )


def _cache_write(raw: Mapping[str, Any], into: Mapping[str, Any]) -> int | None:
    return _first(
        (into, "cache_write_tokens"),
        (into, "cache_creation_tokens"),
        (raw, "cache_creation_input_tokens"),
    )


def _hears(raw: dict[str, Any]) -> bool:
    """Whether input that the prompt's count leaves out was sound."""
    return bool(raw.get("prompt_audio_seconds"))


def _audio_seconds(raw: dict[str, Any]) -> float | None:
    """OpenAI says it of transcriptions that it bills by duration, Mistral of all sound."""
    heard = seconds(raw.get("prompt_audio_seconds"))
    return seconds(raw.get("seconds")) if raw.get("type") == "duration" else heard


def _web_searches(raw: dict[str, Any]) -> int | None:
    if raw.keys().isdisjoint(_SEARCHES):
        return None
    return _first(
        (_details(raw, "server_tool_use_details"), "web_search_requests"),
        (_details(raw, "server_tool_use"), "web_search_requests"),
        (_details(raw, "server_side_tool_usage_details"), "web_search_calls"),
        (raw, "num_search_queries"),
    )


def _details(raw: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        if isinstance(value := raw.get(name), dict):
            return value
    return _NOTHING


def _first(*places: tuple[Mapping[str, Any], str]) -> int | None:
    for holder, name in places:
        if (value := holder.get(name)) is not None and (number := count(value)) is not None:
            return number
    return None
