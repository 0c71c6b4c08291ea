"""Prompt injection: phrases by which a text tries to take over the model that reads it.

Owns the list. It is a hint, not a shield: whoever knows it writes around it, and honest texts
about the matter have these phrases too. So findings are noted, and refused only where a rule says
so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import re2  # type: ignore[import-untyped]

PHRASES = {
    "ignore what was said": (
        r"\b(?:ignore|disregard|forget|override|bypass)\s+(?:\w+\s+){0,3}?"
        r"(?:previous|prior|above|earlier|preceding|foregoing|system)\s+(?:\w+\s+){0,2}?"
        r"(?:instructions?|prompts?|rules|messages?|directions|guidelines|context)\b"
    ),
    "new instructions": r"\b(?:new|updated|real|actual)\s+(?:system\s+)?instructions?\s*:",
    "reveal the prompt": (
        r"\b(?:reveal|print|repeat|show|output|leak|tell\s+me)\s+(?:\w+\s+){0,3}?"
        r"(?:system|hidden|initial|original|secret)\s+(?:prompt|instructions?|message)\b"
    ),
    "another role": (
        r"\byou\s+are\s+(?:now|no\s+longer)\s+(?:\w+\s+){0,4}?"
        r"(?:dan|unrestricted|unfiltered|jailbroken|bound|evil|developer\s+mode)\b"
    ),
    "no limits": (
        r"\b(?:do\s+anything\s+now|developer\s+mode\s+(?:enabled|on)|"
        r"without\s+any\s+(?:restrictions|filters|limitations)|jailbreak\s+mode)\b"
    ),
    "control tokens": (
        r"<\|(?:im_start|im_end|system|endoftext|start_header_id|eot_id)\|>|"
        r"\[/?INST\]|<</?SYS>>"
    ),
    "hidden from the user": (
        r"\b(?:do\s+not|don't|never)\s+(?:tell|inform|mention|reveal|show)\s+(?:\w+\s+){0,4}?"
        r"(?:to\s+)?the\s+user\b"
    ),
}
"""What it looks for, by name; case does not count."""


def _made() -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(least(), options)


def least() -> str:
    """All phrases as one expression of RE2."""
    return f"(?i:{'|'.join(PHRASES.values())})"


_READY = _made()


def phrases(text: str) -> Iterator[tuple[int, int]]:
    """Where such a phrase stands."""
    for match in _READY.finditer(text):
        yield match.span()
