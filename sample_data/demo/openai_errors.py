"""OpenAI's manners: the shape of its errors, and the headers of its answers.

Shared by its chat, responses and embeddings dialects. Refuses to decide anything.
"""

from __future__ import annotations

from secrets import token_hex
from typing import Any

import orjson

from sample_data.demo.answers import Answer, Json, Refusal

_KINDS: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "unknown_url"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("service_unavailable", None),
    529: ("overloaded_error", "overloaded"),
}
_DAILY_REQUESTS = 10_000


def headers(number: int, lead_seconds: float) -> dict[str, str]:
    return {
        "openai-organization": "demo",
        "openai-processing-ms": str(round(lead_seconds * 1000)),
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": str(_DAILY_REQUESTS),
        "x-ratelimit-remaining-requests": str(_DAILY_REQUESTS - 1 - number % _DAILY_REQUESTS),
        "x-ratelimit-reset-requests": "8.64s",
        "x-request-id": f"req_{token_hex(16)}",
    }


def error(status: int, message: str, param: str | None = None) -> Json:
    kind, code = _KINDS.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refuse(refusal: Refusal, number: int) -> Answer:
    extra = headers(number, 0.03)
    if refusal.retry_after is not None:
        extra["retry-after"] = refusal.retry_after
    body = error(refusal.status, refusal.message, refusal.param)
    return Answer(status=refusal.status, headers=extra, body=orjson.dumps(body))


def event(value: Any) -> bytes:
    """One server-sent event without a name."""
    return b"data: " + orjson.dumps(value) + b"\n\n"
