"""Answers on their way through a guardrail: held back, or watched.

Owns reading them piece by piece, and ending one in the words of its client's dialect. Refuses to
know rules: it is given what to look for, and tells what was found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import orjson

from proxy import errors
from proxy.calls.call import Call, Reply
from proxy.calls.passed import PassedReply
from proxy.errors import AnswerRefused, Speech
from proxy.headers import RawHeaders, kind, text
from proxy.screening.bodies import Seen
from proxy.screening.growing import Growing
from proxy.screening.held_stream import HeldStream
from proxy.screening.screen import Wanted
from proxy.wire.coding import Decoder

Form = Literal["events", "lines", "whole", "closed", "other"]
"""How an answer can be looked through: event by event, as a whole, not at all; `other`: it has no
text."""
_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl")
Tell = Callable[[Seen], None]
Refuse = Callable[[Wanted | None], AnswerRefused]
"""Makes the refusal, for this finding or because it cannot be looked through."""


def form_of(reply: Reply, method: str) -> Form:
    if reply.upgraded:
        return "closed"
    if method == "HEAD" or reply.status in (204, 304):
        return "other"
    given = field(reply.headers, "content-type").partition(";")[0].strip().lower()
    if given == "text/event-stream":
        return "events"
    if given in _LINES:
        return "lines"
    if given == "application/vnd.amazon.eventstream":
        return "closed"
    is_text = given in ("", "application/json") or given.startswith("text/")
    return "whole" if is_text or given.endswith("+json") else "other"


def field(fields: RawHeaders, wanted: str) -> str:
    return next((text(value) for name, value in fields if kind(name).name == wanted), "")


def without(fields: RawHeaders, *names: str) -> list[tuple[bytes, bytes]]:
    return [each for each in fields if kind(each[0]).name not in names]


class WholeReply(PassedReply):
    """An answer that was read and is given with another body."""

    def __init__(self, inner: Reply, body: bytes) -> None:
        super().__init__(inner)
        length = (b"Content-Length", str(len(body)).encode())
        kept = without(inner.headers, "content-length", "content-encoding", "transfer-encoding")
        self.headers = [*kept, length]
        self._body: bytes | None = body

    @property
    def begun(self) -> bool:
        return True

    @property
    def complete(self) -> bool:
        return self._body is None

    @property
    def first(self) -> bytes:
        return self._body or b""

    async def read(self) -> bytes:
        body, self._body = self._body, None
        return body or b""


class ScreenedStream(PassedReply):
    """A stream that is looked through on its way. `holds`: the client gets what is settled and
    masked; else it gets what came."""

    def __init__(
        self,
        inner: Reply,
        growing: Growing,
        *,
        lines: bool,
        holds: bool,
        tell: Tell,
        refuse: Refuse,
        ending: Callable[[AnswerRefused], bytes],
        strict: bool,
    ) -> None:
        """`strict`: what cannot be looked through is refused, else it passes."""
        super().__init__(inner)
        self._growing = growing
        self._held = HeldStream(growing, lines=lines, strict=strict)
        self._holds = holds
        self._tell: Tell | None = tell
        self._refuse = refuse
        self._ending = ending
        self._refusal: AnswerRefused | None = None
        codings = field(inner.headers, "content-encoding")
        self._decoder = Decoder(codings) if codings else None
        if holds:
            self.headers = without(inner.headers, "content-length", "content-encoding")

    @property
    def begun(self) -> bool:
        return self._inner.begun and not self._holds

    @property
    def complete(self) -> bool:
        return self._inner.complete and self._refusal is None

    async def read(self) -> bytes:
        if self._refusal is not None:
            raise self._refusal
        while True:
            piece = await self._inner.read()
            plain = self._decoder.feed(piece) if self._decoder else piece
            shown = self._held.feed(plain)
            if self._inner.complete:
                shown += self._held.finish()
            if self._holds and self._must_end():
                return shown + self._ended()
            if self._inner.complete:
                self._told()
            if not self._holds:
                return piece
            if shown or self._inner.complete:
                return shown

    def _must_end(self) -> bool:
        """Something in it must not pass, or it cannot be looked through and must not pass so;
        what cannot be decoded cannot even go on."""
        failed = self._decoder is not None and self._decoder.error is not None
        return failed or self._held.ends or self._growing.refused is not None

    def _ended(self) -> bytes:
        """The stream's last words; what comes after is refused."""
        self._told()
        self._refusal = self._refuse(self._growing.refused)
        return self._ending(self._refusal)

    def _told(self) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(self._growing.seen)

    def close(self) -> None:
        try:
            self._told()
        finally:
            self._inner.close()


def speech_of(call: Call) -> Speech:
    anthropic = any(kind(name).name == "anthropic-version" for name, _ in call.raw)
    return errors.speech(call.admitted.target, anthropic=anthropic)


def last_words(call: Call, *, lines: bool, refusal: AnswerRefused) -> bytes:
    """How a stream ends that is refused midway, as the client's dialect says errors in it."""
    speech = speech_of(call)
    said = errors.body(speech, refusal.status, refusal.error_type, str(refusal))
    if lines:
        return said + b"\n"
    if speech == "anthropic":
        return b"event: error\ndata: " + said + b"\n\n"
    if speech == "gemini":
        return b"data: " + said + b"\n\n"
    if call.admitted.target.partition("?")[0].endswith("/responses"):
        error = orjson.loads(said)["error"]
        event = {"type": "error", "code": error["code"], "message": error["message"], "param": None}
        return b"event: error\ndata: " + orjson.dumps({**event, "error": error}) + b"\n\n"
    return b"data: " + said + b"\n\ndata: [DONE]\n\n"
