"""What the poster is doing, for whoever asks: `status.json` in the data folder.

Owns the file's shape and its atomic replacement. Refuses to fail: a status that cannot be written
must not stop posting.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

NAME = "status.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """`backlog_bytes`: written to the journal and not posted; `oldest_unposted_at`: when the
    first of it was written, about; `waiting_for`: what keeps the poster, None where nothing does;
    `losses`: all that were ever counted. None also where it is not known yet."""

    last_posted_at: datetime | None = None
    backlog_bytes: int | None = None
    oldest_unposted_at: datetime | None = None
    waiting_for: str | None = None
    losses: int = 0


def write(data_dir: Path, status: Status) -> None:
    new = data_dir / f"{NAME}.new"
    with suppress(OSError):
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(orjson.dumps(asdict(status)))
        os.rename(new, data_dir / NAME)


def read(data_dir: Path) -> Status | None:
    """The last status; None where there is none that can be read."""
    try:
        values: dict[str, Any] = orjson.loads((data_dir / NAME).read_bytes())
        for name in ("last_posted_at", "oldest_unposted_at"):
            if values[name] is not None:
                values[name] = datetime.fromisoformat(values[name])
        return Status(**values)
    except (OSError, ValueError, TypeError, KeyError):
        return None
