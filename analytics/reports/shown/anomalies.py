"""`meterline report anomalies`: days that are out of line.

Owns the arguments and the words. The report is analytics/reports/anomalies.py.
"""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from analytics.commands import CommandFailed
from analytics.reports.shown import NONE, NOTHING, Section, add_selection, opened, selected
from analytics.tables import Column, Table, seconds, usd
from proxy.config import Settings

if TYPE_CHECKING:
    from analytics.reports.anomalies import Anomalies

HELP = "which days, features, users, models or providers were out of line, and why"
_MOST_PLACES = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_selection(parser, "30d")
    parser.add_argument(
        "--min-usd",
        metavar="USD",
        help="tell what is off by so much a day (default: 3%% of the median day)",
    )
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="rows (default: 20)")


def sections(args: argparse.Namespace, settings: Settings) -> list[Section]:
    from analytics.prices import PriceBook
    from analytics.reports.anomalies import anomalies

    selection, least = selected(args), _amount(args.min_usd)
    with opened(settings) as con:
        found = anomalies(
            con,
            PriceBook.of(settings),
            selection,
            datetime.now(UTC),
            least_usd=least,
            limit=args.limit,
        )
    return [
        _findings(found),
        Section(name="days", title="Their days", frame=found.days, table=None),
    ]


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise CommandFailed(f"--min-usd {text}: give an amount in dollars, like 0.50.", 2)
    return amount


def _findings(found: Anomalies) -> Section:
    columns = [
        Column(name="what", kind="text"),
        Column(name="when", kind="text"),
        Column(name="measure", kind="text"),
        Column(name="expected", kind="text"),
        Column(name="value", kind="text", heading="was"),
        Column(name="effect_usd", kind="usd", heading="effect"),
        Column(name="why", kind="text"),
    ]
    rows = [_row(row) for row in found.findings.iter_rows(named=True)]
    return Section(
        name="findings",
        title="Out of line" if rows else "Nothing is out of line",
        frame=found.findings,
        table=Table(columns=columns, rows=rows, notes=_notes(found)),
    )


def _notes(found: Anomalies) -> list[str]:
    if found.first_day is None:
        return [NOTHING]
    return [
        f"Judged from {found.first_day} on (UTC days; a week has to come before). Effects below "
        f"{usd(found.least_usd)} a day are not told."
    ]


def _row(row: dict[str, Any]) -> tuple[Any, ...]:
    name = "" if row["dimension"] == "everything" else f" {row['name'] or NONE}"
    measure = "cost a day" if row["measure"] == "cost" else row["measure"]
    return (
        f"{row['dimension']}{name}",
        _when(row["first_day"], row["last_day"]),
        measure,
        _value(row["expected"], row["measure"]),
        _value(row["value"], row["measure"]),
        row["effect_usd"],
        _why(row),
    )


def _when(first: date, last: date) -> str:
    return f"{first}" if first == last else f"{first}..{last:%m-%d}"


def _value(value: float, measure: str) -> str:
    if measure == "errors":
        return f"{value:.1%}"
    return seconds(value) if measure == "duration" else usd(Decimal(value))


def _why(row: dict[str, Any]) -> str:
    from analytics.reports.shown.change import what

    parts = []
    if row["cause"] is not None:
        change = what({**row, "measure": row["measured"]})
        parts.append(f"{row['cause'].replace('_', ' ')} ({change})")
    places = [
        f"{place['dimension']} {place['name'] or NONE}"
        for place in row["where"]
        if place["dimension"] != "provider" or row["dimension"] != "model"
    ]
    if places:
        parts.append("in " + ", ".join(places[:_MOST_PLACES]))
    return "; ".join(parts)
