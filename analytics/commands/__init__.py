"""The reading commands of the command line, a module each.

Each module has `HELP` (one line), `add_arguments(parser)` and `run(args, settings)`, which gives
the exit code: 0 fine, 1 something is wrong, 2 bad input; `FORMATS = True` asks for `--format`.
Importing one is cheap: DuckDB and polars are imported when a command runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class CommandFailed(Exception):
    """The command cannot do what was asked; the message says why and the mend."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def output() -> TextIO:
    """Standard output; what its encoding lacks is written as escapes."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return sys.stdout


@contextmanager
def explained() -> Iterator[None]:
    """Errors of the store as CommandFailed, each with its mend."""
    import duckdb

    from analytics import store
    from analytics.migrations import StoreTooNew

    try:
        yield
    except store.StoreMissing as error:
        raise CommandFailed(f"{error} {_NO_STORE}") from error
    except store.StoreBusy as error:
        raise CommandFailed(f"{error}\nEnd that process, or try again in a moment.") from error
    except store.StoreDamaged as error:
        raise CommandFailed(
            f"{error}\nThe poster mends it from the journal: run `meterline post --once`."
        ) from error
    except (store.StoreError, StoreTooNew) as error:
        raise CommandFailed(str(error)) from error
    except duckdb.Error as error:
        raise CommandFailed(
            f"the store cannot be read as expected: {str(error).strip()}\nSee: meterline doctor"
        ) from error


_NO_STORE = (
    "Start `meterline up` and send a request through it, or run `meterline post --once` if the "
    "journal has entries already."
)
