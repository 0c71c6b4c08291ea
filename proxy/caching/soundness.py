"""Whether a kept answer may be given again: no error in it, and its end is there.

Owns that judgement, from what the dialect reads. Providers begin a stream with 200 and may break it
off in good order, or end it with an error. Pure.
"""

from __future__ import annotations

from proxy.caching.answers import Answer
from proxy.caching.request_key import GENERATED
from proxy.calls.asked import Asked
from proxy.facts import ReplyFacts
from proxy.limits import usage_of_reply
from proxy.reading import Copied


def facts_of(asked: Asked, answer: Answer) -> ReplyFacts | None:
    """What a sound answer says; None where it is not sound."""
    facts = usage_of_reply.facts_of(asked, answer, Copied(answer.body))
    if facts.error_type is not None or facts.parse_error is not None:
        return None
    if asked.operation in GENERATED and not facts.finish_reasons:
        return None
    return facts


def is_sound(asked: Asked, answer: Answer) -> bool:
    if answer.is_sound is not None:
        return answer.is_sound
    return bool(answer.body) and facts_of(asked, answer) is not None
