"""WebSocket servers for tests, as the `websockets` package runs them, each in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol


@contextmanager
def sessions(
    handler: Callable[[ServerConnection], None], subprotocols: list[Subprotocol] | None = None
) -> Iterator[int]:
    """A server that gives each session to the handler; its port."""

    def handle(session: ServerConnection) -> None:
        try:
            handler(session)
        except ConnectionClosed:
            return

    with serve(handle, "127.0.0.1", 0, subprotocols=subprotocols, max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield int(server.socket.getsockname()[1])
        finally:
            server.shutdown()
            thread.join(10)
