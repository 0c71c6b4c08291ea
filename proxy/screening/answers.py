"""Answers through a guardrail: as a whole, or on their way.

Owns the choice between them, and what becomes of an answer that must not pass. A whole answer is
read before any of it goes on; a stream goes on as it is settled; with a checker of one's own it is
read as a whole, too.
"""

from __future__ import annotations

from functools import partial

from proxy.calls.call import Call, Reply
from proxy.errors import AnswerRefused, Refusal
from proxy.screening import looking
from proxy.screening.asking import verdict
from proxy.screening.bodies import Screened
from proxy.screening.checker import Send
from proxy.screening.growing import Growing
from proxy.screening.held_stream import documents, through
from proxy.screening.looking import UNREAD, look, note
from proxy.screening.masks import Masks
from proxy.screening.plan import Looks, Plan
from proxy.screening.replies import (
    Form,
    ScreenedStream,
    WholeReply,
    field,
    form_of,
    last_words,
    without,
)
from proxy.screening.screen import Screen, Wanted
from proxy.wire.coding import Decoder


class Answers:
    """Looks through answers."""

    def __init__(self, masks: Masks, send: Send) -> None:
        self._masks = masks
        self._send = send

    async def guarded(self, call: Call, plan: Plan, reply: Reply) -> Reply:
        """The answer as it goes on. Raises Refusal."""
        looks = plan.answer
        form = form_of(reply, call.method)
        if form == "other":
            return reply
        if form == "closed" or Decoder(field(reply.headers, "content-encoding")).error:
            if (why := looking.why_unread(call, looks, "answer")) is None:
                return reply
            raise _refused(reply, why, UNREAD)
        holds = looks.acts and not plan.observes
        if form != "whole" and not (holds and looks.webhooks):
            return self._on_its_way(call, looks, reply, form, holds=holds)
        return await self._whole(call, looks, reply, form)

    def _on_its_way(
        self, call: Call, looks: Looks, reply: Reply, form: Form, *, holds: bool
    ) -> Reply:
        screen = looks.screen if holds else looks.screen.noting()
        lines = form == "lines"

        def refuse(found: Wanted | None) -> AnswerRefused:
            if found is not None:
                return _refused(reply, looking.why_found(found, "answer"), "sensitive_content")
            why = looking.why_unread(call, looks, "answer")
            return _refused(reply, why or "the answer cannot be looked through", UNREAD)

        return ScreenedStream(
            reply,
            Growing(screen, self._masks, ends=holds),
            lines=lines,
            holds=holds,
            tell=partial(note, call, "answer"),
            refuse=refuse,
            strict=looks.strict is not None,
            ending=lambda refusal: last_words(call, lines=lines, refusal=refusal),
        )

    async def _whole(self, call: Call, looks: Looks, reply: Reply, form: Form) -> Reply:
        data = await _read(reply)
        if data is None:
            why = looking.why_unread(call, looks, "answer")
            raise _refused(reply, why or "the answer is too large to be looked through", UNREAD)
        result = await self._look(data, looks.screen, form)
        note(call, "answer", result.seen)
        if result.refused is not None:
            why = looking.why_found(result.refused, "answer")
            raise _refused(reply, why, "sensitive_content", result.data)
        for asked in looks.webhooks:
            shown = documents(result.data, form == "lines") if form != "whole" else result.data
            try:
                found = await verdict(call, asked, "answer", result.seen, shown, self._send)
            except Refusal as refusal:
                raise _refused(reply, str(refusal), refusal.error_type, result.data) from refusal
            if found is not None:
                result = await self._look(result.data, found, form)
                note(call, "answer", result.seen)
        return WholeReply(reply, result.data)

    async def _look(self, data: bytes, screen: Screen, form: Form) -> Screened:
        if form == "whole" or not screen:
            return await look(data, screen, self._masks)
        return through(data, screen, self._masks, lines=form == "lines")


async def _read(reply: Reply) -> bytes | None:
    """The whole body without content coding; None where it is too large or cannot be decoded."""
    codings = field(reply.headers, "content-encoding")
    decoder = Decoder(codings, max_bytes=looking.MOST_BYTES)
    found: list[bytes] = []
    while True:
        found.append(decoder.feed(await reply.read()))
        if decoder.error:
            return None
        if reply.complete:
            break
    return b"".join(found) if decoder.whole else None


def _refused(reply: Reply, message: str, error_type: str, kept: bytes = b"") -> AnswerRefused:
    fields = without(reply.headers, "content-length", "content-encoding")
    return AnswerRefused(message, error_type, answered=reply.status, fields=fields, kept=kept)
