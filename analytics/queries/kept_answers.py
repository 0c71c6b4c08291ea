"""What the cache of answers brought: hits, what they saved, what looking cost, whether it is right.

Owns the counting, rule by rule. What a decision means is the cache policy's; its words are read
here and not explained.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics.queries import Selection, condition, frame


def kept_answers(con: duckdb.DuckDBPyConnection, selection: Selection) -> pl.DataFrame:
    """The cache rules that acted on the selected exchanges, the one that saved most first.

    Columns: `rule`; `hits`, exchanges answered from the cache, and `by_meaning` of them;
    `saved_usd` Decimal, what these would have cost, as far as that is known; `kept`, answers kept
    anew; `vectors_usd` Decimal, what the vectors of a semantic rule cost; `would_have_served`,
    hits that were asked for all the same; `right_hits`, `false_hits`, how these compared with the
    real answers; `false_share` of both, 0 to 1.
    """
    where, parameters = condition(selection)
    found = frame(
        con,
        f"""
WITH chosen AS (SELECT exchange_id, saved_usd, cache_hit FROM exchanges WHERE {where}),
decided AS (
    SELECT rule,
        count(*) FILTER (action = 'hit') AS hits,
        count(*) FILTER (action = 'hit' AND cache_hit = 'semantic') AS by_meaning,
        sum(saved_usd) FILTER (action = 'hit') AS saved_usd,
        count(*) FILTER (action = 'kept') AS kept,
        count(*) FILTER (action = 'would have served') AS would_have_served,
        count(*) FILTER (action = 'right hit') AS right_hits,
        count(*) FILTER (action = 'false hit') AS false_hits
    FROM decisions JOIN chosen USING (exchange_id) WHERE policy = 'cache' GROUP BY rule
),
vectors AS (
    SELECT tags['meterline-cache'] AS rule, sum(cost_usd) AS vectors_usd
    FROM exchanges WHERE operation = 'embeddings' AND {where} GROUP BY ALL
)
SELECT rule, hits, by_meaning, saved_usd, kept, vectors_usd, would_have_served, right_hits,
    false_hits
FROM decided LEFT JOIN vectors USING (rule)
ORDER BY saved_usd DESC NULLS LAST, hits DESC, rule NULLS LAST""",
        [*parameters, *parameters],
    )
    compared = pl.col("right_hits") + pl.col("false_hits")
    share = pl.when(compared > 0).then(pl.col("false_hits") / compared)
    return found.with_columns(share.alias("false_share"))
