"""Charts that are not over time: spreads, areas, waterfalls, steps.

Owns these shapes, with the rules of dashboard/charts.py. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from dashboard.charts import UNITS, Option, name_of
from dashboard.colours import BAD, GOOD, MIDDLE, REST, colour
from dashboard.figures import number, seconds, usd, usd_format
from dashboard.texts import shortened, visible

_CATEGORIES: Option = {
    "type": "category",
    "inverse": True,
    "axisTick": {"show": False},
    "axisLine": {"show": False},
}
_ENDS = "#6c7bd9"
_GRID: Option = {"left": 4, "right": 16, "top": 28, "bottom": 4, "containLabel": True}


def spread(
    names: Sequence[str],
    quantiles: Sequence[tuple[float | None, float | None, float | None]],
    shades: Sequence[str],
    *,
    unit: str = "seconds",
) -> Option:
    """For each name a bar from p50 to p95 and a thinner one to p99."""
    known = [tuple(0.0 if each is None else each for each in row) for row in quantiles]
    reaches = [(max(0.0, b - a), max(0.0, c - b)) for a, b, c in known]

    def layer(title: str, values: Sequence[float], opacity: float) -> Option:
        data = [
            {"value": value, "itemStyle": {"color": shade, "opacity": opacity}}
            for value, shade in zip(values, shades, strict=True)
        ]
        return {
            "type": "bar",
            "stack": "spread",
            "name": title,
            "data": data,
            "barMaxWidth": 14,
            "itemStyle": {"color": REST, "opacity": opacity},
        }

    return {
        "grid": _GRID,
        "legend": {"top": 0, "icon": "roundRect", "itemWidth": 10, "selectedMode": False},
        "xAxis": {"type": "value", "axisLabel": {"formatter": _unit(unit)}, "splitNumber": 4},
        "yAxis": {**_CATEGORIES, "data": [shortened(visible(name), 30) for name in names]},
        "series": [
            layer("to p50", [row[0] for row in known], 0.9),
            layer("to p95", [row[0] for row in reaches], 0.45),
            layer("to p99", [row[1] for row in reaches], 0.2),
        ],
        "animationDuration": 250,
    }


def _unit(unit: str) -> str:
    return "{value} s" if unit == "seconds" else "{value}"


_DIVIDED, _NAMED = 0.04, 0.015
"""Shares of all from which a box is divided, and named: smaller ones have no room for it."""


def treemap(found: pl.DataFrame, known: Mapping[str, str]) -> Option:
    """Areas of spend: the first dimension, and the second within it. See queries/cross.py."""
    boxes = []
    whole = sum(_positive(cell) for cell in found.to_dicts()) or 1.0
    for keys, cells in found.group_by(["part", "name"], maintain_order=True):
        part, name = str(keys[0]), None if keys[1] is None else str(keys[1])
        children = [
            {"name": name_of(cell["column_name"], cell["column_part"]), "value": _positive(cell)}
            for cell in cells.to_dicts()
            if _positive(cell) > 0
        ]
        if children:
            shade = dict.fromkeys(("color", "borderColor"), colour(name, part, known))
            box = {"name": name_of(name, part), "itemStyle": shade}
            boxes.append(box | _within(children, whole))
    values = [number(value) for value in found["cost_usd"]]
    return {
        "tooltip": {"confine": True, "valueFormatter": usd_format(values)},
        "series": [
            {
                "type": "treemap",
                "data": boxes,
                "roam": False,
                "nodeClick": False,
                "breadcrumb": {"show": False},
                "width": "100%",
                "height": "100%",
                "top": 0,
                "left": 0,
                "label": {"color": "#ffffff", "fontSize": 11, "overflow": "truncate"},
                "upperLabel": {
                    "show": True,
                    "height": 22,
                    "color": "#ffffff",
                    "fontWeight": "bold",
                    "overflow": "truncate",
                },
                "levels": [
                    {"itemStyle": {"gapWidth": 3, "borderWidth": 0}, "upperLabel": {"show": False}},
                    {"itemStyle": {"gapWidth": 1, "borderWidth": 1}, "upperLabel": {"show": True}},
                ],
            }
        ],
        "animationDuration": 250,
    }


def _within(children: list[Option], whole: float) -> Option:
    """What a box has in it; small ones are whole, and the smallest without their name."""
    value = sum(each["value"] for each in children)
    if value >= _DIVIDED * whole:
        return {"children": children}
    return {"value": value, "label": {"show": value >= _NAMED * whole}}


def _positive(cell: Mapping[str, Any]) -> float:
    return max(0.0, number(cell["cost_usd"]) or 0.0)


def waterfall(
    before: float, causes: Sequence[tuple[str, float]], after: float, *, titles: tuple[str, str]
) -> Option:
    """From one sum to another by its causes, downwards: more in red, less in green."""
    level, starts = before, []
    for _, amount in causes:
        starts.append(min(level, level + amount))
        level += amount
    amounts = [before, *(amount for _, amount in causes), after]
    last = len(amounts) - 1
    labels = [
        usd(each) if place in (0, last) or each < 0 else f"+{usd(each)}"
        for place, each in enumerate(amounts)
    ]
    shades = [_ENDS, *(BAD if amount > 0 else GOOD for _, amount in causes), _ENDS]
    data = [
        {
            "value": abs(amount),
            "itemStyle": {"color": shade, "borderRadius": 3},
            "label": {"show": True, "position": "right", "formatter": label},
        }
        for amount, shade, label in zip(amounts, shades, labels, strict=True)
    ]
    return {
        "grid": {"left": 4, "right": 72, "top": 4, "bottom": 4, "containLabel": True},
        "xAxis": {"type": "value", "show": False},
        "yAxis": {**_CATEGORIES, "data": [titles[0], *(name for name, _ in causes), titles[1]]},
        "series": [
            {
                "type": "bar",
                "stack": "sum",
                "data": [0.0, *starts, 0.0],
                "itemStyle": {"color": "transparent"},
                "silent": True,
            },
            {"type": "bar", "stack": "sum", "data": data, "barMaxWidth": 22},
        ],
        "animationDuration": 250,
    }


_STEP_NAMES, _STEP_NAMES_NARROW = 236, 116
"""Pixels for the names of steps, on a screen and on a telephone."""
_NARROW = 480
_KINDS = {"run": REST, "branch": REST, "session": REST, "tool": MIDDLE}


def steps(found: pl.DataFrame, known: Mapping[str, str]) -> Option:
    """A session as bars from each step's beginning to its end; see queries/session.py."""
    rows = found.to_dicts()
    data = [
        {
            "value": max(row["seconds"] or 0.0, 0.0),
            "itemStyle": {"color": _shade(row, known), "borderRadius": 3},
            "label": {"show": True, "position": "right", "formatter": _figures(row)},
        }
        for row in rows
    ]
    names = [f"{row['number']}{_indent(row)}{_step(row)}" for row in rows]
    return {
        "grid": {"right": 112, "top": 4, "bottom": 24, **_beside(_STEP_NAMES)},
        "tooltip": {"trigger": "item", "confine": True, "valueFormatter": UNITS["seconds"]},
        "xAxis": {"type": "value", "axisLabel": {"formatter": "{value} s", "hideOverlap": True}},
        "yAxis": {**_CATEGORIES, "data": names, "axisLabel": _left(_STEP_NAMES)},
        "media": [
            {
                "query": {"maxWidth": _NARROW},
                "option": {
                    "grid": _beside(_STEP_NAMES_NARROW),
                    "yAxis": {"axisLabel": _left(_STEP_NAMES_NARROW)},
                },
            }
        ],
        "series": [
            {
                "type": "bar",
                "stack": "time",
                "data": [row["offset_seconds"] for row in rows],
                "itemStyle": {"color": "transparent"},
                "silent": True,
                "tooltip": {"show": False},
            },
            {
                "type": "bar",
                "stack": "time",
                "data": data,
                "barMaxWidth": 14,
                "barMinHeight": 3,
                "selectedMode": "single",
            },
        ],
        "animationDuration": 250,
    }


