"""How the exchanges of a session hang together: a tree of runs, branches, calls and tools.

Owns the rules. A run is what shares a trace id; a branch within it is what shares a parent span id
(an agent and its sub-agents have one each). Exchanges without a trace are told apart by time and
content: a run goes on while answers call tools, calls are tried again or overlap, and ends with an
answer that asks for nothing more. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

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
class Sums:
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
    return bool(last["tool_calls"]) or row["started_at"] < end_of(last) or _repeats(last, row)


def end_of(row: Row) -> datetime:
    end: datetime = row["started_at"] + timedelta(seconds=row["seconds"])
    return end


def _repeats(failed: Row, row: Row) -> bool:
    """Whether a call asks again what has failed."""
    same = ("prompt_fingerprint", "message_count", "request_bytes")
    return (
        failed["is_error"]
        and row["started_at"] >= end_of(failed)
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
    if following is not None and following["started_at"] >= end_of(row):
        pause = (following["started_at"] - end_of(row)).total_seconds()
    return tuple(
        Node(kind="tool", name=name, seconds=pause, row=row) for name in row["tool_names"] or ()
    )


def sums_of(node: Node) -> Sums:
    if node.kind == "call" and node.row is not None:
        return _of_call(node.row, retries=int(node.retry_of is not None))
    parts = [sums_of(child) for child in node.children]

    def total(name: str) -> Any:
        known = [value for part in parts if (value := getattr(part, name)) is not None]
        return sum(known[1:], known[0]) if known else None

    spans = ("started_at", "ended_at")
    summed = {each.name: total(each.name) for each in fields(Sums) if each.name not in spans}
    return Sums(
        started_at=min(part.started_at for part in parts),
        ended_at=max(part.ended_at for part in parts),
        **summed,
    )


def _of_call(row: Row, *, retries: int) -> Sums:
    return Sums(
        started_at=row["started_at"],
        ended_at=end_of(row),
        exchanges=1,
        errors=int(row["is_error"]),
        retries=retries,
        tool_calls=row["tool_calls"],
        not_fully_priced=int(row["is_not_priced"]),
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cost_usd=row["cost_usd"],
    )
