"""OpenAI's chat completions at addresses of other providers' making.

Owns those addresses: Vertex's raw predictions for publishers other than Anthropic and Google,
IBM watsonx's chat, and Writer's (a path that only the provider's name tells from Cohere's). Refuses
their other formats.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from urllib.parse import unquote

from proxy.facts import ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.chat_request import read_chat_request
from proxy.wire.choices import read_choices
from proxy.wire.copies import CopyReader
from proxy.wire.request_document import read_document
from proxy.wire.words import word

_VERTEX = re.compile(
    r"/publishers/(?!anthropic/|google/)[^/]+/models/(?P<model>[^/]+):"
    r"(?P<method>rawPredict|streamRawPredict)$"
)
_WATSONX = re.compile(r"/ml/v1/(deployments/[^/]+/)?text/(?P<method>chat|chat_stream)$")
_WRITER = re.compile(r"/v1/chat$")
_STREAMED = ("streamRawPredict", "chat_stream")


class ChatElsewhere:
    """See `proxy.facts.Dialect`."""

    name = "chat_elsewhere"

    def operation(self, head: RequestHead) -> str | None:
        if head.method != "POST":
            return None
        path = head.path.rstrip("/")
        is_writers = "writer" in head.provider and _WRITER.search(path)
        claimed = is_writers or _VERTEX.search(unquote(path)) or _WATSONX.search(path)
        return "chat" if claimed else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        facts = read_chat_request(head, body)
        if vertex := _VERTEX.search(unquote(head.path)):
            # Both ways of streaming are in use: the method, and the member of the body.
            streams = vertex["method"] in _STREAMED or facts.stream
            return replace(facts, model=vertex["model"], stream=streams)
        if watsonx := _WATSONX.search(head.path.rstrip("/")):
            model = word(read_document(body)[0].get("model_id"))
            return replace(facts, model=model, stream=watsonx["method"] in _STREAMED)
        return facts

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(partial(read_choices, head=head))


DIALECT = ChatElsewhere()
