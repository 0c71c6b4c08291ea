"""Contents for data sets: one exchange a line, what was asked and what was answered.

Owns the line's shape. Secrets are not in it because they were never stored. Exchanges without
contents, without an answer or without messages that can be read are left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analytics.bodies import said
from analytics.exports import Day, Progress, appearing, days, rows
from analytics.exports.conversation import asked
from analytics.exports.redaction import redacted_value
from analytics.queries import Selection
from analytics.tables import json_line

_CONTENTS = (
    "target",
    "request_headers",
    "request_body",
    "request_gap",
    "response_headers",
    "response_body",
    "response_gap",
)
_LABELS = ("feature", "user_id", "session_id", "environment")
_COLUMNS = f"""CAST(exchange_id AS VARCHAR) AS exchange_id, started_at, provider,
    dialect, operation, method, status, outcome, request_model, response_model, finish_reasons,
    input_tokens, output_tokens, cost_usd, {", ".join(_LABELS)}, tags,
    {", ".join(_CONTENTS)}"""
PAGE_ROWS = 200
"""Bodies may have megabytes each."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became lines, and what did not and why."""

    lines: int = 0
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, why: str) -> None:
        self.left_out[why] = self.left_out.get(why, 0) + 1


def export(
    path: Path,
    target: Path,
    selection: Selection,
    *,
    redact: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Tally:
    """Write the selected exchanges to `target`, oldest first. Raises ExportRefused, StoreError."""
    tally = Tally()
    found = days(path, selection)
    done, whole = 0, sum(day.exchanges for day in found)
    with appearing(target, overwrite=overwrite) as new, open(new, "w", encoding="utf-8") as out:
        for day in found:
            for line in _lines(path, day, tally, redact=redact):
                out.write(json_line(line) + "\n")
            done += day.exchanges
            if progress is not None:
                progress(done, whole)
    return tally


def _lines(path: Path, day: Day, tally: Tally, *, redact: bool) -> Iterator[dict[str, Any]]:
    seen = 0
    for row in rows(path, day.selection, _COLUMNS, page_rows=PAGE_ROWS, contents=True):
        seen += 1
        found = _line(row)
        if isinstance(found, str):
            tally.leave_out(found)
            continue
        tally.lines += 1
        yield redacted_line(found) if redact else found
    for _ in range(day.exchanges - seen):
        tally.leave_out("no contents were kept")


def _line(row: dict[str, Any]) -> dict[str, Any] | str:
    """The line of an exchange, or why it has none."""
    if row["outcome"] not in ("completed", "cached"):
        return "it went wrong"
    said_ = said(row, row)
    if said_ is None:
        return "no contents were kept"
    request = asked(said_.request.document())
    if request.messages is None:
        return "its messages cannot be read"
    if said_.answer_text is None:
        return "its answer has no text"
    return {
        "id": row["exchange_id"],
        "started_at": row["started_at"],
        "provider": row["provider"],
        "operation": row["operation"],
        "model": row["response_model"] or row["request_model"],
        "messages": request.messages,
        "tools": request.tools,
        "parameters": request.parameters,
        "answer": said_.answer_text,
        "finish_reasons": row["finish_reasons"],
        "usage": {name: row[name] for name in ("input_tokens", "output_tokens", "cost_usd")},
        "labels": _labels(row),
    }


def _labels(row: dict[str, Any]) -> dict[str, Any]:
    known = {name: row[name] for name in _LABELS if row[name] is not None}
    return known | {"tags": dict(row["tags"])} if row["tags"] else known


_SAID = ("messages", "tools", "parameters", "answer", "labels")


def redacted_line(line: dict[str, Any]) -> dict[str, Any]:
    """The line with personal data replaced in all that people or models wrote."""
    return line | {name: redacted_value(line[name]) for name in _SAID}
