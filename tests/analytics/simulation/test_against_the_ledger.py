"""What rules would have done to the sample month equals plain arithmetic over its ledger.

The arithmetic is written down here a second time, from what the README says of each rule: it uses
nothing of the proxy's code, of the price book or of the simulation.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any

import pytest

from analytics.simulation.replay import Verdict
from tests.analytics.simulation.conftest import Month

Line = dict[str, Any]
MILLION = Decimal(1_000_000)
FAILED = ("provider_error", "upstream_failed", "timed_out")
ANSWERED_HERE = ("refused", "cached")
"""By a rule of then: without it somebody would have been asked, and nobody knows for how much."""
NEVER_SENT = ("connect_timeout", "connect_failed", "dns_failed", "bad_tls")


@dataclass
class Brute:
    """One pass over the ledger in order of time. `begin` gives what is held, or None to refuse."""

    month: Month
    lines: list[Line] = field(init=False)

    def __post_init__(self) -> None:
        lines = [{**line} for line in self.month.ledger.exchanges]
        for line in lines:
            line["at"] = datetime.fromisoformat(line["started_at"])
            line["ends"] = line["at"] + timedelta(seconds=line["duration_seconds"] or 0)
            line["bytes"] = self.month.sizes[line["exchange_id"]]
            line["tokens"] = line["tokens"] or {}
            line["usd"] = None if line["cost_usd"] is None else Decimal(line["cost_usd"])
        self.lines = sorted(lines, key=lambda line: (line["at"], line["exchange_id"]))

    def over(
        self, begin: Callable[[Line], Any], end: Callable[[Line, Any], None]
    ) -> Iterator[tuple[Line, Any]]:
        """Each line with what `begin` gave; `end` is told before the next one begins."""
        under_way: list[tuple[datetime, int, Line, Any]] = []
        for number, line in enumerate(self.lines):
            while under_way and under_way[0][0] <= line["at"]:
                _, _, ended, held = heappop(under_way)
                end(ended, held)
            given = begin(line)
            if given is not None:
                heappush(under_way, (line["ends"], number, line, given))
            yield line, given

    def price(self, provider: str, model: str, at: datetime) -> dict[str, Decimal] | None:
        """Dollars per token on that day."""
        holding = [
            price
            for price in self.month.ledger.prices
            if (price["provider"], price["model"]) == (provider, model)
            and (price["valid_from"] is None or price["valid_from"] <= at.date().isoformat())
        ]
        if not holding:
            return None
        classes = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
        return {
            name: Decimal(holding[-1][name]) / MILLION
            for name in classes
            if holding[-1][name] is not None
        }

    def cost(self, line: Line, provider: str, model: str) -> Decimal:
        """What the line's tokens cost there."""
        price, tokens = self.price(provider, model, line["at"]), line["tokens"]
        assert price is not None
        read, written = tokens["cache_read"] or 0, tokens["cache_write"] or 0
        hour = tokens["cache_write_1h"] or 0
        return (
            (tokens["input"] - read - written) * price["input"]
            + read * price.get("cache_read", price["input"])
            + (written - hour) * price.get("cache_write", price["input"])
            + hour * price.get("cache_write_1h", price["input"])
            + tokens["output"] * price["output"]
        )

    def held(self, line: Line) -> Decimal:
        """What a budget holds: a token for four bytes of a small request, and 500 of the answer."""
        price = self.price(line["provider"], line["model"], line["at"])
        if price is None or "output" not in price:
            return Decimal(0)
        given = line["tokens"].get("input") or 0
        if line["bytes"] <= 16_384:
            given = math.ceil(line["bytes"] / 4)
        return given * price["input"] + 500 * price["output"]


@pytest.fixture(scope="module")
def brute(month: Month) -> Brute:
    return Brute(month)


def of(found: list[Verdict], effect: str) -> set[str]:
    return {each.call.row["exchange_id"] for each in found if each.effect == effect}


def saved(found: list[Verdict]) -> Decimal:
    return sum((each.saved_usd for each in found if each.saved_usd is not None), Decimal(0))


def test_all_of_the_traffic_comes_through_untouched_without_rules(
    month: Month, brute: Brute
) -> None:
    found = month.verdicts()
    assert [each.call.row["exchange_id"] for each in found] == [
        line["exchange_id"] for line in brute.lines
    ]
    total = sum((line["usd"] or Decimal(0) for line in brute.lines), Decimal(0))
    assert sum((each.cost_usd or Decimal(0) for each in found), Decimal(0)) == total
    assert saved(found) == 0
    assert len(found) > 4_000


