"""Gemini's interactions, on the Gemini API and on Vertex: created, read back, cancelled, deleted.

Owns which paths these are and what such a request asks. Answers are read by
`proxy.wire.interaction_objects`. One that runs in the background has no usage yet; whoever reads
it back, polling or taking up its stream, gets the usage with the same `response_id`, by which it is
to be billed once. Refuses to decide that.
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

from proxy.facts import ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.body_labels import tags
from proxy.wire.copies import CopyReader
from proxy.wire.fingerprint import fingerprint
from proxy.wire.interaction_objects import read_interaction
from proxy.wire.prose import prose
from proxy.wire.request_document import read_document
from proxy.wire.snake_case import member
from proxy.wire.words import word

_PATH = re.compile(
    r"/v\d\w*/(?:projects/[^/]+/locations/[^/]+/)?interactions"
    r"(?P<id>/[^/:]+)?(?P<cancel>[/:]cancel)?/?$"
)
_STREAMED = re.compile(r"[?&]stream=(true|1)(&|$)", re.IGNORECASE)
# Parts of one message, where the input lists them instead of steps or turns.
_PARTS = frozenset({"text", "image", "audio", "video", "document"})
_NO_TEXT = frozenset(
    {"type", "role", "data", "mime_type", "uri", "id", "call_id", "signature", "resolution"}
)


class GeminiInteractions:
    """Claims `.../interactions` and what lies below."""

    name = "gemini_interactions"

    def operation(self, head: RequestHead) -> str | None:
        path, method = _PATH.search(head.path), head.method.upper()
        if path is None or (path["cancel"] and not path["id"]):
            return None
        if not path["id"]:
            return "generate_content" if method == "POST" else None
        if path["cancel"]:
            return "cancel" if method == "POST" else None
        return {"GET": "retrieve", "DELETE": "delete"}.get(method)

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        asked, parse_error = read_document(body)
        stream: Any = asked.get("stream")
        if not isinstance(stream, bool):
            stream = bool(_STREAMED.search(head.target))
            if parse_error and not stream:
                stream = None  # the flag may be in what could not be read
        model = word(asked.get("model")) or word(asked.get("agent"))
        instruction = member(asked, "systemInstruction") or None
        return RequestFacts(
            model=model and model.rpartition("/")[2],
            stream=stream,
            service_tier=word(member(asked, "serviceTier")),
            message_count=_message_count(asked.get("input")),
            prompt_fingerprint=fingerprint(instruction, asked.get("tools") or None),
            labels=tags(asked.get("labels")),
            prompt_text=(lambda: _prompt_text(asked)) if asked else None,
            parse_error=parse_error,
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(partial(read_interaction, head=head))


def _message_count(given: Any) -> int | None:
    """Steps or turns; a string, and parts listed without either, are one message."""
    if isinstance(given, (str, dict)):
        return 1
    if not isinstance(given, list):
        return None
    in_parts = all(isinstance(part, dict) and word(part.get("type")) in _PARTS for part in given)
    return min(len(given), 1) if in_parts else len(given)


def _prompt_text(asked: dict[str, Any]) -> str:
    tools = asked.get("tools")
    spoken = [member(asked, "systemInstruction"), asked.get("input")]
    return prose(spoken, _NO_TEXT) + (json.dumps(tools, ensure_ascii=False) if tools else "")


DIALECT = GeminiInteractions()
