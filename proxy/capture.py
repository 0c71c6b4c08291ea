"""The capture: collects one exchange while it happens.

Owns the bounded copies of the bodies, the timings and the entries written to the journal. Refuses
to touch the traffic: it only sees copies, and a failure in it is counted, not raised.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from proxy import credentials, dialects, exchange_id, reading
from proxy.body_copy import BodyCopy
from proxy.facts import RequestHead
from proxy.facts_codec import facts_to_json
from proxy.journal import Closed, Opened, Part
from proxy.journal.entries import AttemptMade, DecisionMade, Headers, to_microseconds
from proxy.reading import Copied
from proxy.recorder import Recorder
from proxy.session_copy import SessionCopy
from proxy.wire import coding

SPILL_BYTES = 1 << 16
SPILL_SECONDS = 1.0


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How an exchange ended, as the relay saw it."""

    outcome: str
    status: int | None = None
    headers: Headers = field(default_factory=list)
    error_type: str | None = None
    error_message: str | None = None


class Capture:
    """Collects one exchange. `open` before the first attempt, `close` exactly once."""

    def __init__(
        self,
        recorder: Recorder,
        opened: Opened,
        secrets: Sequence[bytes],
        *,
        started: float,
        content: str,
        max_body_bytes: int,
        tally: Counter[tuple[str, str]],
    ) -> None:
        self._recorder = recorder
        self._tally = tally
        self._opened = opened
        self._secrets = tuple(secrets)
        self._content = content
        self._max_body_bytes = max_body_bytes
        self._request = BodyCopy(max_body_bytes)
        self._response = BodyCopy(max_body_bytes)
        self._spilled = self._started = started
        self._first_chunk: float | None = None
        self._begun = False
        """The beginning is in the journal, though perhaps not synced."""
        self.keep_answer_whole = False
        """Do not write the answer before its end: it is an error, which may have to be decoded."""
        self.attempts: list[AttemptMade] = []
        self.decisions: list[DecisionMade] = []
        self.rules: list[str] = []
        self.upstream: str | None = None
        self._provider: str | None = None
        self.sent_model: str | None = None
        self._cache_hit: str | None = None
        self.overhead_seconds: float | None = None

    @property
    def exchange_id(self) -> str:
        return self._opened.exchange_id

    @property
    def target(self) -> str:
        """Path and query, secrets masked."""
        return self._opened.target

    @property
    def key_id(self) -> str | None:
        return self._opened.key_id

    @property
    def request_head(self) -> RequestHead:
        """The head of the request, as parsers want it."""
        return RequestHead(
            provider=self._opened.provider or "",
            method=self._opened.method,
            target=self._opened.target,
            headers=dict(self._opened.headers),
        )

    def add_secret(self, value: bytes) -> None:
        """A credential of the proxy's own, which the answer might echo."""
        if value not in self._secrets:
            self._secrets = (value, *self._secrets)

    def goes_to(self, upstream: str, model: str | None) -> None:
        """A rule sends the call to this upstream, with this model where it changed."""
        self.upstream = upstream
        self._provider = upstream if upstream != self._opened.provider else None
        self.sent_model = model

    def comes_from_cache(self, hit: str, upstream: str | None, model: str | None) -> None:
        """Nobody is asked: it has the answer that this upstream gave earlier."""
        if upstream is not None:
            self.goes_to(upstream, model)
        self.upstream, self._cache_hit = None, hit

    def caused(self, provider: str, target: str, labels: dict[str, str]) -> Capture:
        """The capture of another exchange: a call of the proxy's own that this one makes it do."""
        opened = replace(
            self._opened,
            exchange_id=exchange_id.new(),
            started_at=time.time_ns() // 1000,
            provider=provider,
            method="POST",
            target=target,
            headers=[("content-type", "application/json")],
            labels=labels,
            client="meterline",
        )
        return Capture(
            self._recorder,
            opened,
            self._secrets,
            started=time.perf_counter(),
            content=self._content,
            max_body_bytes=self._max_body_bytes,
            tally=self._tally,
        )

    async def open(self) -> bool:
        """Whether the beginning is safely in the journal."""
        body = self._take(self._request)
        for _ in range(2):  # after a failed sync into a new segment; posting takes the first
            if not self._recorder.write(self._opened, body, b""):
                break
            self._begun = True
            if await self._recorder.durable():
                return True
        if not self._begun:
            self._request.put_back(body)
        return False

    def becomes_session(self) -> None:
        """The handshake is done: what passes from here on are messages, for as long as it likes."""
        if keys := dialects.session_keys(self.request_head):
            self._request = SessionCopy(self._max_body_bytes, keys.client)
            self._response = SessionCopy(self._max_body_bytes, keys.provider)

    def sent(self, data: bytes) -> None:
        """A piece of the request's body went upstream."""
        self._request.add(data)
        self._spill()

    def changed(self, body: bytes) -> None:
        """The request's body goes upstream as this, not as it came."""
        self._request = BodyCopy(self._max_body_bytes)
        self._request.add(body)

    def received(self, data: bytes) -> None:
        """A piece of the answer's body came, and goes to the client next."""
        if self._first_chunk is None:
            self._first_chunk = time.perf_counter()
        self._response.add(data)
        self._spill()

    def _spill(self) -> None:
        """Move what piles up to the journal: memory stays bounded, and a kill loses little."""
        pending = self._request.pending + self._response.pending
        now = time.perf_counter()
        if pending < SPILL_BYTES and now - self._spilled < SPILL_SECONDS:
            return
        self._spilled = now
        if not pending or not self._begun or self._content != "full" or self.keep_answer_whole:
            return
        request, response = self._take(self._request), self._take(self._response)
        part = Part(exchange_id=self.exchange_id)
        if not self._recorder.write(part, request, response):
            self._request.put_back(request)
            self._response.put_back(response)

    def _take(self, copy: BodyCopy) -> bytes:
        """Bytes for the journal. The end is held back: it may be the beginning of a secret."""
        if self._content != "full":
            return b""
        data = credentials.remove(copy.take(), self._secrets)
        held = max(map(len, self._secrets), default=1) - 1
        if held:
            copy.put_back(data[-held:])
            data = data[:-held]
        return data

    def _take_rest(self, copy: BodyCopy) -> bytes:
        if self._content != "full":
            return b""
        return self._clean(copy)

    def _clean(self, copy: BodyCopy) -> bytes:
        """What is left of the copy, without secrets, and without the halves of secrets that lie
        at the edges of a gap."""
        if copy.gap is None:
            return credentials.remove(copy.take() + copy.tail(), self._secrets)
        head, tail = (credentials.remove(d, self._secrets) for d in (copy.take(), copy.tail()))
        return credentials.remove_edges(head, tail, self._secrets)

    async def close(self, end: Outcome) -> None:
        """Write the end, before the client gets the end of the answer."""
        frame = self._closed(end)
        self._write_closed(*frame)
        if not await self._recorder.durable():
            self._recorder.write(*frame)  # into a new segment; posting takes the first it finds
            if not await self._recorder.durable():
                self._recorder.lose("fsync_failed")

    def close_now(self, end: Outcome) -> None:
        """The same without waiting, for a task that is being cancelled."""
        self._write_closed(*self._closed(end))

    def _write_closed(self, closed: Closed, request: bytes, response: bytes) -> None:
        self._tally[self._opened.provider or "", closed.outcome] += 1
        if not self._begun and not self._recorder.write(self._opened, b"", b""):
            self._recorder.lose("beginning_not_written")
        if not self._recorder.write(closed, request, response):
            self._recorder.lose("journal_unwritable")

    def _closed(self, end: Outcome) -> tuple[Closed, bytes, bytes]:
        now, overhead = time.perf_counter(), self.overhead_seconds
        request = self._take_rest(self._request)
        response = self._take_rest(self._response)
        headers = self._clean_headers(end.headers)
        if (end.status or 0) >= 400 and self._secrets and self._response.gap is None:
            headers, response = self._decoded_error(headers, response)
        closed = Closed(
            exchange_id=self.exchange_id,
            node=self._opened.node,
            started_at=self._opened.started_at,
            outcome=end.outcome,
            upstream=self.upstream,
            provider=self._provider,
            model=self.sent_model,
            status=end.status,
            headers=headers,
            error_type=end.error_type,
            error_message=end.error_message,
            duration_seconds=to_microseconds(max(0.0, now - self._started)),
            time_to_first_chunk_seconds=self._since_start(self._first_chunk),
            overhead_seconds=None if overhead is None else to_microseconds(overhead),
            request_bytes=self._request.total,
            response_bytes=self._response.total,
            request_gap=self._request.gap,
            response_gap=self._response.gap,
            attempts=self.attempts,
            decisions=self.decisions,
            rules=self.rules,
            cache_hit=self._cache_hit,
            content=self._content,
            facts=self._facts(end) if self._content == "usage" else None,
        )
        return closed, request, response

    def _since_start(self, moment: float | None) -> float | None:
        return None if moment is None else to_microseconds(max(0.0, moment - self._started))

    def _decoded_error(self, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
        """A compressed error may echo a secret out of sight: keep it decoded, and clean."""
        codings = [value for name, value in headers if name == "content-encoding"]
        if not codings:
            return headers, body
        plain = coding.decode(body, ", ".join(codings))
        kept = [(name, value) for name, value in headers if name != "content-encoding"]
        return kept, credentials.remove(plain.data, self._secrets)

    def _facts(self, end: Outcome) -> dict[str, Any] | None:
        """What the bodies say, for when they themselves may not touch the disk."""
        request, response = (Copied(self._clean(c), c.gap) for c in (self._request, self._response))
        try:
            return facts_to_json(
                reading.read(self.request_head, request, end.status, dict(end.headers), response)
            )
        except Exception:  # a parser's fault must not reach the traffic
            self._recorder.lose("facts_not_read")
            return None

    def _clean_headers(self, headers: Headers) -> Headers:
        for secret in self._secrets:
            text = secret.decode("utf-8", "surrogateescape")
            if any(text in value for _, value in headers):
                headers = [(name, value.replace(text, credentials.MASK)) for name, value in headers]
        return headers
