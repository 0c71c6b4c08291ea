"""The server: one worker process that listens, relays and journals.

Owns start, readiness and orderly end of a worker. Everything about a call is in relay.py.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import platform
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from aiohttp import web
from aiohttp.web_request import BaseRequest

from proxy.attempts import Attempts
from proxy.calls.destinations import Destinations
from proxy.config import Settings
from proxy.connections import ClientServer
from proxy.credentials import KeyHash
from proxy.errors import Refusal
from proxy.journal import JournalWriter
from proxy.journal.segments import prepare_folder
from proxy.limits.money import History, Price
from proxy.memory import Memory
from proxy.outgoing import Target
from proxy.own import POSTED_METRICS, OwnPages, Tally
from proxy.policies.chain import Surroundings
from proxy.providers import BUILT_IN, DEMO
from proxy.recorder import Recorder
from proxy.relay import Relay
from proxy.response import whole
from proxy.routes import OWN
from proxy.ruling import Ruling
from proxy.screening.masks import Masks
from proxy.targets import adds_credential, known_targets
from proxy.upstream import Endpoint, UpstreamClient
from proxy.virtual_keys import FILE, KeyFault, KeyRing

IDLE_SECONDS = 75.0
"""A connection without a complete request head is closed after this; aiohttp has one timer for
idle connections and for heads that never end."""
MAX_FIELD_BYTES = 64 << 10

StartDemo = Callable[[], Awaitable[str]]
"""Starts the demo provider and tells its base URL."""


class CannotServe(Exception):
    """The worker cannot start; the message says why and the mend."""


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket; `shared` with other workers. Raises CannotServe."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.listen(1024)
    except OSError as error:
        sock.close()
        raise CannotServe(
            f"cannot listen on {host}:{port}: {error.strerror or error}. "
            "End the program that uses it, or set another server.port (or --port)."
        ) from None
    sock.setblocking(False)
    return sock


class Worker:
    """One proxy worker. `start`, then `wait` until it is told to end, then `stop`."""

    def __init__(
        self,
        settings: Settings,
        start_demo: StartDemo | None = None,
        source: Path | None = None,
        price: Price | None = None,
        history: History | None = None,
    ) -> None:
        """`source` is the settings' file, whose rules are taken anew when it changes; budgets
        want `price` and `history`."""
        self._settings = settings
        self._source = source
        self._start_demo = start_demo
        self._targets = known_targets(settings)
        self._surroundings = Surroundings(
            memory=Memory(),
            destinations=Destinations({n: t.openai_path for n, t in self._targets.items()}),
            key_counts={n: len(t.credentials) for n, t in self._targets.items()},
            price=price,
        )
        self._history = history
        self._demo_lock = asyncio.Lock()
        self._tally = Tally()
        self._own = OwnPages(self._tally, settings.data_dir / POSTED_METRICS)

    async def start(self, sock: socket.socket) -> None:
        settings = self._settings
        journal = open_journal(settings)
        with _told(settings):
            key_hash = KeyHash.of(settings.data_dir)
        try:
            ring = KeyRing(settings.data_dir / FILE, required=settings.keys.required)
        except KeyFault as fault:
            raise CannotServe(str(fault)) from None
        self._journal = journal
        self._recorder = Recorder(journal, self._tally.losses)
        self._client = UpstreamClient(
            connect_timeout_seconds=settings.upstream.connect_timeout_seconds,
            read_timeout_seconds=settings.upstream.read_timeout_seconds,
        )
        attempts = Attempts(self._client, self._targets, self._find_target)
        around = replace(self._surroundings, masks=Masks(key_hash.of_value), send=self._client.send)
        self._ruling = Ruling(around, ring, self._history, self._tally)
        names = BUILT_IN.keys() | settings.providers.keys()
        self._relay = Relay(
            settings,
            attempts,
            self._recorder,
            key_hash,
            ring,
            self._ruling,
            {name: adds_credential(self._targets.get(name)) for name in names},
            self._find_target,
            self._tally,
            platform.node(),
        )
        await self._ruling.start(settings, self._source, names, attempts.send)
        self._server = ClientServer(
            self._handle,
            handler_cancellation=True,
            auto_decompress=False,
            access_log=None,
            logger=_silent_logger(),
            keepalive_timeout=IDLE_SECONDS,
            max_line_size=MAX_FIELD_BYTES,
            max_field_size=MAX_FIELD_BYTES,
            max_headers=256,
        )
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, sock=sock, backlog=1024)

    def reload(self) -> None:
        """Take the rules from the settings' file anew."""
        self._ruling.reload()

    async def _handle(self, request: BaseRequest) -> web.StreamResponse:
        target = request.raw_path
        if target.startswith(OWN):
            status, body, content_type = self._own.answer(target)
            return whole(status, body, content_type)
        return await self._relay.handle(request)

    async def _find_target(self, provider: str) -> Target:
        target = self._targets.get(provider)
        if target is not None:
            return target
        if provider == DEMO and self._start_demo is not None:
            async with self._demo_lock:
                if provider not in self._targets:
                    endpoint = Endpoint.of(DEMO, await self._start_demo())
                    self._targets[provider] = Target(endpoint)
            return self._targets[provider]
        raise Refusal(
            f"{provider} has no fixed address: set providers.{provider}.base_url in meterline.toml",
            502,
            "no_address",
        )

    async def stop(self) -> None:
        """Take no more calls, give those under way a while, then end them."""
        self._ruling.stop()
        self._listener.close()
        self._server.pre_shutdown()
        await self._calls_ended(self._settings.server.shutdown_seconds)
        self._relay.ending = True
        await self._server.shutdown(timeout=0.1)
        await self._calls_ended(1.0)  # the cancelled ones write their records
        await self._client.close()
        self._journal.close()

    async def _calls_ended(self, seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while self._tally.in_flight and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)


def open_journal(settings: Settings) -> JournalWriter:
    """The journal of a worker. Raises CannotServe."""
    with _told(settings):
        prepare_folder(settings.data_dir)
        return JournalWriter(
            settings.journal_dir,
            fsync=settings.journal.fsync,
            segment_bytes=settings.journal.segment_bytes,
        )


@contextmanager
def _told(settings: Settings) -> Iterator[None]:
    """Failures to write to the data folder as CannotServe."""
    try:
        yield
    except OSError as error:
        raise CannotServe(
            f"cannot write to {error.filename or settings.data_dir}: {error.strerror or error}. "
            "Make the folder writable, or set another data_dir."
        ) from None


def _silent_logger() -> logging.Logger:
    """aiohttp's logger quotes malformed requests, and these may hold credentials."""
    logger = logging.getLogger("meterline.http")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


async def serve(
    settings: Settings,
    sock: socket.socket,
    *,
    start_demo: StartDemo | None = None,
    ready: Callable[[], None] = lambda: None,
    source: Path | None = None,
    price: Price | None = None,
    history: History | None = None,
) -> None:
    """Run one worker until SIGTERM or SIGINT; SIGHUP takes the rules from `source` anew."""
    worker = Worker(settings, start_demo, source, price, history)
    await worker.start(sock)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    loop.add_signal_handler(signal.SIGHUP, worker.reload)
    _settle_memory()
    ready()
    try:
        await told.wait()
    finally:
        await worker.stop()
        gc.unfreeze()  # native modules look for leaks at the end


def _settle_memory() -> None:
    """What start-up made lives as long as the worker: keep the collector from walking it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
