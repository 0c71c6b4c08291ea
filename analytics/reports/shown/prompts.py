"""`meterline report prompts`: prompt versions, and what each change did.

Owns the arguments and the words. The report is analytics/reports/prompts.py.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

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
    import polars as pl

    from analytics.reports.prompts import Prompts

HELP = "which prompt versions there were, what each change did to tokens and costs, and its diff"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_selection(parser, "30d")
    parser.add_argument("--no-diff", action="store_true", help="leave out the texts")


def sections(args: argparse.Namespace, settings: Settings) -> list[Section]:
    from analytics.reports.prompts import prompts

    selection = selected(args)
    with opened(settings) as con:
        found = prompts(con, selection, texts=not args.no_diff)
    return [
        _changes(found, texts=not args.no_diff),
        _unstable(found),
        _versions(found),
        Section(name="shares", title="Shares by day", frame=found.shares, table=None),
    ]


def _changes(found: Prompts, *, texts: bool) -> Section:
    columns = [
        Column(name="feature", kind="text"),
        Column(name="version", kind="count"),
        Column(name="at", kind="text", heading="since (UTC)"),
        Column(name="input", kind="text", heading="input tokens each"),
        Column(name="output", kind="text", heading="output tokens each"),
        Column(name="cost", kind="text", heading="cost each"),
        Column(name="is_clear", kind="text", heading="clear"),
        Column(name="cost_usd_since", kind="usd", heading="since then"),
    ]
    rows = found.changes.to_dicts()
    return Section(
        name="changes",
        title="Changes of prompts" if rows else "No prompt changed",
        frame=found.changes,
        table=table_of(_in_words(rows), columns, notes=_notes(rows)) if rows else None,
        text=_text(found, rows, texts=texts),
    )


def _text(found: Prompts, rows: list[dict[str, Any]], *, texts: bool) -> str:
    if not len(found.versions):
        return NOTHING
    if not rows:
        return "Every feature kept the prompt it had."
    return "\n".join(_diffs(rows)) if texts else ""


def _in_words(rows: list[dict[str, Any]]) -> pl.DataFrame:
    import polars as pl

    words = [
        {
            "feature": NONE if row["feature"] is None else row["feature"],
            "version": row["version"],
            "at": f"{row['at']:%Y-%m-%d %H:%M}",
            "input": _moved(row["input_tokens_before"], row["input_tokens"]),
            "output": _moved(row["output_tokens_before"], row["output_tokens"]),
            "cost": _moved(row["cost_usd_before"], row["cost_usd"]),
            "is_clear": {None: "-", True: "yes", False: "no"}[row["is_clear"]],
            "cost_usd_since": row["cost_usd_since"],
        }
        for row in rows
    ]
    return pl.DataFrame(words, schema_overrides={"cost_usd_since": pl.Decimal(38, 12)})


def _moved(before: Any, after: Any) -> str:
    if before is None or after is None:
        return "-"
    if isinstance(before, float):
        texts = f"{before:,.0f} -> {after:,.0f}"
    else:
        texts = f"{usd(before)} -> {usd(after)}"
    return f"{texts} ({float(after) / float(before) - 1:+.0%})" if before else texts


def _notes(rows: list[dict[str, Any]]) -> list[str]:
    notes = [
        "Compared are seven days on each side; `since then` is the difference times all exchanges "
        "with the new version."
    ]
    for row in rows:
        if row["models_changed"]:
            notes.append(f"{row['feature'] or NONE}: the models changed at the same time.")
    return notes


def _diffs(rows: list[dict[str, Any]]) -> list[str]:
    texts: list[str] = []
    for row in rows:
        if row["diff"] is not None:
            what = row["diff"] or "The text is the same; it was sent in another form."
            texts.append(
                f"\n{row['feature'] or NONE}, version {row['replaced']} -> {row['version']}\n{what}"
            )
    return texts


def _unstable(found: Prompts) -> Section:
    columns = [
        Column(name="feature", kind="text"),
        Column(name="fingerprints", kind="count", heading="texts"),
        Column(name="exchanges", kind="count"),
        Column(name="at_character", kind="count", heading="differ from"),
        Column(name="first", kind="text", heading="by words like"),
        Column(name="second", kind="text", heading="and"),
        Column(name="shared_after", kind="count", heading="same behind it"),
    ]
    note = (
        "No provider's cache helps from the first difference on. Move what differs behind what "
        "stays the same."
    )
    return Section(
        name="unstable",
        title="Unstable prompts: a part of them is different in (nearly) every call",
        frame=found.unstable,
        table=table_of(found.unstable, columns, notes=[note]) if len(found.unstable) else None,
    )


def _versions(found: Prompts) -> Section:
    import polars as pl

    columns = [
        Column(name="feature", kind="text"),
        Column(name="version", kind="count"),
        Column(name="fingerprint", kind="text"),
        Column(name="exchanges", kind="count"),
        Column(name="share", kind="share"),
        Column(name="input_tokens", kind="count", heading="input each"),
        Column(name="output_tokens", kind="count", heading="output each"),
        Column(name="cached", kind="share"),
        Column(name="cost_usd_each", kind="usd", heading="cost each"),
        Column(name="cost_usd", kind="usd", heading="cost"),
    ]
    frame = found.versions.with_columns(
        pl.col("feature").fill_null(NONE),
        pl.col("fingerprint").fill_null("(unstable)"),
        pl.col("input_tokens", "output_tokens").round().cast(pl.Int64),
    )
    total = counted(len(frame), "version")
    return Section(
        name="versions",
        title=f"Prompts in use: {total}",
        frame=found.versions,
        table=table_of(frame, columns) if len(frame) else None,
    )
