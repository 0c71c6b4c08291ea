from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from analytics.exports import jsonl
from analytics.exports.conversation import asked
from analytics.exports.redaction import is_card, redacted
from analytics.queries import Selection
from proxy.config import Settings
from tests.analytics.conftest import Traffic
from tests.analytics.exports.conftest import Put, Run


def lines(target: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in target.read_bytes().splitlines()]


def test_a_line_says_what_was_asked_and_answered(
    settings: Settings, traffic: Traffic, poster: Any, tmp_path: Path
) -> None:
    labels = {"feature": "chat", "tags.team": "blue"}
    exchange_id = traffic.open(labels=labels, request=traffic.request(temperature=0.2, user="u-1"))
    traffic.close(exchange_id)
    poster.post_once()
    tally = jsonl.export(settings.store_path, tmp_path / "out.jsonl", Selection())
    assert (tally.lines, tally.left_out) == (1, {})
    (line,) = lines(tmp_path / "out.jsonl")
    assert line["id"] == exchange_id
    assert line["model"] == "gpt-4o-2024-08-06"
    assert line["messages"] == [{"role": "user", "content": "Say something short."}]
    assert line["parameters"] == {"temperature": 0.2}
    assert line["answer"] == "Something short."
    assert line["labels"] == {"feature": "chat", "user_id": "u-1", "tags": {"team": "blue"}}
    assert line["usage"]["input_tokens"] == 1000


def test_what_has_no_line_is_counted_with_the_reason(
    settings: Settings, put: Put, tmp_path: Path
) -> None:
    put(
        {"asked": "Fine?"},
        {},
        {"asked": "Wrong?", "outcome": "provider_error"},
        {"asked": "Empty?", "answered": ""},
    )
    tally = jsonl.export(settings.store_path, tmp_path / "out.jsonl", Selection())
    assert tally.lines == 1
    assert tally.left_out == {
        "no contents were kept": 1,
        "it went wrong": 1,
        "its answer has no text": 1,
    }


def test_filters_choose_and_pages_lose_nothing(
    settings: Settings, put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "PAGE_ROWS", 3)
    put(*({"asked": f"Number {n}?", "feature": "ab"[n % 2]} for n in range(20)))
    jsonl.export(settings.store_path, tmp_path / "a.jsonl", Selection(values={"feature": ["a"]}))
    said = {line["messages"][0]["content"] for line in lines(tmp_path / "a.jsonl")}
    assert said == {f"Number {n}?" for n in range(0, 20, 2)}


def test_redaction_reaches_messages_answers_and_labels_but_no_ids(
    run: Run, put: Put, tmp_path: Path
) -> None:
    (exchange_id,) = put(
        {
            "asked": "Mail ana@example.org or ring +44 20 7946 0958.",
            "answered": "Card 4111 1111 1111 1111 noted.",
            "user_id": "ana@example.org",
        }
    )
    target = tmp_path / "out.jsonl"
    assert run("export", "jsonl", "--out", str(target), "--last", "all", "--redact")[0] == 0
    (line,) = lines(target)
    assert line["messages"][0]["content"] == "Mail [email] or ring [phone]."
    assert line["answer"] == "Card [card] noted."
    assert line["labels"]["user_id"] == "[email]"
    assert line["id"] == exchange_id


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a.b+c@mail.example.co.uk!", "[email]!"),
        ("call (030) 901820-11 now", "call [phone] now"),
        ("+1-202-555-0143", "[phone]"),
        ("5500-0000-0000-0004", "[card]"),
        ("4111111111111112 fails its check", "4111111111111112 fails its check"),
        ("order 20261102 of 2026-11-02 12:30", "order 20261102 of 2026-11-02 12:30"),
        ("id 1234567890123", "id 1234567890123"),
        ("version 10.20.30.40", "version 10.20.30.40"),
        ("0000000000000000", "0000000000000000"),
        ("me@localhost", "me@localhost"),
    ],
)
def test_only_what_looks_like_personal_data_goes(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_long_texts_are_redacted_in_linear_time() -> None:
    hostile = "1 " * 50_000 + "a." * 50_000 + "x@" * 50_000
    assert len(redacted(hostile)) <= len(hostile)


def test_check_digits_of_cards() -> None:
    assert is_card("378282246310005")
    assert not is_card("378282246310006")


@pytest.mark.parametrize(
    ("document", "messages"),
    [
        (
            {"system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]},
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        ),
        (
            {
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "contents": [
                    {"role": "user", "parts": [{"text": "Hi"}]},
                    {"role": "model", "parts": [{"text": "Hello"}, {"text": "!"}]},
                ],
            },
            [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [{"text": "Hello"}, {"text": "!"}]},
            ],
        ),
        (
            {"instructions": "Be brief.", "input": "Hi"},
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        ),
        ({"input": [{"role": "user", "content": "Hi"}]}, [{"role": "user", "content": "Hi"}]),
        ({"input": ["one", "two"]}, [{"role": "user", "content": ["one", "two"]}]),
        ({"prompt": "Once upon"}, [{"role": "user", "content": "Once upon"}]),
        ({"contents": {"parts": None}}, [{"role": "user", "content": None}]),
        ({"contents": "text"}, []),
        ({"messages": "text"}, []),
        ({"something": 1}, None),
        ([1, 2], None),
        (
            {"input": [{"type": "text", "text": "Hi"}], "system_instruction": "Be brief."},
            [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            ],
        ),
        (
            {
                "input": [
                    {"type": "user_input", "content": "Hi"},
                    {"type": "model_output", "content": "Ho"},
                    {"role": "model", "content": "Ho"},
                    {"type": ["odd"]},
                ]
            },
            [
                {"type": "user_input", "content": "Hi", "role": "user"},
                {"type": "model_output", "content": "Ho", "role": "assistant"},
                {"content": "Ho", "role": "assistant"},
                {"type": ["odd"]},
            ],
        ),
        (None, None),
    ],
)
def test_messages_of_every_wire_format(document: Any, messages: Any) -> None:
    assert asked(document).messages == messages
