"""Requests of any shape are read without a fault."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.reports import requests
from analytics.reports.prompt_text import prompt_text
from proxy.exchange import Exchange
from tests.analytics.reports.conftest import Open, exchange

plain = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8)
words = st.sampled_from(
    ["messages", "role", "content", "system", "contents", "parts", "text", "input", "tools"]
)
values: st.SearchStrategy[Any] = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5)
)
documents = st.dictionaries(words, values, max_size=5) | values


@settings(deadline=None, max_examples=300)
@given(documents)
def test_any_json_has_a_text_or_none(document: Any) -> None:
    text = prompt_text(document)
    assert text is None or isinstance(text, str)


@settings(deadline=None, max_examples=300)
@given(documents)
def test_any_json_has_a_sketch_or_none(document: Any) -> None:
    row = {
        "provider": "openai",
        "target": "/v1/chat/completions",
        "request_model": "gpt-4o",
        "request_headers": "[]",
        "request_body": orjson.dumps(document),
    }
    found = requests._sketch(row)
    assert found is None or found.size > 0


def test_a_compressed_body_is_read(stored: Open) -> None:
    made = exchange()
    body = gzip.compress(orjson.dumps({"messages": [{"role": "user", "content": "Hi"}]}))
    with stored((made, body, [["content-encoding", "gzip"]])) as con:
        found = dict(requests.sketches(con, {made.exchange_id: row_of(made)}))
    assert found[made.exchange_id].text == "Hi"


def test_requests_are_read_in_portions_and_none_is_lost(
    stored: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "PORTION_BYTES", 100)
    body = orjson.dumps({"messages": [{"role": "user", "content": "Hi"}]})
    made = [exchange(request_bytes=size) for size in (60, 60, None, 500, 10, 10, 10)]
    with stored(*((each, body) for each in made)) as con:
        rows = {each.exchange_id: row_of(each) for each in made[1:]}
        found = dict(requests.sketches(con, rows))
    assert set(found) == set(rows)


def row_of(made: Exchange) -> dict[str, Any]:
    names = ("started_at", "provider", "request_model", "request_bytes")
    return {name: getattr(made, name) for name in names}
