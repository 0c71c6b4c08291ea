"""The OTLP export: spans and metrics of exchanges to an OpenTelemetry receiver, over HTTP.

Owns reading the window, following what is posted afterwards, and sending with retries. Where the
receiver is, and what it wants in headers, may come from OpenTelemetry's own environment variables.
The messages are made with `opentelemetry-proto` alone: its exporter would bring the SDK, requests
and five more packages, and expects to see spans while they happen.
"""

from __future__ import annotations

import gzip
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from analytics import store
from analytics.bodies import said
from analytics.exports import Day, ExportRefused, days, rows
from analytics.exports import genai_conventions as names
from analytics.exports.conversation import asked
from analytics.exports.otlp_messages import Measurements, traces
from analytics.queries import Selection, arrivals
from analytics.tables import json_line
from analytics.windows import Window
from proxy.exchange import Content, Exchange, columns

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
BATCH_SPANS = 500
BATCH_WITH_CONTENTS = 50
POLL_SECONDS = 1.0
ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 30.0
_TIMEOUT_SECONDS = 10.0
_AGAIN = frozenset({429, 502, 503, 504})
"""Answers after which OTLP/HTTP lets a client try again."""

_COLUMNS = ", ".join(
    "CAST(exchange_id AS VARCHAR) AS exchange_id" if c.name == "exchange_id" else f'"{c.name}"'
    for c in columns(Exchange)
)
_WITH_CONTENTS = ", ".join(
    [_COLUMNS, *(c.name for c in columns(Content) if c.name not in ("exchange_id", "started_at"))]
)

Row = dict[str, Any]


class NotDelivered(Exception):
    """The receiver does not take what is sent; the message says why."""


