"""What users, models and providers wrote is text, whatever it says."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from analytics import store
from dashboard.texts import literal, visible
from tests.dashboard.conftest import PAGES, Shown

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
IMAGE = "![seen](http://198.51.100.7/pixel.png)"
LINK = "[press](javascript:alert(1))"
BIDI = "user\u202egnp.exe"
HOSTILE = f"{SCRIPT} {IMAGE} {LINK} {BIDI}"


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Path, str]:
    """A store whose only exchange is hostile everywhere, and its id."""
    exchange_id = str(uuid.uuid4())
    request = {"model": HOSTILE, "messages": [{"role": "user", "content": HOSTILE}]}
    answer = {"choices": [{"message": {"role": "assistant", "content": HOSTILE}}]}
    now = datetime.now(UTC)
    labels = ("feature", "user_id", "session_id", "environment", "request_model", "response_model")
    more = ("error_message", "error_type", "client", "provider", "path")
    names = [*labels, *more]
    with store.write(tmp_path / store.NAME) as con:
        con.execute(
            f"INSERT INTO exchanges (exchange_id, started_at, outcome, status, cost_usd, "
            f"input_tokens, output_tokens, duration_seconds, attempts, tags, {', '.join(names)}) "
            "VALUES (?, ?, 'provider_error', 500, 1.5, 10, 10, 1.0, 1, "
            f"MAP {{'team': '{IMAGE}'}}, {', '.join('?' * len(names))})",
            [exchange_id, now, *[HOSTILE] * len(names)],
        )
        con.execute(
            "INSERT INTO contents (exchange_id, started_at, target, request_headers, request_body, "
            "response_headers, response_body) "
            "VALUES (?, ?, '/v1/chat/completions', '[]', ?, '[]', ?)",
            [exchange_id, now, orjson.dumps(request), orjson.dumps(answer)],
        )
    return tmp_path, exchange_id


@pytest.mark.parametrize("page", PAGES)
def test_page_never_passes_markdown_on(shown: Shown, hostile: tuple[Path, str], page: str) -> None:
    folder, exchange_id = hostile
    test = shown(folder)
    test.query_params["id"] = exchange_id
    test.switch_page(f"views/{page}.py").run()
    assert not test.exception
    read_as_markdown = [
        *(each.value for kind in (test.markdown, test.caption, test.info) for each in kind),
        *(each.value for kind in (test.warning, test.error) for each in kind),
        *(each.label for kind in (test.button, test.expander, test.metric) for each in kind),
        *(str(each.value) for each in test.metric),
    ]
    for given in read_as_markdown:
        text = re.sub(r"\\[!-/:-@\[-`{-~]", "", given)  # what is escaped is text
        assert "](" not in text, text
        assert "<img" not in text, text
        assert "\u202e" not in text, text


def test_exchange_shows_what_was_said_as_it_is(shown: Shown, hostile: tuple[Path, str]) -> None:
    folder, exchange_id = hostile
    test = shown(folder)
    test.query_params["id"] = exchange_id
    test.switch_page("views/exchange.py").run()
    said = [each.value for each in test.text]
    assert said.count(visible(HOSTILE)) == 2
    assert "user\\u202egnp.exe" in said[0]


def test_literal_leaves_no_sign_to_markdown() -> None:
    assert literal(IMAGE) == r"\!\[seen\]\(http\:\/\/198\.51\.100\.7\/pixel\.png\)"
    assert literal(":red[x] :material/bug:") == r"\:red\[x\] \:material\/bug\:"
