"""OpenAI chat completions, and everyone who speaks it.

Owns which paths are chat completions. Requests are read by `proxy.wire.chat_request`, answers by
`proxy.wire.choices`. Refuses stored completions: reading one back bills nothing.
"""

from __future__ import annotations

from functools import partial

from proxy.facts import ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.chat_request import read_chat_request
from proxy.wire.choices import read_choices
from proxy.wire.copies import CopyReader
from proxy.wire.openai_request import posts_to


class OpenAIChat:
    """Claims `POST .../chat/completions`."""

    name = "openai_chat"

    def operation(self, head: RequestHead) -> str | None:
        return "chat" if posts_to(head, "/chat/completions") else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        return read_chat_request(head, body)

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(partial(read_choices, head=head))


DIALECT = OpenAIChat()
