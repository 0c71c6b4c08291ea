"""The events of a copied stream, unread.

Owns cutting the copy into blocks and telling which of them a gap or the end may have gone through.
Refuses to read them, so that its caller can pass over those that say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from proxy.wire.sse import unix_lines

_BOM = b"\xef\xbb\xbf"


def event_blocks(segments: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each event as a block of lines, and whether it may lack its beginning or end."""
    for number, segment in enumerate(segments):
        blocks = unix_lines(segment.removeprefix(_BOM)).split(b"\n\n")
        last = blocks.pop()
        for block in blocks[:1]:
            yield block, number > 0
        for block in blocks[1:]:
            yield block, False
        yield last, True
