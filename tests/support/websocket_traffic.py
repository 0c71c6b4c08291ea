"""The bytes of one direction of a WebSocket, as the `websockets` package frames them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode


class Direction:
    """Frames messages for one side: `masked` as a client does, `deflated` with the window kept
    from one message to the next unless `fresh`."""

    def __init__(
        self, *, masked: bool = False, deflated: bool = False, fresh: bool = False
    ) -> None:
        self._masked = masked
        self._extensions = [PerMessageDeflate(fresh, fresh, 15, 15)] if deflated else []

    def frames(self, message: Any, fragments: int = 1) -> list[bytes]:
        """The frames of one message: bytes as they are, anything else as JSON."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        size = -(-len(data) // fragments) or 1
        pieces = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        return [
            self._frame(
                Opcode.CONT if number else Opcode.TEXT, piece, final=number == len(pieces) - 1
            )
            for number, piece in enumerate(pieces)
        ]

    def stream(self, messages: Sequence[Any], fragments: int = 1) -> bytes:
        return b"".join(b"".join(self.frames(message, fragments)) for message in messages)

    def ping(self) -> bytes:
        return self._frame(Opcode.PING, b"still there?")

    def close(self, code: int = 1000, reason: str = "") -> bytes:
        return self._frame(Opcode.CLOSE, Close(code, reason).serialize())

    def _frame(self, opcode: Opcode, data: bytes, *, final: bool = True) -> bytes:
        frame = Frame(opcode, data, fin=final)
        return frame.serialize(mask=self._masked, extensions=self._extensions)
