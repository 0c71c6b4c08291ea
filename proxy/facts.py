"""What a dialect reads from a copy: the facts of a request and of an answer.

Owns the shape of those facts and the protocols a dialect fulfils. Refuses to read anything
itself. Unknown is None, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the provider says was used.

    `input_tokens` is all input (cache reads and writes included), `output_tokens` all output
    (reasoning included); the other classes are parts of these two. `raw` is the provider's
    own object. `cost_usd` is the cost that the provider itself reports.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    cached_audio_input_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    web_searches: int | None = None
    audio_seconds: float | None = None
    """The length of the sound that was heard, where the provider states it."""
    units: Mapping[str, int] = field(default_factory=dict)
    """What is billed neither by tokens nor by searches of the web, by name: `input_characters`
    (spoken), `search_units` (reranked), `file_searches`, `code_containers`, `generated_images`,
    `guardrail_units`, `map_searches`, `retrievals`."""
    cost_usd: Decimal | None = None
    raw: Any = None
    passes: tuple[Pass, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A part of the usage that another model served, included in the totals of `Usage`."""

    model: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """What a request asks for."""

    model: str | None = None
    stream: bool | None = None
    service_tier: str | None = None
    message_count: int | None = None
    prompt_fingerprint: str | None = None
    input_characters: int | None = None
    """The length of a text that is to be spoken: what some of these models are paid by."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels in the body, by column name (`user_id`, `session_id`) or `tags.NAME`."""
    prompt_text: Callable[[], str] | None = None
    """The text of the prompt, for an estimate; called only where the provider gave no usage."""
    parse_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyFacts:
    """What an answer says."""

    model: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    finish_reasons: tuple[str, ...] | None = None
    tool_names: tuple[str, ...] | None = None
    tool_call_count: int | None = None
    usage: Usage | None = None
    error_type: str | None = None
    error_message: str | None = None
    text: Callable[[], str] | None = None
    """The text of the answer, for an estimate; called only where the provider gave no usage."""
    parse_error: str | None = None


_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class RequestHead(NamedTuple):
    """The head of a request as the journal keeps it: secrets masked, headers on the allow-list."""

    provider: str
    method: str
    target: str
    headers: Mapping[str, str] = _NO_HEADERS
    """Lower-case names; of repeated ones the last."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyHead:
    """The head of an answer, with what its reader must know of the request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    request: RequestHead
    request_facts: RequestFacts


class SessionKeys(NamedTuple):
    """Keys, quoted as in the JSON texts, of which every message of a WebSocket session has one
    that says more than sound and words."""

    client: Sequence[bytes]
    provider: Sequence[bytes]


class ReplyReader(Protocol):
    """Reads the copy of one answer, decoded (no content coding), in pieces of any size."""

    def feed(self, data: bytes) -> None: ...

    def gap(self) -> None:
        """The copy lacks bytes here; what follows is its tail."""

    def finish(self) -> ReplyFacts: ...


class Dialect(Protocol):
    """A wire format. Its members never raise: what cannot be read becomes `parse_error`."""

    name: str
    """As in the column `dialect`."""

    def operation(self, head: RequestHead) -> str | None:
        """The operation, where this dialect claims the request by its path; else None."""

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts: ...

    def reply_reader(self, head: ReplyHead) -> ReplyReader: ...
