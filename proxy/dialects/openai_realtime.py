"""OpenAI realtime: sessions over a WebSocket, also on Azure.

Owns which requests open one, what the client says in it, and how it ended. What the provider says
is read by `proxy.wire.realtime_session`. Refuses the HTTP calls around sessions: they bill
nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import parse_qs

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead, SessionKeys
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.fingerprint import fingerprint
from proxy.wire.realtime_session import TELLING, RealtimeSession
from proxy.wire.session_events import client_events, ending_error
from proxy.wire.usage_answers import read_usage_answer
from proxy.wire.websocket_frames import read_messages
from proxy.wire.words import word

_ENDINGS = ("/realtime", "/realtime/translations")
_SWITCHING = 101
_COUNTED = (b'"session.update"', b'"conversation.item.create"', b'"input_audio_buffer.commit"')
_CLIENT_KEYS = (*_COUNTED, b'"input_audio_buffer.append"')
SESSION_KEYS = SessionKeys(client=_COUNTED, provider=TELLING)


class OpenAIRealtime:
    """Claims `GET .../realtime`."""

    name = "openai_realtime"

    def operation(self, head: RequestHead) -> str | None:
        claimed = head.method.upper() == "GET" and head.path.rstrip("/").endswith(_ENDINGS)
        return "realtime" if claimed else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        events, has_gap = client_events(body, _CLIENT_KEYS)
        session = next(
            (_object(e.get("session")) for e in events if e.get("type") == "session.update"), {}
        )
        return RequestFacts(
            model=_model_in_query(head) or word(session.get("model")),
            stream=True,
            message_count=None if has_gap else _message_count(events),
            prompt_fingerprint=fingerprint(
                session.get("instructions") or None, session.get("tools") or None
            ),
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(partial(_read_session, head=head))


def _read_session(copy: Copy, head: ReplyHead) -> ReplyFacts:
    if head.status != _SWITCHING:
        return read_usage_answer(copy, head).facts(head, None)
    messages = read_messages(copy.segments)
    session = RealtimeSession(asked=head.request_facts.model)
    unreadable = sum(not session.hear(message) for message in messages.found)
    messages.unreadable += unreadable
    session.error = session.error or ending_error(messages)
    reason = messages.parse_error
    return session.facts(all_heard=reason is None, parse_error=reason)


def _model_in_query(head: RequestHead) -> str | None:
    """OpenAI's `model`, or Azure's older `deployment`."""
    query = parse_qs(head.target.partition("?")[2])
    found = query.get("model") or query.get("deployment")
    return found[0] if found else None


def _message_count(events: list[dict[str, Any]]) -> int | None:
    """Items and turns that the client sent; unknown where the provider tells turns apart."""
    kinds = [event.get("type") for event in events]
    items = kinds.count("conversation.item.create") + kinds.count("input_audio_buffer.commit")
    return None if not items and "input_audio_buffer.append" in kinds else items


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


DIALECT = OpenAIRealtime()
