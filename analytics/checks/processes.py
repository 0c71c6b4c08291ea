"""Checks of what runs: the proxy on its port, the poster and how far behind it is."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from analytics import poster_lock, status
from analytics.checks import Finding, fail, ok, warn
from analytics.checks.machine import size
from analytics.tables import printable, seconds
from proxy.config import Settings

_TIMEOUT_SECONDS = 2.0
_LATE_SECONDS = 15.0
_WAIT_SECONDS = 1.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def proxy(settings: Settings) -> Iterator[Finding]:
    host, port = settings.server.host, settings.server.port
    where = f"{host}:{port}"
    try:
        health = _health(_ANY_ADDRESS.get(host, host), port)
    except ConnectionRefusedError:
        yield warn("proxy", f"not running: nothing listens on {where}", "Start it: meterline up")
        return
    except socket.gaierror:
        yield fail("proxy", f"server.host = {host!r} is no known address", "Set server.host.")
        return
    except (OSError, http.client.HTTPException, ValueError):
        health = None
    if health is None:
        yield fail(
            "proxy",
            f"{where} is taken by a program that is not Meterline",
            f"End that program (ss -ltnp 'sport = :{port}' names it), or set another server.port.",
        )
        return
    message = (
        f"Meterline {health['version']} answers on {where}, up for "
        f"{seconds(health['uptime_seconds'])}, {health['exchanges']:,} exchanges"
    )
    if losses := health["losses"]:
        told = ", ".join(f"{count:,} x {reason}" for reason, count in losses.items())
        yield warn("proxy", printable(f"{message}; not recorded: {told}"), _LOSS_MEND)
    else:
        yield ok("proxy", printable(f"{message}, no losses"))


def health(settings: Settings) -> dict[str, Any] | None:
    """What the running proxy says of itself; None where none answers."""
    host = settings.server.host
    try:
        return _health(_ANY_ADDRESS.get(host, host), settings.server.port)
    except (OSError, http.client.HTTPException, ValueError):
        return None


_LOSS_MEND = "The journal could not be written: see data folder and disk."


def _health(host: str, port: int) -> dict[str, Any] | None:
    """What the proxy says of itself; None where it is none."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/-/health")
        answer = orjson.loads(connection.getresponse().read(65536))
    finally:
        connection.close()
    expected = ("version", "uptime_seconds", "exchanges", "losses")
    return answer if isinstance(answer, dict) and all(key in answer for key in expected) else None


def poster(settings: Settings) -> Iterator[Finding]:
    told = status.read(settings.data_dir)
    if not poster_lock.is_taken(settings.data_dir):
        yield warn(
            "poster",
            "not running: the journal grows, and nothing reaches the store",
            "Start it: meterline up (or meterline post). One time only: meterline post --once",
        )
    elif told is not None and told.waiting_for:
        yield fail(
            "poster",
            printable(f"waiting: {told.waiting_for}"),
            "End the program that holds the store; the poster goes on by itself.",
        )
    elif told is None or told.last_posted_at is None:
        yield ok("poster", "running, nothing posted yet")
    else:
        yield ok("poster", f"running, posted last {_ago(told.last_posted_at)} ago")


def journal(settings: Settings) -> Iterator[Finding]:
    """How much waits to be posted, as the store's positions and the journal's files show it."""
    from analytics import positions, store
    from analytics.backlog import Backlog

    backlog = Backlog(settings.journal_dir)
    known = positions.Positions("", 0)
    if settings.store_path.exists():
        try:
            with store.read(settings.store_path, wait_seconds=_WAIT_SECONDS) as con:
                known = positions.load(con)
        except store.StoreError:
            return  # the store's own check says why
    oldest, waiting = backlog.oldest(known), backlog.bytes(known)
    if not waiting or oldest is None:
        yield ok("journal", "everything in it is posted")
        return
    message = f"{size(waiting)} wait to be posted, the oldest for {_ago(oldest)}"
    late = (datetime.now(UTC) - oldest).total_seconds() > _LATE_SECONDS
    running = poster_lock.is_taken(settings.data_dir)
    if late and running:
        yield fail("journal", message, "See poster above; its messages say what keeps it.")
    elif late:
        yield warn("journal", message, "Start the poster: meterline up (or meterline post).")
    else:
        yield ok("journal", message)


def _ago(moment: datetime) -> str:
    return seconds(max(0.0, (datetime.now(UTC) - moment).total_seconds()))
