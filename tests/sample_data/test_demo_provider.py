"""The providers' own SDKs against the demo provider."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pydantic
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from sample_data.demo_provider import start

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city", "unit"],
}
CHAT_TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}
USER: Any = [{"role": "user", "content": "Say something kind about Mondays."}]
ASKS_WEATHER: Any = [{"role": "user", "content": "How is the weather in Oslo?"}]
LONG = "A long and patient preface that every request begins with. " * 120


class Trip(pydantic.BaseModel):
    city: str
    days: int


@pytest.fixture
def oai(demo_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-x", base_url=f"{demo_url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(demo_url: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="sk-x", base_url=demo_url, max_retries=0) as client:
        yield client


@pytest.fixture
def gem(demo_url: str) -> Iterator[genai.Client]:
    client = genai.Client(api_key="x", http_options=types.HttpOptions(base_url=demo_url))
    with client:
        yield client


def test_chat_answers_with_a_dated_model_and_usage_that_adds_up(oai: openai.OpenAI) -> None:
    said = oai.chat.completions.create(model="gpt-4o-mini", messages=USER)
    assert said.model == "gpt-4o-mini-2024-07-18"
    assert said.choices[0].message.content
    assert said.choices[0].finish_reason == "stop"
    assert said.usage is not None
    assert said.usage.prompt_tokens > 8
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens


def test_chat_stream_says_what_the_whole_answer_says(oai: openai.OpenAI) -> None:
    whole = oai.chat.completions.create(model="gpt-4o", messages=USER)
    stream = oai.chat.completions.create(
        model="gpt-4o", messages=USER, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_chat_stream_without_include_usage_has_none(oai: openai.OpenAI) -> None:
    chunks = list(oai.chat.completions.create(model="gpt-4o", messages=USER, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_chat_stream_helper_accumulates_parallel_tool_calls(oai: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "Compare the weather in Oslo and Lima."}]
    with oai.chat.completions.stream(
        model="gpt-4o", messages=messages, tools=[CHAT_TOOL], n=2
    ) as stream:
        final = stream.get_final_completion()
    assert len(final.choices) == 2
    for choice in final.choices:
        assert choice.finish_reason == "tool_calls"
        calls = choice.message.tool_calls or []
        assert [json.loads(c.function.arguments)["city"] for c in calls] == ["Oslo", "Lima"]


def test_chat_tool_result_is_answered_in_words(oai: openai.OpenAI) -> None:
    first = oai.chat.completions.create(model="gpt-4o", messages=ASKS_WEATHER, tools=[CHAT_TOOL])
    calls = first.choices[0].message.tool_calls
    assert calls is not None
    result: Any = {"role": "tool", "tool_call_id": calls[0].id, "content": "4 degrees"}
    turn: Any = first.choices[0].message.model_dump(exclude_none=True)
    second = oai.chat.completions.create(
        model="gpt-4o", messages=[*ASKS_WEATHER, turn, result], tools=[CHAT_TOOL]
    )
    assert second.choices[0].message.content
    assert second.choices[0].finish_reason == "stop"


def test_chat_tools_are_called_only_where_asked_for(oai: openai.OpenAI) -> None:
    def finish(messages: Any, choice: Any) -> str:
        said = oai.chat.completions.create(
            model="gpt-4o", messages=messages, tools=[CHAT_TOOL], tool_choice=choice
        )
        return said.choices[0].finish_reason

    assert finish(USER, "auto") == "stop"
    assert finish(USER, "required") == "tool_calls"
    assert finish(ASKS_WEATHER, "none") == "stop"


def test_chat_parse_gets_json_of_the_schema_asked_for(oai: openai.OpenAI) -> None:
    said = oai.chat.completions.parse(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Plan a trip to Kyoto"}],
        response_format=Trip,
    )
    parsed = said.choices[0].message.parsed
    assert parsed is not None
    assert parsed.city == "Kyoto"


def test_chat_reasoning_models_spend_reasoning_tokens_within_output(oai: openai.OpenAI) -> None:
    said = oai.chat.completions.create(model="o3-mini", messages=USER)
    assert said.usage is not None
    assert said.usage.completion_tokens_details is not None
    reasoning = said.usage.completion_tokens_details.reasoning_tokens
    assert reasoning is not None
    assert 0 < reasoning < said.usage.completion_tokens


def test_chat_limit_ends_the_answer_by_length(oai: openai.OpenAI) -> None:
    said = oai.chat.completions.create(model="gpt-4o", messages=USER, max_completion_tokens=5)
    assert said.choices[0].finish_reason == "length"
    assert said.usage is not None
    assert said.usage.completion_tokens == 5


def test_chat_reports_cached_tokens_once_a_long_prefix_was_seen(oai: openai.OpenAI) -> None:
    def cached(question: str) -> int | None:
        messages: Any = [
            {"role": "system", "content": LONG},
            {"role": "user", "content": question},
        ]
        said = oai.chat.completions.create(model="gpt-4.1-nano", messages=messages)
        assert said.usage is not None
        assert said.usage.prompt_tokens_details is not None
        return said.usage.prompt_tokens_details.cached_tokens

    assert cached("first") == 0
    again = cached("second")
    assert again is not None
    assert again >= 1024
    assert again % 128 == 0


def test_chat_echoes_unknown_models_and_the_service_tier(oai: openai.OpenAI) -> None:
    said = oai.chat.completions.create(model="house-model", messages=USER, service_tier="flex")
    assert (said.model, said.service_tier) == ("house-model", "flex")


def test_responses_stream_accumulates_to_the_whole_answer(oai: openai.OpenAI) -> None:
    whole = oai.responses.create(model="gpt-5", input="Tell me about rain")
    with oai.responses.stream(model="gpt-5", input="Tell me about rain") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-1] == "response.completed"
    assert final.output_text == whole.output_text
    assert final.usage == whole.usage
    assert final.usage is not None
    assert final.usage.output_tokens_details.reasoning_tokens > 0
    assert [item.type for item in final.output] == ["reasoning", "message"]


def test_responses_stream_calls_functions(oai: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}
    with oai.responses.stream(
        model="gpt-4.1", input="What is the weather in Lagos?", tools=[tool]
    ) as stream:
        final = stream.get_final_response()
    call = final.output[0]
    assert call.type == "function_call"
    assert json.loads(call.arguments)["city"] == "Lagos"


def test_responses_parse_and_limit(oai: openai.OpenAI) -> None:
    parsed = oai.responses.parse(model="gpt-4.1", input="A trip to Lima", text_format=Trip)
    assert parsed.output_parsed is not None
    assert parsed.output_parsed.city == "Lima"
    cut = oai.responses.create(model="gpt-4.1", input="Tell me about rain", max_output_tokens=16)
    assert cut.status in ("incomplete", "completed")
    assert cut.usage is not None
    assert cut.usage.output_tokens <= 16


def test_embeddings_are_the_same_in_both_encodings(oai: openai.OpenAI) -> None:
    plain = oai.embeddings.create(
        model="text-embedding-3-small", input=["one", "two"], encoding_format="float"
    )
    packed = oai.embeddings.create(
        model="text-embedding-3-small", input=["one", "two"], encoding_format="base64"
    )
    assert len(plain.data) == 2
    assert len(plain.data[0].embedding) == 1536
    assert sum(x * x for x in plain.data[0].embedding) == pytest.approx(1, abs=1e-3)
    assert plain.usage == packed.usage
    small = oai.embeddings.create(model="text-embedding-3-small", input=[1, 2, 3], dimensions=8)
    assert len(small.data[0].embedding) == 8
    assert small.usage.prompt_tokens == 3


def test_models_are_listed_in_each_dialect(
    oai: openai.OpenAI, claude: anthropic.Anthropic, gem: genai.Client
) -> None:
    assert "gpt-4o-mini" in [model.id for model in oai.models.list()]
    assert oai.models.retrieve("gpt-4o").id == "gpt-4o"
    assert "claude-sonnet-4-5-20250929" in [model.id for model in claude.models.list()]
    assert "models/gemini-2.5-pro" in [model.name for model in gem.models.list()]
    with pytest.raises(openai.NotFoundError):
        oai.models.retrieve("nothing-of-the-kind")


def test_messages_stream_accumulates_to_the_whole_answer(claude: anthropic.Anthropic) -> None:
    whole = claude.messages.create(model="claude-haiku-4-5", max_tokens=500, messages=USER)
    with claude.messages.stream(model="claude-haiku-4-5", max_tokens=500, messages=USER) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert final.model == "claude-haiku-4-5-20251001"
    assert whole.content[0].type == "text"
    assert text == whole.content[0].text
    assert final.stop_reason == whole.stop_reason == "end_turn"
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.usage.input_tokens == whole.usage.input_tokens


def test_messages_tools_are_used_streamed_and_whole(claude: anthropic.Anthropic) -> None:
    asked: Any = {
        "model": "claude-haiku-4-5",
        "max_tokens": 200,
        "messages": ASKS_WEATHER,
        "tools": [{"name": "get_weather", "input_schema": WEATHER}],
    }
    whole = claude.messages.create(**asked)
    with claude.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    for message in (whole, final):
        assert message.stop_reason == "tool_use"
        block: Any = message.content[-1]
        assert block.type == "tool_use"
        assert block.input["city"] == "Oslo"


def test_messages_cache_is_written_then_read(claude: anthropic.Anthropic) -> None:
    def usage(question: str, ttl: str) -> anthropic.types.Usage:
        system: Any = [
            {
                "type": "text",
                "text": f"Kept for {ttl}. {LONG}",
                "cache_control": {"type": "ephemeral", "ttl": ttl},
            }
        ]
        messages: Any = [{"role": "user", "content": question}]
        return claude.messages.create(
            model="claude-opus-4-5", max_tokens=99, system=system, messages=messages
        ).usage

    for ttl in ("5m", "1h"):
        first, second = usage("one", ttl), usage("two", ttl)
        written = first.cache_creation_input_tokens
        assert written is not None
        assert written > 1024
        assert first.cache_read_input_tokens == 0
        assert second.cache_read_input_tokens == written
        assert second.cache_creation_input_tokens == 0
        assert first.cache_creation is not None
        assert getattr(first.cache_creation, f"ephemeral_{ttl}_input_tokens") == written


def test_messages_are_counted_as_they_are_billed(claude: anthropic.Anthropic) -> None:
    counted = claude.messages.count_tokens(model="claude-haiku-4-5", messages=USER)
    said = claude.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=USER)
    assert counted.input_tokens == said.usage.input_tokens
    assert said.stop_reason == "max_tokens"


def test_gemini_stream_says_what_the_whole_answer_says(gem: genai.Client) -> None:
    whole = gem.models.generate_content(model="gemini-2.5-flash", contents="Talk about tea")
    parts = list(
        gem.models.generate_content_stream(model="gemini-2.5-flash", contents="Talk about tea")
    )
    assert "".join(part.text or "" for part in parts) == whole.text
    used, last = whole.usage_metadata, parts[-1].usage_metadata
    assert used is not None
    assert last == used
    assert used.thoughts_token_count
    assert used.prompt_token_count is not None
    assert used.candidates_token_count is not None
    assert used.total_token_count == (
        used.prompt_token_count + used.candidates_token_count + used.thoughts_token_count
    )


def test_gemini_calls_functions_and_fills_schemas(gem: genai.Client) -> None:
    declared = types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER)
    tools: Any = [types.Tool(function_declarations=[declared])]
    said = gem.models.generate_content(
        model="gemini-2.5-pro",
        contents="How is the weather in Dublin?",
        config=types.GenerateContentConfig(tools=tools),
    )
    assert said.function_calls is not None
    args = said.function_calls[0].args
    assert args is not None
    assert args["city"] == "Dublin"
    trip = gem.models.generate_content(
        model="gemini-2.5-flash-lite",
        contents="A trip to Lima",
        config=types.GenerateContentConfig(
            response_mime_type="application/json", response_schema=Trip
        ),
    )
    assert isinstance(trip.parsed, Trip)


def test_gemini_counts_and_embeds(gem: genai.Client) -> None:
    counted = gem.models.count_tokens(model="gemini-2.5-flash", contents="Talk about tea")
    said = gem.models.generate_content(model="gemini-2.5-flash", contents="Talk about tea")
    assert said.usage_metadata is not None
    assert counted.total_tokens == said.usage_metadata.prompt_token_count
    for model in ("gemini-embedding-001", "gemini-embedding-2"):
        embedded = gem.models.embed_content(
            model=model,
            contents="tea",
            config=types.EmbedContentConfig(output_dimensionality=16),
        )
        assert embedded.embeddings is not None
        assert len(embedded.embeddings[0].values or []) == 16


# google-genai subclasses a class of aiohttp that does not like it.
@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
def test_async_sdks_stream_and_answer(demo_url: str) -> None:
    async def talk() -> None:
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{demo_url}/v1") as oai:
            said = await oai.chat.completions.create(model="gpt-4o", messages=USER)
            stream = await oai.chat.completions.create(model="gpt-4o", messages=USER, stream=True)
            text = "".join([c.choices[0].delta.content or "" async for c in stream])
            assert text == said.choices[0].message.content
            async with oai.responses.stream(model="gpt-4o", input="Hello") as events:
                assert (await events.get_final_response()).output_text
        async with (
            anthropic.AsyncAnthropic(api_key="k", base_url=demo_url) as claude,
            claude.messages.stream(
                model="claude-haiku-4-5", max_tokens=300, messages=USER
            ) as messages,
        ):
            assert await messages.get_final_text()
        options = types.HttpOptions(base_url=demo_url)
        async with genai.Client(api_key="k", http_options=options).aio as gem:
            parts = await gem.models.generate_content_stream(
                model="gemini-2.5-flash", contents="Talk about tea"
            )
            assert "".join([part.text or "" async for part in parts])

    asyncio.run(talk())


def test_sdks_raise_their_own_errors(
    oai: openai.OpenAI, claude: anthropic.Anthropic, gem: genai.Client
) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        oai.chat.completions.create(model="gpt-4o!429=7", messages=USER)
    assert limited.value.response.headers["retry-after"] == "7"
    assert limited.value.code == "rate_limit_exceeded"
    with pytest.raises(openai.AuthenticationError, match="sk-x"):
        oai.responses.create(model="gpt-4o!401", input="x")
    with pytest.raises(anthropic.APIStatusError) as overloaded:
        claude.messages.create(model="claude-haiku-4-5!529", max_tokens=9, messages=USER)
    assert overloaded.value.status_code == 529
    with pytest.raises(genai_errors.ServerError) as unavailable:
        gem.models.generate_content(model="gemini-2.5-pro!503", contents="x")
    assert unavailable.value.status == "UNAVAILABLE"


def test_sdks_see_an_error_in_the_middle_of_a_stream(
    oai: openai.OpenAI, claude: anthropic.Anthropic, gem: genai.Client
) -> None:
    with pytest.raises(openai.APIError, match="had an error"):
        list(
            oai.chat.completions.create(
                model="gpt-4o!error-in-stream=2", messages=USER, stream=True
            )
        )
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        claude.messages.stream(
            model="claude-haiku-4-5!error-in-stream", max_tokens=99, messages=USER
        ) as stream,
    ):
        stream.get_final_message()
    with pytest.raises(genai_errors.APIError, match="overloaded"):
        list(
            gem.models.generate_content_stream(
                model="gemini-2.5-pro!error-in-stream=1", contents="Talk about tea"
            )
        )


def test_it_can_be_embedded_in_a_running_loop() -> None:
    async def embed() -> None:
        demo = await start("127.0.0.1", 0, 0)
        try:
            async with openai.AsyncOpenAI(
                api_key="k", base_url=f"http://127.0.0.1:{demo.port}/v1"
            ) as client:
                said = await client.chat.completions.create(model="gpt-4o", messages=USER)
                assert said.choices[0].message.content
        finally:
            await demo.close()
            await demo.close()

    asyncio.run(embed())


def test_a_pace_makes_the_answer_take_its_time(demo_url: str) -> None:
    body = json.dumps({"model": "gpt-4o", "messages": USER}).encode()
    request = urllib.request.Request(f"{demo_url}/v1/chat/completions", body, {"demo-pace": "1000"})
    with pytest.raises(TimeoutError):
        urllib.request.urlopen(request, timeout=0.3)


def test_a_bad_pace_is_refused_on_the_command_line() -> None:
    command = [sys.executable, "-m", "sample_data.demo_provider", "--pace", "-1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "--pace" in ended.stderr
