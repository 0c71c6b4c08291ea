"""The folder of `meterline demo`: data of its own, beside the user's, filled when it is empty.

Owns which folder that is and when it is filled. Refuses any folder that was not made here: the
user's own data is never touched.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from analytics.store import StoreError, prepare_folder
from sample_data.generator.days import environment
from sample_data.generator.filling import SETTINGS, SETTINGS_TITLE, fill, has_sample, write_settings
from sample_data.generator.plan import Window

NAME = "meterline-demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFolder:
    """A data folder with settings of its own, and the window of the sample that belongs there."""

    path: Path
    window: Window
    is_empty: bool

    @property
    def settings(self) -> Path:
        return self.path / SETTINGS

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Meanwhile a process fills the store, unless it is filled; it is ended with this block,
        and then has left nothing behind."""
        if not self.is_empty:
            yield
            return
        command = [sys.executable, "-m", __name__, str(self.path), self.window.end.isoformat()]
        with subprocess.Popen(command, env=environment(), start_new_session=True) as process:
            try:
                yield
            finally:
                process.kill()


def prepare(data_dir: Path) -> DemoFolder:
    """The folder beside the configured one, with its settings written."""
    folder = next(
        path
        for number in itertools.count(1)
        if _is_free(path := data_dir.parent / (NAME if number == 1 else f"{NAME}-{number}"))
    )
    prepare_folder(folder)
    window = Window(end=datetime.now(UTC))
    is_empty = _is_empty(folder)
    if is_empty or not (folder / SETTINGS).exists():
        write_settings(folder, window)
    return DemoFolder(path=folder, window=window, is_empty=is_empty)


def _is_empty(folder: Path) -> bool:
    """A store that cannot be read now is left as it is."""
    try:
        return not has_sample(folder)
    except StoreError:
        return False


def _is_free(folder: Path) -> bool:
    """Whether the demo may use it: it is new, empty, or made by an earlier demo."""
    try:
        if not any(folder.iterdir()):
            return True
        return (folder / SETTINGS).read_text(encoding="utf-8").startswith(SETTINGS_TITLE)
    except FileNotFoundError:
        return not folder.exists()
    except (OSError, UnicodeDecodeError):
        return False


def _say(text: str) -> None:
    print(f"meterline demo: {text}", file=sys.stderr, flush=True)


def main(path: str, end: str) -> int:
    """Fill that folder; tells the user about it."""
    window = Window(end=datetime.fromisoformat(end))
    _say(f"making {window.days} days of sample traffic")
    try:
        number = fill(Path(path), days=window.days, end=window.end, seed=window.seed)
    except StoreError as error:
        _say(f"no sample traffic: {error}")
        return 1
    _say(f"{number:,} exchanges of sample traffic are in the store")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
