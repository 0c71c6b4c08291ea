"""OpenAI text completions, and fill-in-the-middle endpoints of the same form.

Owns which paths are text completions and what such a request asks. Answers are read by
`proxy.wire.choices`. Refuses chat completions.
"""

from __future__ import annotations

from functools import partial

from proxy.facts import ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.choices import read_choices
from proxy.wire.copies import CopyReader
from proxy.wire.openai_request import common_facts, item_count, posts_to
from proxy.wire.request_document import read_document
from proxy.wire.words import plain


class OpenAICompletions:
    """Claims `POST .../completions`, except `.../chat/completions`."""

    name = "openai_completions"

    def operation(self, head: RequestHead) -> str | None:
        if posts_to(head, "/completions") and not posts_to(head, "/chat/completions"):
            return "text_completion"
        return None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        members, parse_error = read_document(body)
        prompt, suffix = members.get("prompt"), members.get("suffix")
        return common_facts(
            head,
            members,
            parse_error,
            message_count=item_count(prompt),
            prompt_text=lambda: "\n".join(filter(None, (plain(prompt), plain(suffix)))),
        )

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(partial(read_choices, head=head))


DIALECT = OpenAICompletions()
