"""The anthropic package, straight and through Meterline: the same results, and rows that agree."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

import anthropic
import pydantic
import pytest

from tests.end_to_end.conftest import Setting
from tests.support.scenarios import (
    BARE,
    CUT_OFF,
    ESTIMATED,
    FROM_PATH,
    LABELLED,
    MODES,
    PARTIAL,
    STRAIGHT,
    UNKNOWN_COST,
    Calls,
    Containing,
    Mode,
    Scenario,
    Sdk,
    Tokens,
    expected,
    unlike,
    usd,
)
from tests.support.sdk_calls import TLS

MODEL = "claude-haiku-4-5"
PRICES = {  # USD per million tokens, as Anthropic publishes them
    MODEL: ("1", "0.10", "1.25", "2", "5"),
    "claude-opus-4-5": ("5", "0.50", "6.25", "10", "25"),
}
TOOL: Any = {
    "name": "get_weather",
    "description": "The weather of a place.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
SAY: Any = [{"role": "user", "content": "Say something kind about Mondays."}]
WEATHER: Any = [{"role": "user", "content": "Compare the weather in Oslo and Lima."}]
PREFACE = "A patient preface to every request. " * 160


class Trip(pydantic.BaseModel):
    city: str
    days: int


def say(client: Any, messages: Any = SAY, **more: Any) -> Any:
    given = {"model": MODEL, "max_tokens": 2000, "messages": messages, **more}
    return client.messages.create(**given)


def cached(client: Any, text: str, **control: str) -> Any:
    system = [
        {"type": "text", "text": text, "cache_control": {"type": "ephemeral", **control}},
        {"type": "text", "text": "Be brief."},
    ]
    return say(client, system=system)


def fault(name: str) -> dict[str, Any]:
    return {"extra_headers": {"demo-fault": name}}


def refused(status: int, kind: str) -> Scenario:
    return Scenario(
        call=lambda c: say(c, **fault(f"{status}=0.05")), row={**MESSAGES, "error_type": kind}
    )


MESSAGES = {"dialect": "anthropic_messages", "operation": "chat", "provider": "anthropic"}
ENDED = {"finish_reasons": ["end_turn"], "tool_call_count": 0}
CALLED = {
    "finish_reasons": ["tool_use"],
    "tool_names": ["get_weather", "get_weather"],
    "tool_call_count": 2,
}
INCOMPLETE = Containing("incomplete JSON")

SCENARIOS = {
    "whole": Scenario(
        call=say,
        row={
            **MESSAGES,
            **ENDED,
            "response_model": "claude-haiku-4-5-20251001",
            "message_count": 1,
            "service_tier": "standard",
        },
    ),
    "dearer model": Scenario(call=lambda c: say(c, model="claude-opus-4-5"), row=MESSAGES),
    "stream": Scenario(call=lambda c: say(c, stream=True), row={**MESSAGES, **ENDED}),
    "stream helper": Scenario(
        call=lambda c: c.messages.stream(model=MODEL, max_tokens=2000, messages=SAY),
        row={**MESSAGES, **ENDED},
    ),
    "tools": Scenario(call=lambda c: say(c, WEATHER, tools=[TOOL]), row={**MESSAGES, **CALLED}),
    "tools streamed": Scenario(
        call=lambda c: say(c, WEATHER, tools=[TOOL], stream=True), row={**MESSAGES, **CALLED}
    ),
    "parsed": Scenario(
        call=lambda c: c.messages.parse(
            model=MODEL, max_tokens=2000, messages=SAY, output_format=Trip
        ),
        row={**MESSAGES, **ENDED},
    ),
    "written to the cache": Scenario(
        call=lambda c: cached(c, "5 minutes. " + PREFACE), row=MESSAGES
    ),
    "read from the cache": Scenario(
        call=lambda c: cached(c, "5 minutes. " + PREFACE), row=MESSAGES
    ),
    "written for an hour": Scenario(
        call=lambda c: cached(c, "1 hour. " + PREFACE, ttl="1h"), row=MESSAGES
    ),
    "streamed from the cache": Scenario(
        call=lambda c: say(
            c,
            system=[
                {"type": "text", "text": PREFACE, "cache_control": {"type": "ephemeral"}},
            ],
            stream=True,
        ),
        row=MESSAGES,
    ),
    "cut by length": Scenario(
        call=lambda c: say(c, max_tokens=5),
        row={**MESSAGES, "finish_reasons": ["max_tokens"], "output_tokens": 5},
    ),
    "raw": Scenario(
        call=lambda c: c.messages.with_raw_response.create(
            model=MODEL, max_tokens=2000, messages=SAY
        ),
        row=MESSAGES,
    ),
    "labelled": Scenario(
        call=lambda c: say(
            c,
            metadata={"user_id": "from-body"},
            extra_headers={"Meterline-Feature": "search", "Meterline-Session": "s-1"},
        ),
        row={**MESSAGES, "feature": "search", "user_id": "from-body", "session_id": "s-1"},
    ),
    "counted": Scenario(
        call=lambda c: c.messages.count_tokens(model=MODEL, messages=SAY),
        row={"dialect": "anthropic_messages", "provider": "anthropic", "cost_status": None},
    ),
    "list of models": Scenario(call=lambda c: c.models.list(), row={"provider": "anthropic"}),
    "400": refused(400, "invalid_request_error"),
    "401": refused(401, "authentication_error"),
    "429": refused(429, "rate_limit_error"),
    "500": refused(500, "api_error"),
    "503": refused(503, "api_error"),
    "529": refused(529, "overloaded_error"),
    "retried in vain": Scenario(
        call=lambda c: say(c, **fault("529=0.05")),
        options={"max_retries": 2},
        requests=3,
        row={**MESSAGES, "error_type": "overloaded_error"},
    ),
    "refused stream": Scenario(
        call=lambda c: say(c, stream=True, **fault("529=0.05")),
        row={**MESSAGES, "error_type": "overloaded_error"},
    ),
    "too slow": Scenario(
        call=lambda c: say(c, **fault("slow=5")),
        options={"timeout": 0.4},
        row={**MESSAGES, "status": None, "outcome": "client_disconnected", "response_bytes": 0},
    ),
    "closed by the client": Scenario(
        call=lambda c: say(c, stream=True, **fault("drip=0.03")),
        stop_after=8,
        row={**MESSAGES, **ESTIMATED, "outcome": "client_disconnected"},
    ),
    "error in the stream": Scenario(
        call=lambda c: say(c, stream=True, **fault("error-in-stream=4")),
        row={
            **MESSAGES,
            **PARTIAL,
            "outcome": "provider_error",
            "error_type": "overloaded_error",
        },
    ),
    "stream cut off": Scenario(
        call=lambda c: say(c, stream=True, **fault("cut=8")),
        row={**MESSAGES, **CUT_OFF, **ESTIMATED},
    ),
    "answer cut off": Scenario(
        call=lambda c: say(c, **fault("cut")),
        row={**MESSAGES, **CUT_OFF, **UNKNOWN_COST, "parse_error": INCOMPLETE},
    ),
    "garbled": Scenario(
        call=lambda c: say(c, **fault("bad-json")),
        row={**MESSAGES, **ESTIMATED, "parse_error": INCOMPLETE},
    ),
    "empty": Scenario(call=lambda c: say(c, **fault("empty")), row={**MESSAGES, **UNKNOWN_COST}),
    "no connection": Scenario(
        call=lambda c: say(c, **fault("reset")),
        same=False,
        row={**MESSAGES, **CUT_OFF, "status": None, "response_bytes": 0},
    ),
}

IN_EVERY_FORM = ("whole", "stream", "tools", "529")


def sdk_client(base_url: str, headers: dict[str, str], **options: Any) -> anthropic.Anthropic:
    http = anthropic.DefaultHttpxClient(verify=TLS)
    return anthropic.Anthropic(**_arguments(base_url, headers, {"http_client": http, **options}))


def sdk_async_client(
    base_url: str, headers: dict[str, str], **options: Any
) -> anthropic.AsyncAnthropic:
    http = anthropic.DefaultAsyncHttpxClient(verify=TLS)
    given = {"http_client": http, **options}
    return anthropic.AsyncAnthropic(**_arguments(base_url, headers, given))


def _arguments(base_url: str, headers: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    given = {"max_retries": 0, **options}
    return {"api_key": "sk-ant-01234567", "base_url": base_url, "default_headers": headers, **given}


def tokens(usage: dict[str, Any]) -> Tokens:
    """The ledger's usage as the columns mean it: all input in one number."""
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    return {
        "input_tokens": usage["input_tokens"] + read + written,
        "output_tokens": usage["output_tokens"],
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": usage["cache_creation"]["ephemeral_1h_input_tokens"],
    }


