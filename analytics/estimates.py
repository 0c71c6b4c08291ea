"""Whose usage a row has: the provider's, or an estimate from what was said.

Owns when an estimate is allowed: a success, with an answer that was seen, for which the provider
gave no usage, or, since the stream was cut, none of its output. What is estimated in part is called
estimated. A text that was spoken is counted in characters. Refuses to estimate what was not seen.
"""

from __future__ import annotations

from dataclasses import replace

from analytics import prompt_tokens, tokens
from analytics.found import Unposted
from proxy.exchange import UsageSource
from proxy.facts import Usage
from proxy.reading import Reading
from proxy.wire import coding
from proxy.wire.request_document import read_document

_NO_ESTIMATE = ("count", "retrieve", "list", "get", "delete", "cancel", "compact")


def usage_of(found: Unposted, read: Reading) -> tuple[Usage | None, UsageSource | None]:
    """The provider's usage, else an estimate from what was said, where something was."""
    if read.reply is not None and read.reply.usage is not None:
        return _with_output(read.reply.usage, found, read)
    if not _may_be_estimated(found, read):
        return None, None
    request, reply = read.request, read.reply
    assert reply is not None
    assert read.operation is not None
    if request is not None and request.input_characters:
        return Usage(units={"input_characters": request.input_characters}), "estimated"
    model = reply.model or (request.model if request else None)
    answer = reply.text() if reply.text else ""
    if not answer and "embed" not in read.operation:
        return None, None  # nothing was said yet: an answer that is only queued, or cut before
    prompt = request.prompt_text() if request and request.prompt_text else ""
    if not prompt and not answer:
        return None, None
    said = tokens.estimate(prompt, model)
    more = _around(found, read, model)
    usage = Usage(
        input_tokens=said + more if prompt or more else None,
        output_tokens=_said(found, answer, model),
    )
    return usage, "estimated"


def _with_output(usage: Usage, found: Unposted, read: Reading) -> tuple[Usage, UsageSource]:
    """Some providers tell the input first and the output last: of a stream that was cut, the input
    is theirs and the output is what was said until then."""
    known = usage.output_tokens is not None or usage.input_tokens is None
    if known or not _may_be_estimated(found, read) or "embed" in (read.operation or ""):
        return usage, "provider"
    reply, request = read.reply, read.request
    answer = reply.text() if reply and reply.text else ""
    model = (reply.model if reply else None) or (request.model if request else None)
    if (said := _said(found, answer, model)) is None:
        return usage, "provider"
    return replace(usage, output_tokens=said), "estimated"


def _said(found: Unposted, answer: str, model: str | None) -> int | None:
    """The tokens of the answer. Of one with a gap more was said than was seen."""
    has_gap = found.closed is not None and found.closed.response_gap is not None
    return tokens.estimate(answer, model) if answer and not has_gap else None


def _around(found: Unposted, read: Reading, model: str | None) -> int:
    """The tokens of the prompt that are no text. Of a request with a gap nobody knows them."""
    closed, opened = found.closed, found.opened
    if opened is None or (closed is not None and closed.request_gap is not None):
        return 0
    codings = dict(opened.headers).get("content-encoding", "")
    body = coding.decode(found.request, codings).data if codings else found.request
    document, _ = read_document(body)
    return prompt_tokens.around(document, read.dialect, model)


def _may_be_estimated(found: Unposted, read: Reading) -> bool:
    closed, reply = found.closed, read.reply
    if reply is None or read.operation is None or reply.error_type is not None:
        return False
    if any(word in read.operation for word in _NO_ESTIMATE):
        return False
    if closed is None:
        return bool(found.response)
    return closed.status is not None and 200 <= closed.status < 300 and closed.response_bytes > 0
