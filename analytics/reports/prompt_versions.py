"""Which prompt fingerprints are versions, as SQL.

Owns the rules and the tables they give: `prompt_versions`, a temporary one, and what is asked of
it. Refuses to compare.
"""

from __future__ import annotations

from analytics.queries import MODEL

VERSION_EXCHANGES = 5
VERSION_SHARE = 0.1
"""A fingerprint is a version where it has so many exchanges, and this share of its feature's in the
hours between its first and last."""
UNSTABLE_FINGERPRINTS = 5
"""From so many fingerprints on that are no versions, the prompt is unstable."""
MAIN_SHARE = 0.5
"""What a version must have in the hours of an unstable prompt, to be more than a frequent case."""

VERSIONS = f"""
CREATE OR REPLACE TEMP TABLE prompt_versions AS
WITH used AS (
    SELECT feature, prompt_fingerprint AS fingerprint, count(*) AS exchanges,
        min(started_at) AS first_at, max(started_at) AS last_at
    FROM exchanges WHERE prompt_fingerprint IS NOT NULL AND {{where}} GROUP BY ALL
),
hours AS (
    SELECT feature, date_trunc('hour', started_at) AS hour, count(*) AS exchanges
    FROM exchanges WHERE prompt_fingerprint IS NOT NULL AND {{where}} GROUP BY ALL
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
        AND b.hour = date_trunc('hour', first_at)
    JOIN passed e ON e.feature IS NOT DISTINCT FROM used.feature
        AND e.hour = date_trunc('hour', last_at)
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
DESCRIBED = f"""
SELECT v.label AS feature, version, any_value(version_of) AS fingerprint,
    count(DISTINCT fingerprint) AS fingerprints,
    min(started_at) AS first_at, max(started_at) AS last_at, count(*) AS exchanges,
    count(*) / sum(count(*)) OVER (PARTITION BY v.label) AS share,
    list(DISTINCT {MODEL} ORDER BY {MODEL}) AS models,
    avg(input_tokens) AS input_tokens, avg(output_tokens) AS output_tokens,
    sum(cache_read_tokens) / nullif(sum(input_tokens) FILTER (cache_read_tokens IS NOT NULL), 0)
        AS cached,
    sum(cost_usd) AS cost_usd,
    CAST(sum(cost_usd) / nullif(count(cost_usd), 0) AS DECIMAL(38, 12)) AS cost_usd_each,
    CAST(max(exchange_id) AS VARCHAR) AS example
{OF_VERSIONS} WHERE {{where}} GROUP BY v.label, version ORDER BY v.label NULLS LAST, version"""
SHARES = f"""
SELECT v.label AS feature, CAST(started_at AS DATE) AS day, version, count(*) AS exchanges,
    count(*) / sum(count(*)) OVER (PARTITION BY v.label, CAST(started_at AS DATE)) AS share
{OF_VERSIONS} WHERE {{where}}
GROUP BY v.label, day, version ORDER BY v.label NULLS LAST, day, version"""
