"""Recorded exchanges as calls on their way: what rules can ask about them.

Owns reading them from the store, in pieces and in order of time, with their requests' bodies where
a rule looks at these. Where a body is not kept, the row stands for it: its token count for the
estimate of the prompt, and no difficulty. Refuses to change the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb
import orjson
import pyarrow as pa  # type: ignore[import-untyped]

from analytics.queries import WITHOUT_USAGE, Selection, condition
from analytics.usage_columns import COLUMNS, from_columns
from proxy.calls.asked import CHARACTERS_PER_TOKEN, SMALL_BYTES, Asked
from proxy.calls.kept import kept
from proxy.facts import RequestHead, Usage
from proxy.journal.entries import DecisionMade
from proxy.limits.accounts import Now
from proxy.rules.difficulty import Difficulty
from proxy.rules.settings import Rule

CHUNK_ROWS = 5_000
_LABELS = ("feature", "user_id", "session_id", "environment")
_READ = (
    *("exchange_id", "started_at", "duration_seconds", "provider", "upstream", "operation"),
    *("method", "path", "stream", "status", "outcome", "error_type", "request_model"),
    *("response_model", "service_tier", "usage_source", "usage_detail", "usage_raw"),
    *(
        "provider_cost_usd",
        "cost_usd",
        "cost_status",
        "key_id",
        "request_bytes",
        "response_bytes",
        "rules",
        "tags",
    ),
    *_LABELS,
    *COLUMNS,
)
Row = Mapping[str, Any]


class RecordedAsk(Asked):
    """A recorded request: its stored body where there is one, else what its row says."""

    def __init__(self, row: Row, content: Row | None) -> None:
        headers = orjson.loads(content["request_headers"] or "[]") if content else []
        head = RequestHead(
            provider=row["provider"] or "",
            method=row["method"] or "POST",
            target=(content["target"] if content else None) or row["path"] or "",
            headers=dict(headers),
        )
        labels = {name: row[name] for name in _LABELS if row[name] is not None}
        labels |= {f"tags.{name}": value for name, value in row["tags"] or ()}
        super().__init__(head, content["request_body"] if content else None, labels)
        self._row = row
        self.fields = tuple((name.encode(), value.encode()) for name, value in headers)
        """The fields of the request that were recorded."""

    @property
    def operation(self) -> str | None:
        found: str | None = self._row["operation"]
        return found

    @kept
    def labels(self) -> Mapping[str, str]:
        return self._labels

    @property
    def model(self) -> str | None:
        found: str | None = self._row["request_model"]
        return found

    @property
    def roughly(self) -> int:
        size = self._row["request_bytes"]
        if self.body is not None or size is None or size > SMALL_BYTES:
            return super().roughly
        return -(-int(size) // CHARACTERS_PER_TOKEN)

    @kept
    def input_tokens(self) -> int | None:
        if self.body is None:
            found: int | None = self._row["input_tokens"]
            return found
        return super().input_tokens

    @kept
    def used(self) -> Usage | None:
        """What its answer used."""
        return from_columns(self._row)

    @kept
    def difficulty(self) -> Difficulty | None:
        return None if self.body is None else super().difficulty


@dataclass(slots=True)
class Replayed:
    """One recorded call, as conditions ask about it: provider and model are those it goes to."""

    row: Row
    asked: RecordedAsk
    provider: str
    model: str | None
    budgets: Callable[[str], float] = lambda _: 0.0
    decisions: list[DecisionMade] = field(default_factory=list)
    effect: str | None = None
    """What became of it, None where nothing did: see replay.EFFECTS."""
    rule: str | None = None
    """The rule that did it."""
    done: bool = False
    """It was refused, or answered here: no later stage sees it."""
    held: list[Any] = field(default_factory=list)
    """What stages hold for it until it ends."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """What nobody can know of it: the rule, and what of it (see left_out.py)."""
    begins: Now = field(init=False)

    def __post_init__(self) -> None:
        self.begins = Now(self.now.timestamp(), self.now)

    @property
    def operation(self) -> str | None:
        return self.asked.operation

    @property
    def stream(self) -> bool | None:
        found: bool | None = self.row["stream"]
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        return self.asked.labels

    @property
    def key(self) -> str | None:
        found: str | None = self.row["key_id"]
        return found

    @property
    def input_tokens(self) -> int | None:
        return self.asked.input_tokens

    @property
    def difficulty(self) -> Difficulty | None:
        return self.asked.difficulty

    @property
    def now(self) -> datetime:
        found: datetime = self.row["started_at"]
        return found

    @property
    def usage(self) -> Usage | None:
        return self.asked.used

    @property
    def tokens(self) -> int:
        """In and out, as far as they are known."""
        return (self.row["input_tokens"] or 0) + (self.row["output_tokens"] or 0)

    @property
    def paid_usd(self) -> Decimal | None:
        """What it cost; nothing where nothing is billed, None where nobody knows."""
        row = self.row
        if row["outcome"] in ("refused", "cached"):
            return Decimal(0)
        cost: Decimal | None = row["cost_usd"]
        if cost is None and row["cost_status"] is None and not row["is_unknown"]:
            return Decimal(0)
        return cost

    @property
    def moved(self) -> bool:
        return (self.provider, self.model) != (self.row["provider"], self.row["request_model"])

    def budget_used(self, name: str) -> float:
        return self.budgets(name)

    def decide(self, policy: str, rule: str, action: str, reason: str) -> None:
        self.decisions.append(DecisionMade(policy=policy, rule=rule, action=action, reason=reason))

    def becomes(self, effect: str, rule: str, *, done: bool = False) -> None:
        """What it is counted as: the first that something did, unless a later one ends it."""
        if self.effect is None or done:
            self.effect, self.rule = effect, rule
        self.done = self.done or done


def looks_at_bodies(rules: Sequence[Rule]) -> bool:
    """Whether some rule asks what only the body says."""
    return any(
        rule.enabled
        and (
            rule.when.input_tokens is not None
            or rule.when.difficulty_below is not None
            or rule.budget is not None
            or rule.cache is not None
            or rule.guardrail is not None
            or (rule.limit is not None and rule.limit.tokens is not None)
        )
        for rule in rules
    )


def count(con: duckdb.DuckDBPyConnection, selection: Selection) -> int:
    where, parameters = condition(selection)
    ((found,),) = con.execute(
        f"SELECT count(*) FROM exchanges WHERE {where}", parameters
    ).fetchall()
    return int(found)


def replayed(
    con: duckdb.DuckDBPyConnection, selection: Selection, *, bodies: bool
) -> Iterator[Replayed]:
    """The exchanges selected, in the order in which they began."""
    where, parameters = condition(selection)
    columns = ", ".join(_READ).replace("exchange_id", "CAST(exchange_id AS VARCHAR) AS exchange_id")
    found = con.sql(
        f"""SELECT {columns}, {WITHOUT_USAGE} AS is_unknown FROM exchanges WHERE {where}
        ORDER BY started_at, exchange_id""",
        params=parameters,
    ).to_arrow_reader(CHUNK_ROWS)
    beside = con.cursor()
    for batch in found:
        contents = _contents(beside, batch) if bodies and batch.num_rows else {}
        for row in batch.to_pylist():
            asked = RecordedAsk(row, contents.get(row["exchange_id"]))
            yield Replayed(row, asked, row["provider"] or "", row["request_model"])


def _contents(con: duckdb.DuckDBPyConnection, batch: pa.RecordBatch) -> dict[str, Row]:
    """The requests of a piece, by exchange, as far as they are whole."""
    times = batch.column("started_at")
    rows = con.sql(
        """SELECT CAST(exchange_id AS VARCHAR) AS exchange_id, target, request_headers, request_body
        FROM contents WHERE started_at BETWEEN ? AND ?
            AND request_gap IS NULL AND request_body IS NOT NULL""",
        params=[times[0].as_py(), times[-1].as_py()],
    ).to_arrow_table()
    return {row["exchange_id"]: row for row in rows.to_pylist()}
