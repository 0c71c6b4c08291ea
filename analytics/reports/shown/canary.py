"""`meterline report canary`: the arms of rules that share calls, side by side.

Owns the arguments and the words. The query is analytics/queries/arms.py.
"""

from __future__ import annotations

import argparse

from analytics.reports.shown import Section, add_selection, opened, selected, table_of
from analytics.tables import Column
from proxy.config import Settings

HELP = "compare the destinations between which rules share calls: cost, speed, errors, tokens"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_selection(parser, "7d")


def sections(args: argparse.Namespace, settings: Settings) -> list[Section]:
    from analytics.queries.arms import arms, arms_by_day

    selection = selected(args)
    with opened(settings) as con:
        frame, by_day = arms(con, selection), arms_by_day(con, selection)
    columns = [
        Column(name="rule", kind="text"),
        Column(name="arm", kind="text"),
        Column(name="exchanges", kind="count"),
        Column(name="share", kind="share"),
        Column(name="users", kind="count"),
        Column(name="error_share", kind="share", heading="errors"),
        Column(name="cost_per_exchange_usd", kind="usd", heading="cost each"),
        Column(name="input_tokens", kind="count", heading="input each"),
        Column(name="output_tokens", kind="count", heading="output each"),
        Column(name="cached_share", kind="share", heading="cached"),
        Column(name="p50_seconds", kind="seconds", heading="p50"),
        Column(name="p95_seconds", kind="seconds", heading="p95"),
        Column(name="p50_first_chunk_seconds", kind="seconds", heading="first chunk p50"),
    ]
    notes = [f"Window: {selection.window}."]
    if frame.is_empty():
        notes.append("No balance rule acted in it.")
    return [
        Section(
            name="arms",
            title="Calls that rules share between several destinations",
            frame=frame,
            table=table_of(frame, columns, notes=notes),
        ),
        Section(
            name="days",
            title="By day",
            frame=by_day,
            table=table_of(by_day, _BY_DAY) if len(by_day) else None,
        ),
    ]


_BY_DAY = [
    Column(name="rule", kind="text"),
    Column(name="day"),
    Column(name="arm", kind="text"),
    Column(name="exchanges", kind="count"),
    Column(name="error_share", kind="share", heading="errors"),
    Column(name="cost_per_exchange_usd", kind="usd", heading="cost each"),
    Column(name="p50_seconds", kind="seconds", heading="p50"),
]
