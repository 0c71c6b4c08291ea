"""One session in its steps: runs, branches, calls, retries, tools, each with its cost.

Owns the rows that are read and the frame; how they hang together is analytics/session_tree.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from analytics.queries import IS_ERROR, MODEL, NOT_FULLY_PRICED
from analytics.session_tree import Node, Row, Sums, end_of, sums_of, tree

_SCHEMA: dict[str, Any] = {
    "number": pl.Int64,
    "parent": pl.Int64,
    "depth": pl.Int64,
    "kind": pl.String,
    "name": pl.String,
    "round": pl.Int64,
    "exchange_id": pl.String,
    "retry_of": pl.String,
    "started_at": pl.Datetime("us", "UTC"),
    "offset_seconds": pl.Float64,
    "seconds": pl.Float64,
    "outcome": pl.String,
    "error_type": pl.String,
    "exchanges": pl.Int64,
    "errors": pl.Int64,
    "retries": pl.Int64,
    "tool_calls": pl.Int64,
    "input_tokens": pl.Int64,
    "output_tokens": pl.Int64,
    "cost_usd": pl.Decimal(38, 12),
    "not_fully_priced": pl.Int64,
}


def session(con: duckdb.DuckDBPyConnection, session_id: str) -> pl.DataFrame:
    """The steps of a session, each followed by those in it; empty where there is no such session.

    Columns:

    - `number`, from 0; `parent`, the number of the step it is in, and `depth`, both for indenting
    - `kind`: "session", "run" (a trace, or what hangs together), "branch" (one of several parent
      spans of a trace), "call" (an exchange), "tool" (that the answer calls)
    - `name`: the session's id, the run's feature, the branch's parent span id, the call's model,
      the tool's name; `round` of a call, from 1 in each branch, retries counted with the first
    - `exchange_id` of a call; `retry_of`, the exchange that failed and was asked again by it
    - `started_at`, UTC; `offset_seconds` since the session began; `seconds`: from the first
      beginning to the last end; of a tool, until the call that brings its result, null where none
    - `outcome`, `error_type` of a call
    - `exchanges`, `errors`, `retries`, `tool_calls`, `input_tokens`, `output_tokens`, `cost_usd`
      Decimal, `not_fully_priced`: of the step and all in it, known ones; null for a tool
    """
    rows = _rows(con, session_id)
    if not rows:
        return pl.DataFrame(schema=_SCHEMA)
    return pl.DataFrame(list(_flat(tree(session_id, rows))), schema=_SCHEMA, orient="row")


def _rows(con: duckdb.DuckDBPyConnection, session_id: str) -> list[Row]:
    con.execute(
        f"""
SELECT CAST(exchange_id AS VARCHAR) AS exchange_id, started_at,
    coalesce(duration_seconds, 0) AS seconds, {MODEL} AS model, feature, outcome, error_type,
    coalesce({IS_ERROR}, false) AS is_error,
    coalesce({NOT_FULLY_PRICED}, false) AS is_not_priced,
    input_tokens, output_tokens, cost_usd, tool_names, coalesce(tool_call_count, 0) AS tool_calls,
    trace_id, parent_span_id, prompt_fingerprint, message_count, request_bytes
FROM exchanges WHERE session_id = ? ORDER BY started_at, exchange_id""",
        [session_id],
    )
    names = [column[0] for column in con.description or ()]
    return [dict(zip(names, row, strict=True)) for row in con.fetchall()]


def _flat(root: Node) -> Iterator[Row]:
    begin = sums_of(root).started_at
    numbers = iter(range(1 << 62))

    def lines(node: Node, parent: int | None, depth: int) -> Iterator[Row]:
        number = next(numbers)
        yield {"number": number, "parent": parent, "depth": depth, **_line(node, begin)}
        for child in node.children:
            yield from lines(child, number, depth + 1)

    return lines(root, None, 0)


def _line(node: Node, begin: datetime) -> Row:
    line: Row = {"kind": node.kind, "name": node.name, "round": node.round}
    row = node.row
    if node.kind == "tool" and row is not None:
        start = end_of(row)
        sums: Row = {"seconds": node.seconds}
    else:
        found = sums_of(node)
        start, end = found.started_at, found.ended_at
        sums = {
            name: getattr(found, name)
            for name in _SCHEMA
            if name in {each.name for each in fields(Sums)}
        }
        sums["seconds"] = (end - start).total_seconds()
    if node.kind == "call" and row is not None:
        line |= {name: row[name] for name in ("exchange_id", "outcome", "error_type")}
        line["retry_of"] = node.retry_of
    return {**line, **sums, "started_at": start, "offset_seconds": (start - begin).total_seconds()}
