"""One session in its steps: runs, branches, calls, retries, tools, each with its cost.

Owns how exchanges become a tree. A run is what shares a trace id; a branch within it is what
shares a parent span id (an agent and its sub-agents have one each). Exchanges without a trace are
told apart by time and content: a run goes on while answers call tools, calls are tried again or
overlap, and ends with an answer that asks for nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import duckdb
import polars as pl

from analytics.queries import IS_ERROR, MODEL, NOT_FULLY_PRICED

Kind = Literal["session", "run", "branch", "call", "tool"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A step and those in it; `row` is the exchange of a call."""

    kind: Kind
    name: str | None
    children: tuple[Node, ...] = ()
    row: Row | None = None
    round: int | None = None
    retry_of: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """Of a step and all in it."""

    started_at: datetime
    ended_at: datetime
    exchanges: int
    errors: int
    retries: int
    tool_calls: int
    not_fully_priced: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None


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


def tree(session_id: str, rows: Sequence[Row]) -> Node:
    """The rows of a session, in order of time, as a tree."""
    runs = tuple(_run(run) for run in _runs(rows))
    return Node(kind="session", name=session_id, children=runs)


def _runs(rows: Sequence[Row]) -> list[list[Row]]:
    traced: dict[str, list[Row]] = {}
    runs: list[list[Row]] = []
    open_run: list[Row] = []
    for row in rows:
        if (trace := row["trace_id"]) is not None:
            if trace not in traced:
                runs.append(traced.setdefault(trace, []))
            traced[trace].append(row)
        elif open_run and _goes_on(open_run, row):
            open_run.append(row)
        else:
            open_run = [row]
            runs.append(open_run)
    return runs


def _goes_on(run: Sequence[Row], row: Row) -> bool:
    last = run[-1]
    return bool(last["tool_calls"]) or row["started_at"] < _end(last) or _repeats(last, row)


def _end(row: Row) -> datetime:
    end: datetime = row["started_at"] + timedelta(seconds=row["seconds"])
    return end


def _repeats(failed: Row, row: Row) -> bool:
    """Whether a call asks again what has failed."""
    same = ("prompt_fingerprint", "message_count", "request_bytes")
    return (
        failed["is_error"]
        and row["started_at"] >= _end(failed)
        and all(row[name] == failed[name] for name in same)
    )


def _run(rows: Sequence[Row]) -> Node:
    spans: dict[str | None, list[Row]] = {}
    for row in rows:
        spans.setdefault(row["parent_span_id"] if row["trace_id"] else None, []).append(row)
    branches = {span: _calls(members) for span, members in spans.items()}
    if len(branches) == 1:
        children = next(iter(branches.values()))
    else:
        children = tuple(
            Node(kind="branch", name=span, children=calls) for span, calls in branches.items()
        )
    return Node(kind="run", name=rows[0]["feature"], children=children)


def _calls(rows: Sequence[Row]) -> tuple[Node, ...]:
    calls: list[Node] = []
    number = 0
    for place, row in enumerate(rows):
        before = rows[place - 1] if place else None
        retries = before is not None and _repeats(before, row)
        number += not retries
        following = rows[place + 1] if place + 1 < len(rows) else None
        calls.append(
            Node(
                kind="call",
                name=row["model"],
                children=_tools(row, following),
                row=row,
                round=number,
                retry_of=before["exchange_id"] if before is not None and retries else None,
                seconds=row["seconds"],
            )
        )
    return tuple(calls)


def _tools(row: Row, following: Row | None) -> tuple[Node, ...]:
    pause: float | None = None
    if following is not None and following["started_at"] >= _end(row):
        pause = (following["started_at"] - _end(row)).total_seconds()
    return tuple(
        Node(kind="tool", name=name, seconds=pause, row=row) for name in row["tool_names"] or ()
    )


def _sums(node: Node) -> _Sums:
    if node.kind == "call" and node.row is not None:
        return _of_call(node.row, retries=int(node.retry_of is not None))
    parts = [_sums(child) for child in node.children]

    def total(name: str) -> Any:
        known = [value for part in parts if (value := getattr(part, name)) is not None]
        return sum(known[1:], known[0]) if known else None

    spans = ("started_at", "ended_at")
    summed = {each.name: total(each.name) for each in fields(_Sums) if each.name not in spans}
    return _Sums(
        started_at=min(part.started_at for part in parts),
        ended_at=max(part.ended_at for part in parts),
        **summed,
    )


def _of_call(row: Row, *, retries: int) -> _Sums:
    return _Sums(
        started_at=row["started_at"],
        ended_at=_end(row),
        exchanges=1,
        errors=int(row["is_error"]),
        retries=retries,
        tool_calls=row["tool_calls"],
        not_fully_priced=int(row["is_not_priced"]),
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cost_usd=row["cost_usd"],
    )


def _flat(root: Node) -> Iterator[Row]:
    begin = _sums(root).started_at
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
        start = _end(row)
        sums: Row = {"seconds": node.seconds}
    else:
        found = _sums(node)
        start, end = found.started_at, found.ended_at
        sums = {
            name: getattr(found, name)
            for name in _SCHEMA
            if name in {each.name for each in fields(_Sums)}
        }
        sums["seconds"] = (end - start).total_seconds()
    if node.kind == "call" and row is not None:
        line |= {name: row[name] for name in ("exchange_id", "outcome", "error_type")}
        line["retry_of"] = node.retry_of
    return {**line, **sums, "started_at": start, "offset_seconds": (start - begin).total_seconds()}
