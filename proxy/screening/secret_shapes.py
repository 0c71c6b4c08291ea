"""Secrets that show by their shape: keys of known makers, JSON web tokens, private keys.

Owns these shapes, and telling a key from its placeholder by how its characters are mixed. Refuses
to guess: what has no maker's mark is no finding. Linear: every expression has a bound.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterator

import orjson

from proxy.screening.spans import APART

LONGEST_WORD = 8192
"""A secret in one word is not longer."""
LONGEST_KEY_BLOCK = 16_384
_LEAST_BITS = 3.0
"""Of entropy a character: `your-api-key-here` and `xxxxxxxx` have less, or no digit."""

_BEFORE = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))"
_MARKS = (
    # Maker's marks, and what follows; groups tell the part that must be random.
    r"sk-(?:proj-|svcacct-|admin-|or-v1-|ant-[a-z]{2,8}\d{2}-|lf-|)([A-Za-z0-9_-]{20,512})",
    r"AIza([A-Za-z0-9_-]{35})",
    r"(?:AKIA|ASIA)([A-Z2-7]{16})",
    r"gh[pousr]_([A-Za-z0-9]{36,255})",
    r"github_pat_([A-Za-z0-9_]{22,255})",
    r"glpat-([A-Za-z0-9_-]{20,64})",
    r"xox[abeprs]-([A-Za-z0-9-]{20,255})",
    r"(?:sk|rk|whsec)_(?:live_|test_|)([A-Za-z0-9]{24,255})",
    r"gsk_([A-Za-z0-9]{40,64})",
    r"xai-([A-Za-z0-9]{60,100})",
    r"hf_([A-Za-z0-9]{30,64})",
    r"r8_([A-Za-z0-9]{36,48})",
    r"pplx-([A-Za-z0-9]{40,64})",
    r"csk-([a-z0-9]{40,64})",
    r"fw_([A-Za-z0-9]{22,64})",
    r"npm_([A-Za-z0-9]{36})",
    r"pypi-AgE([A-Za-z0-9_-]{50,512})",
    r"SG\.([A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64})",
    r"dop_v1_([a-f0-9]{64})",
    r"ml-([A-Za-z0-9_-]{32})",
)
_KEY = re.compile(rf"{_BEFORE}(?:{'|'.join(_MARKS)})(?![A-Za-z0-9_])")
_LONGEST_HEADER = 2051
_HEADER_BEGINS = re.compile(rf"{_BEFORE}eyJ(?=[A-Za-z0-9_-]{{8}})")
_AFTER_HEADER = re.compile(r"\.eyJ[A-Za-z0-9_-]{8,4096}+\.[A-Za-z0-9_-]{16,1024}")
_NOT_IN_HEADER = re.compile(r"[^A-Za-z0-9_-]")
BLOCK_BEGINS = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_BLOCK_ENDS = re.compile(r"-----END (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----")


def api_keys(text: str) -> Iterator[tuple[int, int]]:
    """Keys of model providers, clouds, code hosts and payment services."""
    for match in _KEY.finditer(text):
        if _random(next(filter(None, match.groups()))):
            yield match.span()


def _random(text: str) -> bool:
    if not any(map(str.isdigit, text)):
        return False
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) >= _LEAST_BITS


def web_tokens(text: str) -> Iterator[tuple[int, int]]:
    """Signed JSON web tokens (RFC 7519), whose header names an algorithm."""
    position = 0
    while match := _AFTER_HEADER.search(text, position):
        begins = _header_before(text, match.start(), position)
        if begins is not None and _names_algorithm(text[begins : match.start()]):
            position = match.end()
            yield begins, position
        else:
            position = match.start() + 1


def _header_before(text: str, ends: int, least: int) -> int | None:
    """Where a header begins that ends here. The word before is looked at once, not from each of
    its beginnings."""
    least = max(least, ends - _LONGEST_HEADER)
    word = _NOT_IN_HEADER.split(text[least:ends])[-1]
    begins = _HEADER_BEGINS.search(text, ends - len(word), ends)
    return begins.start() if begins is not None else None


def _names_algorithm(header: str) -> bool:
    try:
        read = orjson.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, binascii.Error):
        return False
    return isinstance(read, dict) and "alg" in read


def private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Private keys in PEM's frame (RFC 7468); one without its end goes on as far as it may."""
    position = 0
    while begins := BLOCK_BEGINS.search(text, position):
        last = min(len(text), begins.start() + LONGEST_KEY_BLOCK)
        apart = text.find(APART, begins.start(), last)
        last = last if apart < 0 else apart
        ends = _BLOCK_ENDS.search(text, begins.end(), last)
        position = ends.end() if ends else last
        yield begins.start(), position


def open_block(text: str) -> int | None:
    """Where a private key begins that may still go on."""
    for begins in BLOCK_BEGINS.finditer(text):
        last = begins.start() + LONGEST_KEY_BLOCK
        if last > len(text) and not _BLOCK_ENDS.search(text, begins.end(), last):
            return begins.start()
    return None
