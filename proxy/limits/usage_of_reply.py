"""What an answer used, read from a copy of it while the call is still under way.

Owns the estimate where the provider says nothing, and for an answer that was cut: what was said
until then. The poster's figures are better; these are for limits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from proxy.calls.asked import CHARACTERS_PER_TOKEN, Asked
from proxy.facts import ReplyFacts, ReplyHead, Usage
from proxy.headers import RawHeaders, kind, text
from proxy.reading import Copied
from proxy.wire import coding


class Answered(Protocol):
    """The head of an answer."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> RawHeaders: ...


def read(asked: Asked, reply: Answered, copy: Copied) -> tuple[str | None, Usage]:
    """The model that answered, and the usage. Errors use nothing."""
    if reply.status >= 400 or asked.dialect is None:
        return None, Usage(input_tokens=0, output_tokens=0)
    facts = facts_of(asked, reply, copy)
    usage = facts.usage
    if usage is not None and usage.input_tokens is not None:
        if usage.output_tokens is None and facts.text is not None:
            usage = replace(usage, output_tokens=_tokens(len(facts.text())))
        return facts.model, usage
    said = len(facts.text()) if facts.text is not None else len(copy.data) // 2
    return facts.model, Usage(input_tokens=asked.input_tokens, output_tokens=_tokens(said))


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)


def facts_of(asked: Asked, reply: Answered, copy: Copied) -> ReplyFacts:
    """What the answer says; a dialect has to claim the call."""
    fields = {kind(name).name: text(value) for name, value in reply.headers}
    head = ReplyHead(
        status=reply.status, headers=fields, request=asked.head, request_facts=asked.facts
    )
    assert asked.dialect is not None
    reader = asked.dialect.reply_reader(head)
    codings = fields.get("content-encoding", "")
    if codings:
        reader.feed(coding.decode(copy.segments()[0], codings).data)
    else:
        for number, segment in enumerate(copy.segments()):
            if number:
                reader.gap()
            reader.feed(segment)
    return reader.finish()
