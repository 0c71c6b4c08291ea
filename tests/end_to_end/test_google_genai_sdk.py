"""The google-genai package, straight and through Meterline: the same results, rows that agree."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

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

with warnings.catch_warnings():  # the package subclasses what aiohttp does not want subclassed
    warnings.filterwarnings("ignore", "Inheritance class", DeprecationWarning)
    from google import genai
    from google.genai import types

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")

MODEL = "gemini-2.5-flash"
PRICES = {  # USD per million tokens, as Google publishes them for text
    MODEL: ("0.30", "0.03", "0", "0", "2.50"),
    "gemini-2.5-flash-lite": ("0.10", "0.01", "0", "0", "0.40"),
    "gemini-embedding-2": ("0.20", "0", "0", "0", "0"),
}
WEATHER_TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="The weather of a place.",
            parameters_json_schema={
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        )
    ]
)
SAY = "Say something kind about Mondays."
WEATHER = "Compare the weather in Oslo and Lima."
PREFACE = "A patient preface to every request. " * 160


class Trip(pydantic.BaseModel):
    city: str
    days: int


def options(**more: Any) -> Any:
    """A call's settings; `fault` goes into a header."""
    fault = more.pop("fault", None)
    if fault is not None:
        more["http_options"] = types.HttpOptions(headers={"demo-fault": fault})
    return types.GenerateContentConfig(**more) if more else None


def say(client: Any, contents: Any = SAY, model: str = MODEL, **more: Any) -> Any:
    return client.models.generate_content(model=model, contents=contents, config=options(**more))


def stream(client: Any, contents: Any = SAY, **more: Any) -> Any:
    return client.models.generate_content_stream(
        model=MODEL, contents=contents, config=options(**more)
    )


def refused(status: int, kind: str) -> Scenario:
    return Scenario(
        call=lambda c: say(c, fault=f"{status}=0.05"), row={**GENERATE, "error_type": kind}
    )


GENERATE = {"dialect": "gemini_generate", "operation": "generate_content", "provider": "gemini"}
STOPPED = {"finish_reasons": ["STOP"], "tool_call_count": 0}
CALLED = {
    "finish_reasons": ["STOP"],
    "tool_names": ["get_weather", "get_weather"],
    "tool_call_count": 2,
}
INCOMPLETE = Containing("incomplete JSON")
RETRIES = types.HttpRetryOptions(attempts=3, initial_delay=0.05, jitter=0.01)

SCENARIOS = {
    "whole": Scenario(
        call=say, row={**GENERATE, **STOPPED, "response_model": MODEL, "message_count": 1}
    ),
    "smaller model": Scenario(
        call=lambda c: say(c, model="gemini-2.5-flash-lite"), row={**GENERATE, **STOPPED}
    ),
    "stream": Scenario(call=stream, row={**GENERATE, **STOPPED}),
    "no thoughts": Scenario(
        call=lambda c: say(c, thinking_config=types.ThinkingConfig(thinking_budget=0)),
        row={**GENERATE, "reasoning_tokens": None},
    ),
    "tools": Scenario(
        call=lambda c: say(c, WEATHER, tools=[WEATHER_TOOL]), row={**GENERATE, **CALLED}
    ),
    "tools streamed": Scenario(
        call=lambda c: stream(c, WEATHER, tools=[WEATHER_TOOL]), row={**GENERATE, **CALLED}
    ),
    "parsed": Scenario(
        call=lambda c: say(c, response_mime_type="application/json", response_schema=Trip),
        row={**GENERATE, **STOPPED},
    ),
    "several candidates": Scenario(
        call=lambda c: say(c, candidate_count=2),
        row={**GENERATE, "finish_reasons": ["STOP", "STOP"]},
    ),
    "cached once": Scenario(call=lambda c: say(c, PREFACE), row=GENERATE),
    "cached twice": Scenario(call=lambda c: say(c, PREFACE), row=GENERATE),
    "cut by length": Scenario(
        call=lambda c: say(c, max_output_tokens=10),
        row={**GENERATE, "finish_reasons": ["MAX_TOKENS"], "output_tokens": 10},
    ),
    "embeddings": Scenario(
        call=lambda c: c.models.embed_content(model="gemini-embedding-2", contents=["one", "two"]),
        row={"provider": "gemini", "operation": "embeddings"},
    ),
    "counted": Scenario(
        call=lambda c: c.models.count_tokens(model=MODEL, contents=SAY),
        row={"provider": "gemini", "cost_status": None},
    ),
    "400": refused(400, "INVALID_ARGUMENT"),
    "401": refused(401, "UNAUTHENTICATED"),
    "429": refused(429, "RESOURCE_EXHAUSTED"),
    "500": refused(500, "INTERNAL"),
    "503": refused(503, "UNAVAILABLE"),
    "529": refused(529, "UNAVAILABLE"),
    "retried in vain": Scenario(
        call=lambda c: say(c, fault="503"),
        options={"retry_options": RETRIES},
        requests=3,
        row={**GENERATE, "error_type": "UNAVAILABLE"},
    ),
    "refused stream": Scenario(
        call=lambda c: stream(c, fault="429=0.05"),
        row={**GENERATE, "error_type": "RESOURCE_EXHAUSTED"},
    ),
    "too slow": Scenario(
        call=lambda c: say(c, fault="slow=5"),
        options={"timeout": 400},
        row={**GENERATE, "status": None, "outcome": "client_disconnected", "response_bytes": 0},
    ),
    "closed by the client": Scenario(
        call=lambda c: stream(c, fault="drip=0.05"),
        stop_after=2,
        row={**GENERATE, **ESTIMATED, "outcome": "client_disconnected"},
    ),
    "error in the stream": Scenario(
        call=lambda c: stream(c, fault="error-in-stream=2"),
        row={
            **GENERATE,
            **UNKNOWN_COST,
            "outcome": "provider_error",
            "error_type": "UNAVAILABLE",
        },
    ),
    "stream cut off": Scenario(
        call=lambda c: stream(c, fault="cut=2"), row={**GENERATE, **CUT_OFF, **ESTIMATED}
    ),
    "answer cut off": Scenario(
        call=lambda c: say(c, fault="cut"),
        row={**GENERATE, **CUT_OFF, **UNKNOWN_COST, "parse_error": INCOMPLETE},
    ),
    "garbled": Scenario(
        call=lambda c: say(c, fault="bad-json"),
        row={**GENERATE, **ESTIMATED, "parse_error": INCOMPLETE},
    ),
    "empty": Scenario(call=lambda c: say(c, fault="empty"), row={**GENERATE, **UNKNOWN_COST}),
    "no connection": Scenario(
        call=lambda c: say(c, fault="reset"),
        same=False,
        row={**GENERATE, **CUT_OFF, "status": None, "response_bytes": 0},
    ),
}

