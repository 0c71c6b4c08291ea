"""From a request to its answer, without sockets.

Owns which path belongs to which dialect, and where a fault may be asked for. Refuses to send.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from sample_data.demo import anthropic, embeddings, gemini, models, openai_chat, openai_responses
from sample_data.demo.answers import Answer, Answerer, Json, Question, Refusal, Refuser
from sample_data.demo.faults import Fault, change, parse, refusal_of, split_model
from sample_data.demo.ledger import Entry
from sample_data.demo.memory import Memory
from sample_data.demo.openai_errors import headers as openai_headers
from sample_data.demo.openai_errors import refuse as openai_refuse
from sample_data.demo.reading import parse as parse_body

_POSTS: dict[str, Answerer] = {
    "/v1/chat/completions": openai_chat.answer,
    "/v1/responses": openai_responses.answer,
    "/v1/embeddings": embeddings.openai,
    "/v1/messages": anthropic.answer,
    "/v1/messages/count_tokens": anthropic.count,
}
_GEMINI = re.compile(r"/v1(?:beta|alpha)?/models/([^/:]+):([A-Za-z]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as the server read it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in any case."""
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send, and what has to go wrong on the way."""

    answer: Answer
    fault: Fault | None = None


def plan(asked: Asked, entry: Entry, memory: Memory) -> Plan:
    """Decides the whole answer; tells the ledger's entry what was asked and reported."""
    fault: Fault | None = None
    try:
        answerer, body, model, wanted = _read(asked)
        entry.model, entry.stream = model, _is_stream(asked.path, body)
        if wanted is not None:
            entry.fault = wanted
            fault = parse(wanted)
            refusal = refusal_of(fault, _key(asked))
            if refusal is not None:
                raise refusal
        question = Question(
            model=model,
            body=body,
            number=entry.number,
            memory=memory,
            as_sse=asked.query.get("alt") == "sse",
            with_usage=fault is None or fault.name != "no-usage",
        )
        answer = _answer(answerer, question)
        answer = change(answer, fault) if fault is not None else answer
    except Refusal as refusal:
        answer, fault = _refuser(asked.path)(refusal, entry.number), None
    entry.status, entry.usage = answer.status, answer.usage
    return Plan(answer=answer, fault=fault)


def _answer(answerer: Answerer, question: Question) -> Answer:
    """The answer; a body too odd or too deep for the dialect to read is the client's fault."""
    try:
        return answerer(question)
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise Refusal(400, f"A field of the request could not be read: {error}") from error


def _read(asked: Asked) -> tuple[Answerer, Json, str, str | None]:
    """The answerer, the body, the model, and the fault asked for."""
    header = asked.headers.get("demo-fault")
    if asked.method == "GET":
        return _lister(asked), {}, "", header
    found = _GEMINI.fullmatch(asked.path)
    answerer = gemini.VERBS.get(found[2]) if found else _POSTS.get(asked.path)
    if asked.method != "POST" or answerer is None:
        raise _unknown(asked)
    body = parse_body(asked.body)
    given = found[1] if found else body.get("model")
    if not isinstance(given, str) or not given:
        raise Refusal(400, "You must provide a model parameter.", param="model")
    model, suffix = split_model(given)
    return answerer, body, model, header or suffix


def _lister(asked: Asked) -> Answerer:
    """The answerer of a list of models, or of one of them.

    The three dialects share `/v1/models`; the headers tell whose list is meant.
    """
    base, _, name = asked.path.partition("/models")
    if base not in ("/v1", "/v1beta"):
        raise _unknown(asked)
    if base == "/v1beta" or "x-goog-api-key" in asked.headers:
        body = models.gemini_list()
    elif "anthropic-version" in asked.headers:
        body = models.anthropic_list()
    else:
        body = models.openai_list()
    if name.strip("/"):
        body = _one_of(body, name.strip("/"))
    return lambda question: Answer(
        headers=openai_headers(question.number, 0.02), body=orjson.dumps(body)
    )


def _one_of(listed: Json, name: str) -> Json:
    rows: list[Json] = listed.get("data") or listed["models"]
    for row in rows:
        if name in (row.get("id"), str(row.get("name")).removeprefix("models/")):
            return row
    raise Refusal(404, f"The model {name!r} does not exist.", param="model")


def _unknown(asked: Asked) -> Refusal:
    return Refusal(404, f"Invalid URL ({asked.method} {asked.path})")


def _is_stream(path: str, body: Json) -> bool:
    return bool(body.get("stream")) or path.endswith(":streamGenerateContent")


def _refuser(path: str) -> Refuser:
    if path in ("/v1/messages", "/v1/messages/count_tokens"):
        return anthropic.refuse
    return gemini.refuse if _GEMINI.fullmatch(path) else openai_refuse


def _key(asked: Asked) -> str:
    headers = asked.headers
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    named = headers.get("x-api-key") or headers.get("x-goog-api-key") or headers.get("api-key")
    return bearer or named or asked.query.get("key", "")
