"""One batch out of the journal.

Owns the way from lanes and frames to exchanges that can be posted: pairing beginnings with ends,
what is still open, what was lost. Reads the journal only; refuses to open the store. The batch
carries the positions that hold once it is posted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics.found import INCOMPLETE, Unposted
from analytics.positions import Place, Positions, SegmentState
from analytics.quarantine import keep
from proxy.exchange import Loss
from proxy.journal import Closed, Damage, Entry, Frame, Lane, Lost, Opened, Part, lanes
from proxy.journal.entries import decode
from proxy.journal.segments import lane_of, read_frame, read_items, segment_path

MAX_EXCHANGES = 5_000
MAX_BYTES = 32 << 20
"""A batch's frames; the poster holds two batches, one that is written and one that is read."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Batch:
    """What was read, and the positions after it. `more`: a limit ended it, not the journal."""

    after: Positions
    exchanges: list[Unposted] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    more: bool = False


def collect(
    folder: Path,
    before: Positions,
    *,
    max_exchanges: int = MAX_EXCHANGES,
    max_bytes: int = MAX_BYTES,
) -> Batch:
    """Read on from `before`, up to the limits."""
    return _Collector(folder, before, max_exchanges, max_bytes).collect()


class _Collector:
    def __init__(self, folder: Path, before: Positions, max_exchanges: int, max_bytes: int) -> None:
        self._folder = folder
        self._batch = Batch(before.copy())
        self._left = max_bytes
        self._max_exchanges = max_exchanges
        self._read: dict[Place, tuple[Entry, Frame]] = {}
        self._ended: set[str] = set()

    @property
    def _full(self) -> bool:
        return self._left <= 0 or len(self._batch.exchanges) >= self._max_exchanges

    def collect(self) -> Batch:
        present = lanes(self._folder)
        for lane in present:
            self._note_missing(lane)
            try:
                if self._read_lane(lane) and not lane.alive:
                    self._interrupt(lane.name)
            except OSError as error:  # one lane that cannot be read must not stop the others
                self._batch.faults.append(f"{lane.name}: {error}")
            if self._full:
                self._batch.more = True
                return self._batch
        self._forget_lanes({lane.name for lane in present})
        return self._batch

    def _read_lane(self, lane: Lane) -> bool:
        """Whether all that the lane has was read."""
        for number, segment in enumerate(lane.segments):
            state = self._batch.after.segments.get(segment.name, SegmentState(0, False))
            if state.finished:
                continue
            if self._full:
                return False
            sealed = number + 1 < len(lane.segments) or not lane.alive
            if not self._read_segment(segment, state.position, sealed):
                return False
        return True

    def _read_segment(self, segment: Path, position: int, sealed: bool) -> bool:
        try:
            size = segment.stat().st_size
            if size > position:
                for item in read_items(segment, position):
                    position = item.end
                    self._left -= item.end - item.start
                    self._take(segment, item)
                    if self._full:
                        break
        except FileNotFoundError:
            self._lose("journal segment missing", segment.name)
            self._set(segment, position, finished=True)
            return True
        if self._full and position < size:
            self._set(segment, position, finished=False)
            return False
        if sealed and position < size:
            self._take(segment, Damage(position, size, "torn tail"))
            position = size
        self._set(segment, position, finished=sealed)
        return True

    def _set(self, segment: Path, position: int, *, finished: bool) -> None:
        if position or finished:
            self._batch.after.segments[segment.name] = SegmentState(position, finished)

    def _take(self, segment: Path, item: Frame | Damage) -> None:
        if isinstance(item, Damage):
            kept = keep(segment, item)
            self._lose(f"journal damaged: {item.reason}", f"{kept}: {item.end - item.start} bytes")
            return
        try:
            entry = decode(item.kind, item.head)
            if not isinstance(entry, Lost) and not _UUID.fullmatch(entry.exchange_id):
                raise ValueError("its exchange_id is no UUID")
        except ValueError as error:
            damage = Damage(item.start, item.end, "unreadable entry")
            self._lose("journal entry unreadable", f"{keep(segment, damage)}: {error}"[:500])
            return
        place = Place(segment.name, item.start, item.kind)
        if isinstance(entry, Lost) and not entry.count:
            return  # blanked: what lay here was erased
        if isinstance(entry, Lost):
            at = _EPOCH + timedelta(microseconds=entry.at)
            self._batch.losses.append(Loss(noticed_at=at, reason=entry.reason, count=entry.count))
        elif isinstance(entry, Closed):
            self._close(entry, item)
        else:
            self._continue(entry, place, item)

    def _continue(self, entry: Opened | Part, place: Place, frame: Frame) -> None:
        """Remember a frame of an exchange under way. A second beginning repeats the first: it
        was written again because syncing had failed."""
        places = self._batch.after.open.get(entry.exchange_id, ())
        if isinstance(entry, Opened) and any(p.kind == Opened.kind for p in places):
            return
        self._batch.after.open[entry.exchange_id] = (*places, place)
        self._read[place] = entry, frame

    def _close(self, closed: Closed, frame: Frame) -> None:
        if closed.exchange_id in self._ended:
            return
        places = self._batch.after.open.pop(closed.exchange_id, ())
        self._end(closed.exchange_id, places, closed, frame)

    def _interrupt(self, lane: str) -> None:
        """The lane is dead and read to its end: what is open in it will not end any more."""
        still_open = self._batch.after.open
        ids = [i for i, places in still_open.items() if lane_of(Path(places[0].segment)) == lane]
        for exchange_id in ids:
            self._end(exchange_id, still_open.pop(exchange_id), None, None)

    def _end(
        self,
        exchange_id: str,
        places: tuple[Place, ...],
        closed: Closed | None,
        last: Frame | None,
    ) -> None:
        opened, request, response, missing = None, [], [], 0
        for place in places:
            found = self._read.pop(place, None) or self._read_again(place)
            if found is None:
                missing += 1
                continue
            entry, frame = found
            if isinstance(entry, Opened):
                opened = entry
            request.append(frame.request)
            response.append(frame.response)
        if last is not None:
            request.append(last.request)
            response.append(last.response)
        if missing:
            self._lose("journal frame missing", exchange_id, missing)
        self._ended.add(exchange_id)
        self._batch.exchanges.append(
            Unposted(
                exchange_id=exchange_id,
                opened=opened,
                closed=closed,
                request=_joined(request),
                response=_joined(response),
                orphan=not places,
                fault=INCOMPLETE if missing or not opened else None,
            )
        )

    def _read_again(self, place: Place) -> tuple[Entry, Frame] | None:
        """A frame of an earlier batch, which kept only its place."""
        frame = read_frame(self._folder / place.segment, place.position)
        if frame is None:
            return None
        self._left -= frame.end - frame.start
        return decode(frame.kind, frame.head), frame

    def _note_missing(self, lane: Lane) -> None:
        """Segments are numbered from 1 without holes: count those that are not there, once."""
        known = self._batch.after.segments
        here = {segment.name for segment in lane.segments}
        for name in _numbered(lane):
            state = known.get(name)
            if name in here or (state is not None and state.finished):
                continue
            self._lose("journal segment missing", name)
            known[name] = SegmentState(state.position if state else 0, True)

    def _forget_lanes(self, present: set[str]) -> None:
        """Lanes without any file: what was not read of them is lost, what is open interrupted."""
        known = self._batch.after.segments
        gone = [name for name in known if lane_of(Path(name)) not in present]
        for name in gone:
            if not known.pop(name).finished:
                self._lose("journal segment missing", name)
        lost_lanes = {
            lane
            for places in self._batch.after.open.values()
            if (lane := lane_of(Path(places[0].segment))) not in present
        }
        for lane in lost_lanes:
            self._interrupt(lane)

    def _lose(self, reason: str, detail: str, count: int = 1) -> None:
        now = datetime.fromtimestamp(time.time(), UTC)
        self._batch.losses.append(Loss(noticed_at=now, reason=reason, count=count, detail=detail))


def _joined(pieces: list[bytes]) -> bytes:
    """A body of one piece, as most are, is not copied."""
    filled = [piece for piece in pieces if piece]
    return filled[0] if len(filled) == 1 else b"".join(filled)


def _numbered(lane: Lane) -> Iterator[str]:
    """The names that the lane's segments up to its last have."""
    last = lane.segments[-1].name
    for number in range(1, int(last.rsplit(".", 2)[1])):
        yield segment_path(lane.segments[-1].parent, lane.name, number).name
