"""The audit of a crowd: its ledger and the provider's, compared with the rows.

Owns the arithmetic of loss: what is lost, what is there twice, what nobody sent, and what a row
says otherwise than its client saw. Refuses to trust a row for anything it can learn elsewhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.support.posted import Row, select
from tests.support.services import Entry, Place
from tests.support.streams import Answered, arrived

PER_MILLION = {"openai": ("0.15", "0.60"), "anthropic": ("1", "5")}
"""USD for input and output of the models that the crowd uses."""
UNFINISHED = {"interrupted", "client_disconnected", "upstream_failed"}
_SQL = (
    "SELECT e.*, c.response_body FROM exchanges e LEFT JOIN contents c USING (exchange_id) "
    "WHERE starts_with(e.tags['test'], ?)"
)


@dataclass(slots=True, kw_only=True)
class Findings:
    """All lists are empty where nothing went wrong."""

    sent: int = 0
    complete: int = 0
    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    """Answers seen complete, without a row."""
    unseen: list[str] = field(default_factory=list)
    """Requests that reached the provider, without a row."""
    duplicated: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    wrong: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Rows that say otherwise than the client saw."""

    def faults(self) -> dict[str, list[Any]]:
        named = ("lost", "unseen", "duplicated", "phantom", "wrong")
        return {name: found[:5] for name in named if (found := getattr(self, name))}

    def __str__(self) -> str:
        return (
            f"{self.sent} sent, {self.complete} answers complete, {self.rows} rows "
            f"({', '.join(f'{n} {name}' for name, n in self.outcomes.most_common())}); "
            f"lost {len(self.lost)}, without row {len(self.unseen)}, "
            f"duplicated {len(self.duplicated)}, phantom {len(self.phantom)}, "
            f"wrong {len(self.wrong)}"
        )


def audit(at: Place, name: str, ledger: list[Answered], entries: list[Entry]) -> Findings:
    rows = select(at.store, _SQL, [f"{name} "], seconds=20)
    found = Findings(sent=len(ledger), rows=len(rows))
    by_test = {row["tags"]["test"]: row for row in rows}
    found.outcomes.update(row["outcome"] for row in rows)
    ids = Counter(str(row["exchange_id"]) for row in rows)
    tests = Counter(row["tags"]["test"] for row in rows)
    found.duplicated = [key for counts in (ids, tests) for key, n in counts.items() if n > 1]
    found.phantom = sorted(set(by_test) - {call.test_id for call in ledger})
    found.unseen = sorted(set(arrived(entries, name)) - set(by_test))
    for call in ledger:
        row = by_test.get(call.test_id)
        found.complete += call.complete
        if row is None:
            found.lost += [call.test_id] if call.complete or call.exchange_id else []
        elif faults := _compare(call, row):
            found.wrong.append((call.test_id, faults))
    return found


def _compare(call: Answered, row: Row) -> dict[str, Any]:
    """What of the row is not as the client saw it."""
    faults: dict[str, Any] = {}
    if call.exchange_id not in (None, str(row["exchange_id"])):
        faults["exchange_id"] = call.exchange_id
    if call.complete and call.status == 200:
        wanted = _of_complete(call)
        return faults | {
            name: (row[name], value) for name, value in wanted.items() if row[name] != value
        }
    if call.complete:
        return faults | {"status": (row["status"], call.status)}
    kept, seen = row["response_body"] or b"", call.body
    if row["outcome"] == "completed":
        # The end was on its way when the client left or the proxy died.
        if not kept.startswith(seen):
            faults["response_body"] = (len(kept), len(seen))
    elif row["outcome"] not in UNFINISHED:
        faults["outcome"] = row["outcome"]
    elif not kept.startswith(seen) and not seen.startswith(kept):
        faults["response_body"] = (kept[-60:], seen[-60:])
    return faults


def _of_complete(call: Answered) -> Row:
    usage = call.usage()
    openai = call.dialect == "openai"
    tokens_in = usage["prompt_tokens" if openai else "input_tokens"]
    tokens_out = usage["completion_tokens" if openai else "output_tokens"]
    per_in, per_out = map(Decimal, PER_MILLION[call.dialect])
    return {
        "outcome": "completed",
        "status": 200,
        "response_body": call.body,
        "response_bytes": len(call.body),
        "usage_source": "provider",
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "cost_usd": (per_in * tokens_in + per_out * tokens_out) / 1_000_000,
    }