def _beside(width: int) -> Option:
    """A grid beside names of this width, wherever its own bounds would like to be."""
    return {"left": width + 8, "outerBoundsMode": "none", "containLabel": False}


def _left(width: int) -> Option:
    return {"align": "left", "margin": width + 4, "width": width, "overflow": "truncate"}


def _indent(row: Mapping[str, Any]) -> str:
    """Spaces that are not folded into one."""
    return "\u2002" * (int(row["depth"]) + 3 - len(str(row["number"])))


def _shade(row: Mapping[str, Any], known: Mapping[str, str]) -> str:
    if row["kind"] == "call":
        failed = row["outcome"] not in ("completed", "cached")
        return BAD if failed else colour(row["name"], "group", known)
    return _KINDS[str(row["kind"])]


def _step(row: Mapping[str, Any]) -> str:
    name = shortened(visible(row["name"] or "not labelled"), 34)
    if row["kind"] == "call":
        return f"again: {name}" if row["retry_of"] else name
    return name if row["kind"] == "tool" else f"{row['kind']} {name}"


def _figures(row: Mapping[str, Any]) -> str:
    took = "" if row["seconds"] is None else seconds(row["seconds"])
    return took if row["kind"] == "tool" else f"{took}  {usd(row['cost_usd'])}"