cost = partial(usd, PRICES)


@pytest.fixture(scope="module")
def calls(setting: Setting) -> Calls:
    sdk = Sdk(
        name="anthropic",
        provider_path="/anthropic",
        bare_path="",
        client=sdk_client,
        async_client=sdk_async_client,
    )
    return Calls(
        sdk=sdk,
        scenarios=SCENARIOS,
        alone=setting.alone,
        behind=setting.behind,
        at=setting.at,
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [name for name, each in SCENARIOS.items() if each.same])
def test_the_caller_sees_what_the_provider_would_have_shown(
    calls: Calls, name: str, mode: Mode
) -> None:
    straight, through = calls.seen(name, mode, STRAIGHT), calls.seen(name, mode)
    assert through.error == straight.error
    assert through.parts == straight.parts
    assert straight.parts or straight.error


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SCENARIOS)
def test_each_request_has_one_row_that_agrees_with_the_provider(
    calls: Calls, name: str, mode: Mode
) -> None:
    scenario = SCENARIOS[name]
    rows, entries = calls.rows(name, mode), calls.entries(name, mode)
    assert len(rows) == len(entries) == scenario.requests
    for row, entry in zip(rows, entries, strict=True):
        assert unlike(row, expected(row, entry, scenario, tokens, cost)) == {}


