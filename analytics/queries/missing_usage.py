"""Streams whose usage nobody told, and how to have it told.

Owns which streams those are and the mend for each client. Refuses to count streams that ended
early: their usage comes last, so it was never to be had.
"""

from __future__ import annotations

import duckdb
import polars as pl

from analytics.queries import Selection, condition, frame

_ASKING = ("openai_chat", "openai_completions")
"""Formats in which a stream tells its usage only where the request asks for it."""
_BY_CLIENT = (
    (
        ("openai/python", "asyncopenai/python", "azureopenai/python", "asyncazureopenai/python"),
        'pass stream_options={"include_usage": True} (LangChain: stream_usage=True)',
    ),
    (
        ("openai/js", "azureopenai/js", "ai/", "ai-sdk/"),
        "pass stream_options: { include_usage: true } (AI SDK: includeUsage: true)",
    ),
    (
        ("openai/go", "openai-go"),
        "set StreamOptions to ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}",
    ),
    (
        ("openai/java", "openai-java"),
        "call streamOptions(ChatCompletionStreamOptions.builder().includeUsage(true).build())",
    ),
    (("openai/ruby", "ruby-openai"), "pass stream_options: { include_usage: true }"),
)
"""What clients call themselves, in lower case, and their way to ask (the OpenAI API reference,
"Create chat completion", `stream_options`)."""
_IN_JSON = 'send "stream_options": {"include_usage": true} with the requests'
_NOT_TOLD = "the provider tells no usage here: costs rest on estimates, or are missing"


def missing_usage(con: duckdb.DuckDBPyConnection, selection: Selection) -> pl.DataFrame:
    """A row per client, feature, provider and dialect that has streams without reported usage.

    Columns: `client`, `feature`, `provider`, `dialect`; `streams`, all completed ones that bill;
    `without_usage`, of these, and their `share`, 0 to 1; `estimated`, those of them whose tokens
    were counted here; `cost_usd` Decimal, what the estimates come to; `last_at`; `mend`, in words.
    Those with the most streams without usage come first.
    """
    where, parameters = condition(selection)
    found = frame(
        con,
        f"""
SELECT client, feature, provider, dialect, count(*) AS streams,
    count(*) FILTER (usage_source IS DISTINCT FROM 'provider') AS without_usage,
    count(*) FILTER (usage_source = 'estimated') AS estimated,
    sum(cost_usd) FILTER (usage_source = 'estimated') AS cost_usd,
    max(started_at) FILTER (usage_source IS DISTINCT FROM 'provider') AS last_at
FROM exchanges
WHERE {where} AND stream AND outcome = 'completed' AND cost_status IS NOT NULL
GROUP BY ALL HAVING without_usage > 0
ORDER BY without_usage DESC, client NULLS LAST, feature NULLS LAST, provider, dialect""",
        parameters,
    )
    mends = [mend(*row) for row in found.select("client", "provider", "dialect").iter_rows()]
    share = (pl.col("without_usage") / pl.col("streams")).alias("share")
    return found.with_columns(share, pl.Series("mend", mends, dtype=pl.String)).select(
        *("client", "feature", "provider", "dialect", "streams", "without_usage", "share"),
        *("estimated", "cost_usd", "last_at", "mend"),
    )


def mend(client: str | None, provider: str | None, dialect: str | None) -> str:
    """How such a client has the usage of its streams told."""
    if dialect not in _ASKING:
        return _NOT_TOLD
    name = (client or "").lower()
    asked = next((how for names, how in _BY_CLIENT if name.startswith(names)), _IN_JSON)
    return f"{asked}; or set inject_stream_usage = true in [providers.{provider or 'NAME'}]"
