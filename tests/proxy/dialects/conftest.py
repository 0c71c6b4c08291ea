"""Reading exchanges in tests: one call for the facts, whole, split and cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from proxy.dialects import find
from proxy.facts import ReplyFacts, ReplyHead, RequestFacts, RequestHead


def stream_of(*events: Any, end: bytes = b"\n", done: bool = True) -> bytes:
    """Server-sent events; a pair is a named one."""
    lines = b""
    for event in events:
        if isinstance(event, tuple):
            lines += b"event: " + event[0].encode() + end
            event = event[1]
        lines += b"data: " + json.dumps(event, separators=(",", ":")).encode() + end + end
    return lines + (b"data: [DONE]" + end + end if done else b"")


def _comparable(facts: ReplyFacts) -> dict[str, Any]:
    plain = asdict(facts)
    plain["text"] = facts.text() if facts.text else None
    return plain


class Reading:
    """Reads what is sent to one path by the dialect that claims it."""

    def __init__(
        self,
        target: str,
        provider: str = "openai",
        method: str = "POST",
        headers: dict[str, str] | None = None,
        reply_headers: dict[str, str] | None = None,
    ) -> None:
        self.reply_headers = reply_headers or {}
        self.head = RequestHead(
            provider=provider, method=method, target=target, headers=headers or {}
        )
        found = find(self.head)
        assert found is not None, target
        self.dialect, self.operation = found

    def request(self, body: Any) -> RequestFacts:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.dialect.read_request(self.head, data)

    def pieces(self, *pieces: bytes | None, status: int = 200) -> ReplyFacts:
        """The facts of an answer fed in these pieces, a gap where one is None."""
        reader = self.dialect.reply_reader(
            ReplyHead(
                status=status,
                headers=self.reply_headers,
                request=self.head,
                request_facts=RequestFacts(),
            )
        )
        for piece in pieces:
            if piece is None:
                reader.gap()
            else:
                reader.feed(piece)
        return reader.finish()

    def reply(self, body: Any, status: int = 200) -> ReplyFacts:
        """The facts of an answer, which must be the same however it is split."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        facts = self.pieces(data, status=status)
        single = (data[n : n + 1] for n in range(len(data)))
        assert _comparable(self.pieces(*single, status=status)) == _comparable(facts)
        for cut in range(len(data)):
            for part in (
                self.pieces(data[:cut], status=status),
                self.pieces(data[:cut], None, data[cut + 9 :], status=status),
            ):
                assert not (part.parse_error or "").startswith("reader failed")
                assert part.model in (None, facts.model)
        return facts


@pytest.fixture
def reading() -> Callable[..., Reading]:
    return Reading


@pytest.fixture
def stream() -> Callable[..., bytes]:
    return stream_of
