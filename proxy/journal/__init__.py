"""The journal: the append-only truth on disk.

Owns its entries, frames, segments, the writer and the reader. Refuses to interpret bodies and to
know the store.
"""

from proxy.journal.entries import Closed, Entry, Lost, Opened, Part
from proxy.journal.frames import Damage, Frame, scan
from proxy.journal.segments import Lane, lanes
from proxy.journal.writer import JournalUnwritable, JournalWriter

__all__ = [
    "Closed",
    "Damage",
    "Entry",
    "Frame",
    "JournalUnwritable",
    "JournalWriter",
    "Lane",
    "Lost",
    "Opened",
    "Part",
    "lanes",
    "scan",
]
