from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from analytics.commands.report import NAMES
from proxy.exchange import Content, Exchange
from tests.analytics.commands.conftest import NOW

Function = Callable[..., Any]
ARGUMENTS = {"whatif": ["--model", "gpt-4.1-mini"], "reconcile": ["bill.csv"]}


@pytest.fixture
def bill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bill.csv"
    path.write_text(f"date,model,cost\n{NOW.date()},gpt-4o-mini,25\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return path


def content(each: Exchange) -> Content:
    messages = [{"role": "user", "content": "Where is my parcel?"}]
    return Content(
        exchange_id=each.exchange_id,
        started_at=each.started_at,
        target="/v1/chat/completions",
        request_headers="[]",
        request_body=orjson.dumps({"model": "gpt-4o-mini", "messages": messages}),
    )


@pytest.fixture
def posted(post: Function) -> None:
    """Chat got dearer, and asked the same thing twice."""
    money = {"input_cost_usd": Decimal(9), "output_cost_usd": Decimal(1), "cost_usd": Decimal(10)}
    given = {"feature": "chat", "operation": "chat", "content": content, **money}
    before = {"started_at": NOW - timedelta(days=10), "input_tokens": 500}
    post({**given, **before}, given, {**given, "prompt_fingerprint": "f" * 16})


@pytest.mark.usefixtures("posted", "bill")
@pytest.mark.parametrize("name", NAMES)
def test_each_report_is_a_table_json_and_csv(run: Function, name: str) -> None:
    more = ARGUMENTS.get(name, [])
    table = run("report", name, *more)
    assert table.code == 0, table.err
    assert table.out.strip()
    parts = json.loads(run("report", name, *more, "--format", "json").out)
    assert len(parts) > 1
    first, rows = next(iter(parts.items()))
    read = list(csv.DictReader(io.StringIO(run("report", name, *more, "--format", "csv").out)))
    assert len(read) == len(rows)
    only = json.loads(run("report", name, *more, "--part", first, "--format", "json").out)
    assert only == rows


@pytest.mark.usefixtures("bill")
@pytest.mark.parametrize("name", NAMES)
def test_without_a_store_the_mend_is_told(run: Function, name: str) -> None:
    ran = run("report", name, *ARGUMENTS.get(name, []))
    assert ran.code == 1
    assert "meterline up" in ran.err


@pytest.mark.usefixtures("bill")
@pytest.mark.parametrize("name", NAMES)
def test_an_empty_store_is_no_fault(run: Function, post: Function, name: str) -> None:
    post()
    assert run("report", name, *ARGUMENTS.get(name, [])).code == 0


@pytest.mark.usefixtures("posted")
def test_options_may_stand_on_either_side_of_the_name(run: Function) -> None:
    before, after = ("--format", "csv", "change"), ("change", "--format", "csv")
    assert run("report", *before).out == run("report", *after).out


@pytest.mark.usefixtures("posted")
def test_a_change_is_told_in_words(run: Function) -> None:
    out = run("report", "change").out
    assert "The bill went from $10.00 to $20.00" in out
    assert "openai/gpt-4o-mini: input tokens per exchange 500 -> 1,000 (+100%)" in out


@pytest.mark.usefixtures("posted")
def test_filters_choose_the_exchanges(run: Function) -> None:
    assert "Nothing to compare" in run("report", "change", "--feature", "search").out


@pytest.mark.usefixtures("posted")
def test_a_bill_of_tokens_alone_is_shown_in_tokens(run: Function, bill: Path) -> None:
    day = NOW.date()
    bill.write_text(f"date,model,input tokens\n{day},gpt-4o-mini,123456\n", encoding="utf-8")
    shown = run("report", "reconcile", "bill.csv").out
    assert "123,456" in shown
    assert "billed input" in shown
    assert "by price" not in shown


@pytest.mark.usefixtures("posted")
def test_a_repeat_is_named_with_an_example(run: Function) -> None:
    findings = json.loads(run("report", "waste", "--part", "findings", "--format", "json").out)
    assert findings[0]["kind"] == "exact_duplicate"
    assert len(findings[0]["examples"]) == 1


@pytest.mark.usefixtures("posted", "bill")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("change", "--last", "soon"), "Write one like"),
        (("change", "--against", "soon"), "--against 'soon'"),
        (("change", "--last", "7d", "--against", "7d"), "overlap"),
        (("change", "--last", "all"), "give --against too"),
        (("change", "--by", "team"), "choose one of"),
        (("change", "--part", "none"), "choose one of summary"),
        (("waste", "--keep-answers", "0"), "more than 0"),
        (("whatif", "--model", "nonsuch"), "no price is known"),
        (("reconcile", "none.csv"), "No such file"),
        (("reconcile", "bill.csv", "--columns", "tag=Tag"), "write FIELD=HEADER"),
        (("reconcile", "bill.csv", "--columns", "day=Tag"), "there is no column 'Tag'"),
        (("reconcile", "bill.csv", "--utc-offset", "99"), "give hours"),
        (("anomalies", "--min-usd", "much"), "give an amount"),
    ],
)
def test_bad_input_is_told_with_what_is_right(
    run: Function, arguments: tuple[str, ...], told: str
) -> None:
    ran = run("report", *arguments)
    assert ran.code == 2
    assert told in ran.err


