"""OpenAI batches, and everyone who speaks it: the batch that has ended, and its results file.

Owns which paths these are. Both report the same usage under one id, the results file's, by which
it is to be billed once; refuses to decide that. Refuses other files: they have no facts.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from proxy.facts import ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead, Usage
from proxy.wire.batch_results import TIER, Line, read_results
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.counts import count
from proxy.wire.openai_usage import read_usage
from proxy.wire.usage_answers import read_usage_answer
from proxy.wire.usage_sum import Used
from proxy.wire.words import word

_FILE = re.compile(r"/files/(?P<id>[^/]+)/content/?$")
_BATCH = re.compile(r"/batches/[^/]+/?$")
_ANTHROPIC = "/messages/batches/"
_ENDED = ("completed", "failed", "expired", "cancelled")


class OpenAIBatches:
    """Claims `GET .../files/ID/content` and `GET .../batches/ID`."""

    name = "openai_batches"

    def operation(self, head: RequestHead) -> str | None:
        if head.method.upper() != "GET":
            return None
        if _FILE.search(head.path):
            return "file_content"
        if _BATCH.search(head.path) and _ANTHROPIC not in head.path:
            return "batch"
        return None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:  # noqa: ARG002
        return RequestFacts()

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        if file := _FILE.search(head.request.path):
            read = partial(read_results, head=head, read_line=_read_line, batch_id=file["id"])
            return CopyReader(read)
        return CopyReader(partial(_read_batch, head=head))


def _read_line(line: dict[str, Any]) -> Line | None:
    if "custom_id" not in line or not ("response" in line or "error" in line):
        return None
    response = line.get("response")
    body = response.get("body") if isinstance(response, dict) else None
    if not isinstance(body, dict) or (usage := read_usage(body.get("usage"))) is None:
        return Line(None)
    return Line(Used(word(body.get("model")), usage))


def _read_batch(copy: Copy, head: ReplyHead) -> ReplyFacts:
    answer = read_usage_answer(copy, head)
    batch = answer.members
    if head.status >= 400:
        return answer.facts(head, None)
    if batch.get("object") != "batch" or batch.get("status") not in _ENDED:
        return ReplyFacts(parse_error=answer.parse_error)
    return ReplyFacts(
        model=word(batch.get("model")),
        response_id=word(batch.get("output_file_id")) or word(batch.get("id")),
        service_tier=TIER,
        usage=_batch_usage(batch),
        parse_error=answer.parse_error,
    )


def _batch_usage(batch: dict[str, Any]) -> Usage | None:
    """None where the batch did something and says nothing: older ones do not count."""
    usage, counts = read_usage(batch.get("usage")), batch.get("request_counts")
    done = count(counts.get("completed")) if isinstance(counts, dict) else None
    if usage is None or (done and not (usage.input_tokens or usage.output_tokens)):
        return None
    return usage


DIALECT = OpenAIBatches()
