"""`meterline report whatif`: what the same traffic would have cost with another model.

Owns the arguments and the words. The report is analytics/reports/whatif.py.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analytics.commands import CommandFailed
from analytics.filters import NAMES
from analytics.reports.shown import NONE, NOTHING, Section, add_window, opened, selected, table_of
from analytics.tables import Column, counted, usd
from proxy.config import Settings

if TYPE_CHECKING:
    import polars as pl

    from analytics.reports.whatif import WhatIf

HELP = "what the same traffic would have cost with another model"
_OTHERS = ("feature", "user", "session", "environment")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_window(parser, "30d")
    parser.add_argument(
        "--model",
        metavar="MODEL",
        action="append",
        required=True,
        help="the other model; may be given several times",
    )
    parser.add_argument(
        "--provider", metavar="PROVIDER", help="who serves it (default: who has a price for it)"
    )
    parser.add_argument(
        "--instead-of", metavar="MODEL", action="append", help="only traffic of this model"
    )
    for name in _OTHERS:
        parser.add_argument(
            f"--{name}", metavar=name.upper(), action="append", help=f"only of this {name}"
        )
    parser.add_argument(
        "--tag", metavar="NAME=VALUE", action="append", help="only with this free label"
    )


def sections(args: argparse.Namespace, settings: Settings) -> list[Section]:
    from analytics.prices import PriceBook
    from analytics.reports.whatif import Target, UnknownTarget, whatif

    filters = argparse.Namespace(**vars(args))
    for name in set(NAMES) - set(_OTHERS):
        setattr(filters, name, None)
    selection = selected(filters)
    if args.instead_of:
        selection = replace(selection, values={**selection.values, "model": args.instead_of})
    targets = [Target(model, args.provider) for model in args.model]
    try:
        with opened(settings) as con:
            found = whatif(con, PriceBook.of(settings), selection, targets, datetime.now(UTC))
    except UnknownTarget as error:
        raise CommandFailed(str(error), 2) from None
    return [_summary(found), _groups(found), _left_out(found)]


_MONEY = (
    Column(name="cost_usd", kind="usd", heading="cost"),
    Column(name="cost_there_usd", kind="usd", heading="there"),
    Column(name="change_usd", kind="usd", heading="change"),
)


def _summary(found: WhatIf) -> Section:
    columns = [
        Column(name="target", kind="text", heading="with"),
        Column(name="exchanges", kind="count"),
        *_MONEY,
        Column(name="range", kind="text", heading="there, from tokenizers"),
        Column(name="uncached_usd", kind="usd", heading="without caches"),
    ]
    frame = _with_target(found.summary)
    return Section(
        name="summary",
        title="What the same traffic would have cost",
        frame=found.summary,
        table=table_of(frame, columns, notes=_notes(found) if len(frame) else [NOTHING]),
    )


def _with_target(frame: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    ranges = [
        "" if low == high else f"{usd(low)} to {usd(high)}"
        for low, high in frame.select("low_usd", "high_usd").rows()
    ]
    return frame.with_columns(
        pl.format("{}/{}", "provider", "model").alias("target"),
        pl.Series("range", ranges, pl.String),
    )


def _notes(found: WhatIf) -> list[str]:
    notes = [
        "The same tokens at the other model's prices of the day; another model may say more or "
        "less, or reason more."
    ]
    origins = set(found.groups["factor_origin"])
    if "measured" in origins:
        notes.append("Tokens of other makers' models are converted by factors measured here.")
    if "assumed" in origins:
        notes.append("Some tokens are converted by assumed factors: see the column `factor`.")
    if left := int(found.left_out["exchanges"].sum()):
        notes.append(f"{counted(left, 'exchange is', 'exchanges are')} left out: see below.")
    return notes


def _groups(found: WhatIf) -> Section:
    import polars as pl

    columns = [
        Column(name="target", kind="text", heading="with"),
        Column(name="feature", kind="text"),
        Column(name="from_model", kind="text", heading="instead of"),
        Column(name="exchanges", kind="count"),
        *_MONEY,
        Column(name="uncached_usd", kind="usd", heading="without caches"),
        Column(name="told", kind="text", heading="factor"),
    ]
    told = [
        "" if origin == "same" else f"{factor:.2f} ±{error:.0%} {origin}"
        for factor, error, origin in found.groups.select(
            "factor", "factor_error", "factor_origin"
        ).rows()
    ]
    frame = _with_target(found.groups).with_columns(
        pl.col("feature").fill_null(NONE), pl.Series("told", told, pl.String)
    )
    return Section(
        name="groups",
        title="By feature and model in use",
        frame=found.groups,
        table=table_of(frame, columns) if len(frame) else None,
    )


def _left_out(found: WhatIf) -> Section:
    columns = [
        Column(name="reason", kind="text"),
        Column(name="exchanges", kind="count"),
        Column(name="cost_usd", kind="usd", heading="cost"),
    ]
    return Section(
        name="left_out",
        title="Left out",
        frame=found.left_out,
        table=table_of(found.left_out, columns) if len(found.left_out) else None,
    )
