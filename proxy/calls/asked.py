"""What a call asks for, read from its body when a rule wants to know, and then only once.

Owns the laziness. Refuses to read anything that no rule asks about; the dialects do the reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

import orjson

from proxy import dialects
from proxy.calls.kept import kept
from proxy.facts import Dialect, RequestFacts, RequestHead
from proxy.rules.difficulty import Difficulty, difficulty
from proxy.wire import coding
from proxy.wire.body_labels import body_labels
from proxy.wire.openai_request import common_facts

T = TypeVar("T")
CHARACTERS_PER_TOKEN = 4
"""For the estimate that rules use: the poster's is better, and too slow for the request path."""

COMMON = frozenset({"openai_chat", "openai_completions", "openai_responses", "openai_embeddings"})
"""Dialects whose requests tell model, stream and labels in the same members."""
SMALL_BYTES = 16_384
"""A smaller body has little in it but its prompt."""


class Asked:
    """The facts of one request. `body` is None where it is too large to be held."""

    def __init__(self, head: RequestHead, body: bytes | None, labels: Mapping[str, str]) -> None:
        self.head = head
        self.body = body
        self._labels = labels

    @kept
    def _claimed(self) -> tuple[Dialect, str] | None:
        head = self.head
        return _claimed(head.provider, head.method, head.target)

    @property
    def dialect(self) -> Dialect | None:
        return self._claimed[0] if self._claimed else None

    @property
    def operation(self) -> str | None:
        return self._claimed[1] if self._claimed else None

    @kept
    def _common(self) -> bool:
        return self.dialect is not None and self.dialect.name in COMMON

    @kept
    def plain(self) -> bytes:
        """The body without content coding; empty where it cannot be read."""
        codings = self.head.headers.get("content-encoding", "")
        if not codings or self.body is None:
            return self.body or b""
        return coding.decode(self.body, codings).data

    @kept
    def facts(self) -> RequestFacts:
        if self._claimed is None:
            return RequestFacts()
        return self._claimed[0].read_request(self.head, self.plain)

    @kept
    def brief(self) -> RequestFacts:
        """Model, stream and labels alone, where they can be had for less than all facts."""
        if self._common and self.document:
            return common_facts(self.head, self.document, None)
        return self.facts

    @property
    def model(self) -> str | None:
        return self._member("model", str) or self.brief.model

    @property
    def stream(self) -> bool | None:
        found = self._member("stream", bool)
        return self.brief.stream if found is None else found

    def _member(self, name: str, kind: type[T]) -> T | None:
        """A member of the body, where the dialect has it there and it is well-formed."""
        found = self.document.get(name) if self._common else None
        return found if isinstance(found, kind) else None

    @kept
    def document(self) -> dict[str, Any]:
        """The body's members, empty where it is no JSON object."""
        try:
            document = orjson.loads(self.plain)
        except orjson.JSONDecodeError:
            return {}
        return document if isinstance(document, dict) else {}

    @kept
    def labels(self) -> Mapping[str, str]:
        """Those of headers and path go before those of the body."""
        found = body_labels(self.document) if self._common else self.brief.labels
        return {**found, **self._labels} if found else self._labels

    @property
    def roughly(self) -> int:
        """The prompt's tokens as quickly as they can be had, and rather too many."""
        if self.body is not None and len(self.body) <= SMALL_BYTES:
            return -(-len(self.body) // CHARACTERS_PER_TOKEN)
        return self.input_tokens or 0

    @kept
    def input_tokens(self) -> int | None:
        """About how many; None where the prompt cannot be read."""
        if self.facts.prompt_text is None:
            return None
        return -(-len(self.facts.prompt_text()) // CHARACTERS_PER_TOKEN)

    @kept
    def difficulty(self) -> Difficulty | None:
        """How hard the task looks; None where the request cannot be read."""
        tokens = self.input_tokens
        return None if tokens is None or not self.document else difficulty(self.document, tokens)


@lru_cache(maxsize=1024)
def _claimed(provider: str, method: str, target: str) -> tuple[Dialect, str] | None:
    """Clients ask for the same few paths again and again."""
    return dialects.find(RequestHead(provider=provider, method=method, target=target))
