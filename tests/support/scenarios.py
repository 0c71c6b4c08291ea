"""Calls of an SDK made several ways, each once, and what must be true of their rows.

Owns the ways to a provider (straight, or through Meterline in each of its forms) and the columns
that follow from the provider's own ledger. Refuses to know a dialect: how usage is named is given
by the test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from tests.support.posted import Row, rows_of_test
from tests.support.sdk_calls import Call, Seen, run, run_async, run_to_end
from tests.support.services import Entry, Place, Provider

Mode = Literal["sync", "async"]
MODES: tuple[Mode, ...] = ("sync", "async")
STRAIGHT, THROUGH, BARE, LABELLED = "straight", "through", "bare", "labelled"
PATH_LABELS = "/with/feature=from-path,user=ana%20b"
ESTIMATED = {"usage_source": "estimated", "cost_status": "estimated"}
PARTIAL = {"usage_source": "provider", "cost_status": "partial"}
UNKNOWN_COST = {"cost_status": "unpriced"}
CUT_OFF = {"outcome": "upstream_failed", "error_type": "cut_off"}
FROM_PATH = {"feature": "from-path", "user_id": "ana b"}
PRICED_AS = "priced as"
"""In a scenario's row: the line of the price list, where it is not the model."""
TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
)
Tokens = Mapping[str, int | None]


@dataclass(frozen=True, slots=True, eq=False)
class Containing:
    """Equals any text that contains it."""

    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.text in other


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One use of an SDK, and what its row says beyond what the ledger tells."""

    call: Call
    row: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the client: max_retries, timeout."""
    requests: int = 1
    stop_after: int | None = None
    """The client closes the stream after so many parts."""
    same: bool = True
    """The user sees the same as without Meterline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdk:
    """How to make clients of one SDK: a base URL's ending for each way, and two factories."""

    name: str
    provider_path: str
    """Behind Meterline's address: `/openai/v1`."""
    bare_path: str
    """Behind the provider's address, and behind Meterline's as a bare base URL."""
    client: Callable[..., Any]
    """(base_url, headers, **options), a context manager."""
    async_client: Callable[..., Any]


@dataclass(slots=True, kw_only=True)
class Calls:
    """Makes each call once, however many tests look at it."""

    sdk: Sdk
    scenarios: Mapping[str, Scenario]
    alone: Provider
    behind: Provider
    at: Place
    _made: dict[tuple[str, Mode, str], Seen] = field(default_factory=dict)

    def seen(self, name: str, mode: Mode = "sync", way: str = THROUGH) -> Seen:
        key = name, mode, way
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def entries(self, name: str, mode: Mode = "sync", way: str = THROUGH) -> list[Entry]:
        """What the provider behind Meterline noted of the call, once it is done with it."""
        self.seen(name, mode, way)
        return self.behind.ledger(self.test_id(name, mode, way))

    def rows(self, name: str, mode: Mode = "sync", way: str = THROUGH) -> list[Row]:
        self.seen(name, mode, way)
        count = self.scenarios[name].requests
        return rows_of_test(self.at.store, self.test_id(name, mode, way), count)

    def row(self, name: str, mode: Mode = "sync", way: str = THROUGH) -> Row:
        (row,) = self.rows(name, mode, way)
        return row

    def test_id(self, name: str, mode: Mode, way: str) -> str:
        return f"{self.sdk.name} {name} {mode} {way}"

    def _make(self, name: str, mode: Mode, way: str) -> Seen:
        scenario = self.scenarios[name]
        test_id = self.test_id(name, mode, way)
        headers = {"x-test-id": test_id, "meterline-tag-test": test_id}
        arguments = (self._url(way), headers)
        if mode == "sync":
            with self.sdk.client(*arguments, **scenario.options) as client:
                return run(client, scenario.call, stop_after=scenario.stop_after)

        async def main() -> Seen:
            async with self.sdk.async_client(*arguments, **scenario.options) as client:
                return await run_async(client, scenario.call, stop_after=scenario.stop_after)

        return run_to_end(main())

    def _url(self, way: str) -> str:
        return {
            STRAIGHT: self.alone.url + self.sdk.bare_path,
            THROUGH: self.at.url + self.sdk.provider_path,
            BARE: self.at.url + self.sdk.bare_path,
            LABELLED: self.at.url + PATH_LABELS + self.sdk.provider_path,
        }[way]


def expected(
    row: Row,
    entry: Entry,
    scenario: Scenario,
    tokens: Callable[[Any], Tokens],
    cost: Callable[[str, Tokens], Decimal],
) -> Row:
    """The columns that the provider's ledger determines, then those that the scenario names.

    Where an answer was cut short or had no usage, the row's own tokens determine the cost.
    """
    named = {key: value for key, value in scenario.row.items() if key != PRICED_AS}
    wanted: Row = {
        "method": entry["method"],
        "path": entry["path"],
        "stream": entry["stream"] if entry["method"] == "POST" else None,
        "status": entry["status"],
        "outcome": "completed" if entry["status"] < 400 else "provider_error",
        "attempts": 1,
        "truncated": False,
        "parse_error": None,
        "request_model": entry["model"] or None,
        "request_bytes": entry["request_bytes"],
        **_money(row, entry, named, scenario.row.get(PRICED_AS, entry["model"]), tokens, cost),
    }
    if entry["sent"]:
        wanted["response_bytes"] = entry["response_bytes"]
    return wanted | named


def _money(
    row: Row,
    entry: Entry,
    named: Mapping[str, Any],
    model: str,
    tokens: Callable[[Any], Tokens],
    cost: Callable[[str, Tokens], Decimal],
) -> Row:
    none = dict.fromkeys((*TOKENS, "cost_usd", "cost_status", "usage_source"))
    if named.get("cost_status") in ("estimated", "partial"):
        seen = {name: row[name] for name in TOKENS}
        return {**none, **seen, "cost_usd": cost(model, seen)}
    if entry["usage"] is None or not entry["sent"]:
        return none
    used = tokens(entry["usage"])
    priced = {"cost_status": "priced", "cost_usd": cost(model, used)}
    return {**none, **used, "usage_source": "provider", **priced}


def unlike(row: Row, wanted: Row) -> dict[str, tuple[Any, Any]]:
    """The columns in which a row is not as wanted, each with what it has and should have."""
    return {name: (row[name], value) for name, value in wanted.items() if value != row[name]}


def usd(
    prices: Mapping[str, tuple[str, str, str, str, str]], model: str, tokens: Tokens
) -> Decimal:
    """What tokens cost, from USD per million: fresh input, cache read, cache write, cache write
    for an hour, output."""
    fresh, read, write, write_1h, output = map(Decimal, prices[model])
    n_read = tokens.get("cache_read_tokens") or 0
    n_write = tokens.get("cache_write_tokens") or 0
    n_write_1h = tokens.get("cache_write_1h_tokens") or 0
    n_fresh = (tokens.get("input_tokens") or 0) - n_read - n_write
    total = fresh * n_fresh + read * n_read + output * (tokens.get("output_tokens") or 0)
    total += write * (n_write - n_write_1h) + write_1h * n_write_1h
    return total / 1_000_000
