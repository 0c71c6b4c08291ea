"""The wire formats that Meterline reads, in the order in which they are asked.

Owns that order and the version of the reading code. Refuses to read anything itself.
"""

from __future__ import annotations

from proxy.dialects import (
    anthropic_messages,
    gemini_generate,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
)
from proxy.facts import Dialect, RequestHead

PARSER_VERSION = 1
"""Goes up with every change of what is read, so that history can be read again."""

DIALECTS: tuple[Dialect, ...] = (
    openai_chat.DIALECT,
    openai_completions.DIALECT,
    openai_responses.DIALECT,
    openai_embeddings.DIALECT,
    anthropic_messages.DIALECT,
    gemini_generate.DIALECT,
)


def find(head: RequestHead) -> tuple[Dialect, str] | None:
    """The dialect that claims a request, and the operation; None where no one does."""
    for dialect in DIALECTS:
        operation = dialect.operation(head)
        if operation is not None:
            return dialect, operation
    return None
