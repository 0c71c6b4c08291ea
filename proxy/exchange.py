"""The record: what Meterline keeps of one exchange.

Owns the vocabulary. The metadata of each field gives its SQL type, its meaning and its
OpenTelemetry name; the table definitions, the Arrow schema and the documented table are derived
from here and from nowhere else. Refuses to compute anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Literal

Outcome = Literal[
    "completed",
    "provider_error",
    "upstream_failed",
    "timed_out",
    "client_disconnected",
    "interrupted",
    "refused",
    "cached",
]
UsageSource = Literal["provider", "estimated"]
CostStatus = Literal["provider_reported", "priced", "estimated", "partial", "unpriced"]

MONEY = "DECIMAL(18,12)"


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the schema knows it."""

    name: str
    sql_type: str
    doc: str
    group: str
    otel: str | None
    required: bool


def _column(
    sql_type: str, doc: str, group: str, *, otel: str | None = None, required: bool = False
) -> Any:
    metadata = {
        "sql_type": sql_type,
        "doc": doc,
        "group": group,
        "otel": otel,
        "required": required,
    }
    if required:
        return field(metadata=metadata)
    return field(default=None, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One client call, finished or not: one row. Unknown is None, never 0."""

    exchange_id: str = _column(
        "UUID",
        "UUIDv7, the `meterline-exchange-id` of the answer",
        "identity",
        otel="meterline.exchange.id",
        required=True,
    )
    node: str | None = _column(
        "VARCHAR", "the machine that relayed it", "identity", otel="service.instance.id"
    )
    started_at: datetime = _column(
        "TIMESTAMPTZ", "when the request's head had arrived", "identity", required=True
    )

    duration_seconds: float | None = _column(
        "DOUBLE",
        "from the request's head to the end of the answer",
        "time",
        otel="gen_ai.client.operation.duration",
    )
    time_to_first_chunk_seconds: float | None = _column(
        "DOUBLE",
        "from the request's head to the first byte of the answer's body",
        "time",
        otel="gen_ai.server.time_to_first_token",
    )
    overhead_seconds: float | None = _column(
        "DOUBLE", "spent in the proxy itself before the request went upstream", "time"
    )

    provider: str | None = _column(
        "VARCHAR", "who serves and bills", "route", otel="gen_ai.provider.name"
    )
    upstream: str | None = _column(
        "VARCHAR", "the endpoint that answered last", "route", otel="server.address"
    )
    dialect: str | None = _column("VARCHAR", "the wire format, NULL where none is known", "route")
    operation: str | None = _column(
        "VARCHAR",
        "chat, text_completion, embeddings, ...",
        "route",
        otel="gen_ai.operation.name",
    )
    method: str | None = _column("VARCHAR", "HTTP method", "route", otel="http.request.method")
    path: str | None = _column(
        "VARCHAR", "as sent to the provider, without query", "route", otel="url.path"
    )
    stream: bool | None = _column("BOOLEAN", "the answer was asked for as a stream", "route")

    status: int | None = _column(
        "SMALLINT",
        "HTTP status, NULL where none came",
        "outcome",
        otel="http.response.status_code",
    )
    outcome: Outcome | None = _column(
        "VARCHAR",
        "completed, provider_error, upstream_failed, timed_out, client_disconnected, "
        "interrupted, refused or cached",
        "outcome",
    )
    error_type: str | None = _column(
        "VARCHAR", "the provider's word, or ours where it gave none", "outcome", otel="error.type"
    )
    error_message: str | None = _column("VARCHAR", "the first 2,000 characters", "outcome")
    finish_reasons: list[str] | None = _column(
        "VARCHAR[]",
        "the provider's words, one per choice",
        "outcome",
        otel="gen_ai.response.finish_reasons",
    )

    request_model: str | None = _column(
        "VARCHAR", "the model asked for", "model", otel="gen_ai.request.model"
    )
    response_model: str | None = _column(
        "VARCHAR", "the model that answered", "model", otel="gen_ai.response.model"
    )
    service_tier: str | None = _column(
        "VARCHAR", "the tier that served it", "model", otel="openai.response.service_tier"
    )

    input_tokens: int | None = _column(
        "BIGINT", "all input, cached included", "usage", otel="gen_ai.usage.input_tokens"
    )
    output_tokens: int | None = _column(
        "BIGINT", "all output, reasoning included", "usage", otel="gen_ai.usage.output_tokens"
    )
    cache_read_tokens: int | None = _column(
        "BIGINT",
        "input read from the provider's cache",
        "usage",
        otel="gen_ai.usage.cache_read.input_tokens",
    )
    cache_write_tokens: int | None = _column(
        "BIGINT",
        "input written to the provider's cache",
        "usage",
        otel="gen_ai.usage.cache_creation.input_tokens",
    )
    cache_write_1h_tokens: int | None = _column(
        "BIGINT", "the part of cache_write_tokens kept for an hour", "usage"
    )
    reasoning_tokens: int | None = _column(
        "BIGINT",
        "the part of output_tokens spent on reasoning",
        "usage",
        otel="gen_ai.usage.reasoning.output_tokens",
    )
    audio_input_tokens: int | None = _column(
        "BIGINT", "the part of input_tokens that is audio", "usage"
    )
    audio_output_tokens: int | None = _column(
        "BIGINT", "the part of output_tokens that is audio", "usage"
    )
    web_searches: int | None = _column("INTEGER", "searches the provider ran and bills", "usage")
    usage_source: UsageSource | None = _column(
        "VARCHAR",
        "provider, estimated (all, or the output of a cut stream), NULL where nothing is known",
        "usage",
    )
    usage_raw: str | None = _column("JSON", "what the provider said, unchanged", "usage")
    usage_detail: str | None = _column(
        "JSON",
        "what is priced apart and has no column: images, search units, passes on other models, ...",
        "usage",
    )

    cost_usd: Decimal | None = _column(
        MONEY, "what the exchange cost, in USD; 0 where the proxy's cache answered", "money"
    )
    input_cost_usd: Decimal | None = _column(MONEY, "the input's part", "money")
    output_cost_usd: Decimal | None = _column(MONEY, "the output's part", "money")
    provider_cost_usd: Decimal | None = _column(
        MONEY, "the cost as the provider reported it", "money"
    )
    saved_usd: Decimal | None = _column(
        MONEY,
        "what an answer from the proxy's cache would have cost; NULL of all others",
        "money",
        otel="meterline.cache.saved_usd",
    )
    cost_status: CostStatus | None = _column(
        "VARCHAR",
        "provider_reported, priced, estimated (where usage_source is), partial, unpriced; "
        "NULL where nothing is billed",
        "money",
    )
    price_ref: str | None = _column(
        "VARCHAR", "matched model, price source, its version and tier", "money"
    )

    feature: str | None = _column("VARCHAR", "what it was for", "labels")
    user_id: str | None = _column("VARCHAR", "who it was for", "labels", otel="user.id")
    session_id: str | None = _column(
        "VARCHAR",
        "the conversation or agent run it belongs to",
        "labels",
        otel="gen_ai.conversation.id",
    )
    environment: str | None = _column(
        "VARCHAR", "production, staging, ...", "labels", otel="deployment.environment.name"
    )
    tags: dict[str, str] | None = _column("MAP(VARCHAR, VARCHAR)", "free labels", "labels")
    key_id: str | None = _column(
        "VARCHAR", "a keyed hash of the credential, never the credential", "labels"
    )
    client: str | None = _column(
        "VARCHAR", "the client program, from its user agent", "labels", otel="user_agent.name"
    )
    trace_id: str | None = _column("VARCHAR", "W3C trace id", "labels", otel="trace_id")
    parent_span_id: str | None = _column(
        "VARCHAR", "W3C parent span id", "labels", otel="parent_span_id"
    )

    message_count: int | None = _column("INTEGER", "messages in the request", "shape")
    tool_names: list[str] | None = _column("VARCHAR[]", "tools the answer calls, in order", "shape")
    tool_call_count: int | None = _column(
        "INTEGER", "calls the client has to run, 0 where the answer has none", "shape"
    )
    prompt_fingerprint: str | None = _column(
        "VARCHAR", "hash of system prompt and tools, whatever the conversation", "shape"
    )
    request_bytes: int | None = _column(
        "BIGINT", "body bytes sent upstream", "shape", otel="http.request.body.size"
    )
    response_bytes: int | None = _column(
        "BIGINT", "body bytes of the answer", "shape", otel="http.response.body.size"
    )
    truncated: bool | None = _column(
        "BOOLEAN", "the captured copy is shorter than the traffic", "shape"
    )
    parse_error: str | None = _column("VARCHAR", "what could not be read, and where", "shape")
    parser_version: int | None = _column(
        "INTEGER", "the version of the reading code; `meterline reparse` renews it", "shape"
    )

    attempts: int | None = _column("INTEGER", "tries against upstreams", "policy")
    cache_hit: str | None = _column(
        "VARCHAR",
        "exact or semantic: the proxy's cache answered, and nothing was used; else NULL",
        "policy",
    )
    rules: list[str] | None = _column("VARCHAR[]", "the rules that acted on it", "policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try against an upstream."""

    exchange_id: str = _column("UUID", "the exchange", "identity", required=True)
    number: int = _column("SMALLINT", "1, 2, ...", "identity", required=True)
    upstream: str | None = _column("VARCHAR", "provider's endpoint tried", "route")
    started_at: datetime = _column("TIMESTAMPTZ", "when it began", "time", required=True)
    duration_seconds: float | None = _column(
        "DOUBLE", "until the head of the answer, or the failure", "time"
    )
    status: int | None = _column("SMALLINT", "HTTP status, NULL where none came", "outcome")
    error_type: str | None = _column("VARCHAR", "why it failed, NULL where it did not", "outcome")
    error_message: str | None = _column("VARCHAR", "in words", "outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a policy did, and why."""

    exchange_id: str = _column("UUID", "the exchange", "identity", required=True)
    number: int = _column("SMALLINT", "1, 2, ...", "identity", required=True)
    policy: str | None = _column("VARCHAR", "the policy", "policy")
    rule: str | None = _column("VARCHAR", "the rule it followed", "policy")
    action: str | None = _column("VARCHAR", "what it did", "policy")
    reason: str | None = _column("VARCHAR", "why", "policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What was said: bodies as captured, and the headers on the allow-list."""

    exchange_id: str = _column("UUID", "the exchange", "identity", required=True)
    started_at: datetime = _column("TIMESTAMPTZ", "as in exchanges", "identity", required=True)
    target: str | None = _column("VARCHAR", "path and query, secrets masked", "request")
    request_headers: str | None = _column("JSON", "[[name, value], ...]", "request")
    request_body: bytes | None = _column("BLOB", "as sent, bounded", "request")
    request_gap: int | None = _column(
        "BIGINT", "offset at which bytes are missing, NULL where none are", "request"
    )
    response_headers: str | None = _column("JSON", "[[name, value], ...]", "response")
    response_body: bytes | None = _column("BLOB", "as received, bounded", "response")
    response_gap: int | None = _column(
        "BIGINT", "offset at which bytes are missing, NULL where none are", "response"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Something that was not recorded, and why."""

    noticed_at: datetime = _column("TIMESTAMPTZ", "when", "identity", required=True)
    reason: str = _column("VARCHAR", "what happened", "identity", required=True)
    count: int = _column("BIGINT", "how many", "identity", required=True)
    detail: str | None = _column("VARCHAR", "where", "identity")


@cache
def columns(record: type) -> tuple[Column, ...]:
    """The columns of a record class, in order."""
    return tuple(
        Column(
            name=f.name,
            sql_type=f.metadata["sql_type"],
            doc=f.metadata["doc"],
            group=f.metadata["group"],
            otel=f.metadata["otel"],
            required=f.metadata["required"],
        )
        for f in fields(record)
    )
