"""OpenAI moderations, and everyone who speaks it.

Owns which paths these are. They cost nothing and report no usage at OpenAI; elsewhere they may.
Refuses the verdicts.
"""

from __future__ import annotations

from functools import partial

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.openai_request import common_facts, item_count, posts_to
from proxy.wire.openai_usage import read_usage
from proxy.wire.request_document import read_document
from proxy.wire.usage_answers import read_usage_answer


class OpenAIModerations:
    """Claims `POST .../moderations`."""

    name = "openai_moderations"

    def operation(self, head: RequestHead) -> str | None:
        return "moderation" if posts_to(head, "/moderations") else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        members, parse_error = read_document(body)
        messages = item_count(members.get("input"))
        return common_facts(head, members, parse_error, message_count=messages)

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(partial(_read_reply, head=head))


def _read_reply(copy: Copy, head: ReplyHead) -> ReplyFacts:
    answer = read_usage_answer(copy, head)
    return answer.facts(head, read_usage(answer.members.get("usage")))


DIALECT = OpenAIModerations()