@pytest.mark.parametrize("name", IN_EVERY_FORM)
@pytest.mark.parametrize("way", [BARE, LABELLED])
def test_other_forms_of_the_address_lead_to_the_same_answer(
    calls: Calls, name: str, way: str
) -> None:
    straight, seen = calls.seen(name, "sync", STRAIGHT), calls.seen(name, "sync", way)
    assert (seen.parts, seen.error) == (straight.parts, straight.error)


@pytest.mark.parametrize("name", IN_EVERY_FORM)
@pytest.mark.parametrize("way", [BARE, LABELLED])
def test_other_forms_of_the_address_have_the_same_rows(calls: Calls, name: str, way: str) -> None:
    (entry,) = calls.entries(name, "sync", way)
    row = calls.row(name, "sync", way)
    labels = FROM_PATH if way == LABELLED else {"feature": None, "user_id": None}
    wanted = expected(row, entry, SCENARIOS[name], tokens, cost)
    assert unlike(row, {**wanted, "provider": "anthropic", **labels}) == {}


def test_cache_writes_and_reads_have_their_own_columns_and_prices(calls: Calls) -> None:
    written, read = calls.row("written to the cache"), calls.row("read from the cache")
    hour = calls.row("written for an hour")
    assert written["cache_write_tokens"] >= 1024
    assert read["cache_read_tokens"] == written["cache_write_tokens"]
    assert hour["cache_write_1h_tokens"] == hour["cache_write_tokens"] >= 1024
    fresh = hour["input_tokens"] - hour["cache_write_tokens"]
    at_list = Decimal(1) * fresh + Decimal(2) * hour["cache_write_1h_tokens"]
    assert hour["input_cost_usd"] == at_list / 1_000_000


def test_the_raw_answer_bears_the_id_of_its_row(calls: Calls) -> None:
    assert calls.seen("raw").exchange_id == str(calls.row("raw")["exchange_id"])


@pytest.mark.parametrize("mode", MODES)
def test_what_was_seen_of_a_stream_that_the_client_closed_is_kept(calls: Calls, mode: Mode) -> None:
    seen, row = calls.seen("closed by the client", mode), calls.row("closed by the client", mode)
    texts = [part[1]["delta"]["text"] for part in seen.parts if "delta" in part[1]]
    body = row["response_body"].decode()
    assert len(texts) >= 4
    assert all(f'"text":"{text}"' in body for text in texts)
    assert "message_stop" not in body
