from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.labels import MAX_LABELS, MAX_VALUE_CHARACTERS, collect, is_label


def test_own_headers_go_before_the_path_before_products_before_clients() -> None:
    sources = [
        ("x-claude-code-session-id", "client"),
        ("helicone-session-id", "product"),
        ("meterline-session", "own"),
    ]
    path = {"session": "path"}
    expected = ["own", "path", "product", "client"]
    for word in expected:
        assert collect(sources, path)["session_id"] == word
        if word == "path":
            path = {}
        else:
            sources = [pair for pair in sources if pair[1] != word]


@pytest.mark.parametrize(
    ("header", "labels"),
    [
        (("meterline-feature", "f"), {"feature": "f"}),
        (("meterline-user", "u"), {"user_id": "u"}),
        (("meterline-environment", "e"), {"environment": "e"}),
        (("meterline-tag-team", "t"), {"tags.team": "t"}),
        (("meterline-tag-user", "t"), {"tags.user": "t"}),
        (("helicone-user-id", "u"), {"user_id": "u"}),
        (("helicone-property-environment", "e"), {"environment": "e"}),
        (("helicone-property-plan", "p"), {"tags.plan": "p"}),
        (("x-litellm-customer-id", "u"), {"user_id": "u"}),
        (("x-litellm-tags", "a, b,,"), {"tags.a": "true", "tags.b": "true"}),
        (("x-portkey-metadata", '{"_user":"u","n":1}'), {"user_id": "u", "tags.n": "1"}),
        (("cf-aig-metadata", '{"a":true,"b":[1],"c":null}'), {"tags.a": "True"}),
        (("x-portkey-metadata", "no json"), {}),
        (("x-portkey-metadata", "[1]"), {}),
        (("session-id", "codex"), {"session_id": "codex"}),
        (("meterline-unknown", "x"), {}),
        (("meterline-tag-", "x"), {}),
        (("meterline-user", "  "), {}),
    ],
)
def test_each_source_gives_its_labels(header: tuple[str, str], labels: dict[str, str]) -> None:
    assert is_label(header[0])
    assert collect([header], {}) == labels


def test_the_first_of_repeated_headers_counts() -> None:
    assert collect([("meterline-user", "a"), ("meterline-user", "b")], {}) == {"user_id": "a"}


def test_labels_are_single_lines_of_bounded_length_and_number() -> None:
    many = [(f"meterline-tag-{n}", "v") for n in range(200)]
    assert len(collect(many, {})) == MAX_LABELS
    found = collect([("meterline-user", "a\x00\r\nb\x7f" + "x" * 5000)], {})
    assert found["user_id"].startswith("a b ")
    assert len(found["user_id"]) <= MAX_VALUE_CHARACTERS


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8)), st.text(max_size=60))
def test_nothing_that_a_client_sends_raises(path: dict[str, str], text: str) -> None:
    headers = [("x-portkey-metadata", text), ("x-litellm-tags", text), ("meterline-tag-a", text)]
    for value in collect(headers, path).values():
        assert value
        assert "\n" not in value