def test_a_prompt_cannot_steer_the_terminal(run: Function, post: Function) -> None:
    def evil(text: str) -> Callable[[Exchange], Content]:
        def made(each: Exchange) -> Content:
            messages = [{"role": "system", "content": text}, {"role": "user", "content": "Hi"}]
            body = orjson.dumps({"model": "gpt-4o-mini", "messages": messages})
            return Content(
                exchange_id=each.exchange_id,
                started_at=each.started_at,
                target="/v1/chat/completions",
                request_headers="[]",
                request_body=body,
            )

        return made

    given = {"feature": "\x1b[31mred"}
    post(
        {**given, "prompt_fingerprint": "a" * 16, "content": evil("\x1b[2J one")},
        {**given, "prompt_fingerprint": "b" * 16, "content": evil("\x1b[2J two\u202e")},
    )
    shown = run("report", "prompts").out
    assert "+\\x1b[2J two\\u202e" in shown
    assert "\x1b" not in shown
    assert "\x1b" not in run("report", "prompts", "--format", "json").out


def test_missing_usage_names_the_client_and_its_line_of_code(run: Function, post: Function) -> None:
    stream = {"stream": True, "client": "OpenAI/Python 3.54.0", "dialect": "openai_chat"}
    silent = {**stream, "usage_source": None, "cost_status": "unpriced"}
    post(silent, {**stream, "usage_source": "provider", "cost_status": "priced"})
    out = run("report", "missing-usage").out
    assert "OpenAI/Python 3.54.0" in out
    assert 'stream_options={"include_usage": True}' in out
    assert "ChatOpenAI(..., stream_usage=True)" in out
    assert "inject_stream_usage" in out


def test_without_missing_usage_it_says_so(run: Function, post: Function) -> None:
    post({"stream": True, "usage_source": "provider", "cost_status": "priced"})
    assert "Every completed stream reported its usage." in run("report", "missing-usage").out


@pytest.mark.usefixtures("posted")
@pytest.mark.parametrize("name", ["change", "prompts", "waste", "whatif", "anomalies"])
def test_where_no_exchange_is_selected_it_is_said_and_no_empty_table_shown(
    run: Function, name: str
) -> None:
    out = run("report", name, *ARGUMENTS.get(name, []), "--feature", "nope").out
    assert "No exchange is in the window, or none that the filters let through." in out
    assert "---" not in out
    assert "$0.00" not in out


@pytest.mark.usefixtures("posted")
def test_a_share_of_nothing_has_no_sign(run: Function) -> None:
    out = run("report", "change", "--part", "summary").out
    assert "-0.0%" not in out
    assert " 0.0%" in out
