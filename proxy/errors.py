"""Errors of our own, in the words of the client's dialect.

Owns the shapes that the SDKs parse, and the failures of an attempt, typed by what a retry may do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import orjson

Speech = Literal["openai", "anthropic", "gemini"]

DEADLINE = "deadline"
"""The error type of an attempt that had no more time by a rule."""
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}
_GOOGLE_STATUS = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class AttemptFailed(Exception):
    """An attempt brought no answer. `error_type` is one word, `timed_out` tells a silence."""

    def __init__(self, message: str, error_type: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.timed_out = timed_out


class NotSent(AttemptFailed):
    """No byte of the request left us: safe to try again."""


class Broken(AttemptFailed):
    """The request may have arrived: anything may have happened."""


class Refusal(Exception):
    """We answer the call ourselves, with this status, and the seconds of a Retry-After."""

    def __init__(
        self, message: str, status: int, error_type: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.retry_after = retry_after


class AnswerRefused(Refusal):
    """An answer that the client must not have, though the provider gave it, and bills it.

    The record keeps its status, its fields and `kept` of its body; of a stream that ends midway
    that is nothing, because the record has it already.
    """

    def __init__(
        self,
        message: str,
        error_type: str,
        *,
        answered: int,
        fields: Sequence[tuple[bytes, bytes]],
        kept: bytes = b"",
    ) -> None:
        super().__init__(message, 403, error_type)
        self.answered = answered
        self.fields = fields
        self.kept = kept


def speech(target: str, *, anthropic: bool) -> Speech:
    """The dialect in which the client of this target expects an error."""
    path = target.partition("?")[0]
    if anthropic or path.endswith(("/messages", "/messages/count_tokens")):
        return "anthropic"
    if "/v1beta/" in path or ":generateContent" in path or ":streamGenerateContent" in path:
        return "gemini"
    return "openai"


def body(speech: Speech, status: int, error_type: str, message: str) -> bytes:
    """The JSON body of an error answer."""
    text = f"meterline: {message}"
    if speech == "anthropic":
        kind = _ANTHROPIC_TYPES.get(status, "api_error")
        return orjson.dumps({"type": "error", "error": {"type": kind, "message": text}})
    if speech == "gemini":
        name = _GOOGLE_STATUS.get(status, "INTERNAL")
        return orjson.dumps({"error": {"code": status, "message": text, "status": name}})
    error = {"message": text, "type": f"meterline_{error_type}", "param": None, "code": error_type}
    return orjson.dumps({"error": error})
