"""One call of a provider's SDK, whichever SDK: what its user sees, in a form that compares.

Owns running a call with a sync or an async client to its end, and the removal of what differs
between any two calls (random ids, times, addresses). Refuses to catch what is no exception of a
call.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

TLS = ssl.create_default_context()
"""Shared by all clients: making one anew for each would take longer than the call."""
Call = Callable[[Any], Any]
"""Takes a client; gives a result, a stream, a manager of one, or an awaitable of these."""
_VARIES = [
    (re.compile(r"(?<=[_\"-])[0-9a-f]{20,}"), "RANDOM"),
    (re.compile(r'"(created|created_at|completed_at)": [0-9.]+'), r'"\1": 0'),
    (re.compile(r"127\.0\.0\.1:\d+[^\s\"']*"), "ADDRESS"),
    (re.compile(r"received \d+ (bytes, expected|of) \d+"), "received SOME"),
    (re.compile(r"object at 0x[0-9a-f]+"), "object"),
]
_OWN_OF_EACH_ANSWER = re.compile(
    r"date|content-length|meterline-exchange-id|.*ratelimit.*remaining.*|.*ratelimit.*reset.*"
)


@dataclass(slots=True, kw_only=True)
class Seen:
    """What the user of the SDK saw: the parts of the result, then the exception, if any."""

    parts: list[Any] = field(default_factory=list)
    error: dict[str, Any] | None = None
    exchange_id: str | None = None


def run(client: Any, call: Call, *, stop_after: int | None = None) -> Seen:
    """With a sync client. `stop_after` closes a stream after so many parts."""
    seen = Seen()
    try:
        with closing(_parts(call(client))) as parts:
            for part in parts:
                _note(seen, part, part.parse() if hasattr(part, "http_response") else None)
                if len(seen.parts) == stop_after:
                    break
    except Exception as error:
        seen.error = _fault(error)
    return _comparable(seen)


async def run_async(client: Any, call: Call, *, stop_after: int | None = None) -> Seen:
    seen = Seen()
    try:
        parts = _parts_async(call(client))
        async for part in parts:
            parsed = part.parse() if hasattr(part, "http_response") else None
            _note(seen, part, await parsed if inspect.isawaitable(parsed) else parsed)
            if len(seen.parts) == stop_after:
                break
        await parts.aclose()  # type: ignore[attr-defined]
    except Exception as error:
        seen.error = _fault(error)
    return _comparable(seen)


def run_to_end(coroutine: Awaitable[Seen]) -> Seen:
    async def main() -> Seen:
        return await coroutine

    return asyncio.run(main())


def _parts(result: Any) -> Generator[Any, None, None]:
    if hasattr(result, "http_response") or not hasattr(result, "__iter__"):
        if hasattr(result, "__enter__") and not hasattr(result, "http_response"):
            with result as stream:
                yield from stream
            return
        yield result
    elif hasattr(result, "model_dump"):
        yield result
    else:
        with closing(result) as stream:
            yield from stream


async def _parts_async(result: Any) -> AsyncIterator[Any]:
    if inspect.isawaitable(result):
        result = await result
    if hasattr(result, "__aenter__") and not hasattr(result, "__aiter__"):
        async with result as stream:
            async for part in stream:
                yield part
    elif hasattr(result, "__aiter__"):
        try:
            async for part in result:
                yield part
        finally:
            close = getattr(result, "aclose", None) or getattr(result, "close", None)
            if close is not None:
                await close()
    else:
        yield result


def _note(seen: Seen, part: Any, parsed: Any) -> None:
    """`parsed` is what a raw response holds."""
    response = getattr(part, "http_response", None)
    if response is not None:  # with_raw_response
        seen.exchange_id = response.headers.get("meterline-exchange-id")
        seen.parts.append([response.status_code, _headers(response.headers), _plain(parsed)])
        return
    answered = getattr(part, "sdk_http_response", None)
    if answered is not None and answered.headers:
        named = {name.lower(): value for name, value in answered.headers.items()}
        seen.exchange_id = named.get("meterline-exchange-id")
    seen.parts.append(_plain(part))


def _headers(headers: Any) -> list[list[str]]:
    pairs = headers.multi_items()
    return sorted([n, v] for n, v in pairs if not _OWN_OF_EACH_ANSWER.fullmatch(n))


def _plain(value: Any) -> Any:
    if not hasattr(value, "model_dump"):
        return [type(value).__name__, str(value)]
    if "sdk_http_response" in type(value).model_fields:
        dumped = value.model_dump(mode="json", exclude={"sdk_http_response"})
    else:
        dumped = value.model_dump(mode="json", warnings=False)
    return [type(value).__name__, dumped]


def _fault(error: Exception) -> dict[str, Any]:
    return {
        "class": f"{type(error).__module__}.{type(error).__qualname__}",
        "status": getattr(error, "status_code", getattr(error, "code", None)),
        "body": getattr(error, "body", getattr(error, "details", None)),
        "message": str(error),
        "cause": type(error.__cause__).__name__,
    }


def _comparable(seen: Seen) -> Seen:
    text = json.dumps([seen.parts, seen.error], default=repr)
    for pattern, replacement in _VARIES:
        text = pattern.sub(replacement, text)
    seen.parts, seen.error = json.loads(text)
    return seen
