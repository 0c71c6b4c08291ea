"""Faults on demand: which one a request asks for, and what it makes of an answer.

Owns the names and their values, and the changes that can be made before anything is sent.
Refuses to touch a socket: waiting and cutting is the server's part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sample_data.demo.answers import Answer, Refusal

_MESSAGES = {
    400: "The request is not valid: the demo provider was asked to say so.",
    401: "Incorrect API key provided: {key}. You can find your API key in your settings.",
    429: "Rate limit reached for requests. Please try again in {value:g}s.",
    500: "The server had an error while processing your request. Sorry about that!",
    503: "The service is temporarily unavailable. Please try again later.",
    529: "Overloaded",
}
STATUSES = {str(status): status for status in _MESSAGES}
_DEFAULTS = {
    **dict.fromkeys(STATUSES, 1.0),
    "slow": 2.0,
    "drip": 0.2,
    "reset": 0.0,
    "cut": 3.0,
    "hang": 0.0,
    "error-in-stream": 3.0,
    "no-usage": 0.0,
    "bad-json": 0.0,
    "empty": 0.0,
}
KNOWN = tuple(_DEFAULTS)
_MAX_VALUE = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong. `value` is seconds or a count, as the name has it."""

    name: str
    value: float
    given: str | None = None


def split_model(model: str) -> tuple[str, str | None]:
    """`gpt-4o!cut=2` is the model gpt-4o and the fault cut=2."""
    name, mark, asked = model.partition("!")
    return name, asked if mark else None


def parse(asked: str) -> Fault:
    """Reads NAME or NAME=VALUE. An unknown name or a bad value is refused with 400."""
    name, equals, text = asked.strip().partition("=")
    if name not in _DEFAULTS:
        raise Refusal(400, f"Unknown fault {name!r}. Known: {', '.join(KNOWN)}.")
    if not equals:
        return Fault(name=name, value=_DEFAULTS[name])
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _MAX_VALUE and name not in STATUSES:
        raise Refusal(400, f"Fault {name}={text}: the value has to be a number from 0 to 86400.")
    return Fault(name=name, value=value, given=text)


def refusal_of(fault: Fault, key: str) -> Refusal | None:
    """The error that a status fault asks for. 401 echoes the key, as careless providers do."""
    status = STATUSES.get(fault.name)
    if status is None:
        return None
    retry_after = fault.given or ("1" if status == 429 else None)
    value = 1.0 if math.isnan(fault.value) else fault.value
    message = _MESSAGES[status].format(key=key or "(none)", value=value)
    return Refusal(status, message, retry_after=retry_after)


def change(answer: Answer, fault: Fault) -> Answer:
    """The answer as it is sent, where the fault lies in its content."""
    if fault.name == "empty":
        return replace(answer, body=b"", chunks=None if answer.chunks is None else (), usage=None)
    if fault.name == "bad-json":
        return _garbled(answer)
    if fault.name == "error-in-stream":
        return _failing(answer, int(fault.value))
    return answer


def _garbled(answer: Answer) -> Answer:
    if answer.chunks is None:
        return replace(answer, body=answer.body[: max(1, len(answer.body) * 2 // 3)], usage=None)
    middle = len(answer.chunks) // 2
    broken = answer.chunks[middle].rstrip()[:-2] + b"\r\n\r\n"
    return replace(answer, chunks=(*answer.chunks[:middle], broken, *answer.chunks[middle + 1 :]))


def _failing(answer: Answer, after: int) -> Answer:
    """Whole answers become the error alone, still under status 200."""
    if answer.chunks is None:
        return replace(
            answer, body=b'{"error":{"message":"The server had an error.","code":500}}', usage=None
        )
    sent = answer.chunks[: min(after, len(answer.chunks) - 1)]
    ending = (answer.tail,) if answer.tail else ()
    return replace(answer, chunks=(*sent, answer.error_chunk, *ending), usage=None)
