"""OpenAI responses: creating, compacting, counting and reading them back.

Owns which paths these are and what such a request asks. Answers are read by
`proxy.wire.response_objects`. An answer in the background has no usage yet; whoever reads it back
later gets the usage with the same `response_id`, by which it is to be billed once. Refuses to
decide that. A GET of the collection itself opens a WebSocket on which responses are created.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from proxy.facts import ReplyHead, ReplyReader, RequestFacts, RequestHead, SessionKeys
from proxy.wire.copies import CopyReader
from proxy.wire.fingerprint import fingerprint
from proxy.wire.openai_request import common_facts, item_count, posts_to
from proxy.wire.request_document import read_document
from proxy.wire.response_objects import read_response
from proxy.wire.response_session import TELLING, read_responses
from proxy.wire.session_events import client_events
from proxy.wire.words import plain

_BY_ID = re.compile(r"/responses/[^/]+(?P<cancel>/cancel)?/?$")
_INSTRUCTING = ("system", "developer")
_CREATES = (b'"response.create"',)
SESSION_KEYS = SessionKeys(client=_CREATES, provider=TELLING)


class OpenAIResponses:
    """Claims `.../responses` and the paths below it that answer with a response."""

    name = "openai_responses"

    def operation(self, head: RequestHead) -> str | None:
        if posts_to(head, "/responses") or _opens_socket(head):
            return "chat"
        if posts_to(head, "/responses/compact"):
            return "compact"
        if posts_to(head, "/responses/input_tokens"):
            return "count_tokens"
        by_id = _BY_ID.search(head.path)
        if by_id and head.method.upper() == ("POST" if by_id["cancel"] else "GET"):
            return "cancel" if by_id["cancel"] else "retrieve"
        return None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        members, parse_error = _first_created(body) if _opens_socket(head) else read_document(body)
        leading, instructions = _leading(members.get("input")), members.get("instructions")
        tools = members.get("tools") or None
        return common_facts(
            head,
            members,
            parse_error,
            message_count=item_count(members.get("input")),
            prompt_fingerprint=fingerprint(plain(instructions), leading, tools),
            prompt_text=lambda: "\n".join(
                filter(None, (plain(instructions), plain(members.get("input"))))
            ),
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        if _opens_socket(head.request):
            return CopyReader(partial(read_responses, head=head))
        counts_only = self.operation(head.request) == "count_tokens"
        return CopyReader(partial(read_response, head=head, bills=not counts_only))


def _opens_socket(head: RequestHead) -> bool:
    return head.method.upper() == "GET" and head.path.rstrip("/").endswith("/responses")


def _first_created(body: bytes) -> tuple[dict[str, Any], None]:
    """What the first request on a WebSocket asks for: all of them are of one conversation."""
    for event in client_events(body, _CREATES).found:
        nested = event.get("response")
        return {"stream": True, **(nested if isinstance(nested, dict) else event)}, None
    return {"stream": True}, None


def _leading(items: Any) -> list[str]:
    """The instructing messages with which every conversation of a feature begins."""
    leading = []
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict) or item.get("role") not in _INSTRUCTING:
            break
        leading.append(plain(item.get("content")))
    return leading


DIALECT = OpenAIResponses()