@dataclass(slots=True, kw_only=True)
class Receiver:
    """Where to send. `headers` may hold credentials, so they are not shown."""

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    wait: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, endpoint: str | None, environment: Mapping[str, str] = os.environ) -> Receiver:
        """From the command line, else from OpenTelemetry's environment variables."""
        found = endpoint or environment.get(ENDPOINT)
        if not found:
            raise ExportRefused(
                f"say where to: --endpoint http://127.0.0.1:4318, or the variable {ENDPOINT}."
            )
        if urlsplit(found).scheme not in ("http", "https") or not urlsplit(found).hostname:
            raise ExportRefused(f"--endpoint {found}: write it like http://127.0.0.1:4318.")
        pairs = (pair.partition("=") for pair in environment.get(HEADERS, "").split(",") if pair)
        headers = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
        return cls(endpoint=found.rstrip("/"), headers=headers)

    def send(self, signal: str, body: bytes) -> None:
        """Deliver one request to `/v1/{signal}`; raises NotDelivered after the last try."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._post(f"{self.endpoint}/v1/{signal}", body)
                return
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in _AGAIN or attempt == ATTEMPTS:
                        said = f"{error.code} {error.reason}"
                        raise NotDelivered(f"{self.endpoint}: {said}") from None
                    pause = _pause(attempt, error.headers.get("Retry-After"))
            except (urllib.error.URLError, OSError) as error:
                if attempt == ATTEMPTS:
                    reason = getattr(error, "reason", error)
                    raise NotDelivered(f"{self.endpoint}: {reason}") from None
                pause = _pause(attempt, None)
            self.wait(pause)

    def _post(self, url: str, body: bytes) -> None:
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        request = urllib.request.Request(
            url, gzip.compress(body, 5), {**self.headers, **headers}, method="POST"
        )
        with _OPENER.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            answer.read()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The headers are for the receiver that was named, nobody else."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))


def _pause(attempt: int, retry_after: str | None) -> float:
    if retry_after is not None and retry_after.isdigit():
        return min(float(retry_after), LONGEST_WAIT_SECONDS)
    return min(0.5 * 2.0 ** (attempt - 1), LONGEST_WAIT_SECONDS)


class Exporter:
    """Sends the exchanges of one store; `sent` counts them."""

    def __init__(
        self, path: Path, selection: Selection, receiver: Receiver, *, contents: bool = False
    ) -> None:
        self._path = path
        self._selection = selection
        self._receiver = receiver
        self._contents = contents
        self._batch = BATCH_WITH_CONTENTS if contents else BATCH_SPANS
        self._measurements = Measurements(selection.window.since or datetime.now(UTC))
        self._place: arrivals.Place | None = None
        self._state: tuple[int, int] | None = None
        self._in_window: set[bytes] | None = None
        self.sent = 0

    def send_window(self, *, then_follow: bool = False) -> None:
        """All that is in the window now. Raises StoreError, NotDelivered."""
        self._state = self._file_state()
        with store.read(self._path) as con:
            _, self._place = arrivals.last(con, self._selection, 0)
        self._in_window = set() if then_follow else None
        self._send(row for day in days(self._path, self._selection) for row in self._rows(day))

    def send_new(self) -> int:
        """What was posted since; how many that was. Raises StoreError, NotDelivered."""
        state = self._file_state()
        if self._place is None or state == self._state:
            return 0
        selection = replace(self._selection, window=Window(since=self._selection.window.since))
        with store.read(self._path) as con:
            frame, place = arrivals.since(con, selection, self._place)
        known = self._in_window or set()  # posted while the window was read, so sent already
        ids = [i for i in frame["exchange_id"].to_list() if _short(i) not in known]
        before, self._in_window = self.sent, None
        for start in range(0, len(ids), self._batch):
            self._send(iter(self._rows_of(ids[start : start + self._batch])))
        self._place, self._state = place, state
        return self.sent - before

    def _file_state(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size

    def _rows(self, day: Day) -> Iterator[Row]:
        if not self._contents:
            yield from rows(self._path, day.selection, _COLUMNS)
            return
        bodies = rows(
            self._path, day.selection, _WITH_CONTENTS, page_rows=self._batch, contents=True
        )
        seen = set()
        for row in bodies:
            seen.add(row["exchange_id"])
            yield row
        for row in rows(self._path, day.selection, _COLUMNS):
            if row["exchange_id"] not in seen:
                yield row

    def _rows_of(self, ids: list[str]) -> list[Row]:
        source, columns_ = "exchanges", _COLUMNS
        if self._contents:
            source = (
                "exchanges LEFT JOIN (SELECT * EXCLUDE (started_at) FROM contents) "
                "USING (exchange_id)"
            )
            columns_ = _WITH_CONTENTS
        with store.read(self._path) as con:
            table = con.sql(
                f"SELECT {columns_} FROM {source} "
                "WHERE exchange_id IN (SELECT CAST(unnest(?) AS UUID)) ORDER BY started_at",
                params=[ids],
            ).to_arrow_table()
        found: list[Row] = table.to_pylist()
        return found

    def _send(self, exchanges: Iterator[Row]) -> None:
        while batch := list(islice(exchanges, self._batch)):
            said_ = {row["exchange_id"]: _said(row) for row in batch} if self._contents else {}
            self._receiver.send("traces", traces(batch, said_))
            for row in batch:
                self._measurements.add(row)
            if self._in_window is not None:
                self._in_window.update(_short(row["exchange_id"]) for row in batch)
            self.sent += len(batch)
        request = self._measurements.request(datetime.now(UTC))
        if request is not None:
            self._receiver.send("metrics", request)


def _said(row: Row) -> dict[str, names.Attribute]:
    """What was said, as the conventions' attributes for it; nothing where nothing was kept."""
    if row.get("target") is None:
        return {}
    found = said(row, row)
    if found is None:
        return {}
    request = asked(found.request.document())
    attributes: dict[str, names.Attribute] = {}
    if request.messages is not None:
        messages = [
            names.message(str(m.get("role") or "user"), m.get("content")) for m in request.messages
        ]
        attributes["gen_ai.input.messages"] = json_line(messages)
    if request.tools is not None:
        attributes["gen_ai.tool.definitions"] = json_line(request.tools)
    if found.answer_text is not None:
        reason = (row["finish_reasons"] or ["stop"])[0]
        answer = names.message("assistant", found.answer_text) | {"finish_reason": reason}
        attributes["gen_ai.output.messages"] = json_line([answer])
    return attributes


def follow(exporter: Exporter, *, wait: Callable[[float], None] = time.sleep) -> None:
    """Send what is posted until interrupted; while the store is busy, later."""
    while True:
        wait(POLL_SECONDS)
        try:
            exporter.send_new()
        except store.StoreBusy:
            continue


def _short(exchange_id: str) -> bytes:
    return bytes.fromhex(exchange_id.replace("-", ""))
