"""`meterline report waste`: what was paid for and need not have been.

Owns the arguments and the words. The report is analytics/reports/waste.py.
"""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import TYPE_CHECKING

from analytics.commands import CommandFailed
from analytics.reports.shown import (
    NONE,
    NOTHING,
    Section,
    add_selection,
    opened,
    selected,
    table_of,
)
from analytics.tables import Column, counted, usd
from proxy.config import Settings

if TYPE_CHECKING:
    from analytics.reports.waste import Waste

HELP = "what was paid for and need not have been: repeats, failures, cut answers, missed caches"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_selection(parser, "7d")
    parser.add_argument(
        "--keep-answers",
        type=float,
        default=24.0,
        metavar="HOURS",
        help="how long a cache of answers would serve one (default: 24)",
    )
    parser.add_argument(
        "--keep-prompts",
        type=float,
        default=5.0,
        metavar="MINUTES",
        help="how long a provider's cache keeps a prompt that is not used (default: 5)",
    )


def sections(args: argparse.Namespace, settings: Settings) -> list[Section]:
    from analytics.prices import PriceBook
    from analytics.reports.waste import waste

    if not 0 < args.keep_answers < 1e6 or not 0 < args.keep_prompts < 1e6:
        raise CommandFailed("--keep-answers and --keep-prompts must be more than 0.", 2)
    selection = selected(args)
    with opened(settings) as con:
        found = waste(
            con,
            PriceBook.of(settings),
            selection,
            keep_answers=timedelta(hours=args.keep_answers),
            keep_prompts=timedelta(minutes=args.keep_prompts),
        )
    return [_summary(found), _findings(found)]


def _summary(found: Waste) -> Section:
    import polars as pl

    columns = [
        Column(name="kind", kind="text"),
        Column(name="exchanges", kind="count"),
        Column(name="at_stake_usd", kind="usd", heading="at stake"),
        Column(name="counted_usd", kind="usd", heading="counted once"),
        Column(name="what", kind="text"),
        Column(name="mend", kind="text"),
    ]
    frame = found.summary.with_columns(
        pl.col("kind").str.replace_all("_", " "), pl.col("what", "mend").fill_null("")
    )
    if not found.selected:
        return Section(
            name="summary",
            title="Nothing to look at",
            frame=found.summary,
            table=None,
            text=NOTHING,
        )
    total = found.summary["counted_usd"][-1]
    return Section(
        name="summary",
        title=f"Up to {usd(total)} could have been saved",
        frame=found.summary,
        table=table_of(frame[:-1], columns, footer=frame[-1:], notes=_notes(found)),
    )


def _notes(found: Waste) -> list[str]:
    notes = [
        "`At stake` is what a kind is worth by itself; `counted once` leaves out what a kind above "
        "it has counted of the same exchange, so that it can be added up."
    ]
    if found.exchanges < found.selected:
        notes.append(
            f"Looked at are the newest {found.exchanges:,} of {found.selected:,} exchanges."
        )
    if without := found.exchanges - found.with_contents:
        notes.append(
            f"{counted(without, 'exchange has', 'exchanges have')} no stored request to compare: "
            "repeats and missed caches among them are not seen."
        )
    return notes


def _findings(found: Waste) -> Section:
    import polars as pl

    columns = [
        Column(name="kind", kind="text"),
        Column(name="feature", kind="text"),
        Column(name="model", kind="text"),
        Column(name="exchanges", kind="count"),
        Column(name="at_stake_usd", kind="usd", heading="at stake"),
        Column(name="counted_usd", kind="usd", heading="counted once"),
        Column(name="cost_usd", kind="usd", heading="of"),
        Column(name="detail", kind="text"),
        Column(name="example", kind="text", heading="for example"),
    ]
    frame = found.findings.with_columns(
        pl.col("kind").str.replace_all("_", " "),
        pl.col("feature").fill_null(NONE),
        pl.col("examples").list.first().alias("example"),
    )
    return Section(
        name="findings",
        title="Where",
        frame=found.findings,
        table=table_of(frame, columns, notes=["See one: meterline show ID."])
        if len(frame)
        else None,
    )
