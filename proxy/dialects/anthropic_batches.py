"""Results of Anthropic's message batches.

Owns which path they have and the form of a line. The batch itself reports no usage. Refuses to
decide whether results that are fetched again were billed; the batch's id says that they are the
same.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from proxy.facts import ReplyHead, ReplyReader, RequestFacts, RequestHead
from proxy.wire.anthropic_usage import anthropic_usage
from proxy.wire.batch_results import Line, read_results
from proxy.wire.copies import CopyReader
from proxy.wire.usage_sum import Used
from proxy.wire.words import word

_RESULTS = re.compile(r"/messages/batches/(?P<id>[^/]+)/results/?$")


class AnthropicBatches:
    """Claims `GET .../messages/batches/ID/results`."""

    name = "anthropic_batches"

    def operation(self, head: RequestHead) -> str | None:
        claimed = head.method.upper() == "GET" and _RESULTS.search(head.path)
        return "batch_results" if claimed else None

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:  # noqa: ARG002
        return RequestFacts()

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        batch = _RESULTS.search(head.request.path)
        batch_id = batch["id"] if batch else ""
        return CopyReader(partial(read_results, head=head, read_line=_read_line, batch_id=batch_id))


def _read_line(line: dict[str, Any]) -> Line | None:
    result = line.get("result")
    if "custom_id" not in line or not isinstance(result, dict):
        return None
    message = result.get("message")
    raw = message.get("usage") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(raw, dict):
        return Line(None)  # errored, cancelled and expired requests bill nothing
    model = word(message.get("model"))
    return Line(Used(model, anthropic_usage(raw, model)))


DIALECT = AnthropicBatches()
