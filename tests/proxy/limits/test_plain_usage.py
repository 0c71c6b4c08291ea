"""Plain usage: never anything but what the dialects read, and most answers are plain."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.calls.asked import Asked
from proxy.facts import RequestHead
from proxy.headers import RawHeaders
from proxy.limits import plain_usage, usage_of_reply
from proxy.limits.plain_usage import PlainUsage
from proxy.reading import Copied

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings")
COUNTS = st.one_of(st.integers(0, 3000), st.none(), st.sampled_from([1.0, 2.5, -3, True, "7"]))
DETAILS = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["cached_tokens", "reasoning_tokens", "audio_tokens", "image_tokens"]),
        COUNTS,
        max_size=3,
    ),
)


class Answered:
    """An answer that is there as a whole."""

    cached = False

    def __init__(self, status: int = 200, headers: RawHeaders = ()) -> None:
        self.status = status
        self.headers = headers


def asked(path: str = PATHS[0], stream: bool = False, provider: str = "openai") -> Asked:
    body = orjson.dumps({"model": "m", "messages": [], "stream": stream})
    return Asked(RequestHead(provider=provider, method="POST", target=path), body, {})


def both(what: Asked, answer: bytes, fields: RawHeaders = ()) -> tuple[PlainUsage | None, Any]:
    reply: Any = Answered(headers=fields)
    copy = Copied(answer)
    return plain_usage.read(what, reply, copy), usage_of_reply.read(what, reply, copy)


def agree(plain: PlainUsage, read: Any) -> bool:
    model, usage = read
    return plain == (
        model,
        usage.input_tokens,
        usage.cache_read_tokens or 0,
        usage.output_tokens or 0,
        usage.reasoning_tokens or 0,
    )


@st.composite
def usages(draw: Any) -> dict[str, Any]:
    names = draw(
        st.sampled_from([("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")])
    )
    given_, made = draw(COUNTS), draw(COUNTS)
    found: dict[str, Any] = dict(zip(names, (given_, made), strict=True))
    whole = isinstance(given_, int) and isinstance(made, int)
    found["total_tokens"] = draw(COUNTS)
    if whole and draw(st.booleans()):
        found["total_tokens"] = given_ + made
    found |= draw(
        st.dictionaries(
            st.sampled_from(
                ["prompt_tokens_details", "output_tokens_details", "completion_tokens_details"]
            ),
            DETAILS,
        )
    )
    extras = st.sampled_from(["prompt_cache_hit_tokens", "cost", "num_search_queries", "x"])
    return found | draw(st.dictionaries(extras, COUNTS, max_size=1))


@given(st.sampled_from(PATHS), usages())
def test_what_is_plain_is_what_the_dialect_reads(path: str, usage: dict[str, Any]) -> None:
    plain, read = both(asked(path), orjson.dumps({"model": "m", "choices": [], "usage": usage}))
    assert plain is None or agree(plain, read)


@given(st.lists(st.one_of(st.none(), usages()), max_size=4), st.booleans())
def test_the_same_of_streams(found: list[dict[str, Any] | None], done: bool) -> None:
    word = {"model": "m", "choices": [{"index": 0, "delta": {"content": 'say "usage": {'}}]}
    events = [{**word, "usage": usage} if usage else word for usage in found]
    stream = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events)
    plain, read = both(asked(stream=True), stream + b"data: [DONE]\n\n" * done, EVENTS)
    assert plain is None or agree(plain, read)


def test_an_output_that_nobody_counted_is_left_to_the_dialect() -> None:
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    answer = orjson.dumps({"model": "m", "choices": [], "usage": usage})
    assert both(asked(), answer)[0] is None
    assert both(asked("/v1/embeddings"), answer)[0] == ("m", 7, 0, 0, 0)


EVENTS = [(b"content-type", b"text/event-stream")]
USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 80,
    "total_tokens": 1280,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 0},
}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (PATHS[0], orjson.dumps({"model": "m", "choices": [], "usage": USAGE})),
        (PATHS[0], b'data: {"choices":[]}\n\ndata: %b\n\ndata: [DONE]\n\n'),
        (PATHS[2], b'event: response.completed\ndata: {"type":"response.completed","response":%b}'),
    ],
)
def test_ordinary_answers_are_plain(path: str, answer: bytes) -> None:
    bearing = orjson.dumps({"model": "m", "choices": [], "usage": USAGE})
    whole = answer.replace(b"%b", bearing)
    plain, read = both(asked(path), whole, EVENTS if b"data:" in whole else ())
    assert plain == PlainUsage("m", 1200, 1024, 80, 64)
    assert agree(plain, read)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"usage": {"prompt_tokens": 1',
        b'{"error": {"message": "no"}, "usage": {"prompt_tokens": 1, "total_tokens": 1}}',
        b'data: {"choices": []}\n\n',
    ],
)
def test_what_is_in_doubt_is_left_to_the_dialect(answer: bytes) -> None:
    plain, _ = both(asked(), answer)
    assert plain is None


def test_other_dialects_compressed_and_cut_answers_are_left_to_their_readers() -> None:
    answer = orjson.dumps({"model": "m", "usage": USAGE})
    reply: Any = Answered()
    messages = asked("/v1/messages", provider="anthropic")
    assert plain_usage.read(messages, reply, Copied(answer)) is None
    assert plain_usage.read(asked(), reply, Copied(answer, gap=3)) is None
    failed: Any = Answered(500)
    assert plain_usage.read(asked(), failed, Copied(answer)) is None
