"""The screen: looks through a text for what some rules want to know of, all at once.

Owns which rule's action counts for a finding, and up to where a text that still grows is settled.
Pure. Linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from proxy.screening import numbers, secret_shapes
from proxy.screening.detectors import DETECTORS, NAMES, sieve
from proxy.screening.spans import APART, Find, Span, without_overlaps

Action = Literal["note", "mask", "refuse"]
STRENGTH: dict[Action, int] = {"note": 0, "mask": 1, "refuse": 2}
PATTERN_CHARACTERS = 256
"""So long a finding of a rule's own pattern may be to be found whole in a stream."""
_ESCAPES = (
    (rb"\n", b"\n"),
    (rb"\"", b'"'),
    (rb"\t", b"\t"),
    (rb"\r", b"\r"),
    (rb"\/", b"/"),
    (rb"\b", b"\b"),
    (rb"\f", b"\f"),
)
"""What JSON writes in two characters (RFC 8259, section 7), but the backslash."""
_WORD_CHARACTERS = secret_shapes.LONGEST_WORD
_NUMBER_ENDS = re.compile(r"(?:[0-9A-Z()+.-]|\A)\Z")
_NUMBER_WORD = re.compile(r"[0-9A-Z()+.-]*\Z")
_BLOB = re.compile(r"(?:data:[\w.+/-]+;base64,)?[A-Za-z0-9+/_-]{1024,}={0,2}\Z")


class Wanted(NamedTuple):
    """What to look for, for which rule, and what is done about it."""

    name: str
    """A detector's, or a pattern's."""
    action: Action
    rule: str
    find: Find | None = None
    """A pattern's; a detector has its own."""


Finding = Span[Wanted]


class Screen:
    """Looks for what is wanted; of a name that several rules want, the strongest action counts."""

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        strongest: dict[str, Wanted] = {}
        for each in wanted:
            before = strongest.get(each.name)
            if before is None or STRENGTH[each.action] > STRENGTH[before.action]:
                strongest[each.name] = each
        self._detectors = tuple(name for name in NAMES if name in strongest)
        self._known = [strongest[name] for name in self._detectors]
        self._patterns = [each for each in strongest.values() if each.find is not None]
        self._sieve = sieve(self._detectors) if self._detectors else None
        self._wanted = tuple(strongest.values())

    def __bool__(self) -> bool:
        return bool(self._known or self._patterns)

    @property
    def acts(self) -> bool:
        """It may change or end something."""
        return any(wanted.action != "note" for wanted in self._wanted)

    def noting(self) -> Screen:
        """The same, but nothing is done about what it finds."""
        return Screen(wanted._replace(action="note") for wanted in self._wanted)

    def find(self, text: str, begin: int = 0) -> list[Finding]:
        """All findings from `begin` on, in order, none across another."""
        found: list[Finding] = []
        if self._sieve is not None:
            for number in self._sieve.Match(text) or ():
                find = DETECTORS[self._detectors[number]].find
                found += [Span(*place, self._known[number]) for place in find(text)]
        for wanted in self._patterns:
            found += _clipped(wanted, text)
        if begin:
            found = [span for span in found if span.start >= begin]
        return without_overlaps(found) if len(found) > 1 else found

    def clears(self, data: bytes) -> bool:
        """Whether no string of a JSON object has a finding, judged by its bytes alone: much quicker
        than to look at each, and in doubt no."""
        if self._patterns:
            return False
        if b"\\" in data:  # all but what a backslash is written with, or a number
            if rb"\u" in data or rb"\\" in data:
                return False
            for escape, character in _ESCAPES:
                data = data.replace(escape, character)
        return self._sieve is None or not self._sieve.Match(data)

    def settled(self, text: str, found: list[Finding]) -> int:
        """Up to where more text would change nothing: what comes after may be half a finding."""
        until = goes_on(text)
        if (block := secret_shapes.open_block(text)) is not None:
            until = min(until, block)
        if self._patterns:
            until = min(until, max(0, len(text) - PATTERN_CHARACTERS))
        for span in found:
            if span.start < until < span.end:
                until = span.start
        return until


def _clipped(wanted: Wanted, text: str) -> Iterable[Finding]:
    """A rule's own pattern may go across texts that are apart: each piece is looked at alone."""
    assert wanted.find is not None
    for start, end in wanted.find(text):
        if APART not in text[start:end]:
            yield Span(start, end, wanted)
            continue
        begin = text.rfind(APART, 0, start) + 1
        stop = text.find(APART, end)
        for piece in text[begin : stop if stop >= 0 else len(text)].split(APART):
            yield from (Span(begin + a, begin + b, wanted) for a, b in wanted.find(piece))
            begin += len(piece) + 1


def goes_on(text: str) -> int:
    """Where the word at the end begins, or the words that may be groups of one number."""
    at = _word_begins(text, len(text), _WORD_CHARACTERS)
    end, least = len(text), len(text) - numbers.LONGEST
    while end > least:
        begin = _word_begins(text, end, numbers.LONGEST)
        word = text[begin:end]
        if _NUMBER_ENDS.search(word) is None:
            break
        at = min(at, begin)
        if _NUMBER_WORD.match(word) is None or begin == 0 or text[begin - 1] != " ":
            break
        end = begin - 1
    return at


def _word_begins(text: str, end: int, longest: int) -> int:
    least = max(0, end - longest)
    return max(least, *(text.rfind(space, least, end) + 1 for space in " \n\t\r"))


def is_blob(text: str) -> bool:
    """Whether it is nothing but base64, as of images: not worth looking at, and not to be cut."""
    return len(text) >= 1024 and _BLOB.match(text) is not None
