"""Bytes of the journal that are no frame: kept aside, for whoever wants to know.

Owns the folder `quarantine` in the journal. Refuses to interpret what it keeps.
"""

from __future__ import annotations

import os
from pathlib import Path

from proxy.journal import Damage
from proxy.journal.segments import prepare_folder

MAX_BYTES = 16 << 20


def keep(segment: Path, damage: Damage) -> str:
    """Copy the damaged bytes, unless they are kept already; the name they have.

    The copy is a courtesy: where it cannot be made (disk full), posting goes on without.
    """
    name = f"{segment.stem}.{damage.start}-{damage.end}.bad"
    path = segment.parent / "quarantine" / name
    try:
        prepare_folder(path.parent)
        with open(segment, "rb") as source:
            source.seek(damage.start)
            data = source.read(min(damage.end - damage.start, MAX_BYTES))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as target:
            os.fchmod(fd, 0o600)
            target.write(data)
    except OSError as error:
        return f"{name} (not kept: {error.strerror})"
    return name
