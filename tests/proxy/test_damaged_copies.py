"""Every exchange of the coverage table, cut at every tenth, compressed, and split at random."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import fields, replace
from random import Random
from typing import Any

import brotli
import pytest
import zstandard

from proxy import dialects
from proxy.facts import ReplyHead, RequestHead, Usage
from proxy.reading import Copied, Reading, read
from tests.support.exchanges_read import Said, everything

SAID = list(everything())
TENTHS = range(11)
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
NUMBERS = tuple(f.name for f in fields(Usage) if f.name not in ("raw", "passes"))


def name_of(said: Said) -> str:
    return f"{said.provider} {said.endpoint} {said.framing}"


def head_of(said: Said) -> RequestHead:
    return RequestHead(provider=said.provider, method=said.method, target=said.target)


def reading_of(said: Said, answer: bytes, coding: str = "identity") -> Reading:
    headers = {**said.headers, "content-encoding": coding}
    return read(head_of(said), Copied(said.request), said.status, headers, Copied(answer))


def numbers(reading: Reading) -> dict[str, Any]:
    """What is known for certain, without what is not known."""
    reply = reading.reply
    assert reply is not None
    assert not (reply.parse_error or "").startswith("reader failed"), reply.parse_error
    found = {name: getattr(reply.usage, name, None) for name in NUMBERS}
    found |= {"tool_call_count": reply.tool_call_count, "model": reply.model}
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("said", SAID, ids=name_of)
def test_a_cut_copy_says_nothing_that_the_whole_does_not(said: Said, coding: str) -> None:
    whole = numbers(reading_of(said, said.answer))
    coded = CODINGS[coding](said.answer)
    assert numbers(reading_of(said, coded, coding)) == whole
    for tenth in TENTHS:
        part = reading_of(said, coded[: len(coded) * tenth // 10], coding)
        assert numbers(part).items() <= whole.items(), tenth
        if part.reply and part.reply.text:
            part.reply.text()


@pytest.mark.parametrize("said", SAID, ids=name_of)
def test_where_an_answer_is_split_makes_no_difference(said: Said) -> None:
    whole, chance = reading_of(said, said.answer), Random(7)
    claimed = dialects.find(head_of(said))
    assert claimed is not None
    assert whole.request is not None
    assert whole.reply is not None
    for _ in range(5):
        reader = claimed[0].reply_reader(
            ReplyHead(
                status=said.status,
                headers=said.headers,
                request=head_of(said),
                request_facts=whole.request,
            )
        )
        at = 0
        while at < len(said.answer):
            size = chance.randint(1, 40)
            reader.feed(said.answer[at : at + size])
            at += size
        assert replace(reader.finish(), text=None) == replace(whole.reply, text=None)
