"""Requests that are wrong in some way: relayed exactly or refused clearly, each with a row."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, NamedTuple

import anthropic
import openai
import pytest

from tests.end_to_end.conftest import Setting
from tests.support.posted import Row, rows_of_test, wait_for_rows
from tests.support.scenarios import unlike

CHAT = "/openai/v1/chat/completions"
MESSAGES = "/anthropic/v1/messages"
GENERATE = "/gemini/v1beta/models/gemini-2.5-flash:generateContent"
GOOD = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}'


class Answer(NamedTuple):
    status: int
    headers: Any
    body: bytes


def send(url: str, body: bytes, test_id: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, method="POST")
    for name, value in {"x-test-id": test_id, "meterline-tag-test": test_id, **named}.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def row_of(setting: Setting, answer: Answer, test_id: str) -> Row:
    (row,) = rows_of_test(setting.at.store, test_id, 1)
    assert str(row["exchange_id"]) == answer.headers["meterline-exchange-id"]
    return row


BAD_BODIES = {
    "not JSON": b"{not json",
    "cut": GOOD[:-7],
    "empty": b"",
    "a list": b"[1, 2]",
    "text": b'"hello"',
    "bad UTF-8": b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "a NUL": b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "\x00"}]}',
    "a lone surrogate": GOOD.replace(b"Hi", rb"\ud800"),
    "no messages": b'{"model": "gpt-4o-mini"}',
    "messages of a wrong type": b'{"model": "gpt-4o-mini", "messages": 7}',
    "a model of a wrong type": b'{"model": ["x"], "messages": [{"role": "user"}]}',
    "deep": b'{"model": "gpt-4o-mini", "messages": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "huge numbers": GOOD[:-1] + b', "max_tokens": 1e400, "n": 123456789012345678901234567890}',
}


PATHS = (CHAT, MESSAGES, GENERATE)
CASES = [(name, path) for path in PATHS for name in BAD_BODIES]


@pytest.fixture(scope="module")
def answers(setting: Setting) -> dict[tuple[str, str], tuple[Answer, Answer]]:
    """What the provider answers to each bad body, and what it answers through Meterline."""
    made = {}
    for name, path in CASES:
        straight = setting.alone.url + "/" + path.split("/", 2)[2]
        urls = (straight, setting.at.url + path)
        first, second = (send(url, BAD_BODIES[name], f"bad {name} {path}") for url in urls)
        made[name, path] = first, second
    return made


@pytest.mark.parametrize(("name", "path"), CASES)
def test_a_bad_body_is_relayed_exactly_and_has_a_row(
    setting: Setting, answers: dict[tuple[str, str], tuple[Answer, Answer]], name: str, path: str
) -> None:
    straight, answer = answers[name, path]
    test_id = f"bad {name} {path}"
    row = row_of(setting, answer, test_id)
    (entry,) = setting.behind.ledger(test_id)
    wanted = {
        "status": straight.status,
        "outcome": "completed" if straight.status < 400 else "provider_error",
        "request_body": BAD_BODIES[name],
        "response_body": answer.body,
        "request_bytes": entry["request_bytes"],
        "attempts": 1,
    }
    assert unlike(row, wanted) == {}
    assert answer.status == straight.status
    if straight.status >= 400:
        assert shape(answer.body) == shape(straight.body)
        assert row["error_message"]
        assert row["cost_usd"] is None


def shape(body: bytes) -> dict[str, Any]:
    """The answer without what is new in each."""
    return {k: v for k, v in json.loads(body).items() if k != "request_id"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["not JSON", "cut"])
def test_what_cannot_be_read_of_a_request_is_told_in_its_row(
    setting: Setting, answers: dict[tuple[str, str], tuple[Answer, Answer]], name: str, path: str
) -> None:
    row = row_of(setting, answers[name, path][1], f"bad {name} {path}")
    assert row["parse_error"]


def test_an_unknown_provider_is_refused_in_the_words_of_the_openai_sdk(setting: Setting) -> None:
    client = openai.OpenAI(
        api_key="sk-0123456789",
        base_url=f"{setting.at.url}/nobody/v1",
        max_retries=0,
    )
    with client, pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}]
        )
    assert caught.value.code == "unknown_provider"
    assert "no provider is named 'nobody'" in caught.value.message
    check_refusal(setting, caught.value.response.headers)


def test_an_unknown_provider_is_refused_in_the_words_of_the_anthropic_sdk(
    setting: Setting,
) -> None:
    client = anthropic.Anthropic(
        api_key="sk-ant-0123456",
        base_url=f"{setting.at.url}/nobody",
        max_retries=0,
    )
    with client, pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(
            model="claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
        )
    assert caught.value.body["type"] == "error"  # type: ignore[index]
    assert caught.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
    check_refusal(setting, caught.value.response.headers)


def test_an_unknown_provider_is_refused_in_the_words_of_gemini(setting: Setting) -> None:
    path = GENERATE.replace("gemini", "nobody", 1)
    answer = send(setting.at.url + path, b"{}", "unknown provider")
    assert answer.status == 404
    error = json.loads(answer.body)["error"]
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    check_refusal(setting, answer.headers)


def check_refusal(setting: Setting, headers: Any) -> None:
    row = row_with_id(setting, headers["meterline-exchange-id"])
    wanted = {
        "outcome": "refused",
        "status": 404,
        "error_type": "unknown_provider",
        "provider": None,
        "attempts": 0,
        "cost_usd": None,
        "cost_status": None,
    }
    assert unlike(row, wanted) == {}


def row_with_id(setting: Setting, exchange_id: str) -> Row:
    sql = "SELECT * FROM exchanges WHERE exchange_id = ?"
    (row,) = wait_for_rows(setting.at.store, sql, [exchange_id], 1)
    return row


def test_a_refused_call_reaches_no_provider_and_keeps_its_labels(setting: Setting) -> None:
    test_id = "refused with labels"
    answer = send(f"{setting.at.url}/nobody/v1/chat/completions", GOOD, test_id)
    row = row_with_id(setting, answer.headers["meterline-exchange-id"])
    assert setting.behind.ledger(test_id) == []
    assert row["tags"] == {"test": test_id}
