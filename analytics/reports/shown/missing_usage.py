"""`meterline report missing-usage`: streams that came without usage, and the mend for each client.

Owns the arguments and the words. The rows are analytics/queries/missing_usage.py's, the lines of
code those of analytics/stream_mends.py.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from analytics.reports.shown import NONE, Section, add_selection, opened, selected, table_of
from analytics.stream_mends import MENDS
from analytics.tables import Column, Table
from proxy.config import Settings

if TYPE_CHECKING:
    import polars as pl

HELP = "which clients stream without usage, what that hides, and the line of code that mends it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_selection(parser, "7d")


def sections(args: argparse.Namespace, settings: Settings) -> list[Section]:
    from analytics.queries.missing_usage import missing_usage

    selection = selected(args)
    with opened(settings) as con:
        found = missing_usage(con, selection)
    return [_streams(found), _mends()]


def _streams(found: pl.DataFrame) -> Section:
    import polars as pl

    columns = [
        Column(name="client", kind="text"),
        Column(name="feature", kind="text"),
        Column(name="provider", kind="text"),
        Column(name="streams", kind="count"),
        Column(name="without_usage", kind="count", heading="without usage"),
        Column(name="share", kind="share"),
        Column(name="estimated", kind="count"),
        Column(name="cost_usd", kind="usd", heading="estimated cost"),
        Column(name="mend", kind="text"),
    ]
    told = found.with_columns(pl.col("client", "feature", "provider").fill_null(NONE))
    return Section(
        name="streams",
        title="Completed streams without usage",
        frame=found,
        table=table_of(told, columns) if len(found) else None,
        text="" if len(found) else "Every completed stream reported its usage.",
    )


def _mends() -> Section:
    import polars as pl

    rows = [(each.sdk, each.line) for each in MENDS]
    columns = [Column(name="sdk", kind="text"), Column(name="line", kind="text")]
    note = "Or set inject_stream_usage = true for the provider: clients see what they asked for."
    return Section(
        name="mends",
        title="The line for each client",
        frame=pl.DataFrame(rows, schema=["sdk", "line"], orient="row"),
        table=Table(columns=columns, rows=rows, notes=[note]),
    )
