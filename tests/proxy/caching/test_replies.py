from __future__ import annotations

import asyncio

from proxy.caching.answers import Answer
from proxy.caching.replies import ReplayedReply

ANSWER = Answer(
    exchange_id="e",
    upstream="openai",
    model=None,
    reason="OK",
    headers=[],
    coding="",
    body=b"onetwo",
    ends=(3, 6),
    kept_at=0.0,
)


def test_the_end_of_an_answer_given_again_is_told_once_with_its_last_piece() -> None:
    async def scenario() -> None:
        reply, told = _watched()
        assert (await reply.read(), told) == (b"one", [])
        assert (await reply.read(), told) == (b"two", ["ended"])
        reply.close()
        assert told == ["ended"]

    asyncio.run(scenario())


def test_an_answer_that_is_not_read_to_its_end_is_told_when_it_is_closed() -> None:
    async def scenario() -> None:
        reply, told = _watched()
        await reply.read()
        reply.close()
        assert told == ["ended"]

    asyncio.run(scenario())


def _watched() -> tuple[ReplayedReply, list[str]]:
    reply, told = ReplayedReply(ANSWER, []), list[str]()
    reply.when_ended(lambda: told.append("ended"))
    return reply, told
