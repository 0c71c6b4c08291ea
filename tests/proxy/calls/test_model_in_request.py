"""The model in a request is replaced, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.calls.model_in_request import with_model

CHAT = "/v1/chat/completions"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a"}', b'{"model":"b"}'),
        (b'{ "n" : 1.10, "model" : "a\\"b" , "m":{"model":"c"}}', None),
        (b'{"x":"\\"model\\":\\"a\\"","model":"a"}', b'{"x":"\\"model\\":\\"a\\"","model":"b"}'),
        (b'{"x":["model","a"],"model":"a"}', b'{"x":["model","a"],"model":"b"}'),
        (b'{"model":"a","model":"c"}', b'{"model":"b","model":"b"}'),
    ],
)
def test_the_top_level_model_is_replaced(body: bytes, expected: bytes | None) -> None:
    expected = expected or body.replace(b'"a\\"b"', b'"b"')
    assert with_model(CHAT, body, "b") == (CHAT, expected)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"model":1}', b'[{"model":"a"}]', b'"model"'])
def test_a_request_without_one_is_left_alone(body: bytes) -> None:
    assert with_model(CHAT, body, "b") is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            "/v1beta/models/gemini-pro:generateContent?a=1",
            "/v1beta/models/b%2Fc:generateContent?a=1",
        ),
        ("/openai/deployments/d1/chat/completions", "/openai/deployments/b%2Fc/chat/completions"),
        ("/model/anthropic.claude%3A0/converse", "/model/b%2Fc/converse"),
    ],
)
def test_a_model_in_the_path_is_replaced(target: str, expected: str) -> None:
    assert with_model(target, b'{"contents":[]}', "b/c") == (expected, b'{"contents":[]}')


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        ("/openai/deployments/a/chat/completions", b'{"model":"a"}', b'{"model":"b"}'),
        ("/v1beta/models/a:embedContent", b'{"model":"models/a"}', b'{"model":"models/b"}'),
        ("/model/amazon.a-v1:0/converse", b"{}", b"{}"),
    ],
)
def test_path_and_body_never_name_two_models(target: str, body: bytes, expected: bytes) -> None:
    named = target.replace("amazon.a-v1:0", "b").replace("/a/", "/b/").replace("/a:", "/b:")
    assert with_model(target, body, "b") == (named, expected)


def test_a_folder_named_models_is_no_model_where_the_body_names_one() -> None:
    target = "/models/org/name/v1/chat/completions"
    assert with_model(target, b'{"model":"a"}', "b") == (target, b'{"model":"b"}')


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","x":"' + b'\\"' * 2_000_000,
        b'{"x":"' + b"A" * 8_000_000 + b'","model":"a"}',
    ],
    ids=["a string without its end", "an image"],
)
def test_large_bodies_take_a_time_linear_in_their_size(body: bytes) -> None:
    """Quadratic, the first would take hours."""
    assert with_model(CHAT, body, "b") == (CHAT, body.replace(b'"a"', b'"b"'))


@given(st.dictionaries(st.text(), JSON, max_size=5), st.booleans())
def test_all_else_keeps_its_bytes(members: dict[str, object], ascii_only: bool) -> None:
    members["model"] = "the-old-one"
    body = json.dumps(members, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    changed = with_model(CHAT, body, "new")
    assert changed is not None
    assert json.loads(changed[1]) == {**members, "model": "new"}
    assert with_model(CHAT, changed[1], "the-old-one") == (CHAT, body)


@given(st.binary(max_size=200))
def test_no_bytes_are_too_strange(body: bytes) -> None:
    with_model(CHAT, body, "b")
