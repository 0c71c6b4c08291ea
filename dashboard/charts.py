"""Charts over time and rankings: a frame in, an ECharts option out.

Owns what a chart looks like: sorted, with units, the rest in grey. Texts from outside go in as
names and categories only, which are drawn as text, never as templates. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from dashboard.colours import colour
from dashboard.figures import number, usd_format
from dashboard.texts import shortened, visible

Option = dict[str, Any]
UNITS = {"usd": "$%,.2f", "count": "%,d", "share": "percent", "seconds": "%,.2f s", "size": "bytes"}
"""Formats of values by what they measure."""
_LABELS = {"hour": "%d %b %H:%M", "day": "%d %b", "week": "%d %b", "month": "%b %Y"}
_LONGEST = 30
_NARROW = 320
_SHORT: Option = {"width": 104, "overflow": "truncate"}
"""Names beside bars that would else have no room, in pixels."""


def name_of(name: str | None, part: str, rest: int | None = None) -> str:
    """What a row is called: its name, `not labelled`, or how many are left."""
    if part == "rest":
        return f"{rest:,} others" if rest else "others"
    if part == "total":
        return "all"
    return "not labelled" if name is None else visible(name)


def stacked(
    found: pl.DataFrame, measure: str, known: Mapping[str, str], *, bucket: str, unit: str = "usd"
) -> Option:
    """One bar for each bucket, stacked by group; `found` is an answer of `over_time`."""
    starts = found["start"].unique(maintain_order=True).to_list()
    groups = found.filter(pl.col("part") != "total")
    if groups.is_empty():
        groups = found
    series = []
    for keys, rows in groups.group_by(["part", "name"], maintain_order=True):
        part, name = str(keys[0]), keys[1] if keys[1] is None else str(keys[1])
        values = [number(value) for value in rows[measure]]
        series.append(
            {
                "type": "bar",
                "stack": "all",
                "name": name_of(name, part),
                "data": values,
                "itemStyle": {"color": colour(name, part, known)},
                "barCategoryGap": "22%",
                "emphasis": {"focus": "series"},
            }
        )
    largest = [number(v) for v in found.filter(part="total")[measure]] or [0.0]
    return {
        **_over_time(starts, bucket, largest, unit),
        "legend": {"type": "scroll", "bottom": 0, "icon": "roundRect", "itemWidth": 10},
        "series": series,
    }


def lines(
    found: pl.DataFrame,
    columns: Mapping[str, tuple[str, str]],
    *,
    bucket: str,
    unit: str = "seconds",
) -> Option:
    """A line for each column over `start`; `columns` gives each a title and a colour."""
    starts = found["start"].to_list()
    every = [number(value) for name in columns for value in found[name]]
    series = [
        {
            "type": "line",
            "name": title,
            "data": [number(value) for value in found[name]],
            "itemStyle": {"color": shade},
            "lineStyle": {"width": 2.5},
            "showSymbol": len(starts) < 3,
            "connectNulls": False,
        }
        for name, (title, shade) in columns.items()
    ]
    return {
        **_over_time(starts, bucket, every, unit),
        "legend": {"bottom": 0, "icon": "roundRect", "itemWidth": 10},
        "series": series,
    }


def _over_time(
    starts: Sequence[datetime], bucket: str, values: Sequence[float | None], unit: str
) -> Option:
    return {
        "grid": {"left": 8, "right": 12, "top": 16, "bottom": 36, "containLabel": True},
        "tooltip": {
            "trigger": "axis",
            "order": "valueDesc",
            "confine": True,
            "axisPointer": {"type": "shadow"},
            "valueFormatter": usd_format(values) if unit == "usd" else UNITS[unit],
        },
        "xAxis": {
            "type": "category",
            "data": [start.strftime(_LABELS[bucket]) for start in starts],
            "axisTick": {"show": False},
        },
        "yAxis": {"type": "value", "axisLabel": {"formatter": _axis(unit)}, "splitNumber": 4},
        "animationDuration": 250,
    }


def _axis(unit: str) -> str:
    return {"usd": "${value}", "seconds": "{value} s", "share": "{value}"}.get(unit, "{value}")


def bars(
    names: Sequence[str],
    values: Sequence[float | None],
    labels: Sequence[str],
    shades: Sequence[str],
    *,
    unit: str = "usd",
    is_pickable: bool = False,
) -> Option:
    """Horizontal bars, the first on top, each with its figure behind it."""
    data = [
        {
            "value": value,
            "itemStyle": {"color": shade, "borderRadius": [0, 4, 4, 0]},
            "label": {"show": True, "position": "right", "formatter": _plain(label)},
        }
        for value, label, shade in zip(values, labels, shades, strict=True)
    ]
    series: Option = {"type": "bar", "data": data, "barMaxWidth": 20, "barCategoryGap": "35%"}
    if is_pickable:
        series |= {"selectedMode": "single", "cursor": "pointer"}
        series["select"] = {"itemStyle": {"borderWidth": 0}}
    return {
        "grid": {"left": 4, "right": 96, "top": 4, "bottom": 4, "containLabel": True},
        "tooltip": {
            "trigger": "item",
            "confine": True,
            "valueFormatter": usd_format(values) if unit == "usd" else UNITS[unit],
        },
        "xAxis": {"type": "value", "show": False},
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": _apart([shortened(visible(name), _LONGEST) for name in names]),
            "axisTick": {"show": False},
            "axisLine": {"show": False},
        },
        "series": [series],
        "animationDuration": 250,
        "media": [{"query": {"maxWidth": _NARROW}, "option": {"yAxis": {"axisLabel": _SHORT}}}],
    }


def _plain(label: str) -> str:
    """A figure as a template that stands for itself."""
    return label.replace("{", "(").replace("}", ")")


def _apart(names: Sequence[str]) -> list[str]:
    """Categories that became equal by shortening, told apart."""
    given: list[str] = []
    for name in names:
        given.append(name if name not in given else f"{name} ({len(given) + 1})")
    return given


def height(rows: int) -> int:
    """Pixels for so many horizontal bars."""
    return max(80, 34 * rows + 12)


def columns(names: Sequence[str], values: Sequence[float | None], shade: str) -> Option:
    """Upright bars in the order given."""
    return {
        "grid": {"left": 8, "right": 12, "top": 16, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True, "axisPointer": {"type": "shadow"}},
        "xAxis": {
            "type": "category",
            "data": [shortened(visible(name), _LONGEST) for name in names],
            "axisTick": {"show": False},
        },
        "yAxis": {"type": "value", "splitNumber": 4},
        "series": [
            {
                "type": "bar",
                "data": list(values),
                "itemStyle": {"color": shade, "borderRadius": [3, 3, 0, 0]},
                "barMaxWidth": 40,
            }
        ],
        "animationDuration": 250,
    }
