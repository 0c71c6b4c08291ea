"""Kept answers: bounded in number and bytes, the longest unused ones dropped first.

Owns them, for one rule. They live in the memory of the worker, and nowhere else: bodies that may
not touch the disk do not, and a restart begins with none. Time is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from proxy.headers import RawHeaders, kind, text

AROUND_BYTES = 600
"""What an answer takes beside its body, fields and pieces."""
LARGEST_SHARE = 4
"""No answer takes more than this part of all bytes."""
_OF_THE_FIRST = ("x-ratelimit-", "anthropic-ratelimit-")
_OF_THE_FIRST_NAMES = frozenset({"set-cookie", "age", "retry-after", "retry-after-ms"})
"""Fields that told something to the first client alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer with status 200, as it came."""

    exchange_id: str
    """The exchange that it was given to."""
    upstream: str | None
    model: str | None
    """Who gave it, and the model where it was not the one asked for."""
    reason: str
    headers: RawHeaders
    coding: str
    body: bytes
    ends: tuple[int, ...]
    """Where each piece of the body ends."""
    kept_at: float
    is_sound: bool | None = None
    """There is no error in it, and its end is there; None where nobody looked yet."""
    status: int = 200

    @property
    def size(self) -> int:
        fields = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.body) + 32 * len(self.ends) + fields + AROUND_BYTES


def answer_of(
    headers: RawHeaders,
    pieces: Sequence[bytes],
    *,
    reason: str,
    exchange_id: str,
    upstream: str | None,
    model: str | None,
    now: float,
) -> Answer:
    """An answer made of what came."""
    ends = tuple(accumulate(len(piece) for piece in pieces))
    codings = [text(value).strip().lower() for name, value in headers if _names_coding(name)]
    return Answer(
        exchange_id=exchange_id,
        upstream=upstream,
        model=model,
        reason=reason,
        headers=[field for field in headers if not _told_to_the_first(field[0])],
        coding=", ".join(each for each in codings if each != "identity"),
        body=b"".join(pieces),
        ends=ends,
        kept_at=now,
    )


def _names_coding(name: bytes) -> bool:
    return kind(name).name == "content-encoding"


def _told_to_the_first(name: bytes) -> bool:
    known = kind(name).name
    return known in _OF_THE_FIRST_NAMES or known.startswith(_OF_THE_FIRST)


class Answers:
    """The answers that one rule keeps, by the key of their request and their content coding."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[bytes, str], Answer] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: bytes, codings: Collection[str], kept_since: float) -> Answer | None:
        """The newest answer in one of these codings that was kept since then."""
        fresh = [
            answer
            for coding in codings
            if (answer := self._kept.get((key, coding))) and answer.kept_at >= kept_since
        ]
        if not fresh:
            return None
        found = max(fresh, key=lambda answer: answer.kept_at)
        self._kept.move_to_end((key, found.coding))
        return found

    def put(self, key: bytes, answer: Answer, *, max_entries: int, max_bytes: int) -> None:
        self.drop(key, answer)
        self._kept[key, answer.coding] = answer
        self.bytes += answer.size
        while self._kept and (len(self._kept) > max_entries or self.bytes > max_bytes):
            self.bytes -= self._kept.popitem(last=False)[1].size

    def found_sound(self, key: bytes, answer: Answer) -> None:
        """Somebody looked, and found nothing wrong with it."""
        if self._kept.get((key, answer.coding)) is answer:
            self._kept[key, answer.coding] = replace(answer, is_sound=True)

    def drop(self, key: bytes, answer: Answer) -> None:
        """Keep no answer to this request in this coding any more."""
        if (gone := self._kept.pop((key, answer.coding), None)) is not None:
            self.bytes -= gone.size
