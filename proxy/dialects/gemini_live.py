"""Gemini's live API: sessions over a WebSocket, on the Gemini API and on Vertex.

Owns which requests open one, what the client says in it, and how it ended. What the provider says
is read by `proxy.wire.live_session`. Refuses to count turns that the provider tells apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead, SessionKeys
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.fingerprint import fingerprint
from proxy.wire.live_session import TELLING, LiveSession
from proxy.wire.session_events import client_events, ending_error
from proxy.wire.snake_case import member
from proxy.wire.usage_answers import read_usage_answer
from proxy.wire.websocket_frames import read_messages
from proxy.wire.words import word

# .../google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent, with a token of
# its own kind ...Constrained; on Vertex .../google.cloud.aiplatform.v1.LlmBidiService/Bidi...
_PATH = re.compile(r"[./]BidiGenerateContent(?:Constrained)?/?$")
_SWITCHING = 101
_SAID = (b'"setup"', b'"clientContent"', b'"client_content"')
_CLIENT_KEYS = (*_SAID, b'"realtimeInput"', b'"realtime_input"')
SESSION_KEYS = SessionKeys(
    client=(*_SAID, b'"activityEnd"', b'"activity_end"', b'"text"'), provider=TELLING
)


class GeminiLive:
    """Claims `GET .../...BidiGenerateContent`."""

    name = "gemini_live"

    def operation(self, head: RequestHead) -> str | None:
        claimed = head.method.upper() == "GET" and _PATH.search(head.path)
        return "realtime" if claimed else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:  # noqa: ARG002
        events, has_gap = client_events(body, _CLIENT_KEYS)
        setup = next((_object(e["setup"]) for e in events if "setup" in e), {})
        model = word(setup.get("model"))
        return RequestFacts(
            model=model and model.rpartition("/")[2],
            stream=True,
            message_count=None if has_gap else _message_count(events),
            prompt_fingerprint=fingerprint(
                member(setup, "systemInstruction") or None, setup.get("tools") or None
            ),
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(partial(_read_session, head=head))


def _read_session(copy: Copy, head: ReplyHead) -> ReplyFacts:
    if head.status != _SWITCHING:
        return read_usage_answer(copy, head).facts(head, None)
    messages = read_messages(copy.segments)
    session = LiveSession(asked=head.request_facts.model)
    messages.unreadable += sum(not session.hear(message) for message in messages.found)
    session.error = ending_error(messages) or session.error
    reason = messages.parse_error
    return session.facts(all_heard=reason is None, parse_error=reason)


def _message_count(events: Sequence[dict[str, Any]]) -> int | None:
    """Turns that the client sent, and those that it ended itself; unknown where it sent sound or
    pictures alone, whose turns the provider tells apart."""
    count, streamed = 0, False
    for event in events:
        content = member(event, "clientContent")
        turns = member(content, "turns")
        count += len(turns) if isinstance(turns, list) else 0
        given = member(event, "realtimeInput")
        if isinstance(given, dict):
            ends = word(given.get("text")) or member(given, "activityEnd") is not None
            count, streamed = count + bool(ends), streamed or not ends
    return None if streamed and not count else count


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


DIALECT = GeminiLive()
