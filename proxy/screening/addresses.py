"""Addresses: of people's mail, of machines.

Owns their shapes. Linear: around each mark only so many characters are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

LONGEST = 320
_LOCAL = re.compile(r"(?:(?<![\w.+%-])|(?<=\\[nrt]))[A-Za-z0-9_.+%-]{1,64}\Z")
_DOMAIN = re.compile(r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])")
_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w]|\.[0-9])")


def emails(text: str) -> Iterator[tuple[int, int]]:
    """Mail addresses; those of the domains kept for examples (RFC 2606) too."""
    for match in _DOMAIN.finditer(text):
        at = match.start()
        before = text[max(0, at - 67) : at]
        if (local := _LOCAL.search(before)) is not None:
            yield at - len(before) + local.start(), match.end()


def machines(text: str) -> Iterator[tuple[int, int]]:
    """IPv4 addresses that are reachable from anywhere; private and reserved ones are no finding."""
    for match in _IPV4.finditer(text):
        try:
            is_public = ip_address(match[0]).is_global
        except ValueError:
            continue
        if is_public:
            yield match.span()
