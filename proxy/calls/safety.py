"""What is safe to repeat.

Owns that judgement: from what happened to an attempt, and from what the call would do twice. Pure.
"""

from __future__ import annotations

from proxy.errors import AttemptFailed, NotSent
from proxy.headers import RawHeaders, kind

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110, section 9.2.1: they change nothing."""
_REJECTED = frozenset({408, 425, 429, 503, 529})
"""The provider says that it did not do it."""
_CHANGES_NOTHING = (
    "chat",
    "text_completion",
    "generate",
    "embeddings",
    "rerank",
    "moderation",
    "responses",
    "count_tokens",
    "image",
    "transcription",
    "translation",
    "speech",
)
"""Operations (their beginning) that make an answer and leave nothing behind."""


def idempotent(method: str, fields: RawHeaders) -> bool:
    """Whether doing it twice is like doing it once, for the provider's state."""
    return method in _SAFE_METHODS or any(
        kind(name).name == "idempotency-key" and value for name, value in fields
    )


def may_repeat(
    happened: int | AttemptFailed, *, idempotent: bool, operation: str | None, unsure: bool
) -> bool:
    """Whether the call may be made again after this status or failure.

    `unsure`: also where it may have been served, and billed, without an answer.
    """
    if isinstance(happened, NotSent):
        return True
    if isinstance(happened, AttemptFailed):
        return idempotent or unsure
    return happened in _REJECTED or idempotent or unsure or leaves_nothing(operation)


def leaves_nothing(operation: str | None) -> bool:
    """Whether it makes an answer and changes nothing at the provider."""
    return operation is not None and operation.startswith(_CHANGES_NOTHING)
