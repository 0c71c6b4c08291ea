from __future__ import annotations

import shlex

from analytics.bodies import Body, Said
from dashboard.curl import command

ROW = {
    "provider": "openai",
    "method": "POST",
    "feature": "it's",
    "user_id": None,
    "session_id": None,
    "environment": None,
}


def said(body: bytes, gap: int | None = None) -> Said:
    headers = [("content-type", "application/json"), ("content-length", "9")]
    request = Body(headers=headers, data=body, gap=gap)
    return Said(
        target="/v1/chat/completions?x=1", request=request, response=request, answer_text=""
    )


def test_command_is_what_a_shell_reads_back() -> None:
    text = command("http://127.0.0.1:8080", ROW, said(b'{"a": "it\'s $HOME `id`"}'))
    assert text is not None
    words = shlex.split(text.replace("\\\n", ""))
    assert words[:2] == ["curl", "http://127.0.0.1:8080/openai/v1/chat/completions?x=1"]
    assert words[-2:] == ["--data-raw", '{"a": "it\'s $HOME `id`"}']
    assert "Meterline-Feature: it's" in words
    assert not any("content-length" in each for each in words)


def test_credential_is_named_and_never_shown() -> None:
    text = command("http://x", ROW, said(b"{}"))
    assert text is not None
    assert "Authorization: Bearer $OPENAI_API_KEY" in text


def test_request_that_was_not_kept_whole_has_no_command() -> None:
    assert command("http://x", ROW, said(b"{}", gap=1)) is None


def test_hostile_provider_stays_within_its_word() -> None:
    row = {**ROW, "provider": "x; rm -rf ~ $(id) `id`"}
    text = command("http://x", row, said(b"{}"))
    assert text is not None
    assert "$(id)" not in text.replace(
        "'http://x/x; rm -rf ~ $(id) `id`/v1/chat/completions?x=1'", ""
    )
