"""Bodies as providers and clients send them: a request and an answer for each planned exchange.

Owns the choice of the wire format, and the headers. Each format is a module here.
Refuses to decide anything: the plan has all that happens.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from sample_data.generator.bodies import anthropic, embeddings, gemini, openai
from sample_data.generator.planned import Ask, Planned

Headers = list[tuple[str, str]]
_FORMATS: dict[str, Any] = {
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "embeddings": embeddings,
}
_REQUEST_ID = {"anthropic": "request-id"}


class Bodies(NamedTuple):
    """What goes over the wire. `usage` is the provider's object, None where the answer (or what
    came of it) has none."""

    request: bytes
    response: bytes
    usage: dict[str, Any] | None


def made(planned: Planned) -> Bodies:
    sent, status = request(planned.ask), planned.fate.status
    if status is None or planned.fate.outcome == "refused":  # of its own answers none are kept
        return Bodies(sent, b"", None)
    wire = _FORMATS[planned.ask.model.speaks]
    if status >= 400:
        return Bodies(sent, wire.error(planned), None)
    response, usage = wire.response(planned.ruled.again or planned)
    return Bodies(sent, response, usage)


def request(ask: Ask) -> bytes:
    sent: bytes = _FORMATS[ask.model.speaks].request(ask)
    return sent


@lru_cache(maxsize=256)
def request_headers(client: str, speaks: str) -> Headers:
    """As the journal keeps them."""
    fields = [("content-type", "application/json"), ("user-agent", client)]
    if speaks == "anthropic":
        fields.append(("anthropic-version", "2023-06-01"))
    return fields


def response_headers(planned: Planned) -> Headers:
    status = planned.fate.status
    if status is None or planned.fate.outcome == "refused":
        return []
    if planned.ruled.again is not None:
        return [*response_headers(planned.ruled.again), ("meterline-cache", "exact")]
    streamed = status < 400 and planned.ask.feature.stream
    kind = "text/event-stream; charset=utf-8" if streamed else "application/json"
    name = _REQUEST_ID.get(planned.ask.model.provider, "x-request-id")
    fields = [("content-type", kind), (name, f"req_{hexadecimal(planned)[8:]}")]
    return [*fields, ("retry-after", "2")] if status == 429 else fields


def finish_word(planned: Planned) -> str:
    """The provider's word for the way in which the answer ended."""
    word: str = _FORMATS[planned.ask.model.speaks].FINISH[planned.answer.ending]
    return word


def hexadecimal(planned: Planned) -> str:
    return planned.exchange_id.replace("-", "")
