"""Reading a recorded exchange: its copies, decoded and given to the dialect that claims it.

Owns the way from captured bodies to facts, for the poster and for the proxy where bodies may not
touch the disk. Pure: no file, clock or socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from proxy import dialects
from proxy.facts import ReplyFacts, ReplyHead, RequestFacts, RequestHead
from proxy.wire import coding
from proxy.wire.websocket_frame import LEFT_OUT


class Copied(NamedTuple):
    """A captured body; `gap` is the offset at which bytes are missing, None where none are."""

    data: bytes
    gap: int | None = None

    def segments(self) -> list[bytes]:
        """The pieces between which bytes are missing."""
        if self.gap is None or self.data.startswith(LEFT_OUT, self.gap):
            return [self.data]  # of a session that is shortened, the copy itself says where
        return [self.data[: self.gap], self.data[self.gap :]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the bodies of one exchange say. All None where no dialect claims it."""

    dialect: str | None = None
    operation: str | None = None
    request: RequestFacts | None = None
    reply: ReplyFacts | None = None
    parse_error: str | None = None


def read(
    head: RequestHead,
    request: Copied,
    status: int | None,
    reply_headers: Mapping[str, str],
    reply: Copied,
) -> Reading:
    """Read both bodies. `status` is None where no answer came: then only the request is read."""
    claimed = dialects.find(head)
    if claimed is None:
        return Reading()
    dialect, operation = claimed
    plain, error = _decoded(request, head.headers)
    # A request with a gap is read as a cut one: head and tail together could pass for a whole.
    # A form's fields may lie behind its file, and its boundary keeps them apart.
    form = head.headers.get("content-type", "").startswith("multipart/")
    request_facts = dialect.read_request(head, b"".join(plain) if form else plain[0])
    reply_facts = None
    if status is not None:
        reader = dialect.reply_reader(
            ReplyHead(
                status=status, headers=reply_headers, request=head, request_facts=request_facts
            )
        )
        plain, reply_error = _decoded(reply, reply_headers)
        error = error or reply_error
        for number, segment in enumerate(plain):
            if number:
                reader.gap()
            reader.feed(segment)
        reply_facts = reader.finish()
    return Reading(
        dialect=dialect.name,
        operation=operation,
        request=request_facts,
        reply=reply_facts,
        parse_error=error,
    )


def _decoded(body: Copied, headers: Mapping[str, str]) -> tuple[list[bytes], str | None]:
    """The body's segments without content coding. A tail cannot be decoded without its middle."""
    codings = headers.get("content-encoding", "")
    if not codings or codings.strip().lower() == "identity":
        return body.segments(), None
    decoded = coding.decode(body.segments()[0], codings)
    plain = [decoded.data] if body.gap is None else [decoded.data, b""]
    return plain, decoded.error
