"""How simulations and comparisons are shown on the command line.

Owns tables and sentences. Refuses to compute anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import polars as pl

from analytics.reports.shown import NONE, Section, table_of
from analytics.simulation import SUPPOSED
from analytics.simulation.compared import Compared
from analytics.simulation.left_out import listed
from analytics.simulation.replay import EFFECTS
from analytics.simulation.summary import Simulated, Totals
from analytics.tables import Column, counted, usd
from analytics.windows import Window
from proxy.rules.settings import Rule

_MONEY = [
    Column(name="cost_usd", kind="usd", heading="cost"),
    Column(name="saved_usd", kind="usd", heading="saved"),
    Column(name="unknown", kind="count", heading="unknown"),
]
_RULE = [Column(name="rule", kind="text"), Column(name="effect", kind="text")]
_COUNTS = [
    Column(name="exchanges", kind="count"),
    Column(name="users", kind="count"),
    Column(name="features", kind="count"),
]


def simulated(found: Simulated, window: Window, tried: Sequence[Rule]) -> list[Section]:
    """The parts of a simulation of rules."""
    total = found.totals
    title = (
        f"{found.affected.height:,} of {counted(total.exchanges, 'exchange')} would have been "
        f"touched: {_saved(total.saved_usd)}, of {usd(total.cost_usd)}"
    )
    by_rule, left_out = found.by_rule(), listed(tried, total.left_out)
    rules = Section(
        name="rules",
        title=title,
        frame=by_rule,
        table=table_of(
            by_rule,
            [*_RULE, *_COUNTS, *_MONEY],
            notes=[f"Window: {window}.", *_notes(total, left_out)],
        ),
    )
    who = [("features", "By feature", "feature"), ("users", "By user", "user_id")]
    parts = [_by(found, name, title, column) for name, title, column in who]
    affected = Section(name="exchanges", title="", frame=found.affected, table=None)
    return [rules, *(part for part in parts if len(part.frame)), affected, _unknown(left_out)]


def _by(found: Simulated, name: str, title: str, column: str) -> Section:
    frame = found.by(column)
    effects = [each.replace(" ", "_") for each in EFFECTS]
    shown = [
        Column(name=each, kind="count", heading=each.replace("_", " "))
        for each in effects
        if frame[each].sum()
    ]
    columns = [Column(name=column, kind="text", heading=column.removesuffix("_id")), *shown]
    return Section(
        name=name,
        title=title,
        frame=frame,
        table=table_of(frame.with_columns(pl.col(column).fill_null(NONE)), [*columns, *_MONEY]),
    )


def _saved(saved: Decimal) -> str:
    return f"{usd(saved)} saved" if saved >= 0 else f"{usd(-saved)} more paid"


def _unknown(left_out: pl.DataFrame) -> Section:
    """For programs; people read it in the notes."""
    return Section(name="left_out", title="", frame=left_out, table=None)


def _notes(total: Totals, left_out: pl.DataFrame) -> list[str]:
    notes = [f"Supposed: {each}" for each in SUPPOSED]
    if total.unknown:
        notes.append(
            f"Of {counted(total.unknown, 'exchange')} nobody knows the cost, as it was or would "
            "have been; they are in no sum."
        )
    return notes + _not_simulated(left_out)


def _not_simulated(left_out: pl.DataFrame) -> list[str]:
    return [
        f"Not simulated: {rule}, {part}. It concerns {counted(exchanges, 'exchange')}."
        for rule, part, exchanges in left_out.rows()
    ]


def compared(
    found: Compared, rules: Sequence[str], window: Window, new: Sequence[Rule]
) -> list[Section]:
    """The parts of a comparison of two sets of rules; `rules` says how they differ."""
    left_out = listed(new, found.new.left_out)
    title = (
        f"{found.different.height:,} of {counted(found.new.exchanges, 'exchange')} would be "
        f"decided differently: {_saved(found.new.saved_usd - found.old.saved_usd)} by the new rules"
    )
    changes = found.changes()
    untouched = pl.lit("untouched")
    frame = changes.with_columns(
        pl.col("was", "is").fill_null(untouched), pl.col("was_rule", "is_rule").fill_null("")
    )
    columns = [
        Column(name="was", kind="text"),
        Column(name="was_rule", kind="text", heading="by"),
        Column(name="is", kind="text"),
        Column(name="is_rule", kind="text", heading="by"),
        Column(name="exchanges", kind="count"),
        Column(name="users", kind="count"),
        Column(name="cost_was_usd", kind="usd", heading="cost, old rules"),
        Column(name="cost_is_usd", kind="usd", heading="cost, new rules"),
        Column(name="example", kind="text", heading="for example"),
    ]
    notes = [f"Window: {window}.", *rules, *(f"Supposed: {each}" for each in SUPPOSED)]
    notes += _not_simulated(left_out)
    return [
        Section(
            name="changes",
            title=title,
            frame=changes,
            table=table_of(frame, columns, notes=notes),
        ),
        Section(name="exchanges", title="", frame=found.different, table=None),
        _unknown(left_out),
    ]
