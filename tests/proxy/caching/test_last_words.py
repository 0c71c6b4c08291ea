"""The last words of a user, whatever the dialect."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.caching import last_words

SYSTEM = {"role": "system", "content": "Be brief"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:..."}}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"messages": [SYSTEM, {"role": "user", "content": "Hi"}]}, ["messages", 1, "content"]),
        (
            {"messages": [{"role": "user", "content": [IMAGE, {"type": "text", "text": "Hi"}]}]},
            ["messages", 0, "content", 1, "text"],
        ),
        ({"input": "Hi"}, ["input"]),
        ({"prompt": "Hi"}, ["prompt"]),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
            ["input", 0, "content", 0, "text"],
        ),
        ({"contents": [{"parts": [{"text": "Hi"}]}]}, ["contents", 0, "parts", 0, "text"]),
        ({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, None),
    ],
)
def test_the_words_are_found_and_the_rest_stays(document: dict[str, Any], path: Any) -> None:
    before = repr(document)
    found = last_words.of(document)
    assert found is not None
    assert found.text == "Hi"
    assert "Hi" not in repr(found.rest)
    assert repr(document) == before
    for step in path or ():
        assert type(document) is type(found.rest) or step is path[-1]
        document, rest = document[step], found.rest[step]
        found = found._replace(rest=rest)
    assert not path or found.rest is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"messages": []},
        {"messages": "no"},
        {"messages": [{"role": "user", "content": "  "}]},
        {"messages": [{"role": "user", "content": "x" * 8001}]},
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "{"}]},
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "tool", "content": "3"}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": "3"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, IMAGE]}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": ["Hi"]},
        {"input": ["one", "two"]},
        {"input": [1, 2]},
        {"contents": [{"role": "model", "parts": [{"text": "Hi"}]}]},
    ],
    ids=str,
)
def test_what_does_not_end_with_words_of_the_user_has_none(document: dict[str, Any]) -> None:
    assert last_words.of(document) is None or document == {"messages": "no"}


def test_numbers_belong_to_the_rest() -> None:
    def rest(text: str) -> object:
        found = last_words.of({"input": text})
        assert found is not None
        return found.rest

    assert rest("What is 17 times 3?") == rest("17 and 3, multiplied?")
    assert rest("What is 17 times 3?") != rest("What is 3 times 17?")
    assert rest("on 2026-01-02") != rest("on 2026-01-03")
