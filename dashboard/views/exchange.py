"""One exchange in full: what was said, tried, decided and paid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
import streamlit as st

from analytics.bodies import Body, Said, said
from analytics.exports.charges import Splitter
from analytics.exports.conversation import asked
from analytics.queries.exchange import BadId, Whole, candidates, digits, whole
from dashboard import curl, drill, figures, messages, pages, parts, streams
from dashboard.reading import View, price_book
from dashboard.texts import literal, shortened, visible
from proxy.exchange import Exchange, columns

SHOWN_CHARACTERS = 20_000
LONG_CHARACTERS, LONG_PIXELS = 3_000, 360
ICONS = {
    "system": ":material/tune:",
    "developer": ":material/tune:",
    "user": ":material/person:",
    "assistant": ":material/smart_toy:",
    "tool": ":material/build:",
    "function": ":material/build:",
}
PIECES = {
    "tool call": ":material/build:",
    "tool result": ":material/output:",
    "reasoning": ":material/psychology:",
    "other": ":material/data_object:",
}


def page(now: View) -> None:
    if st.button("Requests", icon=":material/arrow_back:", type="tertiary", key="back"):
        drill.to({}, "requests")
    found = _found(now)
    if found is None:
        return
    content = said(found.exchange, found.content)
    head(found.exchange)
    left, right = st.columns([3, 2])
    with left:
        _said(found.exchange, content)
    with right:
        cost(now, found.exchange)
        attempts(found)
        again(now, found.exchange, content)
        record(found.exchange)


def _found(now: View) -> Whole | None:
    text = st.query_params.get("id", "")
    try:
        near = now.ask(candidates, digits(text), limit=2)
    except BadId:
        st.info("Choose a request on the page Requests.", icon=":material/list_alt:")
        return None
    if near.height != 1:
        st.info(literal(f"{near.height or 'No'} exchanges have the id {text!r}."))
        return None
    return now.ask(whole, near["exchange_id"][0])


def head(row: Mapping[str, Any]) -> None:
    failed = row["outcome"] not in ("completed", "cached")
    model = row["response_model"] or row["request_model"] or "unknown model"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"#### {literal(model)}", width="content")
        st.badge(
            literal(f"{row['outcome']} {row['status'] or ''}".strip()),
            color="red" if failed else "green",
        )
        for name in ("feature", "user_id", "session_id", "environment"):
            if row[name] is not None:
                st.badge(literal(f"{name.removesuffix('_id')}: {row[name]}"), color="gray")
    st.caption(
        literal(f"{figures.when(row['started_at'])} · {row['provider']} {row['path'] or ''}")
    )
    if row["error_message"]:
        st.error(literal(row["error_message"]), title=literal(row["error_type"] or "Error"))
    first, read = row["time_to_first_chunk_seconds"], row["cache_read_tokens"]
    reasoning = row["reasoning_tokens"]
    with st.grid(4, min_column_width=140, gap="small"):
        _figure("Cost", figures.usd(row["cost_usd"]), row["cost_status"] or _unbilled(row))
        _figure(
            "Took",
            figures.seconds(row["duration_seconds"]),
            None if first is None else f"first chunk after {figures.seconds(first)}",
        )
        _figure(
            "Input tokens",
            figures.count(row["input_tokens"]),
            f"{figures.count(read)} from cache" if read else None,
        )
        _figure(
            "Output tokens",
            figures.count(row["output_tokens"]),
            f"{figures.count(reasoning)} reasoning" if reasoning else None,
        )


def _figure(name: str, value: str, more: str | None) -> None:
    """A figure and, in grey, what more is known of it."""
    st.metric(
        name,
        literal(value),
        None if more is None else literal(more),
        delta_color="off",
        delta_arrow="off",
        border=True,
        height="stretch",
    )


def _said(row: Mapping[str, Any], content: Said | None) -> None:
    if content is None:
        st.info("Its content was not kept (`capture.content`, or it was pruned).")
        return
    conversation, request, response = st.tabs(
        ["Conversation", "Request", "Response"], on_change="rerun", key="said"
    )
    if conversation.open:
        with conversation:
            talk(row, content)
    if request.open:
        with request:
            raw(content.request)
    if response.open:
        with response:
            raw(content.response)


def talk(row: Mapping[str, Any], content: Said) -> None:
    given = asked(content.request.document())
    pieces = messages.pieces(given)
    for number, piece in enumerate(pieces):
        speak(piece, number)
    if given.messages is None and content.request.data:
        text("user", content.request.pretty())
    response = content.response
    answer = messages.answered(response.document()) or streams.pieces(response.data)
    for number, piece in enumerate(answer, len(pieces)):
        speak(piece, number)
    if not answer:
        text("assistant", content.answer_text or content.response.pretty())
        if row["tool_names"]:
            st.caption(literal("Calls " + ", ".join(row["tool_names"])))
    if given.tools:
        with st.expander(f"{len(given.tools)} tools offered", icon=":material/build:"):
            code(json.dumps(given.tools, indent=2, ensure_ascii=False), "json")


def speak(piece: messages.Piece, number: int) -> None:
    if piece.kind == "text" and piece.role in ("system", "developer"):
        with st.expander(_opening(piece), icon=ICONS["system"], key=f"piece-{number}"):
            st.text(visible(piece.text[:SHOWN_CHARACTERS], "\n\t"))
        return
    if piece.kind == "text":
        text(piece.role, piece.text)
        return
    title = literal(f"{piece.kind} {piece.name or ''}".strip())
    with st.expander(title, icon=PIECES[piece.kind], key=f"piece-{number}"):
        code(piece.text, "json")


def _opening(piece: messages.Piece) -> str:
    words = len(piece.text.split())
    return literal(f"{piece.role}, {words:,} words: {shortened(piece.text, 60)}")


def text(role: str, body: str) -> None:
    """What one role said, as text and nothing else."""
    name = role if role in ("user", "assistant") else "assistant"
    with st.chat_message(name, avatar=ICONS.get(role, ":material/chat:")):
        st.caption(literal(role))
        long = st.container(height=LONG_PIXELS if len(body) > LONG_CHARACTERS else "content")
        long.text(visible(body[:SHOWN_CHARACTERS], "\n\t"))
        if len(body) > SHOWN_CHARACTERS:
            st.caption(f"{len(body) - SHOWN_CHARACTERS:,} more characters: see the raw body.")


def raw(body: Body) -> None:
    if body.headers:
        code("\n".join(f"{name}: {value}" for name, value in body.headers), None)
    if not body.data:
        st.caption("No body.")
        return
    code(body.pretty(), "json" if body.document() is not None else None)
    if body.gap is not None:
        st.caption(f"Bytes are missing from {body.gap:,} on: the copy was bounded.")
    if body.error:
        st.caption(literal(body.error))


def code(body: str, language: str | None) -> None:
    cut = body[:SHOWN_CHARACTERS]
    st.code(visible(cut, "\n\t"), language=language, wrap_lines=True)
    if len(body) > SHOWN_CHARACTERS:
        st.caption(f"{len(body) - SHOWN_CHARACTERS:,} more characters.")
        st.download_button("All of it", body, "body.txt", "text/plain", on_click="ignore")


def _unbilled(row: Mapping[str, Any]) -> str:
    saved = row["saved_usd"]
    return "nothing is billed" if saved is None else f"saved {figures.usd(saved)}"


def cost(now: View, row: Mapping[str, Any]) -> None:
    with st.container(border=True):
        st.markdown("**What it cost**")
        charges = Splitter(price_book(now.settings)).charges(row)
        if charges:
            parts.table(
                pl.DataFrame(
                    {
                        "meter": [each.meter.replace("_", " ") for each in charges],
                        "quantity": [each.quantity for each in charges],
                        "cost": [float(each.cost_usd) for each in charges],
                        "unit": [_per_million(each.cost_usd, each.quantity) for each in charges],
                    }
                ),
                {
                    "meter": ("Class", "text"),
                    "quantity": ("Tokens", "count"),
                    "cost": ("Cost", "usd"),
                    "unit": ("Per million", "usd"),
                },
                key="charges",
                alt="The cost by class of tokens",
            )
        status = row["cost_status"] or "nothing is billed"
        st.caption(literal(f"{status} · {row['price_ref'] or 'no price'}"))
        st.caption(literal(f"Usage: {row['usage_source'] or 'unknown'}"))


def _per_million(cost_usd: Decimal, quantity: int) -> float | None:
    return float(cost_usd * 1_000_000 / quantity) if quantity > 1 else None


def attempts(found: Whole) -> None:
    if len(found.attempts) > 1 or any(each["error_type"] for each in found.attempts):
        with st.container(border=True):
            st.markdown("**Attempts**")
            parts.table(
                pl.DataFrame(found.attempts, infer_schema_length=None),
                {
                    "number": ("", "count"),
                    "upstream": ("Upstream", "text"),
                    "status": ("HTTP", "text"),
                    "duration_seconds": ("Took", "seconds"),
                    "error_type": ("Error", "text"),
                },
                key="attempts",
                alt="The attempts, in order",
            )
    if found.decisions:
        with st.container(border=True):
            st.markdown("**Decisions**")
            for each in found.decisions:
                words = [str(each[n]) for n in ("policy", "action", "rule", "reason") if each[n]]
                st.text(visible(" · ".join(words)))


def again(now: View, row: Mapping[str, Any], content: Said | None) -> None:
    server = now.settings.server
    command = content and curl.command(f"http://{server.host}:{server.port}", row, content)
    if command:
        with st.expander("Send it again with curl", icon=":material/terminal:"):
            st.code(visible(command, "\n\t"), language="bash", wrap_lines=True)


def record(row: Mapping[str, Any]) -> None:
    with st.expander("All columns", icon=":material/table_rows:"):
        for group in dict.fromkeys(column.group for column in columns(Exchange)):
            lines = [
                f"{column.name}: {_shown(row[column.name])}"
                for column in columns(Exchange)
                if column.group == group and row[column.name] is not None
            ]
            if lines:
                st.caption(group.capitalize())
                st.code(visible("\n".join(lines), "\n"), language=None, wrap_lines=True)


def _shown(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


pages.live(page, renews=False)
