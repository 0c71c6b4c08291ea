"""Live synthetic traffic: calls to the demo provider, through Meterline, until it is told to end.

Owns how often such calls are made, and now and then a fault. The features, the people and the
words are those of the generator.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
from contextlib import suppress

import aiohttp

from sample_data.generator import bodies, features, wording
from sample_data.generator.asking import new_session, some_environment, user_message
from sample_data.generator.features import Feature
from sample_data.generator.people import People
from sample_data.generator.planned import Ask, labels

CALLS_PER_SECOND = 2.0
AT_ONCE = 20
FEATURES = (
    *(features.CHAT, features.SEARCH, features.SUMMARISE, features.AGENT, features.KNOWLEDGE),
    *(features.CLASSIFY, features.EXTRACT, features.TRANSLATE, features.BRIEFING, features.INDEX),
    features.UNTAGGED,
)
"""Those whose models the demo provider speaks."""
FAULTS = ("429", "500", "cut=3", "slow=2")
FAULT_SHARE = 0.03
_SEED, _DAYS = 7, 30
_LABEL_HEADERS = {
    "feature": "meterline-feature",
    "user_id": "meterline-user",
    "session_id": "meterline-session",
    "environment": "meterline-environment",
}


def run(url: str) -> int:
    """Send calls to the proxy at `url` until SIGTERM or SIGINT."""
    asyncio.run(_run(url))
    return 0


async def _run(url: str) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, told.set)
    chance, people = random.Random(), People(_SEED, _DAYS)
    under_way: set[asyncio.Task[None]] = set()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        for _ in itertools.count():
            wait = chance.expovariate(CALLS_PER_SECOND)
            with suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), wait)
            if told.is_set():
                break
            if len(under_way) < AT_ONCE:
                task = asyncio.create_task(_call(session, url, people, chance))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _call(
    session: aiohttp.ClientSession, url: str, people: People, chance: random.Random
) -> None:
    ask = some_ask(chance, people)
    headers = headers_of(ask)
    if chance.random() < FAULT_SHARE:
        headers["demo-fault"] = chance.choice(FAULTS)
    with suppress(aiohttp.ClientError, TimeoutError):
        address = f"{url}/demo{ask.model.target}"
        async with session.post(address, data=bodies.request(ask), headers=headers) as reply:
            await reply.read()


def some_ask(chance: random.Random, people: People) -> Ask:
    """A request of some feature, as often as the feature has sessions."""
    feature = chance.choices(FEATURES, [each.sessions for each in FEATURES])[0]
    is_tagged = feature.name is not None
    return Ask(
        feature=feature,
        model=feature.model,
        version="v1",
        system=wording.instructions(str(feature.name), feature.system_tokens),
        messages=(user_message(chance, feature),),
        person=people.pick(chance, _DAYS) if is_tagged else None,
        session_id=_session(chance, feature),
        environment=some_environment(chance) if is_tagged else None,
        limit=feature.limit,
    )


def _session(chance: random.Random, feature: Feature) -> str | None:
    return new_session(chance, feature) if feature.kind != "single" else None


def headers_of(ask: Ask) -> dict[str, str]:
    headers = dict(bodies.request_headers(ask.feature.client, ask.model.speaks))
    for name, value in labels(ask).items():
        headers[_LABEL_HEADERS.get(name) or f"meterline-tag-{name.removeprefix('tags.')}"] = value
    return headers
