"""The capture: collects one exchange while it happens.

Owns the bounded copies of the bodies, the timings and the entries written to the journal. Refuses
to touch the traffic: it only sees copies, and a failure in it is counted, not raised.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy import credentials, reading
from proxy.facts import RequestHead
from proxy.facts_codec import facts_to_json
from proxy.journal import Closed, Opened, Part
from proxy.journal.entries import AttemptMade, DecisionMade, Headers
from proxy.reading import Copied
from proxy.recorder import Recorder
from proxy.wire import coding

SPILL_BYTES = 1 << 16
SPILL_SECONDS = 1.0
TAIL_BYTES = 1 << 16


class BodyCopy:
    """A bounded copy of one body: its head and, where it is longer than the limit, its tail."""

    __slots__ = ("_head", "_head_limit", "_pending", "_tail", "_tail_limit", "_taken", "total")

    def __init__(self, limit: int) -> None:
        self._tail_limit = min(TAIL_BYTES, limit // 2)
        self._head_limit = limit - self._tail_limit
        self._head: list[bytes] = []
        self._taken = 0
        self._pending = 0
        self._tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        before, self.total = self.total, self.total + len(data)
        if self.total <= self._head_limit:
            self._head.append(data)
            self._pending += len(data)
            return
        fits = max(0, self._head_limit - before)
        if fits:
            self._head.append(data[:fits])
            self._pending += fits
        self._tail += data[fits:]
        if len(self._tail) > 4 * self._tail_limit:
            del self._tail[: -self._tail_limit]

    @property
    def pending(self) -> int:
        """Bytes of the head that were not taken yet."""
        return self._pending

    def take(self, keep: int = 0) -> bytes:
        """The head's bytes that were not taken yet, but for the last `keep`."""
        data = b"".join(self._head)
        data, rest = (data[:-keep], data[-keep:]) if keep else (data, b"")
        self._head = [rest] if rest else []
        self._pending = len(rest)
        return data

    def tail(self) -> bytes:
        return bytes(self._tail[-self._tail_limit :]) if self.gap is not None else bytes(self._tail)

    @property
    def gap(self) -> int | None:
        """The offset in the copy at which bytes are missing, None where it is whole."""
        if self.total <= self._head_limit + self._tail_limit:
            return None
        return self._head_limit


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
        self._request = BodyCopy(max_body_bytes)
        self._response = BodyCopy(max_body_bytes)
        self._spilled = self._started = started
        self._first_chunk: float | None = None
        self._written = False
        self.opened = False
        """Whether the beginning was offered to the journal."""
        self.attempts: list[AttemptMade] = []
        self.decisions: list[DecisionMade] = []
        self.rules: list[str] = []
        self.upstream: str | None = None
        self.overhead_seconds: float | None = None

    @property
    def exchange_id(self) -> str:
        return self._opened.exchange_id

    def add_secret(self, value: bytes) -> None:
        """A credential of the proxy's own, which the answer might echo."""
        self._secrets = (value, *self._secrets)

    async def open(self) -> bool:
        """Whether the beginning is in the journal."""
        self.opened = True
        written = self._recorder.write(self._opened, self._take(self._request, final=False), b"")
        self._written = written and await self._recorder.durable()
        return self._written

    def sent(self, data: bytes) -> None:
        """A piece of the request's body went upstream."""
        self._request.add(data)
        self._spill()

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
        if not pending or not self._written or self._content != "full":
            return
        part = Part(exchange_id=self.exchange_id)
        request, response = (self._take(c, final=False) for c in (self._request, self._response))
        if not self._recorder.write(part, request, response):
            self._recorder.lose("body_part_not_written")

    def _take(self, copy: BodyCopy, *, final: bool) -> bytes:
        """Bytes for the journal. A secret cut in two by a spill would escape: hold back a bit."""
        if self._content != "full":
            return b""
        longest = max(map(len, self._secrets), default=1)
        data = copy.take(0 if final else longest - 1)
        return credentials.remove(data + copy.tail() if final else data, self._secrets)

    async def close(self, end: Outcome) -> None:
        """Write the end, before the client gets the end of the answer."""
        frame = self._closed(end)
        self._write_closed(*frame)
        if not await self._recorder.durable():
            self._write_closed(*frame)  # into a new segment; posting takes the first it finds
            if not await self._recorder.durable():
                self._recorder.lose("fsync_failed")

    def close_now(self, end: Outcome) -> None:
        """The same without waiting, for a task that is being cancelled."""
        self._write_closed(*self._closed(end))

    def _write_closed(self, closed: Closed, request: bytes, response: bytes) -> None:
        self._tally[self._opened.provider or "", closed.outcome] += 1
        if not self._recorder.write(closed, request, response):
            self._recorder.lose("journal_unwritable")

    def _closed(self, end: Outcome) -> tuple[Closed, bytes, bytes]:
        now = time.perf_counter()
        request = self._take(self._request, final=True)
        response = self._take(self._response, final=True)
        headers = end.headers
        if (end.status or 0) >= 400 and self._secrets and self._response.gap is None:
            headers, response = self._decoded_error(headers, response)
        closed = Closed(
            exchange_id=self.exchange_id,
            node=self._opened.node,
            started_at=self._opened.started_at,
            outcome=end.outcome,
            upstream=self.upstream,
            status=end.status,
            headers=headers,
            error_type=end.error_type,
            error_message=end.error_message,
            duration_seconds=round(max(0.0, now - self._started), 6),
            time_to_first_chunk_seconds=self._since_start(self._first_chunk),
            overhead_seconds=self.overhead_seconds,
            request_bytes=self._request.total,
            response_bytes=self._response.total,
            request_gap=self._request.gap,
            response_gap=self._response.gap,
            attempts=self.attempts,
            decisions=self.decisions,
            rules=self.rules,
            content=self._content,
            facts=self._facts(end) if self._content == "usage" else None,
        )
        return closed, request, response

    def _since_start(self, moment: float | None) -> float | None:
        return None if moment is None else round(max(0.0, moment - self._started), 6)

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
        head = RequestHead(
            provider=self._opened.provider or "",
            method=self._opened.method,
            target=self._opened.target,
            headers=dict(self._opened.headers),
        )
        request, response = (self._clean_copy(c) for c in (self._request, self._response))
        try:
            return facts_to_json(
                reading.read(head, request, end.status, dict(end.headers), response)
            )
        except Exception:  # a parser's fault must not reach the traffic
            self._recorder.lose("facts_not_read")
            return None

    def _clean_copy(self, copy: BodyCopy) -> Copied:
        return Copied(credentials.remove(copy.take() + copy.tail(), self._secrets), copy.gap)
