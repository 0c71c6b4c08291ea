"""Route: simple tasks go to the cheaper model, and a session keeps what its provider has cached."""

from __future__ import annotations

import orjson
import pytest

from tests.proxy.policies.conftest import Ruled, actions, chat, closed
from tests.support.raw import FakeProvider, Message, Script, Wire, answer
from tests.support.services import Provider

EASY = """
[[rules]]
name = "easy"
when = { model = "gpt-4.1", difficulty_below = 40 }
route = { to = "openai/gpt-4.1-mini", sticky = "STICKY" }
"""
HARD = "Why does it fail? Debug it, prove the cause, compare two designs.\n```\nx = 1;\n```" + (
    " word" * 1300
)


def asked_for(message: Message) -> str:
    return str(orjson.loads(message.body)["model"])


def used(prompt: int, cached: int) -> Script:
    """Answers with this usage."""
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    said = {"choices": [{"index": 0, "message": {"content": "Hi"}}], "usage": usage}

    def script(wire: Wire, message: Message) -> None:
        body = orjson.dumps({"model": asked_for(message), **said})
        wire.send(answer(body))

    return script


def session(name: str) -> list[tuple[str, str]]:
    return [("Meterline-Session", name)]


def test_an_easy_task_goes_to_the_cheaper_model_and_the_record_has_the_parts(
    ruled: Ruled, provider: FakeProvider
) -> None:
    proxy = ruled(EASY.replace("STICKY", "session"))
    (made,) = closed(proxy, chat(proxy.port, model="gpt-4.1")).decisions
    assert (made.policy, made.rule, made.action) == ("route", "easy", "sent to openai/gpt-4.1-mini")
    assert made.reason == "openai/gpt-4.1 was asked for; difficulty 0: nothing speaks for it"
    assert closed(proxy, chat(proxy.port, model="gpt-4.1", text=HARD)).decisions == []
    assert [asked_for(each) for each in provider.requests] == ["gpt-4.1-mini", "gpt-4.1"]


def test_a_session_keeps_its_model(ruled: Ruled, provider: FakeProvider) -> None:
    proxy = ruled(EASY.replace("STICKY", "session"))
    for name, texts in (("a", ("Hi", HARD)), ("b", (HARD, "Hi"))):
        for text in texts:
            chat(proxy.port, model="gpt-4.1", text=text, fields=session(name))
    asked = [asked_for(each) for each in provider.requests]
    assert asked == ["gpt-4.1-mini", "gpt-4.1-mini", "gpt-4.1", "gpt-4.1"]


def test_a_cached_prompt_is_weighed_before_a_switch(ruled: Ruled, provider: FakeProvider) -> None:
    rules = EASY.replace("STICKY", "none").replace("gpt-4.1-mini", "gpt-4.1-copy")
    prices = """
[[prices]]
model = "gpt-4.1-copy"
input_usd_per_mtok = 1
output_usd_per_mtok = 1
"""
    proxy = ruled(rules + prices)
    provider.script = used(900, 880)
    text = "word " * 700
    for number, model in enumerate(("gpt-4.1", "gpt-4.1")):
        hard = {"reasoning_effort": "high", "tools": [{}] * 20} if not number else {}
        record = closed(
            proxy, chat(proxy.port, model=model, text=text, fields=session("s"), **hard)
        )
    (made,) = record.decisions
    assert (made.policy, made.action) == ("route", "left it where it is")
    assert "tokens cached) here, and $" in made.reason
    fresh = closed(proxy, chat(proxy.port, model="gpt-4.1", text=text, fields=session("t")))
    assert actions(fresh) == [("route", "sent to openai/gpt-4.1-copy")]


@pytest.mark.parametrize("stream", [False, True])
def test_it_reads_what_the_demo_provider_had_cached(
    ruled: Ruled, demo: Provider, stream: bool
) -> None:
    rules = EASY.replace("STICKY", "none").replace(
        'gpt-4.1-mini"', 'gpt-4.1-mini", if_cheaper = true'
    )
    dear = """
[[prices]]
model = "gpt-4.1-mini"
input_usd_per_mtok = 1.5
output_usd_per_mtok = 6
"""
    proxy = ruled(rules + dear, tables={"providers.openai": {"base_url": demo.url}})
    text, name = f"{stream} " + "word " * 1400, session(f"warm-{stream}")
    more = {"stream_options": {"include_usage": True}} if stream else {}
    made = []
    for number in range(3):
        hard = {"tools": [_TOOL] * 20, "reasoning_effort": "high"} if number < 2 else {}
        answered = chat(
            proxy.port, model="gpt-4.1", text=text, fields=name, stream=stream, **more, **hard
        )
        made.append(actions(closed(proxy, answered)))
    assert made[:2] == [[], []]
    assert made[2] == [("route", "left it where it is")]


_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
