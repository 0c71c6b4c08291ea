"""Parts that several pages draw: metrics, rankings, tables of exchanges, cards.

Owns how these look and what a click on them does. Refuses to query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import polars as pl
import streamlit as st

from dashboard import charts, drill, figures
from dashboard.colours import colour
from dashboard.filters import label
from dashboard.texts import literal, visible

DIMENSIONS = ("feature", "model", "user", "provider", "environment")
"""By what pages group."""
TITLES = {
    "feature": "Feature",
    "model": "Model",
    "user": "User",
    "provider": "Provider",
    "environment": "Environment",
    "session": "Session",
    "client": "Client",
    "operation": "Operation",
    "upstream": "Upstream",
    "outcome": "Outcome",
    "key": "Key",
    "dialect": "Dialect",
    "status": "HTTP status",
    "error": "Error",
    "tier": "Service tier",
    "prompt": "Prompt version",
}
Shown = Literal[
    "usd", "price", "count", "share", "seconds", "clock", "size", "text", "when", "rate"
]
"""What a column holds: `price` is dollars for one of something, `clock` is long durations."""
MOST_ROWS_WHOLE = 14
"""Tables of so many rows are as high as they are; longer ones scroll."""
Colours = Mapping[str, str]


def metric(
    name: str,
    value: Decimal | float | None,
    before: Decimal | float | None = None,
    *,
    show: Callable[[Any], str] = figures.count,
    trend: Sequence[float | None] | None = None,
    is_worse: bool | None = True,
    note: str | None = None,
) -> None:
    """A figure with its change and its course; `is_worse`: more of it is worse, None: neither."""
    change = figures.change(value, before)
    colours: dict[bool | None, Any] = {True: "inverse", False: "normal", None: "off"}
    points = [each for each in trend or () if each is not None]
    st.metric(
        name,
        literal(show(value)),
        0 if change == "+0%" else change,
        delta_color=colours[is_worse],
        delta_description=None if change is None else f"vs {literal(show(before))}",
        border=True,
        height="stretch",
        chart_data=points if len(points) > 1 else None,
        chart_type="area",
        help=note,
    )


def six_metrics(draw: Sequence[Callable[[], None]]) -> None:
    """Six metrics in a row; where there is no room for that, three in each of two."""
    with st.grid(2, min_column_width=476, gap="small"):
        for half in (draw[:3], draw[3:]):
            with st.grid(3, min_column_width=140, gap="small"):
                for each in half:
                    each()


def by(key: str = "by", options: Sequence[str] = DIMENSIONS, *, default: str | None = None) -> str:
    """Which dimension to group by."""
    chosen = st.segmented_control(
        "By",
        options,
        default=default or options[0],
        required=True,
        format_func=lambda each: TITLES.get(each, each),
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )
    return chosen or options[0]


def ranking(
    found: pl.DataFrame,
    dimension: str,
    known: Mapping[str, str],
    *,
    key: str,
    alt: str,
) -> None:
    """Bars of groups and the rest of them; a click filters by that group."""
    rows = [row for row in found.to_dicts() if row.get("part", "group") != "total"]
    parts = [row.get("part", "group") for row in rows]
    names = [charts.name_of(row["name"], part, row.get("groups")) for row, part in _pairs(rows)]
    amounts = figures.usds([row["cost_usd"] for row in rows])
    shares = [row.get("cost_share") for row in rows]
    labels = [
        amount if part is None else f"{amount}  {figures.share(part)}"
        for amount, part in zip(amounts, shares, strict=True)
    ]
    option = charts.bars(
        names,
        [figures.number(row["cost_usd"]) for row in rows],
        labels,
        [colour(row["name"], part, known) for row, part in zip(rows, parts, strict=True)],
        is_pickable=True,
    )
    event = st.echarts_chart(
        option, height=charts.height(len(rows)), key=key, on_select="rerun", alt=alt
    )
    place = fresh(key, event)
    if place is not None and place < len(rows) and parts[place] == "group":
        only(dimension, rows[place]["name"])


def _pairs(rows: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    return [(row, str(row.get("part", "group"))) for row in rows]


def only(dimension: str, name: str | None) -> None:
    """Look at one value of a dimension alone."""
    drill.to({dimension: [label(name)]})


def fresh(key: str, event: Any) -> int | None:
    """Which item of a chart was just clicked."""
    return _fresh(key, [i for group in event.selection.selected for i in group["data_indices"]])


def _fresh(key: str, picked: Sequence[int]) -> int | None:
    """What was picked since the last time; a choice stays selected, but acts once."""
    before = st.session_state.get(f"picked-{key}")
    st.session_state[f"picked-{key}"] = list(picked)
    return picked[0] if picked and list(picked) != before else None


def exchanges(found: pl.DataFrame, *, key: str, height: int | Literal["auto"] = "auto") -> None:
    """A list of exchanges; a click shows one in full."""
    table(
        found,
        {
            "started_at": ("Time, UTC", "when"),
            "feature": ("Feature", "text"),
            "model": ("Model", "text"),
            "user_id": ("User", "text"),
            "cost_usd": ("Cost", "usd"),
            "duration_seconds": ("Took", "seconds"),
            "input_tokens": ("In", "count"),
            "output_tokens": ("Out", "count"),
            "status": ("HTTP", "text"),
            "outcome": ("Outcome", "text"),
        },
        key=key,
        height=height,
        pick=lambda row: drill.to_exchange(row["exchange_id"]),
        alt="Exchanges; select a row to see it in full",
    )


def table(
    found: pl.DataFrame,
    columns: Mapping[str, tuple[str, Shown]],
    *,
    key: str,
    alt: str,
    pick: Callable[[dict[str, Any]], object] | None = None,
    height: int | Literal["auto"] = "auto",
) -> None:
    """A table of these columns, each with its heading and kind; `pick` acts on a clicked row."""
    names = [name for name in columns if name in found.columns]
    frame = pl.DataFrame([_ready(found[name], columns[name][1]) for name in names])
    is_whole = height == "auto" and found.height <= MOST_ROWS_WHOLE
    shared: dict[str, Any] = {
        "hide_index": True,
        "height": "content" if is_whole else height,
        "key": key,
        "column_config": {name: _column(*columns[name], frame[name]) for name in names},
        "placeholder": figures.UNKNOWN,
        "alt": alt,
    }
    if pick is None:
        st.dataframe(frame, **shared)
        return
    event = st.dataframe(
        frame, on_select="rerun", selection_mode=["single-row", "single-cell"], **shared
    )
    chosen = [*event.selection.rows, *(cell[0] for cell in event.selection.cells)]
    place = _fresh(key, chosen)
    if place is not None and place < found.height:
        pick(found.row(place, named=True))


def _ready(values: pl.Series, kind: Shown) -> pl.Series:
    """A column for the screen: plain floats, texts without what hides or reverses them.

    Texts are changed here, not by polars, whose threads could wait for Python's lock for ever.
    """
    if kind == "rate":
        return values.cast(pl.Float64) * 100
    if kind == "usd":
        amounts = values.cast(pl.Float64)
        return amounts.round(2) + 0.0 if _is_signed(amounts) else amounts  # no -$0.00
    if kind == "clock":
        return (values.cast(pl.Float64).round(0) * 1e6).cast(pl.Duration("us"))
    if kind in ("price", "seconds", "share"):
        return values.cast(pl.Float64)
    return texts_of(values) if kind == "text" else values


def _is_signed(amounts: pl.Series) -> bool:
    return bool((amounts <= -0.005).any())


def texts_of(values: pl.Series) -> pl.Series:
    """The values as texts that are safe to show; lists with commas."""
    shown = [None if value is None else visible(_joined(value)) for value in values.to_list()]
    return pl.Series(values.name, shown, dtype=pl.String)


def _joined(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _column(title: str, kind: Shown, values: pl.Series) -> Any:
    if kind == "usd":
        if _is_signed(values):
            return st.column_config.NumberColumn(title, format="dollar")  # puts the sign first
        return st.column_config.NumberColumn(title, format=figures.usd_format(values.to_list()))
    if kind == "price":
        return st.column_config.NumberColumn(title, format="$%.3g")
    if kind == "clock":
        return st.column_config.NumberColumn(title, format="compact")
    if kind == "seconds":
        return st.column_config.NumberColumn(title, format="%.2f s")
    if kind == "share":
        return st.column_config.ProgressColumn(
            title, format="percent", min_value=0, max_value=1, color="primary"
        )
    if kind == "rate":
        return st.column_config.NumberColumn(title, format="%.1f%%")
    if kind == "count":
        return st.column_config.NumberColumn(title, format="%,d")
    if kind == "size":
        return st.column_config.NumberColumn(title, format="bytes")
    if kind == "when":
        return st.column_config.DatetimeColumn(title, format="DD MMM HH:mm:ss", timezone="UTC")
    return st.column_config.TextColumn(title)
