"""The openai package, straight and through Meterline: the same results, and rows that agree."""

from __future__ import annotations

import time
from decimal import Decimal
from functools import partial
from typing import Any

import openai
import pydantic
import pytest

from tests.end_to_end.conftest import Setting
from tests.support.posted import rows_of_test
from tests.support.scenarios import (
    BARE,
    CUT_OFF,
    ESTIMATED,
    FROM_PATH,
    LABELLED,
    MODES,
    PRICED_AS,
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

PRICES = {  # USD per million tokens, as OpenAI publishes them; it charges nothing for cache writes
    "gpt-4o-mini": ("0.15", "0.075", "0", "0", "0.60"),
    "gpt-4o": ("2.50", "1.25", "0", "0", "10"),
    "gpt-5-mini": ("0.25", "0.025", "0", "0", "2"),
    "gpt-5-mini, flex": ("0.125", "0.0125", "0", "0", "1"),
    "text-embedding-3-small": ("0.02", "0", "0", "0", "0"),
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
RESPONSE_TOOL: Any = {"type": "function", "name": "get_weather", "parameters": SCHEMA}
SAY: Any = [{"role": "user", "content": "Say something kind about Mondays."}]
WEATHER: Any = [{"role": "user", "content": "Compare the weather in Oslo and Lima."}]
LONG: Any = [{"role": "system", "content": "A patient preface to every request. " * 160}, *SAY]
COUNTED = {"include_usage": True}


class Trip(pydantic.BaseModel):
    city: str
    days: int


def chat(client: Any, messages: Any = SAY, model: str = "gpt-4o-mini", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=messages, **more)


def fault(name: str) -> dict[str, Any]:
    return {"extra_headers": {"demo-fault": name}}


def refused(status: int, kind: str, **row: Any) -> Scenario:
    return Scenario(
        call=lambda c: chat(c, **fault(f"{status}=0.05")), row={"error_type": kind, **row}
    )


CHAT = {"dialect": "openai_chat", "operation": "chat", "provider": "openai"}
RESPONSES = {"dialect": "openai_responses", "operation": "chat", "provider": "openai"}
TOOLS = {"tool_names": ["get_weather", "get_weather"], "tool_call_count": 2}
STOPPED = {"finish_reasons": ["stop"], "tool_call_count": 0}
CALLED = {"finish_reasons": ["tool_calls"], **TOOLS}
INCOMPLETE = Containing("incomplete JSON")

SCENARIOS = {
    "whole": Scenario(
        call=chat,
        row={**CHAT, **STOPPED, "response_model": "gpt-4o-mini-2024-07-18", "message_count": 1},
    ),
    "stream": Scenario(
        call=lambda c: chat(c, stream=True, stream_options=COUNTED), row={**CHAT, **STOPPED}
    ),
    "several choices": Scenario(
        call=lambda c: chat(c, n=3, stream=True, stream_options=COUNTED),
        row={**CHAT, "finish_reasons": ["stop"] * 3},
    ),
    "tools": Scenario(call=lambda c: chat(c, WEATHER, tools=[CHAT_TOOL]), row={**CHAT, **CALLED}),
    "tools streamed": Scenario(
        call=lambda c: chat(c, WEATHER, tools=[CHAT_TOOL], stream=True, stream_options=COUNTED),
        row={**CHAT, **CALLED},
    ),
    "parsed": Scenario(
        call=lambda c: c.chat.completions.parse(model="gpt-4o", messages=SAY, response_format=Trip),
        row={**CHAT, **STOPPED},
    ),
    "stream helper": Scenario(
        call=lambda c: c.chat.completions.stream(
            model="gpt-4o", messages=SAY, response_format=Trip, stream_options=COUNTED
        ),
        row={**CHAT, **STOPPED},
    ),
    "reasoning": Scenario(call=lambda c: chat(c, model="gpt-5-mini"), row=CHAT),
    "cached once": Scenario(call=lambda c: chat(c, LONG, model="gpt-4o"), row=CHAT),
    "cached twice": Scenario(call=lambda c: chat(c, LONG, model="gpt-4o"), row=CHAT),
    "cheaper tier": Scenario(
        call=lambda c: chat(c, model="gpt-5-mini", service_tier="flex"),
        row={**CHAT, "service_tier": "flex", PRICED_AS: "gpt-5-mini, flex"},
    ),
    "cut by length": Scenario(
        call=lambda c: chat(c, max_completion_tokens=5),
        row={**CHAT, "finish_reasons": ["length"], "output_tokens": 5},
    ),
    "raw": Scenario(
        call=lambda c: c.chat.completions.with_raw_response.create(
            model="gpt-4o-mini", messages=SAY
        ),
        row=CHAT,
    ),
    "labelled": Scenario(
        call=lambda c: chat(
            c,
            user="from-body",
            metadata={"team": "blue"},
            store=True,
            extra_headers={"Meterline-Feature": "search", "Meterline-Tag-Team": "red"},
        ),
        row={**CHAT, "feature": "search", "user_id": "from-body"},
    ),
    "response": Scenario(
        call=lambda c: c.responses.create(model="gpt-4o-mini", input="Say something kind."),
        row={**RESPONSES, "finish_reasons": ["completed"], "tool_call_count": 0},
    ),
    "response streamed": Scenario(
        call=lambda c: c.responses.create(
            model="gpt-5-mini", input="Say something kind.", stream=True
        ),
        row=RESPONSES,
    ),
    "response parsed": Scenario(
        call=lambda c: c.responses.parse(model="gpt-4o", input="A trip to Rome", text_format=Trip),
        row=RESPONSES,
    ),
    "response tools": Scenario(
        call=lambda c: c.responses.create(model="gpt-4o", input=WEATHER, tools=[RESPONSE_TOOL]),
        row={**RESPONSES, **TOOLS},
    ),
    "response tools streamed": Scenario(
        call=lambda c: c.responses.stream(model="gpt-4o", input=WEATHER, tools=[RESPONSE_TOOL]),
        row={**RESPONSES, **TOOLS},
    ),
    "embeddings": Scenario(
        call=lambda c: c.embeddings.create(
            model="text-embedding-3-small", input=["one", "two"], dimensions=8
        ),
        row={"dialect": "openai_embeddings", "operation": "embeddings", "output_tokens": 0},
    ),
    "embeddings as numbers": Scenario(
        call=lambda c: c.embeddings.create(
            model="text-embedding-3-small", input="one", encoding_format="float"
        ),
        row={"operation": "embeddings", "output_tokens": 0},
    ),
    "list of models": Scenario(
        call=lambda c: c.models.list(), row={"provider": "openai", "cost_status": None}
    ),
    "nobody's path": Scenario(
        call=lambda c: c.get("/nowhere", cast_to=object),
        row={"error_type": "http_404", "dialect": None},
    ),
    "400": refused(400, "invalid_request_error"),
    "401": refused(401, "invalid_api_key"),
    "429": refused(429, "rate_limit_exceeded"),
    "500": refused(500, "server_error"),
    "503": refused(503, "service_unavailable"),
    "529": refused(529, "overloaded"),
    "retried in vain": Scenario(
        call=lambda c: chat(c, **fault("429=0.05")),
        options={"max_retries": 2},
        requests=3,
        row={**CHAT, "error_type": "rate_limit_exceeded"},
    ),
    "refused stream": Scenario(
        call=lambda c: chat(c, stream=True, **fault("429=0.05")),
        row={**CHAT, "stream": True, "error_type": "rate_limit_exceeded"},
    ),
    "stream without usage": Scenario(
        call=lambda c: chat(c, stream=True),
        row={**CHAT, **STOPPED, **ESTIMATED},
    ),
    "too slow": Scenario(
        call=lambda c: chat(c, **fault("slow=5")),
        options={"timeout": 0.4},
        row={**CHAT, "status": None, "outcome": "client_disconnected", "response_bytes": 0},
    ),
    "too slow in the stream": Scenario(
        call=lambda c: chat(c, stream=True, stream_options=COUNTED, **fault("drip=5")),
        options={"timeout": 0.4},
        row={**CHAT, **UNKNOWN_COST, "outcome": "client_disconnected"},
    ),
    "closed by the client": Scenario(
        call=lambda c: chat(c, stream=True, **fault("drip=0.03")),
        stop_after=6,
        row={**CHAT, "outcome": "client_disconnected", **ESTIMATED},
    ),
    "error in the stream": Scenario(
        call=lambda c: chat(c, stream=True, stream_options=COUNTED, **fault("error-in-stream=4")),
        row={**CHAT, **UNKNOWN_COST, "outcome": "provider_error", "error_type": "server_error"},
    ),
    "stream cut off": Scenario(
        call=lambda c: chat(c, stream=True, **fault("cut=4")),
        row={**CHAT, **CUT_OFF, **ESTIMATED},
    ),
    "answer cut off": Scenario(
        call=lambda c: chat(c, **fault("cut")),
        row={**CHAT, **CUT_OFF, **UNKNOWN_COST, "parse_error": INCOMPLETE},
    ),
    "garbled": Scenario(
        call=lambda c: chat(c, **fault("bad-json")),
        row={**CHAT, **UNKNOWN_COST, "parse_error": INCOMPLETE},
    ),
    "garbled in the stream": Scenario(
        call=lambda c: chat(c, stream=True, stream_options=COUNTED, **fault("bad-json")), row=CHAT
    ),
    "empty": Scenario(call=lambda c: chat(c, **fault("empty")), row={**CHAT, **UNKNOWN_COST}),
    "no connection": Scenario(
        call=lambda c: chat(c, **fault("reset")),
        same=False,
        row={
            **CHAT,
            "status": None,
            **CUT_OFF,
            "response_bytes": 0,
        },
    ),
}

IN_EVERY_FORM = ("whole", "stream", "response", "embeddings", "401")


def sdk_client(base_url: str, headers: dict[str, str], **options: Any) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(verify=TLS)
    return openai.OpenAI(**_arguments(base_url, headers, {"http_client": http, **options}))


def sdk_async_client(base_url: str, headers: dict[str, str], **options: Any) -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(verify=TLS)
    return openai.AsyncOpenAI(**_arguments(base_url, headers, {"http_client": http, **options}))


def _arguments(base_url: str, headers: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    given = {"max_retries": 0, **options}
    return {"api_key": "sk-0123456789", "base_url": base_url, "default_headers": headers, **given}


def tokens(usage: dict[str, Any]) -> Tokens:
    """The ledger's usage as the columns mean it."""
    inputs = usage.get("prompt_tokens", usage.get("input_tokens"))
    outputs = usage.get("completion_tokens", usage.get("output_tokens"))
    input_details = usage.get("prompt_tokens_details", usage.get("input_tokens_details")) or {}
    details = usage.get("completion_tokens_details", usage.get("output_tokens_details")) or {}
    return {
        "input_tokens": inputs,
        "output_tokens": outputs,
        "cache_read_tokens": input_details.get("cached_tokens"),
        "cache_write_tokens": input_details.get("cache_write_tokens"),
        "reasoning_tokens": details.get("reasoning_tokens"),
    }


cost = partial(usd, PRICES)


@pytest.fixture(scope="module")
def calls(setting: Setting) -> Calls:
    sdk = Sdk(
        name="openai",
        provider_path="/openai/v1",
        bare_path="/v1",
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
    assert unlike(row, {**wanted, "provider": "openai", **labels}) == {}


def test_cached_input_has_its_own_column_and_price(calls: Calls) -> None:
    calls.seen("cached once")
    row = calls.row("cached twice")
    assert row["cache_read_tokens"] >= 1024
    fresh = row["input_tokens"] - row["cache_read_tokens"]
    at_list = Decimal("2.50") * fresh + Decimal("1.25") * row["cache_read_tokens"]
    assert row["input_cost_usd"] == at_list / 1_000_000


def test_the_raw_answer_bears_the_id_of_its_row(calls: Calls) -> None:
    assert calls.seen("raw").exchange_id == str(calls.row("raw")["exchange_id"])
    assert calls.seen("raw", "sync", STRAIGHT).exchange_id is None


def test_a_header_goes_before_the_body_as_a_label(calls: Calls) -> None:
    name = "labelled"
    by_header = {"test": calls.test_id(name, "sync", "through"), "team": "red"}
    by_path = {"test": calls.test_id(name, "sync", LABELLED), "team": "red"}
    through, labelled = calls.row(name), calls.row(name, "sync", LABELLED)
    keys = ("feature", "user_id", "tags")
    assert [through[key] for key in keys] == ["search", "from-body", by_header]
    assert [labelled[key] for key in keys] == ["search", "ana b", by_path]


def test_the_provider_sees_no_label_and_the_store_no_key(calls: Calls) -> None:
    row = calls.row("401")
    assert b"sk-0123456789" not in row["request_body"] + row["response_body"]
    assert "sk-0123456789" not in str(row)
    assert row["key_id"] == calls.row("whole")["key_id"]
    assert row["client"].startswith("OpenAI/Python")


@pytest.mark.parametrize("mode", MODES)
def test_what_was_seen_of_a_stream_that_the_client_closed_is_kept(calls: Calls, mode: Mode) -> None:
    seen, row = calls.seen("closed by the client", mode), calls.row("closed by the client", mode)
    texts = [part[1]["choices"][0]["delta"]["content"] or "" for part in seen.parts]
    body = row["response_body"].decode()
    assert len(texts) == 6
    assert all(f'"content":"{text}"' in body for text in texts if text)
    assert "[DONE]" not in body
    (entry,) = calls.entries("closed by the client", mode)
    assert entry["sent"] is False


def test_a_retry_that_succeeds_has_a_row_for_each_try(setting: Setting) -> None:
    faults = iter(["503=0.05", "reset", "slow=0"])

    def ask_for_a_fault(request: Any) -> None:
        request.headers["demo-fault"] = next(faults)

    test_id = "openai retried"
    http = openai.DefaultHttpxClient(event_hooks={"request": [ask_for_a_fault]})
    headers = {"meterline-tag-test": test_id}
    with sdk_client(
        f"{setting.at.url}/openai/v1", headers, max_retries=2, http_client=http
    ) as client:
        answer = chat(client)
    assert answer.choices[0].finish_reason == "stop"
    rows = rows_of_test(setting.at.store, test_id, 3)
    assert [row["outcome"] for row in rows] == ["provider_error", "upstream_failed", "completed"]
    assert [row["status"] for row in rows] == [503, None, 200]


def test_a_row_can_be_read_soon_after_the_answer(
    setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = []
    with sdk_client(f"{setting.at.url}/openai/v1", {}) as client:
        for number in range(3):
            test_id = f"openai fresh {number}"
            chat(client, extra_headers={"meterline-tag-test": test_id})
            answered = time.monotonic()
            assert len(rows_of_test(setting.at.store, test_id, 1)) == 1
            waits.append(time.monotonic() - answered)
    with capsys.disabled():
        print("\nrow visible after", *(f"{wait:.2f}" for wait in waits), "s")
