"""The kinds of waste, and which exchanges are of each.

Owns the rules and what is at stake for an exchange. Refuses to add anything up; the report does,
as an exchange can be of several kinds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from analytics.prices import PriceBook
from analytics.reports.class_prices import ClassPrices, Served, class_prices
from analytics.reports.prefixes import Missed, Sent, missed
from analytics.reports.repeats import Asked, Repeat, exact, near
from analytics.reports.requests import Sketch
from analytics.reports.siblings import cheaper_sibling

SHORT_OUTPUT_TOKENS = 64
SHORT_INPUT_TOKENS = 4_000
SHORT_SHARE = 0.8
SHORT_EXCHANGES = 20
"""A model is oversized where so many exchanges of a feature, and this share of them, are short."""
_CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "incomplete"})
_FINE = ("completed", "cached")
_HOUR = timedelta(hours=1)
_AGAIN = timedelta(minutes=10)
_NOTHING = Decimal(0)

KINDS: Mapping[str, tuple[str, str]] = {
    "exact_duplicate": (
        "the same request was answered before",
        "answer it from a cache of answers",
    ),
    "near_duplicate": (
        "nearly the same request was answered before",
        "look at the examples: a semantic cache, or asking once",
    ),
    "failed": (
        "billed, and the answer never came whole",
        "longer timeouts, fewer cancelled streams; see the errors",
    ),
    "cut": (
        "the answer was cut by the limit of output tokens",
        "raise the limit, or ask for less",
    ),
    "oversized_model": (
        "short answers from an expensive model",
        "try the cheaper sibling on these",
    ),
    "broken_prefix": (
        "the prompt begins differently each time, so no cache helps",
        "move what differs behind what stays the same",
    ),
    "uncached_prefix": (
        "the same beginning was sent again and not read from the cache",
        "mark it for caching (cache_control), or send a prompt_cache_key",
    ),
    "stream_without_usage": (
        "a stream without usage: its cost is a guess",
        "ask for usage (stream_options.include_usage)",
    ),
}
"""What each kind is, and its mend; in the order in which dollars are counted."""


Rows = Mapping[str, Mapping[str, Any]]
"""Exchanges in order of time, by identifier."""


class Stake(NamedTuple):
    exchange_id: str
    usd: Decimal | None
    detail: str = ""


class Prices:
    """Prices per token by who served an exchange, asked of the book once for each day."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._known: dict[Any, ClassPrices] = {}

    def of(self, row: Mapping[str, Any], model: str | None = None) -> ClassPrices:
        served = Served(
            row["provider"],
            model or row["request_model"],
            model or row["response_model"],
            row["service_tier"],
            row["operation"],
        )
        key = (served, row["started_at"].date())
        if key not in self._known:
            self._known[key] = class_prices(self._book, served, row["started_at"])
        return self._known[key]


def stakes(
    rows: Rows,
    known: Mapping[str, Sketch],
    prices: Prices,
    keep_answers: timedelta,
    keep_prompts: timedelta,
) -> dict[str, list[Stake]]:
    asked = [
        Asked(key, row["started_at"], known[key], row["outcome"] in _FINE)
        for key, row in rows.items()
        if key in known
    ]
    exacts = list(exact(asked, keep_answers))
    repeated = {each.exchange_id for each in exacts}
    others = [each for each in asked if each.exchange_id not in repeated]
    cached = list(missed(_sent(rows, known, keep_prompts)))
    return {
        "exact_duplicate": list(_repeats(rows, exacts)),
        "near_duplicate": list(_repeats(rows, near(others, keep_answers))),
        "failed": list(_failed(rows, known)),
        "cut": list(_cut(rows)),
        "oversized_model": list(_oversized(rows, prices)),
        "broken_prefix": list(_missed(rows, prices, (one for one in cached if one.broken))),
        "uncached_prefix": list(_missed(rows, prices, (one for one in cached if not one.broken))),
        "stream_without_usage": list(_without_usage(rows)),
    }


def _repeats(rows: Rows, found: Iterable[Repeat]) -> Iterator[Stake]:
    for each in found:
        if rows[each.exchange_id]["outcome"] != "cached":
            yield Stake(each.exchange_id, rows[each.exchange_id]["cost_usd"])


