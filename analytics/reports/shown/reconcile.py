"""`meterline report reconcile FILE`: a provider's bill against what was recorded.

Owns the arguments and the words. The report is analytics/reports/reconcile.py.
"""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.commands import CommandFailed
from analytics.reports.shown import Section, opened, table_of
from analytics.tables import Column, counted
from proxy.config import Settings

if TYPE_CHECKING:
    from analytics.reports.reconcile import Reconciled

HELP = "a provider's export of usage or costs against what was recorded, difference by difference"
_LARGEST_BYTES = 256 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help="usage or costs of OpenAI, Anthropic (JSON, CSV) or Google (CSV), or any CSV",
    )
    parser.add_argument("--provider", metavar="PROVIDER", help="compare only with this provider")
    parser.add_argument(
        "--columns",
        metavar="FIELD=HEADER,...",
        help="which is which: day, model, input_tokens, output_tokens, requests, cost_usd",
    )
    parser.add_argument(
        "--utc-offset",
        type=float,
        metavar="HOURS",
        help="what the file's days are ahead of UTC (default: found out)",
    )
    parser.add_argument("--all", action="store_true", help="show rows that agree, too")


def sections(args: argparse.Namespace, settings: Settings) -> list[Section]:
    from analytics.reports.bills import BadBill, read_bill
    from analytics.reports.reconcile import reconcile

    if args.utc_offset is not None and not -24 <= args.utc_offset <= 24:
        raise CommandFailed(f"--utc-offset {args.utc_offset}: give hours, like -8 or 5.5.", 2)
    offset = None if args.utc_offset is None else timedelta(hours=args.utc_offset)
    try:
        bill = read_bill(_read(Path(args.file)), _columns(args.columns))
    except BadBill as error:
        raise CommandFailed(f"{args.file}: {error}", 2) from None
    with opened(settings) as con:
        found = reconcile(con, bill, provider=args.provider, offset=offset)
    return [_summary(found), _rows(found, every=args.all)]


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise CommandFailed(f"{path} is larger than {_LARGEST_BYTES >> 20} MB.", 2)
        return path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}", 2) from None


def _columns(text: str | None) -> dict[str, str]:
    from analytics.reports.bills import FIELDS

    columns = {}
    for pair in (text or "").split(",") if text else ():
        field, equals, head = pair.partition("=")
        if not equals or field.strip() not in FIELDS:
            raise CommandFailed(
                f"--columns {pair!r}: write FIELD=HEADER; of {', '.join(FIELDS)}.", 2
            )
        columns[field.strip()] = head.strip()
    return columns


def _summary(found: Reconciled) -> Section:
    import polars as pl

    columns = [
        Column(name="verdict", kind="text"),
        Column(name="rows", kind="count"),
        Column(name="cost_usd", kind="usd", heading="recorded"),
        Column(name="billed_usd", kind="usd", heading="billed"),
        Column(name="difference_usd", kind="usd", heading="difference"),
        Column(name="difference_tokens", kind="count", heading="tokens"),
        Column(name="meaning", kind="text"),
    ]
    frame = found.summary.with_columns(
        pl.col("verdict").str.replace_all("_", " "), pl.col("meaning").fill_null("")
    )
    return Section(
        name="summary",
        title=f"{found.bill.kind}, {counted(len(found.bill.lines), 'line')}",
        frame=found.summary,
        table=table_of(frame[:-1], columns, footer=frame[-1:], notes=_notes(found)),
    )


def _notes(found: Reconciled) -> list[str]:
    notes = ["A difference is what is billed less what is recorded, by day and model."]
    if found.offset:
        hours = found.offset / timedelta(hours=1)
        how = "seem to begin" if found.offset_is_found else "are taken to begin"
        notes.append(f"The file's days {how} at UTC{hours:+g}; ours are shifted to match.")
    return notes


_COSTS = (
    Column(name="cost_usd", kind="usd", heading="recorded"),
    Column(name="billed_usd", kind="usd", heading="billed"),
    Column(name="difference_usd", kind="usd", heading="difference"),
    Column(name="tokens_usd", kind="usd", heading="by tokens"),
    Column(name="price_usd", kind="usd", heading="by price"),
)
_TOKENS = (
    Column(name="input_tokens", kind="count", heading="input"),
    Column(name="billed_input_tokens", kind="count", heading="billed input"),
    Column(name="output_tokens", kind="count", heading="output"),
    Column(name="billed_output_tokens", kind="count", heading="billed output"),
    Column(name="cost_usd", kind="usd", heading="cost here"),
    Column(name="estimated_usd", kind="usd", heading="of it estimated"),
)
"""Of a bill without costs, which would have nothing but unknown ones to show."""


def _rows(found: Reconciled, *, every: bool) -> Section:
    import polars as pl

    columns = [
        Column(name="day", kind="text"),
        Column(name="model", kind="text"),
        Column(name="verdict", kind="text"),
        Column(name="exchanges", kind="count"),
        Column(name="requests", kind="count", heading="billed ones"),
        *(_COSTS if found.rows["billed_usd"].count() else _TOKENS),
        Column(name="unpriced", kind="count"),
    ]
    frame = found.rows if every else found.rows.filter(pl.col("verdict") != "same")
    shown = frame.with_columns(
        pl.col("day").cast(pl.String),
        pl.col("model").fill_null("(all)"),
        pl.col("verdict").str.replace_all("_", " "),
    )
    return Section(
        name="rows",
        title="Day by day" if every else "Where they differ" if len(frame) else "They agree",
        frame=found.rows,
        table=table_of(shown, columns) if len(frame) else None,
    )
