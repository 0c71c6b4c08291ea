"""Masks: what stands in the place of what was masked.

Owns their words: the name of what was there, and a keyed digest. So equal values have equal masks
in every call, also after a restart, different values have different ones, and none can be turned
back. A mask holds nothing that JSON would escape and is itself no finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from proxy.screening.screen import Finding

Digest = Callable[[str], str]
"""A keyed one; hexadecimal."""
DIGEST_CHARACTERS = 8


class Masks:
    """Makes masks."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest

    def of(self, name: str, value: str) -> str:
        """`[EMAIL-7c3e91a0]`"""
        return f"[{name.upper()}-{self._digest(value)[:DIGEST_CHARACTERS]}]"

    def applied(self, text: str, found: Iterable[Finding]) -> str:
        """The text with these findings masked."""
        pieces: list[str] = []
        at = 0
        for span in found:
            pieces += (text[at : span.start], self.of(span.of.name, text[span.start : span.end]))
            at = span.end
        pieces.append(text[at:])
        return "".join(pieces)
