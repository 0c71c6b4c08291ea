"""OpenTelemetry's GenAI semantic conventions, as far as Meterline follows them.

Owns every name and every well-known value: spans, metrics, messages. The conventions are still in
development (https://github.com/open-telemetry/semantic-conventions-genai); when they move, this
module moves. Refuses to send anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.exchange import Exchange, columns

SCOPE = "meterline"
SERVICE = "meterline"

Attribute = str | int | float | bool | list[str]

_NOT_ATTRIBUTES = frozenset(
    {"node", "duration_seconds", "trace_id", "parent_span_id", "upstream", "stream"}
)
_ATTRIBUTES: dict[str, str] = {
    **{c.name: c.otel for c in columns(Exchange) if c.otel and c.name not in _NOT_ATTRIBUTES},
    "time_to_first_chunk_seconds": "gen_ai.response.time_to_first_chunk",
    "audio_input_tokens": "gen_ai.usage.audio.input_tokens",
    "audio_output_tokens": "gen_ai.usage.audio.output_tokens",
    "outcome": "meterline.outcome",
    "dialect": "meterline.dialect",
    "feature": "meterline.feature",
    "usage_source": "meterline.usage.source",
    "cost_usd": "meterline.cost.usd",
    "cost_status": "meterline.cost.status",
    "attempts": "meterline.attempts",
    "cache_hit": "meterline.cache.hit",
}
"""Attributes of a span by column. Those that the conventions lack are in our own name space."""

PROVIDERS: dict[str, str] = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""Well-known values of `gen_ai.provider.name` where ours differ."""

TOKEN_USAGE = "gen_ai.client.token.usage"
OPERATION_DURATION = "gen_ai.client.operation.duration"
TOKEN_BOUNDS = tuple(float(4**power) for power in range(14))
DURATION_BOUNDS = tuple(0.01 * 2**power for power in range(14))
TOKEN_TYPES = {"input": "input_tokens", "output": "output_tokens"}
TOKEN_TYPE = "gen_ai.token.type"
OTHER_ERROR = "_OTHER"


def is_error(row: Mapping[str, Any]) -> bool:
    return row["outcome"] not in ("completed", "cached")


def span_name(row: Mapping[str, Any]) -> str:
    """`{operation} {model asked for}`; the method where neither is known."""
    parts = [row["operation"], row["request_model"] or row["response_model"]]
    return " ".join(part for part in parts if part) or row["method"] or "HTTP"


def span_attributes(row: Mapping[str, Any]) -> dict[str, Attribute]:
    """The attributes of an exchange's span; what is unknown is left out."""
    found: dict[str, Attribute] = {}
    for column, name in _ATTRIBUTES.items():
        value = row.get(column)
        if value is not None:
            found[name] = value if isinstance(value, str | int | float | list) else float(value)
    if row["stream"]:
        found["gen_ai.request.stream"] = True
    if is_error(row):
        found.setdefault("error.type", row["outcome"] or OTHER_ERROR)
    else:
        found.pop("error.type", None)
    for name, value in row["tags"] or ():
        found[f"meterline.tag.{name}"] = value
    return found | provider_attributes(row) | server_attributes(row)


def metric_attributes(row: Mapping[str, Any]) -> dict[str, Attribute]:
    """Attributes of an exchange's measurements; few enough values to make series of."""
    found: dict[str, Attribute] = {
        name: row[column]
        for column, name in (
            ("operation", "gen_ai.operation.name"),
            ("request_model", "gen_ai.request.model"),
            ("response_model", "gen_ai.response.model"),
        )
        if row[column] is not None
    }
    return found | provider_attributes(row) | server_attributes(row)


def provider_attributes(row: Mapping[str, Any]) -> dict[str, Attribute]:
    provider = row["provider"]
    return {} if provider is None else {"gen_ai.provider.name": PROVIDERS.get(provider, provider)}


def server_attributes(row: Mapping[str, Any]) -> dict[str, Attribute]:
    """Address and port where the upstream is named by them, else its name under our own key."""
    upstream = row["upstream"]
    if upstream is None:
        return {}
    if "." not in upstream and ":" not in upstream:
        return {"meterline.upstream": upstream}
    host, colon, port = upstream.rpartition(":")
    if colon and port.isdigit():
        return {"server.address": host.strip("[]"), "server.port": int(port)}
    return {"server.address": upstream}


def message(role: str, content: Any) -> dict[str, Any]:
    """A message as the conventions' JSON schemas have it: `role` and `parts`."""
    return {"role": role, "parts": _parts(content)}


def _parts(content: Any) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, list):
        return [part for item in content for part in _parts(item)]
    if isinstance(content, dict):
        if isinstance(content.get("text"), str):
            return [{"type": "text", "content": content["text"]}]
        return [{"type": str(content.get("type") or "other"), "content": content}]
    return [{"type": "text", "content": content if isinstance(content, str) else str(content)}]
