"""Which prompt fingerprints are versions, as SQL.

Owns the rules, the temporary tables they give (`prompt_hours`: sums by fingerprint and hour, in one
pass over the exchanges; `prompt_versions`; `version_hours`), and what is asked of these. Refuses to
compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from analytics.queries import MODEL, Selection
from analytics.selected import summed

VERSION_EXCHANGES = 5
VERSION_SHARE = 0.1
"""A fingerprint is a version where it has so many exchanges, and this share of its feature's in the
hours between its first and last."""
UNSTABLE_FINGERPRINTS = 5
"""From so many fingerprints on that are no versions, the prompt is unstable."""
MAIN_SHARE = 0.5
"""What a version must have in the hours of an unstable prompt, to be more than a frequent case."""

SUMS = """sum(exchanges)::BIGINT AS exchanges, min(first_at) AS first_at, max(last_at) AS last_at,
    max(last_exchange_id) AS example,
    sum(input_tokens)::BIGINT AS input, sum(with_input)::BIGINT AS with_input,
    sum(output_tokens)::BIGINT AS output, sum(with_output)::BIGINT AS with_output,
    sum(cache_read_tokens)::BIGINT AS cache_read, sum(cacheable_tokens)::BIGINT AS cacheable,
    coalesce(sum(exchanges) FILTER (is_costed), 0)::BIGINT AS costed, sum(cost_usd) AS cost_usd,
    sum(cost_squares) AS squares"""
"""Of analytics.selected.summed; `squares` are those of costs, for their variance."""
ADDED = ", ".join(
    [
        *("min(first_at) AS first_at", "max(last_at) AS last_at", "max(example) AS example"),
        *(
            f"sum({name})::BIGINT AS {name}"
            for name in (
                *("exchanges", "input", "with_input", "output", "with_output"),
                *("cache_read", "cacheable", "costed"),
            )
        ),
        *("sum(cost_usd) AS cost_usd", "sum(squares) AS squares"),
    ]
)
"""Sums of such sums."""

_HOURS = f"""
CREATE OR REPLACE TEMP TABLE prompt_hours AS
SELECT feature, prompt_fingerprint AS fingerprint, hour, request_model, response_model,
    {SUMS}
FROM {{source}} WHERE prompt_fingerprint IS NOT NULL GROUP BY ALL"""
_VERSIONS = f"""
CREATE OR REPLACE TEMP TABLE prompt_versions AS
WITH used AS (
    SELECT feature, fingerprint, sum(exchanges)::BIGINT AS exchanges,
        min(first_at) AS first_at, max(last_at) AS last_at, min(hour) AS since, max(hour) AS until
    FROM prompt_hours GROUP BY ALL
),
hours AS (
    SELECT feature, hour, sum(exchanges)::BIGINT AS exchanges FROM prompt_hours GROUP BY ALL
),
passed AS (
    SELECT feature, hour, exchanges,
        sum(exchanges) OVER (PARTITION BY feature ORDER BY hour) AS until_then
    FROM hours
),
judged AS (
    SELECT used.*, used.exchanges / (e.until_then - b.until_then + b.exchanges) AS share,
        used.exchanges >= {VERSION_EXCHANGES} AND share >= {VERSION_SHARE} AS is_one
    FROM used
    JOIN passed b ON b.feature IS NOT DISTINCT FROM used.feature
        AND b.hour = used.since
    JOIN passed e ON e.feature IS NOT DISTINCT FROM used.feature
        AND e.hour = used.until
),
counted AS (
    SELECT *, count(*) FILTER (NOT is_one) OVER same AS others,
        min(first_at) FILTER (NOT is_one) OVER same AS others_first_at,
        max(last_at) FILTER (NOT is_one) OVER same AS others_last_at
    FROM judged WINDOW same AS (PARTITION BY feature)
),
grouped AS (
    SELECT feature, fingerprint, first_at, CASE WHEN others < {UNSTABLE_FINGERPRINTS}
        OR (is_one AND share >= {MAIN_SHARE})
        OR (is_one AND (last_at < others_first_at OR first_at > others_last_at))
        THEN fingerprint END AS version_of
    FROM counted
),
begun AS (
    SELECT *, min(first_at) OVER (PARTITION BY feature, version_of) AS began_at FROM grouped
)
SELECT feature AS label, fingerprint, version_of,
    dense_rank() OVER (PARTITION BY feature ORDER BY began_at, version_of) AS version
FROM begun"""
OF_VERSIONS = """FROM exchanges e JOIN prompt_versions v
    ON e.prompt_fingerprint = v.fingerprint AND e.feature IS NOT DISTINCT FROM v.label"""
_VERSION_HOURS = f"""
CREATE OR REPLACE TEMP TABLE version_hours AS
SELECT label, version, hour, request_model, response_model, {ADDED}
FROM prompt_hours h JOIN prompt_versions v
    ON h.fingerprint = v.fingerprint AND h.feature IS NOT DISTINCT FROM v.label
GROUP BY ALL"""
DESCRIBED = f"""
WITH named AS (
    SELECT label, version, any_value(version_of) AS fingerprint, count(*) AS fingerprints
    FROM prompt_versions GROUP BY ALL
),
sums AS (
    SELECT label, version, list(DISTINCT {MODEL} ORDER BY {MODEL}) AS models, {ADDED}
    FROM version_hours GROUP BY ALL
)
SELECT sums.label AS feature, sums.version, fingerprint, fingerprints, first_at, last_at, exchanges,
    exchanges / sum(exchanges) OVER (PARTITION BY sums.label) AS share, models,
    input / nullif(with_input, 0) AS input_tokens,
    output / nullif(with_output, 0) AS output_tokens,
    cache_read / nullif(cacheable, 0) AS cached, cost_usd,
    CAST(cost_usd / nullif(costed, 0) AS DECIMAL(38, 12)) AS cost_usd_each,
    CAST(example AS VARCHAR) AS example
FROM sums JOIN named ON sums.version = named.version
    AND sums.label IS NOT DISTINCT FROM named.label
ORDER BY feature NULLS LAST, sums.version"""
SHARES = """
WITH days AS (
    SELECT label AS feature, DATE '1970-01-01' + CAST(hour // 24 AS INTEGER) AS day, version,
        sum(exchanges)::BIGINT AS exchanges
    FROM version_hours GROUP BY ALL
)
SELECT *, exchanges / sum(exchanges) OVER (PARTITION BY feature, day) AS share
FROM days ORDER BY feature NULLS LAST, day, version"""


@contextmanager
def version_tables(con: duckdb.DuckDBPyConnection, selection: Selection) -> Iterator[None]:
    """The temporary tables, for the exchanges selected."""
    source, parameters = summed(con, selection)
    con.execute(_HOURS.format(source=source), parameters)
    con.execute(_VERSIONS)
    con.execute(_VERSION_HOURS)
    try:
        yield
    finally:
        for name in ("prompt_hours", "prompt_versions", "version_hours"):
            con.execute(f"DROP TABLE {name}")
