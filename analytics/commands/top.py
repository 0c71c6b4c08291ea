"""`meterline top`: what cost the most.

Owns the command's arguments and its table. The query is analytics/queries/spend.py.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analytics.commands import CommandFailed, explained, output
from analytics.tables import Column, Table, counted, usd, write
from proxy.config import Settings

if TYPE_CHECKING:
    import polars as pl

    from analytics.windows import Window

HELP = "show which feature, model or user cost the most"
FORMATS = True
_SORTS = {"cost": "cost", "exchanges": "exchanges", "requests": "exchanges", "tokens": "tokens"}
NONE = "(none)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from analytics.queries import DIMENSIONS
    from analytics.windows import EXAMPLES

    parser.add_argument(
        "--by",
        default="feature",
        metavar="WHAT",
        help=f"{', '.join(DIMENSIONS)} or tag:NAME (default: feature)",
    )
    parser.add_argument(
        "--last", default="7d", metavar="WINDOW", help=f"{EXAMPLES} (default: 7d); days are UTC"
    )
    parser.add_argument("--limit", type=int, default=10, metavar="N", help="rows (default: 10)")
    parser.add_argument("--sort", choices=tuple(_SORTS), default="cost")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from analytics import store
    from analytics.queries import Selection, UnknownDimension, dimension
    from analytics.queries.spend import spend
    from analytics.windows import BadWindow, parse

    if args.limit < 1:
        raise CommandFailed(f"--limit {args.limit}: give at least 1.", 2)
    try:
        dimension(args.by)
        window = parse(args.last, datetime.now(UTC))
        with explained(), store.read(settings.store_path) as con:
            frame = spend(
                con,
                args.by,
                Selection(window=window),
                limit=args.limit,
                sort=_SORTS[args.sort],  # type: ignore[arg-type]
            )
    except BadWindow as error:
        raise CommandFailed(f"--last {error}", 2) from None
    except UnknownDimension as error:
        raise CommandFailed(f"--by {error}", 2) from None
    write(_table(frame, args.by, window, shown=args.format == "table"), args.format, output())
    return 0


def _table(frame: pl.DataFrame, by: str, window: Window, *, shown: bool) -> Table:
    columns = [
        Column(name="part", shown=False),
        Column(name="name", kind="text", heading=by),
        Column(name="groups", shown=False),
        Column(name="exchanges", kind="count"),
        Column(name="errors", kind="count"),
        Column(name="input_tokens", kind="count", heading="input"),
        Column(name="output_tokens", kind="count", heading="output"),
        Column(name="cost_usd", kind="usd", heading="cost"),
        Column(name="cost_share", kind="share", heading="share"),
        Column(name="p50_seconds", kind="seconds", heading="p50"),
        Column(name="p95_seconds", kind="seconds", heading="p95"),
        Column(name="not_fully_priced", kind="count", heading="unpriced"),
        Column(name="estimated", shown=False),
        Column(name="without_usage", shown=False),
        Column(name="cached", shown=False),
        Column(name="saved_usd", shown=False),
    ]
    rows = frame.select([column.name for column in columns]).to_dicts()
    if shown:
        rows = [{**row, "name": _name(row)} for row in rows]
    values = [(row["part"], tuple(row.values())) for row in rows]
    return Table(
        columns=columns,
        rows=[row for part, row in values if part != "total"],
        footer=[row for part, row in values if part == "total"],
        notes=_notes(rows[-1], window),
    )


def _name(row: dict[str, Any]) -> str:
    if row["part"] == "total":
        return "total"
    if row["part"] == "rest":
        return f"everything else ({row['groups']:,})"
    return NONE if row["name"] is None else str(row["name"])


def _notes(total: dict[str, Any], window: Window) -> list[str]:
    notes = [f"Window: {window}."]
    if not total["exchanges"]:
        return [*notes, "No exchange is in it. A longer one: --last 30d, or --last all."]
    if unpriced := total["not_fully_priced"]:
        whole = counted(total["exchanges"], "exchange")
        notes.append(
            f"{unpriced:,} of {whole} have no price or only in part, so the true cost is higher: "
            'meterline sql "FROM unpriced"'
        )
    if without := total["without_usage"]:
        notes.append(f"{without:,} ended without usage: what they cost is not known.")
    if cached := total["cached"]:
        saved = f" and saved {usd(total['saved_usd'])}" if total["saved_usd"] is not None else ""
        notes.append(f"{counted(cached, 'answer')} came from the cache{saved}.")
    if estimated := total["estimated"]:
        notes.append(f"{counted(estimated, 'cost rests', 'costs rest')} on estimated tokens.")
    return notes
