"""Live synthetic traffic: calls to the demo provider, through Meterline, until it is told to end.

Owns what such calls look like: features with their own models and lengths, users with a heavy
tail, streams and whole answers in three dialects, now and then an error.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

CALLS_PER_SECOND = 2.0
AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What one feature of an imagined product calls."""

    name: str
    share: float
    model: str
    speaks: str
    stream: bool
    words: int
    """Length of its prompts."""


FEATURES = (
    Feature(name="chat", share=5, model="gpt-4o", speaks="openai", stream=True, words=300),
    Feature(name="search", share=4, model="gpt-4o-mini", speaks="openai", stream=False, words=60),
    Feature(
        name="summarise",
        share=2,
        model="claude-haiku-4-5",
        speaks="anthropic",
        stream=False,
        words=1500,
    ),
    Feature(
        name="agent",
        share=2,
        model="claude-sonnet-4-5",
        speaks="anthropic",
        stream=True,
        words=900,
    ),
    Feature(
        name="classify",
        share=3,
        model="gemini-2.5-flash",
        speaks="gemini",
        stream=False,
        words=80,
    ),
)
TOPICS = ["invoices", "parcels", "recipes", "timetables", "refunds", "contracts", "gardens"]
FAULTS = ("429", "500", "cut=3", "slow=2")
FAULT_SHARE = 0.03


def run(url: str) -> int:
    """Send calls to the proxy at `url` until SIGTERM or SIGINT."""
    asyncio.run(_run(url))
    return 0


async def _run(url: str) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, told.set)
    chance = random.Random()
    under_way: set[asyncio.Task[None]] = set()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        for number in itertools.count():
            wait = chance.expovariate(CALLS_PER_SECOND)
            with suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), wait)
            if told.is_set():
                break
            if len(under_way) < AT_ONCE:
                task = asyncio.create_task(_call(session, url, number, chance))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _call(
    session: aiohttp.ClientSession, url: str, number: int, chance: random.Random
) -> None:
    feature = chance.choices(FEATURES, [f.share for f in FEATURES])[0]
    path, body = _request(feature, chance)
    headers = {
        "content-type": "application/json",
        "meterline-feature": feature.name,
        "meterline-user": f"user-{min(int(chance.paretovariate(0.9)), 400):03d}",
        "meterline-session": f"session-{number // 4}",
        "meterline-environment": "demo",
    }
    if feature.speaks == "anthropic":
        headers["anthropic-version"] = "2023-06-01"
    if chance.random() < FAULT_SHARE:
        headers["demo-fault"] = chance.choice(FAULTS)
    with suppress(aiohttp.ClientError, TimeoutError):
        async with session.post(
            f"{url}/demo{path}", data=orjson.dumps(body), headers=headers
        ) as reply:
            await reply.read()


def _request(feature: Feature, chance: random.Random) -> tuple[str, dict[str, Any]]:
    question = f"What should I know about {chance.choice(TOPICS)} and {chance.choice(TOPICS)}?"
    system = f"You are the {feature.name} assistant. " + "Answer briefly and kindly. " * (
        feature.words // 4
    )
    if feature.speaks == "gemini":
        return f"/v1beta/models/{feature.model}:generateContent", {
            "systemInstruction": {"parts": [{"text": system}]},
            "contents": [{"role": "user", "parts": [{"text": question}]}],
        }
    messages = [{"role": "user", "content": question}]
    if feature.speaks == "anthropic":
        return "/v1/messages", {
            "model": feature.model,
            "max_tokens": 500,
            "system": [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}],
            "messages": messages,
            "stream": feature.stream,
        }
    body: dict[str, Any] = {
        "model": feature.model,
        "messages": [{"role": "system", "content": system}, *messages],
    }
    if feature.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return "/v1/chat/completions", body
