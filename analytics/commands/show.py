"""`meterline show`: one exchange in full.

Owns finding it by a part of its id and laying it out: all columns, attempts, decisions, headers
and bodies. Nothing of what was said reaches the terminal as it is: see `printable`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.commands import CommandFailed, explained, output
from analytics.tables import Column, Kind, Table, cell, json_line, lines, printable
from proxy.config import Settings

if TYPE_CHECKING:
    import polars as pl

    from analytics.bodies import Body, Said
    from analytics.queries.exchange import Whole

HELP = "show one exchange in full: what was asked, answered, tried and paid"
MAX_BYTES = 20_000
_MANY = 10
_SEARCHED_BYTES = 256 << 20
_READ_BYTES = 8 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="its id, or the beginning or end of it")
    parser.add_argument(
        "--max-bytes",
        type=int,
        default=MAX_BYTES,
        metavar="N",
        help=f"of each body at most, 0 for all (default: {MAX_BYTES:,})",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")


def run(args: argparse.Namespace, settings: Settings) -> int:
    from analytics.bodies import said

    if args.max_bytes < 0:
        raise CommandFailed(f"--max-bytes {args.max_bytes}: give 0 or more.", 2)
    found = _found(args.id, settings)
    content = said(found.exchange, found.content)
    out = output()
    if args.format == "json":
        out.write(json_line(_document(found, content, args.max_bytes), indent=True) + "\n")
    else:
        out.writelines(f"{line}\n" for line in _page(found, content, args.max_bytes))
    return 0


def _found(text: str, settings: Settings) -> Whole:
    from analytics import store
    from analytics.queries.exchange import BadId, candidates, digits, whole

    try:
        part = digits(text)
    except BadId as error:
        raise CommandFailed(str(error), 2) from None
    try:
        with explained(), store.read(settings.store_path) as con:
            near = candidates(con, part, limit=_MANY + 1)
            if near.height == 1:
                return whole(con, near["exchange_id"][0])
    except CommandFailed as error:
        if isinstance(error.__cause__, store.StoreMissing) and _in_journal(part, settings):
            raise CommandFailed(_WAITING.format(id=text)) from None
        raise
    raise CommandFailed(_why_not(text, part, near, settings))


def _why_not(text: str, part: str, near: pl.DataFrame, settings: Settings) -> str:
    if near.height > 1:
        columns = [Column(name=name) for name in near.columns]
        table = lines(Table(columns=columns, rows=near.rows()[:_MANY]))
        more = "several exchanges" if near.height <= _MANY else f"more than {_MANY} exchanges"
        return "\n".join([f"{text!r} fits {more}; give more of the id:", "", *table])
    if _in_journal(part, settings):
        return _WAITING.format(id=text)
    return (
        f"no exchange has the id {text!r}, in the store or waiting in the journal. "
        "Meterline gives each answer its id in the header meterline-exchange-id."
    )


_WAITING = (
    "{id!r} is in the journal and not posted yet. It will be here in a moment if the poster runs "
    "(see `meterline doctor`); else run `meterline post --once`."
)


def _in_journal(part: str, settings: Settings) -> bool:
    """Whether the last part of the journal names a whole id. (The kept journal is bounded.)"""
    if len(part) != 32:
        return False
    named = "-".join((part[:8], part[8:12], part[12:16], part[16:20], part[20:])).encode()
    left = _SEARCHED_BYTES
    for segment in sorted(settings.journal_dir.glob("*.seg"), reverse=True):
        if left <= 0:
            break
        try:
            left -= segment.stat().st_size
            if _contains(segment, named):
                return True
        except OSError:
            continue  # removed meanwhile: it is posted
    return False


def _contains(path: Path, wanted: bytes) -> bool:
    with open(path, "rb") as file:
        before = b""
        while piece := file.read(_READ_BYTES):
            if wanted in before + piece:
                return True
            before = piece[-len(wanted) :]
    return False


def _document(found: Whole, content: Said | None, max_bytes: int) -> dict[str, Any]:
    """Everything as one JSON object; bodies that are JSON as such, others as text."""
    own = ("exchange_id",)
    return {
        **found.exchange,
        "tries": [_without(row, own) for row in found.attempts],
        "decisions": [_without(row, own) for row in found.decisions],
        "content": None
        if content is None
        else {
            "target": content.target,
            "request": _body_document(content.request, max_bytes),
            "response": _body_document(content.response, max_bytes),
            "answer_text": content.answer_text,
        },
    }


def _body_document(body: Body, max_bytes: int) -> dict[str, Any]:
    document, text = body.document(), body.text()
    shown = text[:max_bytes] if max_bytes else text
    return {
        "headers": body.headers,
        "json": document,
        "text": None if document is not None else shown,
        "left_out_characters": 0 if document is not None else len(text) - len(shown),
        "bytes": len(body.data),
        "gap": body.gap,
        "error": body.error,
    }


def _without(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def _page(found: Whole, content: Said | None, max_bytes: int) -> Iterator[str]:
    """The exchange for people."""
    yield f"Exchange {found.exchange['exchange_id']}"
    yield from _columns(found.exchange)
    yield from _rows("Attempts", found.attempts)
    yield from _rows("Decisions", found.decisions)
    if content is None:
        yield from ("", "Content", "  none is kept (capture.content, or it was pruned)")
        return
    yield from ("", f"Request  {printable(content.target or '')}")
    yield from _body(content.request, max_bytes)
    yield from ("", "Response")
    yield from _body(content.response, max_bytes)
    if content.answer_text and content.response.document() is None:
        yield from ("", "Answer, put together from the stream")
        yield from _bounded(content.answer_text, max_bytes)


def _columns(row: dict[str, Any]) -> Iterator[str]:
    """All columns in their groups; those without a value are named in one line."""
    from proxy.exchange import Exchange, columns

    known = columns(Exchange)
    width = max(len(column.name) for column in known)
    for group in dict.fromkeys(column.group for column in known):
        members = [column for column in known if column.group == group]
        unknown = [column.name for column in members if row[column.name] is None]
        yield from ("", group.capitalize())
        for column in members:
            if (value := row[column.name]) is not None:
                yield f"  {column.name:{width}}  {cell(value, _kind(column.name))}"
        if unknown:
            yield f"  NULL: {', '.join(unknown)}"


def _kind(name: str) -> Kind:
    if name.endswith("_usd"):
        return "usd"
    if name.endswith("_seconds"):
        return "seconds"
    return "count" if name.endswith(("_tokens", "_bytes")) else "value"


def _rows(title: str, rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    names = [name for name in rows[0] if name != "exchange_id"]
    table = Table(
        columns=[Column(name=name, kind=_kind(name)) for name in names],
        rows=[[row[name] for name in names] for row in rows],
    )
    yield from ("", title)
    yield from (f"  {line}" for line in lines(table))


def _body(body: Body, max_bytes: int) -> Iterator[str]:
    yield from (f"  {printable(name)}: {printable(value)}" for name, value in body.headers)
    if body.headers:
        yield ""
    if not body.data:
        yield "  (no body)"
        return
    yield from _bounded(body.pretty(), max_bytes)
    if body.gap is not None:
        yield f"  [bytes are missing from offset {body.gap:,} on: the copy was bounded]"
    if body.error is not None:
        yield f"  [{printable(body.error)}]"


def _bounded(text: str, max_bytes: int) -> Iterator[str]:
    data = text.encode("utf-8", "replace")
    shown = data[:max_bytes].decode("utf-8", "ignore") if max_bytes else text
    yield from (f"  {line}" for line in printable(shown, "\n\t").split("\n"))
    if max_bytes and len(data) > max_bytes:
        yield f"  [{len(data) - max_bytes:,} more bytes; --max-bytes 0 shows all]"