def test_a_daily_budget(month: Month, brute: Brute) -> None:
    most = Decimal("0.25")
    spent: dict[Any, Decimal] = defaultdict(Decimal)
    under_way = [Decimal(0)]

    def begin(line: Line) -> Decimal | None:
        wanted = brute.held(line)
        if spent[line["at"].date()] + under_way[0] + wanted > most:
            return None
        under_way[0] += wanted
        return wanted

    def end(line: Line, wanted: Decimal) -> None:
        under_way[0] -= wanted
        unknown = line["usd"] is None and line["cost_status"] == "unpriced"
        unknown = unknown or line["outcome"] in ANSWERED_HERE
        broke_off = line["outcome"] in (*FAILED[1:], "client_disconnected", "interrupted")
        if line["usd"] is None and line["usage_source"] is None and broke_off:
            unknown = line["error_type"] not in NEVER_SENT
        spent[line["ends"].date()] += wanted if unknown else line["usd"] or 0

    passes = list(brute.over(begin, end))
    refused = {line["exchange_id"] for line, given in passes if given is None}
    found = month.verdicts({"budget": {"usd": float(most), "period": "day"}})
    assert of(found, "blocked") == refused
    assert 100 < len(refused) < len(passes) / 2
    assert saved(found) == sum(
        (line["usd"] or 0 for line, given in passes if given is None), Decimal(0)
    )


def test_a_limit_by_user_and_one_of_calls_at_a_time(month: Month, brute: Brute) -> None:
    ended: dict[str, list[datetime]] = defaultdict(list)
    running: dict[str, int] = defaultdict(int)
    by_feature: dict[str, int] = defaultdict(int)

    def slot(moment: datetime) -> int:
        return int(moment.timestamp() * 30 / 60)  # a window of a minute moves on in 30 steps

    def begin(line: Line) -> bool | None:
        user, feature = line["user_id"] or "(none)", line["feature"] or "(none)"
        lately = sum(slot(end) > slot(line["at"]) - 30 for end in ended[user])
        if lately + running[user] + 1 > 4:
            return None
        if feature == "nightly-report" and by_feature[feature] + 1 > 2:
            return None
        running[user] += 1
        by_feature[feature] += 1
        return True

    def end(line: Line, _: bool) -> None:
        user, feature = line["user_id"] or "(none)", line["feature"] or "(none)"
        running[user] -= 1
        by_feature[feature] -= 1
        ended[user] = [*ended[user][-200:], line["ends"]]

    refused = {line["exchange_id"] for line, given in brute.over(begin, end) if given is None}
    found = month.verdicts(
        {"limit": {"per": "user", "requests": 4, "window_seconds": 60}},
        {
            "limit": {"per": "feature", "concurrent": 2},
            "when": {"feature": "nightly-report"},
        },
    )
    assert of(found, "blocked") == refused
    assert len(refused) > 100


def test_a_route_to_a_cheaper_model(month: Month, brute: Brute) -> None:
    moved = {
        line["exchange_id"]: line
        for line in brute.lines
        if line["model"] == "gpt-4.1" and line["feature"] == "chat" and line["stream"]
    }
    found = month.verdicts(
        {
            "when": {"model": "gpt-4.1", "feature": "chat", "stream": True},
            "route": {"to": "openai/gpt-4.1-mini"},
        }
    )
    assert of(found, "rerouted") == set(moved)
    less = Decimal(0)
    for line in moved.values():
        if line["usd"] is not None and line["cost_status"] != "partial":
            less += line["usd"] - brute.cost(line, "openai", "gpt-4.1-mini")
    assert saved(found) == less
    assert less > 0


