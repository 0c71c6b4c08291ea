"""Cheaper siblings of expensive models: the smaller model of the same maker and generation.

Owns the list, as a documented rule and no more: that a sibling is good enough for a task is for
its owner to find out. Refuses to know prices; a sibling that costs as much is no saving.
"""

from __future__ import annotations

import re

_SIBLINGS = (
    (r"claude-opus-4[.-]?\d?", "claude-haiku-4-5"),
    (r"claude-sonnet-4[.-]?\d?", "claude-haiku-4-5"),
    (r"claude-3-opus", "claude-3-haiku-20240307"),
    (r"claude-3-[57]-sonnet", "claude-3-5-haiku-latest"),
    (r"gpt-5(?:\.\d)?-pro", "gpt-5-mini"),
    (r"gpt-5(?:\.\d)?(?!-mini|-nano|\.\d)", "gpt-5-mini"),
    (r"gpt-4\.1(?!-mini|-nano)", "gpt-4.1-mini"),
    (r"gpt-4o(?!-mini|-audio|-realtime|-search|-transcribe)", "gpt-4o-mini"),
    (r"gpt-4-turbo", "gpt-4o-mini"),
    (r"o[13](?!-mini)(?:-pro|-preview)?", "o4-mini"),
    (r"gemini-2\.5-pro", "gemini-2.5-flash"),
    (r"gemini-3(?:\.\d)?-pro", "gemini-2.5-flash"),
    (r"mistral-large", "mistral-small-latest"),
    (r"mistral-medium", "mistral-small-latest"),
    (r"command-a|command-r-plus", "command-r-08-2024"),
    (r"grok-[34](?!-mini|-fast)", "grok-3-mini"),
)
_RULES = tuple(
    (re.compile(rf"(?:^|[/.]){pattern}(?:$|[-@:])"), name) for pattern, name in _SIBLINGS
)


def cheaper_sibling(model: str | None) -> str | None:
    """The name of the cheaper sibling, None where none is listed."""
    name = (model or "").lower()
    return next((sibling for pattern, sibling in _RULES if pattern.search(name)), None)
