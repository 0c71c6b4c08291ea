"""What must hold of every reading, whatever the bytes.

Owns the oracle: no exception and no failed reader; what is split reads as what is whole; a cut
copy, or one with a gap, has the numbers of the whole one or none; a row fits the store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import pyarrow as pa

from analytics import schema
from analytics.assembly import assemble
from analytics.found import Unposted
from analytics.prices import PriceBook
from proxy import dialects
from proxy.exchange import Exchange
from proxy.facts import ReplyFacts, ReplyHead, RequestHead, Usage
from proxy.journal import Closed, Opened
from proxy.reading import Copied, Reading, read
from tests.fuzz import copies
from tests.fuzz.copies import Damaged

_NUMBERS = tuple(f.name for f in fields(Usage) if f.name not in ("raw", "passes", "units"))
_BOOK = PriceBook()
_EXCHANGE = "01900000-0000-7000-8000-000000000000"


@dataclass(slots=True)
class Counted:
    """How many copies were read."""

    cases: int = 0


def nothing_raises_and_splitting_changes_nothing(counted: Counted, damaged: Damaged) -> None:
    """For any bytes, and with any content coding."""
    headers = dict(damaged.said.headers)
    answer = damaged.said.answer
    if damaged.coding:
        headers["content-encoding"] = damaged.coding
        answer = copies.coded(answer, damaged.coding)
    whole = _read(counted, damaged, answer, headers)
    _use(whole)
    for cut in _cuts(damaged.cut, answer):
        _use(_read(counted, damaged, answer[:cut], headers))
    gapped = answer[: damaged.cut] + answer[damaged.resume :]
    _use(_read(counted, damaged, gapped, headers, min(damaged.cut, len(gapped))))
    if not damaged.coding and whole.reply is not None:
        split = _fed_in_pieces(counted, damaged)
        assert replace(split, text=None) == replace(whole.reply, text=None)
    _posts(counted, damaged, answer, headers)


def a_cut_copy_has_the_numbers_of_the_whole_or_none(counted: Counted, damaged: Damaged) -> None:
    """For answers as they were sent."""
    headers, answer = damaged.said.headers, damaged.said.answer
    whole = _numbers(_read(counted, damaged, answer, headers))
    for cut in _cuts(damaged.cut, answer):
        part = _numbers(_read(counted, damaged, answer[:cut], headers))
        _agrees(part, whole, f"cut at {cut}")
    gapped = answer[: damaged.cut] + answer[damaged.resume :]
    part = _numbers(_read(counted, damaged, gapped, headers, damaged.cut))
    _agrees(part, whole, f"without {damaged.cut} to {damaged.resume}")


def _cuts(drawn: int, answer: bytes) -> set[int]:
    """Where the answer is cut: wherever was drawn, and at every tenth of its length."""
    return {drawn, *(len(answer) * tenth // 10 for tenth in range(10))}


def _agrees(part: dict[str, Any], whole: dict[str, Any], where: str) -> None:
    wrong = {
        name: (value, whole.get(name))
        for name, value in part.items()
        if value is not None and value != whole.get(name)
    }
    assert not wrong, f"{where}: {wrong}"


def _numbers(reading: Reading) -> dict[str, Any]:
    reply = reading.reply
    if reply is None:
        return {}
    used = {name: getattr(reply.usage, name) for name in _NUMBERS} if reply.usage else {}
    return used | {"tool_call_count": reply.tool_call_count, "model": reply.model}


def _read(
    counted: Counted,
    damaged: Damaged,
    answer: bytes,
    headers: dict[str, str],
    gap: int | None = None,
) -> Reading:
    counted.cases += 1
    said = damaged.said
    status = damaged.status if damaged.status != 204 else said.status
    return read(_head(damaged), Copied(said.request), status, headers, Copied(answer, gap))


def _head(damaged: Damaged) -> RequestHead:
    said = damaged.said
    return RequestHead(provider=said.provider, method=said.method, target=said.target)


def _use(reading: Reading) -> None:
    """Everything that is computed late is asked for, too."""
    for facts in (reading.request, reading.reply):
        error = facts.parse_error if facts else None
        assert not (error or "").startswith("reader failed"), error
    if reading.request is not None and reading.request.prompt_text is not None:
        assert isinstance(reading.request.prompt_text(), str)
    if reading.reply is not None:
        if reading.reply.text is not None:
            assert isinstance(reading.reply.text(), str)
        _is_sane(reading.reply)


def _is_sane(reply: ReplyFacts) -> None:
    for name in _NUMBERS:
        value = getattr(reply.usage, name) if reply.usage else None
        assert value is None or 0 <= value <= 2**62, (name, value)
    units = reply.usage.units if reply.usage else {}
    assert all(0 <= number <= 2**62 for number in units.values()), units


def _fed_in_pieces(counted: Counted, damaged: Damaged) -> ReplyFacts:
    counted.cases += 1
    said, head = damaged.said, _head(damaged)
    claimed = dialects.find(head)
    assert claimed is not None
    request_facts = claimed[0].read_request(head, said.request)
    status = damaged.status if damaged.status != 204 else said.status
    reader = claimed[0].reply_reader(
        ReplyHead(status=status, headers=said.headers, request=head, request_facts=request_facts)
    )
    at, number = 0, 0
    while at < len(said.answer):
        size = damaged.pieces[number % len(damaged.pieces)]
        reader.feed(said.answer[at : at + size])
        at, number = at + size, number + 1
    return reader.finish()


def _posts(counted: Counted, damaged: Damaged, answer: bytes, headers: dict[str, str]) -> None:
    """The exchange becomes a row, and the row an Arrow table."""
    counted.cases += 1
    said = damaged.said
    opened = Opened(
        exchange_id=_EXCHANGE,
        node="",
        started_at=1,
        provider=said.provider,
        method=said.method,
        target=said.target,
    )
    closed = Closed(
        exchange_id=_EXCHANGE,
        node="",
        started_at=1,
        outcome="completed",
        status=damaged.status,
        headers=list(headers.items()),
        response_bytes=len(answer),
    )
    found = Unposted(
        exchange_id=_EXCHANGE,
        opened=opened,
        closed=closed,
        request=said.request,
        response=answer,
    )
    row = assemble(found, _BOOK).exchange
    try:
        schema.arrow_table(Exchange, [row])
    except (pa.ArrowException, ValueError, OverflowError, TypeError) as fault:
        raise AssertionError(f"does not fit the store: {fault}") from fault


ALL: tuple[tuple[copies.Strategy, Callable[[Counted, Damaged], None]], ...] = (
    (copies.broken(), nothing_raises_and_splitting_changes_nothing),
    (copies.bent(), nothing_raises_and_splitting_changes_nothing),
    (copies.intact(), a_cut_copy_has_the_numbers_of_the_whole_or_none),
)
