"""SQL: one SELECT over the documented tables and views, as a table, a chart and a file."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import streamlit as st

from analytics import apart, store
from analytics.sandbox import SqlRefused
from analytics.tables import Column, Table, csv_lines
from analytics.views import VIEWS
from dashboard import charts, pages
from dashboard.colours import PALETTE
from dashboard.reading import View
from dashboard.texts import literal, visible
from proxy.exchange import Attempt, Content, Decision, Exchange, Loss, columns

MOST_ROWS, SECONDS, DRAWN = 10_000, 20.0, 60
TABLES = {
    "exchanges": Exchange,
    "attempts": Attempt,
    "decisions": Decision,
    "contents": Content,
    "losses": Loss,
}
EXAMPLES = {
    "Spend by day": "SELECT day, cost_usd, exchanges\nFROM spend_by_day\nORDER BY day",
    "Features, last 7 days": """SELECT feature, sum(cost_usd) AS cost_usd, count(*) AS requests
FROM exchanges
WHERE started_at > now() - INTERVAL 7 DAY
GROUP BY feature
ORDER BY cost_usd DESC NULLS LAST""",
    "Cost per 1,000 output tokens": """SELECT coalesce(response_model, request_model) AS model,
    sum(cost_usd) * 1000 / sum(output_tokens) AS usd_per_1k_output, count(*) AS requests
FROM exchanges
WHERE output_tokens > 0
GROUP BY model
ORDER BY usd_per_1k_output DESC NULLS LAST""",
    "Busiest hours": """SELECT hour(started_at) AS hour_utc, count(*) AS requests
FROM exchanges
GROUP BY hour_utc
ORDER BY hour_utc""",
    "Without a price": "FROM unpriced\nORDER BY exchanges DESC",
    "Dearest sessions": """SELECT session_id, feature, user_id, exchanges, cost_usd
FROM sessions
ORDER BY cost_usd DESC NULLS LAST
LIMIT 20""",
}
Result = tuple[list[str], list[tuple[Any, ...]]]


def page(now: View) -> None:
    left, right = st.columns([3, 1])
    with right:
        _schema()
    with left:
        text = _editor()
        if st.button("Run", type="primary", icon=":material/play_arrow:", key="run"):
            st.session_state["result"] = _run(now, text)
        result = st.session_state.get("result")
        if isinstance(result, str):
            st.error(literal(result), title="It did not run", icon=":material/error:")
        elif result is not None:
            _show(*result)
        else:
            st.caption(
                "One SELECT, read-only; no files, no network. Twenty seconds and 10,000 rows."
            )


def _editor() -> str:
    example = st.menu_button("Examples", tuple(EXAMPLES), icon=":material/lightbulb:")
    if example:
        st.session_state["query"] = EXAMPLES[example]
    return st.text_area(
        "SQL",
        value=EXAMPLES["Features, last 7 days"],
        height=190,
        key="query",
        bind="query-params",
        label_visibility="collapsed",
    )


def _run(now: View, text: str) -> Result | str:
    try:
        return apart.run(now.settings.store_path, text, max_rows=MOST_ROWS, timeout_seconds=SECONDS)
    except (SqlRefused, apart.SqlFault, store.StoreError) as error:
        return str(error)


def _show(names: list[str], rows: list[tuple[Any, ...]]) -> None:
    table = Table(columns=[Column(name=name) for name in names], rows=rows)
    text = "\n".join(csv_lines(table)) + "\n"
    with st.container(horizontal=True, vertical_alignment="center"):
        more = f"the first {MOST_ROWS:,} rows" if len(rows) >= MOST_ROWS else f"{len(rows):,} rows"
        st.caption(more, width="stretch")
        st.download_button(
            "CSV", text, "result.csv", "text/csv", icon=":material/download:", on_click="ignore"
        )
    frame = _frame(names, rows)
    as_table, as_chart = st.tabs(["Table", "Chart"])
    as_table.dataframe(frame, hide_index=True, alt="The result", placeholder="NULL")
    with as_chart:
        _draw(frame)


def _frame(names: list[str], rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    """The result for the screen: amounts as floats, everything else that is no number as text."""
    given: dict[str, pl.Series] = {}
    for place, name in enumerate(names):
        title, number = visible(name), 2
        while title in given:
            title, number = f"{visible(name)} ({number})", number + 1
        given[title] = pl.Series(title, [_cell(row[place]) for row in rows], strict=False)
    return pl.DataFrame(given)


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value if not isinstance(value, int) or abs(value) < 1 << 62 else str(value)
    if isinstance(value, Decimal):
        return float(value)
    return visible(str(value), "\n\t")


def _draw(frame: pl.DataFrame) -> None:
    numbers = [n for n in frame.columns if frame.schema[n].is_numeric()]
    others = [n for n in frame.columns if n not in numbers] or frame.columns[:1]
    values = [n for n in numbers if n != others[0]] if others else numbers
    if not values or frame.is_empty():
        st.caption("A chart needs a column of numbers.")
        return
    with st.container(horizontal=True):
        label = st.selectbox("Names", frame.columns, index=frame.columns.index(others[0]))
        value = st.selectbox("Values", values)
    shown = frame.head(DRAWN)
    option = charts.columns(
        [str(each) for each in shown[label]], shown[value].cast(pl.Float64).to_list(), PALETTE[0]
    )
    st.echarts_chart(option, height=340, key="drawn", alt="The result as bars")


def _schema() -> None:
    with st.container(border=True):
        st.markdown("**What there is**")
        for name, record in TABLES.items():
            with st.expander(name, icon=":material/table:"):
                for column in columns(record):
                    st.caption(f"`{column.name}` {literal(column.doc)}")
        for name, (doc, _) in VIEWS.items():
            with st.expander(name, icon=":material/table_view:"):
                st.caption(literal(doc))


pages.live(page, renews=False)