def _failed(rows: Rows, known: Mapping[str, Sketch]) -> Iterator[Stake]:
    """From the last to the first, so that it is known what was sent again."""
    later: dict[Any, Any] = {}
    for key, row in reversed(list(rows.items())):
        sketch = known.get(key)
        if row["outcome"] not in _FINE and row["cost_usd"]:
            again = later.get(sketch.same) if sketch else None
            is_retried = again is not None and again - row["started_at"] <= _AGAIN
            yield Stake(key, row["cost_usd"], "sent again" if is_retried else "")
        if sketch is not None:
            later[sketch.same] = row["started_at"]


def _cut(rows: Rows) -> Iterator[Stake]:
    for key, row in rows.items():
        if any(word.lower() in _CUT for word in row["finish_reasons"] or ()):
            yield Stake(key, row["cost_usd"])


def _oversized(rows: Rows, prices: Prices) -> Iterator[Stake]:
    groups: dict[Any, list[str]] = defaultdict(list)
    for key, row in rows.items():
        if row["outcome"] == "completed" and row["cost_usd"] and row["output_tokens"] is not None:
            groups[row["feature"], row["provider"], row["model"]].append(key)
    for (_, _, model), keys in groups.items():
        short = [key for key in keys if _is_short(rows[key])]
        sibling = cheaper_sibling(model)
        if sibling is None or len(short) < max(SHORT_EXCHANGES, SHORT_SHARE * len(keys)):
            continue
        for key in short:
            there = _cost(rows[key], prices.of(rows[key], sibling))
            if there is not None and there < rows[key]["cost_usd"]:
                yield Stake(key, rows[key]["cost_usd"] - there, f"{sibling} instead")


def _is_short(row: Mapping[str, Any]) -> bool:
    return (
        not row["tool_call_count"]
        and row["output_tokens"] <= SHORT_OUTPUT_TOKENS
        and row["input_tokens"] is not None
        and row["input_tokens"] <= SHORT_INPUT_TOKENS
    )


def _cost(row: Mapping[str, Any], prices: ClassPrices) -> Decimal | None:
    """What the row's tokens cost at these prices; cached classes without a price as fresh ones."""
    if prices.fresh is None or prices.output is None:
        return None
    read, hour = row["cache_read_tokens"] or 0, row["cache_write_1h_tokens"] or 0
    write = max((row["cache_write_tokens"] or 0) - hour, 0)
    fresh = max(row["input_tokens"] - read - write - hour, 0)
    counts = zip((fresh, read, write, hour), prices.weights(), strict=True)
    weighted = sum((count * weight for count, weight in counts), _NOTHING)
    output: int = row["output_tokens"]
    return weighted * prices.fresh + output * prices.output


def _sent(rows: Rows, known: Mapping[str, Sketch], keep: timedelta) -> Iterator[Sent]:
    hourly = {
        (row["feature"], row["model"]) for row in rows.values() if row["cache_write_1h_tokens"]
    }
    for key, row in rows.items():
        if key in known and row["input_tokens"] and row["operation"] != "embeddings":
            served = (row["provider"], row["model"], row["key_id"])
            read = row["cache_read_tokens"] or 0
            kept = _HOUR if (row["feature"], row["model"]) in hourly else keep
            yield Sent(key, row["started_at"], served, kept, known[key], row["input_tokens"], read)


def _missed(rows: Rows, prices: Prices, found: Iterable[Missed]) -> Iterator[Stake]:
    for each in found:
        row = rows[each.exchange_id]
        usual = prices.of(row)
        if usual.fresh is None or usual.cache_read is None or usual.cache_read >= usual.fresh:
            continue
        hour = min(row["cache_write_1h_tokens"] or 0, each.tokens)
        write = min(max((row["cache_write_tokens"] or 0) - hour, 0), each.tokens - hour)
        fresh = each.tokens - hour - write
        paid = fresh * usual.fresh
        paid += write * (usual.cache_write or usual.fresh)
        paid += hour * (usual.cache_write_1h or usual.fresh)
        saved = paid - each.tokens * usual.cache_read
        if each.is_new and usual.cache_write is not None:
            saved -= fresh * (usual.cache_write - usual.fresh)
        if saved > 0 and row["cost_usd"]:
            yield Stake(each.exchange_id, min(saved, row["cost_usd"]))


def _without_usage(rows: Rows) -> Iterator[Stake]:
    for key, row in rows.items():
        if row["stream"] and row["outcome"] == "completed" and row["usage_source"] == "estimated":
            yield Stake(key, None)
