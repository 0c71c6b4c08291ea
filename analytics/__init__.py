"""What Meterline knows, for notebooks and programs.

    import analytics

    store = analytics.connect()                      # meterline.toml beside you
    store.spend("feature", last="7d")                # a polars frame
    store.reports.waste(last="30d").summary
    store.sql("SELECT * FROM spend_by_user")

Owns this entrance. Importing it is cheap: DuckDB and polars are imported with the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from analytics.handle import Handle
    from proxy.config import Settings

__all__ = ["connect"]


def connect(where: str | PathLike[str] | Settings | None = None) -> Handle:
    """A handle on a store, which nobody holds open: each of its calls opens and closes the file.

    `where` is a store (`*.duckdb`), a data folder, a settings file (`*.toml`) or settings; the
    last two bring prices of one's own. None means what the command line means: METERLINE_CONFIG,
    else `meterline.toml` here, else the defaults. A store that does not exist yet is an error of
    the first call, not of this one. Raises proxy.config.ConfigError.
    """
    from analytics.handle import handle_on

    return handle_on(where)
