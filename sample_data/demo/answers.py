"""What passes between the server and the dialects: a question, an answer, a refusal.

Owns these records and nothing else. Refuses to know any provider's wording.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sample_data.demo.memory import Memory

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request, read: the model's name has lost its fault."""

    model: str
    body: Json
    number: int
    memory: Memory
    as_sse: bool = True
    """Gemini only: streamed as events, rather than as one JSON array."""
    with_usage: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, complete before its first byte leaves. With `chunks` it is a stream."""

    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: tuple[bytes, ...] | None = None
    error_chunk: bytes = b""
    """What a stream of this dialect says when it fails midway."""
    tail: bytes = b""
    """What follows `error_chunk` so that the stream still ends as its format demands."""
    usage: Json | None = None
    lead_seconds: float = 0.0
    """From the request to the first chunk, at pace 1."""
    talk_seconds: float = 0.0
    """From the first chunk to the last, at pace 1."""


class Refusal(Exception):
    """The provider says no. Each dialect words it its own way."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, retry_after: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.retry_after = retry_after


Answerer = Callable[[Question], Answer]
Refuser = Callable[[Refusal, int], Answer]
