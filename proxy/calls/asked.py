"""What a call asks for, read from its body when a rule wants to know, and then only once.

Owns the laziness. Refuses to read anything that no rule asks about; the dialects do the reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from proxy import dialects
from proxy.calls.kept import kept
from proxy.facts import Dialect, RequestFacts, RequestHead
from proxy.rules.difficulty import Difficulty, difficulty
from proxy.wire import coding
from proxy.wire.body_labels import body_labels
from proxy.wire.openai_request import common_facts

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
        self._claimed = _claimed(head.provider, head.method, head.target)

    @property
    def dialect(self) -> Dialect | None:
        return self._claimed.dialect

    @property
    def common(self) -> bool:
        """Its dialect is one of `COMMON`."""
        return self._claimed.common

    @property
    def operation(self) -> str | None:
        return self._claimed.operation

    @kept
    def plain(self) -> bytes:
        """The body without content coding; empty where it cannot be read."""
        codings = self.head.headers.get("content-encoding", "")
        if not codings or self.body is None:
            return self.body or b""
        return coding.decode(self.body, codings).data

    @kept
    def facts(self) -> RequestFacts:
        if self.dialect is None:
            return RequestFacts()
        return self.dialect.read_request(self.head, self.plain)

    @kept
    def brief(self) -> RequestFacts:
        """Model, stream and labels alone, where they can be had for less than all facts."""
        if self._claimed.common and self.document:
            return common_facts(self.head, self.document, None)
        return self.facts

    @kept
    def model(self) -> str | None:
        found = self.document.get("model") if self._claimed.common else None
        return found if found and isinstance(found, str) else self.brief.model

    @property
    def stream(self) -> bool | None:
        found = self.document.get("stream") if self._claimed.common else None
        return found if isinstance(found, bool) else self.brief.stream

    @kept
    def document(self) -> dict[str, Any]:
        """The body's members, empty where it is no JSON object."""
        try:
            document = orjson.loads(
                self.plain if "content-encoding" in self.head.headers else self.body or b""
            )
        except orjson.JSONDecodeError:
            return {}
        return document if isinstance(document, dict) else {}

    @kept
    def labels(self) -> Mapping[str, str]:
        """Those of headers and path go before those of the body."""
        common = self._claimed.common
        found = body_labels(self.document) if common else self.brief.labels
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


class _Claimed(NamedTuple):
    """Who reads a request, and as what."""

    dialect: Dialect | None
    operation: str | None
    common: bool
    """It is one of `COMMON`."""


@lru_cache(maxsize=1024)
def _claimed(provider: str, method: str, target: str) -> _Claimed:
    """Clients ask for the same few paths again and again."""
    found = dialects.find(RequestHead(provider=provider, method=method, target=target))
    return _Claimed(*found, found[0].name in COMMON) if found else _Claimed(None, None, False)
