"""Usage as Bedrock counts it: in Converse's usage object, in headers, in invocation metrics.

Owns which counts contain which: input is counted without what was read from or written to the
cache, the total with it. Refuses to price anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from proxy.facts import Usage
from proxy.wire.counts import count, total

METRICS = "amazon-bedrock-invocationMetrics"
_HEADERS = {
    "x-amzn-bedrock-input-token-count": "inputTokenCount",
    "x-amzn-bedrock-output-token-count": "outputTokenCount",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}
_HOUR = "1h"


def converse_usage(raw: Any) -> Usage | None:
    """Converse's usage object, None where it has no count."""
    if not isinstance(raw, dict):
        return None
    fresh, output = count(raw.get("inputTokens")), count(raw.get("outputTokens"))
    read, written = _cached(raw, "Read"), _cached(raw, "Write")
    if fresh is None and output is None:
        return None
    everything = count(raw.get("totalTokens"))
    input_tokens = None if fresh is None else _all_input(fresh, output, everything, read, written)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=_written_for_an_hour(raw.get("cacheDetails"), written),
        raw=raw,
    )


def guardrail_units(trace: Any) -> int:
    """The text units that guardrails billed beside the tokens, as the trace of an answer tells."""
    if isinstance(trace, list):
        return sum(map(guardrail_units, trace))
    if not isinstance(trace, dict):
        return 0
    metrics = trace.get("invocationMetrics")
    used = metrics.get("usage") if isinstance(metrics, dict) else None
    if isinstance(used, dict):
        return sum(
            count(number) or 0 for name, number in used.items() if name.endswith("PolicyUnits")
        )
    return sum(map(guardrail_units, trace.values()))


def usage_in_headers(headers: Mapping[str, str]) -> Usage | None:
    """The usage that the answer's headers tell."""
    raw = {name: int(text) for name in _HEADERS if (text := headers.get(name, "")).isdecimal()}
    usage = usage_in_metrics({_HEADERS[name]: number for name, number in raw.items()})
    return usage and replace(usage, raw=raw)


def usage_in_metrics(metrics: Any) -> Usage | None:
    """The usage in the metrics of an invocation.

    Counts of the cache are there for models that have none, and 0 then: only others tell.
    """
    if not isinstance(metrics, dict):
        return None
    fresh, output = count(metrics.get("inputTokenCount")), count(metrics.get("outputTokenCount"))
    if fresh is None and output is None:
        return None
    read, written = _cached(metrics, "Read") or None, _cached(metrics, "Write") or None
    return Usage(
        input_tokens=None if fresh is None else total(fresh, read, written),
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        raw={METRICS: metrics},
    )


def completed_by(usage: Usage | None, aside: Usage | None) -> Usage | None:
    """The model's own usage with what only the other source knows. Where both know, the model's
    own holds."""
    if usage is None or aside is None:
        return usage or aside
    lacks_input = usage.input_tokens is None and aside.input_tokens is not None
    lacks_output = usage.output_tokens is None and aside.output_tokens is not None
    if lacks_input:
        usage = replace(
            usage,
            input_tokens=aside.input_tokens,
            cache_read_tokens=aside.cache_read_tokens,
            cache_write_tokens=aside.cache_write_tokens,
        )
    if lacks_output:
        usage = replace(usage, output_tokens=aside.output_tokens)
    if lacks_input or lacks_output:
        usage = replace(usage, raw={**(usage.raw or {}), **aside.raw})
    return usage


def usage_doubt(usage: Usage | None) -> str | None:
    """Why the input is missing although it was counted, for `parse_error`."""
    if usage is None or usage.input_tokens is not None or "inputTokens" not in usage.raw:
        return None
    return f"usage: a total of {usage.raw.get('totalTokens')} fits no reading of its parts"


def _all_input(
    fresh: int, output: int | None, everything: int | None, read: int | None, written: int | None
) -> int | None:
    """Cache reads and writes come on top, unless the total says that they are included."""
    whole = total(fresh, read, written) or 0
    if not everything or output is None:
        return whole
    return next((size for size in (whole, fresh) if size + output == everything), None)


def _cached(raw: Mapping[str, Any], way: str) -> int | None:
    """Tokens read from or written to the cache, under either of the names in use."""
    tokens = count(raw.get(f"cache{way}InputTokens"))
    return count(raw.get(f"cache{way}InputTokenCount")) if tokens is None else tokens


def _written_for_an_hour(details: Any, written: int | None) -> int | None:
    if not isinstance(details, list) or not all(isinstance(part, dict) for part in details):
        return None
    if sum(count(part.get("inputTokens")) or 0 for part in details) != written:
        return None  # the split is of another moment than the total
    hour = [part for part in details if part.get("ttl") == _HOUR]
    return sum(count(part.get("inputTokens")) or 0 for part in hour)