def test_a_split_by_session(month: Month, brute: Brute) -> None:
    def place(word: str) -> str:
        scores = {}
        for weight, name in ((0.3, "anthropic/claude-haiku-4-5"), (0.7, "anthropic")):
            digest = blake2b(f"r0\0{word}\0{name}".encode(), digest_size=8).digest()
            part = (int.from_bytes(digest, "big") + 0.5) / 2**64
            scores[weight / -math.log(part)] = name
        return scores[max(scores)]

    there = [
        line
        for line in brute.lines
        if line["model"] == "claude-sonnet-4-5"
        and place(line["session_id"] or line["exchange_id"]) != "anthropic"
    ]
    across = [{"to": "anthropic/claude-haiku-4-5", "weight": 0.3}, {"to": "anthropic"}]
    across[1]["weight"] = 0.7
    found = month.verdicts({"when": {"model": "claude-sonnet-4-5"}, "balance": {"across": across}})
    assert {each.call.row["exchange_id"] for each in found if each.call.moved} == {
        line["exchange_id"] for line in there
    }
    less = sum(
        (
            line["usd"] - brute.cost(line, "anthropic", "claude-haiku-4-5")
            for line in there
            if line["usd"] is not None and line["cost_status"] != "partial"
        ),
        Decimal(0),
    )
    assert saved(found) == less


def test_what_would_be_tried_again(month: Month, brute: Brute) -> None:
    left: dict[str, float] = defaultdict(lambda: 10.0)
    again = set()
    for line in brute.lines:
        upstream = line["provider"]
        left[upstream] = min(10.0, left[upstream] + 0.2)
        status, failed = line["status"], line["outcome"] in FAILED
        worth = status in (408, 429, 500, 502, 503, 504, 529) or (
            status is None and line["error_type"] in NEVER_SENT
        )
        if failed and worth and left[upstream] >= 1:
            left[upstream] -= 1
            again.add(line["exchange_id"])
    found = month.verdicts({"retry": {"attempts": 3}})
    assert of(found, "tried again") == again
    assert len(again) > 10


def test_a_budget_knows_what_was_spent_before_the_window(month: Month, brute: Brute) -> None:
    since = datetime(2026, 11, 20, 12, tzinfo=brute.lines[0]["at"].tzinfo)
    before = [line for line in brute.lines if line["at"] < since and line["at"].month == 11]
    spent = sum((line["usd"] or Decimal(0) for line in before), Decimal(0))
    month_rule = {"period": "month", "soft": 1.0}
    all_gone = month.verdicts({"budget": {"usd": float(spent), **month_rule}}, since=since)
    held = {line["exchange_id"] for line in brute.lines if brute.held(line)}
    effects = {each.effect for each in all_gone if each.call.row["exchange_id"] in held}
    assert effects == {"blocked"}
    some_left = month.verdicts({"budget": {"usd": float(spent) + 0.05, **month_rule}}, since=since)
    assert some_left[0].effect is None
    assert 0 < len(of(some_left, "blocked")) < len(some_left)


def test_limits_and_a_route_that_hangs_on_the_budget_together(month: Month, brute: Brute) -> None:
    most = Decimal("0.20")
    spent: dict[Any, Decimal] = defaultdict(Decimal)
    under_way = [Decimal(0)]
    cheap: set[str] = set()

    def begin(line: Line) -> Decimal | None:
        wanted, day = brute.held(line), line["at"].date()
        if spent[day] + under_way[0] + wanted > most:
            return None
        under_way[0] += wanted
        over_half = float(spent[day] + under_way[0]) / float(most) > 0.5
        if over_half and line["model"] == "gpt-4.1":
            cheap.add(line["exchange_id"])
        return wanted

    def end(line: Line, wanted: Decimal) -> None:
        under_way[0] -= wanted
        cost = line["usd"] or Decimal(0)
        unknown = line["usd"] is None and line["cost_status"] == "unpriced"
        unknown = unknown or line["outcome"] in ANSWERED_HERE
        broke_off = line["outcome"] in (*FAILED[1:], "client_disconnected", "interrupted")
        if line["usd"] is None and line["usage_source"] is None and broke_off:
            unknown = line["error_type"] not in NEVER_SENT
        if line["exchange_id"] in cheap and line["usd"] is not None:
            cost = brute.cost(line, "openai", "gpt-4.1-mini")
        spent[line["ends"].date()] += wanted if unknown else cost

    passes = list(brute.over(begin, end))
    found = month.verdicts(
        {"name": "day", "budget": {"usd": float(most), "period": "day", "soft": 1.0}},
        {
            "when": {"model": "gpt-4.1", "budget_used": {"budget": "day", "over": 0.5}},
            "route": {"to": "openai/gpt-4.1-mini"},
        },
    )
    assert of(found, "blocked") == {line["exchange_id"] for line, given in passes if given is None}
    assert of(found, "rerouted") == cheap
    assert len(cheap) > 50
