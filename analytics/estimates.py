"""Whose usage a row has: the provider's, or an estimate from what was said.

Owns when an estimate is allowed: a success, with an answer that was seen, for which the provider
gave no usage. Refuses to estimate what was not seen.
"""

from __future__ import annotations

from analytics import tokens
from analytics.found import Unposted
from proxy.exchange import UsageSource
from proxy.facts import Usage
from proxy.reading import Reading

_NO_ESTIMATE = ("count", "retrieve", "list", "get", "delete", "cancel", "compact")


def usage_of(found: Unposted, read: Reading) -> tuple[Usage | None, UsageSource | None]:
    """The provider's usage, else an estimate from what was said, where something was."""
    if read.reply is not None and read.reply.usage is not None:
        return read.reply.usage, "provider"
    if not _may_be_estimated(found, read):
        return None, None
    request, reply = read.request, read.reply
    assert reply is not None
    assert read.operation is not None
    model = reply.model or (request.model if request else None)
    answer = reply.text() if reply.text else ""
    if not answer and "embed" not in read.operation:
        return None, None  # nothing was said yet: an answer that is only queued, or cut before
    prompt = request.prompt_text() if request and request.prompt_text else ""
    if not prompt and not answer:
        return None, None
    usage = Usage(
        input_tokens=tokens.estimate(prompt, model) if prompt else None,
        output_tokens=tokens.estimate(answer, model) if answer else None,
    )
    return usage, "estimated"


def _may_be_estimated(found: Unposted, read: Reading) -> bool:
    closed, reply = found.closed, read.reply
    if reply is None or read.operation is None or reply.error_type is not None:
        return False
    if any(word in read.operation for word in _NO_ESTIMATE):
        return False
    if closed is None:
        return bool(found.response)
    return closed.status is not None and 200 <= closed.status < 300 and closed.response_bytes > 0
