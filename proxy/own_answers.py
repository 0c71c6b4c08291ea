"""Answers of the proxy's own: refusals and failures, and what the record says of them.

Owns their words and statuses, in the client's dialect. The record is closed before they leave.
"""

from __future__ import annotations

import math

from proxy import headers
from proxy.admission import Head
from proxy.calls.call import Reply
from proxy.capture import Capture, Outcome
from proxy.errors import AnswerRefused, AttemptFailed, Refusal, body
from proxy.journal.entries import Headers
from proxy.response import WholeResponse, whole


async def refused(capture: Capture, head: Head, refusal: Refusal) -> WholeResponse:
    wait = refusal.retry_after
    if isinstance(refusal, AnswerRefused):
        if refusal.kept:
            capture.received(refusal.kept)
        fields = headers.journaled(refusal.fields)
        await capture.close(refusal_told(refusal, fields))
    else:
        await capture.close(refusal_told(refusal))
    answer = body(head.speech, refusal.status, refusal.error_type, str(refusal))
    return whole(
        refusal.status,
        answer,
        "application/json",
        exchange_id=capture.exchange_id,
        close=True,
        fields=[] if wait is None else [(b"Retry-After", b"%d" % math.ceil(wait))],
    )


async def failed(capture: Capture, head: Head, failure: AttemptFailed) -> WholeResponse:
    await capture.close(failure_told(Outcome(outcome=""), failure))
    status = 504 if failure.timed_out else 502
    answer = body(head.speech, status, failure.error_type, str(failure))
    return whole(status, answer, "application/json", exchange_id=capture.exchange_id)


def outcome(reply: Reply) -> str:
    """Of an answer that came to its end."""
    if reply.cached:
        return "cached"
    return "provider_error" if reply.status >= 400 else "completed"


def refusal_told(refusal: Refusal, fields: Headers | None = None) -> Outcome:
    """Of an answer that was refused the record has the provider's status: it is billed."""
    answered = refusal.answered if isinstance(refusal, AnswerRefused) else refusal.status
    return Outcome(
        outcome="refused",
        status=answered,
        headers=fields or [],
        error_type=refusal.error_type,
        error_message=str(refusal),
    )


def failure_told(end: Outcome, failure: AttemptFailed) -> Outcome:
    """The end of an attempt or an answer that broke."""
    end.outcome = "timed_out" if failure.timed_out else "upstream_failed"
    end.error_type, end.error_message = failure.error_type, str(failure)
    return end
