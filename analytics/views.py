"""The documented views of the store.

Owns their SQL. Days are UTC days whatever the session's time zone; sums leave out what is unknown,
and a count beside them says how many rows that are. Refuses to hold data.
"""

from __future__ import annotations

from proxy.exchange import Exchange, columns

VERSION = 3
"""Raise it when a view changes: the store then creates all of them anew."""

_DAY = "DATE '1970-01-01' + CAST(epoch_us(started_at) // 86_400_000_000 AS INTEGER)"
"""In a seventh of the time of casting to DATE, which asks a calendar for a time zone."""
_SUMS = """count(*) AS exchanges,
    count(*) FILTER (outcome NOT IN ('completed', 'cached')) AS errors,
    sum(cost_usd) AS cost_usd,
    count(*) FILTER (cost_status IN ('unpriced', 'partial')) AS not_fully_priced,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    median(duration_seconds) AS median_duration_seconds"""


def _spend_by(*keys: str) -> str:
    names = ", ".join(key.rpartition(" AS ")[2] for key in keys)
    return f"SELECT {', '.join(keys)},\n    {_SUMS}\nFROM exchanges\nGROUP BY {names}"


def _otel_spans() -> str:
    """One span per exchange, its columns named by the conventions the record's fields follow."""
    hex_id = "replace(CAST(exchange_id AS VARCHAR), '-', '')"
    special = {"trace_id", "parent_span_id"}
    named = [c for c in columns(Exchange) if c.otel and c.otel not in special]
    fixed = [
        f"coalesce(trace_id, {hex_id}) AS trace_id",
        f"right({hex_id}, 16) AS span_id",
        "parent_span_id",
        "concat_ws(' ', operation, coalesce(response_model, request_model)) AS name",
        "'CLIENT' AS kind",
        "started_at AS start_time",
        "started_at + to_microseconds(CAST(duration_seconds * 1e6 AS BIGINT)) AS end_time",
        "CASE WHEN outcome IN ('completed', 'cached') THEN 'UNSET' ELSE 'ERROR' END AS status_code",
        "error_message AS status_message",
    ]
    attributes = [f'{column.name} AS "{column.otel}"' for column in named]
    return "SELECT " + ",\n    ".join(fixed + attributes) + "\nFROM exchanges"


_FOCUS = """WITH sides AS (
    SELECT *, unnest(
        CASE WHEN coalesce(input_cost_usd, 0) + coalesce(output_cost_usd, 0) = cost_usd
        THEN [
            {'meter': 'Input Tokens', 'tokens': input_tokens, 'cost': input_cost_usd},
            {'meter': 'Output Tokens', 'tokens': output_tokens, 'cost': output_cost_usd}
        ]
        ELSE [{'meter': 'Requests', 'tokens': NULL, 'cost': cost_usd}] END
    ) AS side
    FROM exchanges WHERE cost_usd IS NOT NULL
),
charges AS (
    SELECT *, if(side.tokens > 0, side.tokens, 1)::DECIMAL(38, 6) AS quantity,
        if(side.tokens > 0, side.meter, 'Requests') AS meter,
        coalesce(response_model, request_model, 'unknown') AS model
    FROM sides WHERE side.cost IS NOT NULL
)
SELECT side.cost AS BilledCost,
    coalesce(provider, 'unknown') AS BillingAccountId,
    CAST(NULL AS VARCHAR) AS BillingAccountName,
    'USD' AS BillingCurrency,
    date_trunc('month', started_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS BillingPeriodStart,
    (date_trunc('month', started_at AT TIME ZONE 'UTC') + INTERVAL 1 MONTH) AT TIME ZONE 'UTC'
        AS BillingPeriodEnd,
    'Usage' AS ChargeCategory,
    CAST(NULL AS VARCHAR) AS ChargeClass,
    concat(meter, ' of ', model) AS ChargeDescription,
    'Usage-Based' AS ChargeFrequency,
    date_trunc('hour', started_at) AS ChargePeriodStart,
    date_trunc('hour', started_at) + INTERVAL 1 HOUR AS ChargePeriodEnd,
    quantity AS ConsumedQuantity,
    if(meter = 'Requests', 'Requests', 'Tokens') AS ConsumedUnit,
    side.cost AS ContractedCost,
    side.cost AS EffectiveCost,
    coalesce(provider, 'unknown') AS HostProviderName,
    coalesce(provider, 'unknown') AS InvoiceIssuerName,
    side.cost AS ListCost,
    'Standard' AS PricingCategory,
    quantity AS PricingQuantity,
    if(meter = 'Requests', 'Requests', 'Tokens') AS PricingUnit,
    'AI and Machine Learning' AS ServiceCategory,
    concat(coalesce(provider, 'unknown'), ' API') AS ServiceName,
    coalesce(provider, 'unknown') AS ServiceProviderName,
    'Generative AI' AS ServiceSubcategory,
    concat_ws('/', coalesce(provider, 'unknown'), model, meter) AS SkuId,
    meter AS SkuMeter,
    concat_ws('/', coalesce(provider, 'unknown'), model, meter, coalesce(service_tier, 'standard'))
        AS SkuPriceId,
    tags AS Tags,
    exchange_id AS x_ExchangeId,
    feature AS x_Feature,
    user_id AS x_User,
    cost_status AS x_CostStatus
FROM charges"""

VIEWS: dict[str, tuple[str, str]] = {
    "spend_by_day": ("cost and tokens of each UTC day", _spend_by(f"{_DAY} AS day")),
    "spend_by_feature": ("the same by day and feature", _spend_by(f"{_DAY} AS day", "feature")),
    "spend_by_model": (
        "the same by day, provider and model (the one that answered, else the one asked for)",
        _spend_by(f"{_DAY} AS day", "provider", "coalesce(response_model, request_model) AS model"),
    ),
    "spend_by_user": ("the same by day and user", _spend_by(f"{_DAY} AS day", "user_id")),
    "sessions": (
        "one row per session: its span, size and cost",
        f"""SELECT session_id,
    any_value(user_id) AS user_id,
    any_value(feature) AS feature,
    min(started_at) AS first_at,
    max(started_at) AS last_at,
    {_SUMS}
FROM exchanges
WHERE session_id IS NOT NULL
GROUP BY session_id""",
    ),
    "unpriced": (
        "what has no price, or only in part, and how much of it there is",
        """SELECT provider,
    coalesce(response_model, request_model) AS model,
    operation,
    cost_status,
    count(*) AS exchanges,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    min(started_at) AS first_at,
    max(started_at) AS last_at
FROM exchanges
WHERE cost_status IN ('unpriced', 'partial')
GROUP BY ALL""",
    ),
    "otel_spans": ("one OpenTelemetry GenAI span per exchange", _otel_spans()),
    "focus": (
        "FOCUS 1.4 charges, input and output of each exchange; `meterline export focus` tells "
        "every class of tokens apart",
        _FOCUS,
    ),
}


def statements() -> list[str]:
    return [f"CREATE OR REPLACE VIEW {name} AS\n{sql}" for name, (_, sql) in VIEWS.items()]


def markdown() -> str:
    """The views for the README."""
    lines = ["| view | gives |", "|---|---|"]
    lines += [f"| `{name}` | {doc} |" for name, (doc, _) in VIEWS.items()]
    return "\n".join(lines) + "\n"
