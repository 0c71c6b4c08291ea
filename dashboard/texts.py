"""Texts from outside, made safe to show.

Owns escaping: what users, models and providers wrote is shown as text, never as markdown, and
what reverses or hides text is written as an escape. Pure.
"""

from __future__ import annotations

import re

from analytics.tables import printable

_MARKDOWN = re.compile(r"([!-/:-@\[-`{-~])")


def visible(text: str, keep: str = "") -> str:
    """The text with control and direction characters as escapes; `keep` goes through."""
    return printable(text, keep)


def literal(text: str) -> str:
    """The text for a place where Streamlit reads markdown: every sign stands for itself."""
    return _MARKDOWN.sub(r"\\\1", visible(text))


def shortened(text: str, length: int) -> str:
    """At most so many characters, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