IN_EVERY_FORM = ("whole", "stream", "tools", "429")


def _client(base_url: str, headers: dict[str, str], given: dict[str, Any]) -> genai.Client:
    tls = {"client_args": {"verify": TLS}, "async_client_args": {"verify": TLS}}
    settings = {"retry_options": types.HttpRetryOptions(attempts=1), **tls, **given}
    http_options = types.HttpOptions(base_url=base_url, headers=headers, **settings)
    return genai.Client(api_key="AIza-0123456789", http_options=http_options)


@contextmanager
def sdk_client(base_url: str, headers: dict[str, str], **given: Any) -> Iterator[Any]:
    with _client(base_url, headers, given) as client:
        yield client


@asynccontextmanager
async def sdk_async_client(
    base_url: str, headers: dict[str, str], **given: Any
) -> AsyncIterator[Any]:
    with _client(base_url, headers, given) as client:
        async with client.aio as async_client:
            yield async_client


def tokens(usage: dict[str, Any]) -> Tokens:
    """The ledger's usage as the columns mean it: thoughts are output."""
    thoughts = usage.get("thoughtsTokenCount")
    embedded = "candidatesTokenCount" not in usage
    return {
        "input_tokens": usage["promptTokenCount"],
        "output_tokens": None if embedded else usage["candidatesTokenCount"] + (thoughts or 0),
        "cache_read_tokens": usage.get("cachedContentTokenCount"),
        "reasoning_tokens": thoughts,
    }


cost = partial(usd, PRICES)


@pytest.fixture(scope="module")
def calls(setting: Setting) -> Calls:
    sdk = Sdk(
        name="google",
        provider_path="/gemini",
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
    assert unlike(row, {**wanted, "provider": "gemini", **labels}) == {}


@pytest.mark.parametrize("mode", MODES)
def test_the_answer_bears_the_id_of_its_row(calls: Calls, mode: Mode) -> None:
    assert calls.seen("whole", mode).exchange_id == str(calls.row("whole", mode)["exchange_id"])


def test_cached_input_has_its_own_column(calls: Calls) -> None:
    calls.seen("cached once")
    assert calls.row("cached twice")["cache_read_tokens"] >= 1024


@pytest.mark.parametrize("mode", MODES)
def test_what_was_seen_of_a_stream_that_the_client_closed_is_kept(calls: Calls, mode: Mode) -> None:
    seen, row = calls.seen("closed by the client", mode), calls.row("closed by the client", mode)
    first = seen.parts[0][1]["candidates"][0]["content"]["parts"][0]["text"]
    body = row["response_body"].decode()
    assert first in body
    assert "finishReason" not in body
