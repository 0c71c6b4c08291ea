"""Progress of long work, for whoever watches it on a terminal."""

from __future__ import annotations

from typing import TextIO


class Counter:
    """How far it is, in one line that is written over. Silent where nobody watches."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._shown = False

    def show(self, done: int, total: int) -> None:
        if self._out.isatty():
            part = done / total if total else 1.0
            self._out.write(f"\r{done:,} of {total:,} exchanges looked at ({part:.0%})")
            self._out.flush()
            self._shown = True

    def end(self) -> None:
        if self._shown:
            self._out.write("\n")
