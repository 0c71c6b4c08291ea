"""Tables for people and for programs: aligned text, JSON, CSV.

Owns how a number, a sum of money, a duration or an unknown looks, and that nothing in a text can
steer the terminal. JSON and CSV carry the raw values in full precision. Refuses to query.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, TextIO

import orjson

Kind = Literal["text", "count", "usd", "share", "seconds", "value"]
"""`share` is a part of 1; `value` is anything, shown as it is."""
Form = Literal["table", "json", "csv"]

UNKNOWN = "-"
_GAP = "  "
_NARROWEST = 8
_INT64 = range(-(1 << 63), 1 << 64)
# C0 and C1 controls, DEL, what reverses or breaks lines, and halves of surrogate pairs.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its name for programs, how it looks, and its heading where that differs."""

    name: str
    kind: Kind = "value"
    heading: str | None = None
    shown: bool = True
    """False: for programs only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under columns. `footer` rows follow a rule; `notes` are sentences for people."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    footer: Sequence[Sequence[Any]] = ()
    notes: Sequence[str] = ()


def write(table: Table, form: Form, out: TextIO) -> None:
    """Write a table; on a terminal it is as narrow as that."""
    if form == "json":
        out.write(as_json(table))
    elif form == "csv":
        out.writelines(f"{line}\n" for line in csv_lines(table, safe=out.isatty()))
    else:
        width = shutil.get_terminal_size().columns if out.isatty() else None
        out.writelines(f"{line}\n" for line in lines(table, width))


def lines(table: Table, width: int | None = None) -> Iterator[str]:
    """The table as text. Texts are shortened where `width` is not enough for all."""
    shown = [number for number, column in enumerate(table.columns) if column.shown]
    columns = [table.columns[number] for number in shown]
    body = [[cell(row[n], table.columns[n].kind) for n in shown] for row in table.rows]
    foot = [[cell(row[n], table.columns[n].kind) for n in shown] for row in table.footer]
    headings = [printable(column.heading or column.name) for column in columns]
    every = [headings, *body, *foot]
    widths = [max(columns_of(row[n]) for row in every) for n in range(len(columns))]
    right = [_is_number(table.columns[n], [row[n] for row in table.rows]) for n in shown]
    if width is not None:
        widths = _fitted(widths, right, width)
    rule = _GAP.join("-" * each for each in widths)
    yield _line(headings, widths, right)
    yield rule
    yield from (_line(row, widths, right) for row in body)
    if foot:
        yield rule
        yield from (_line(row, widths, right) for row in foot)
    if table.notes:
        yield ""
        yield from map(printable, table.notes)


def _is_number(column: Column, values: Sequence[Any]) -> bool:
    if column.kind == "value":
        known = [value for value in values if value is not None]
        return bool(known) and all(
            isinstance(value, int | float | Decimal) and not isinstance(value, bool)
            for value in known
        )
    return column.kind != "text"


def _fitted(widths: Sequence[int], right: Sequence[bool], width: int) -> list[int]:
    """Take from the widest column of texts until all fit, or none has more to give."""
    fitted = list(widths)
    excess = sum(fitted) + len(_GAP) * (len(fitted) - 1) - width
    while excess > 0:
        texts = [n for n, number in enumerate(right) if not number and fitted[n] > _NARROWEST]
        if not texts:
            break
        widest = max(texts, key=lambda n: fitted[n])
        fitted[widest] -= 1
        excess -= 1
    return fitted


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for text, width, number in zip(cells, widths, right, strict=True):
        short = shortened(text, width)
        padding = " " * (width - columns_of(short))
        parts.append(padding + short if number else short + padding)
    return _GAP.join(parts).rstrip()


def shortened(text: str, width: int) -> str:
    """The text in at most `width` columns of the terminal."""
    if columns_of(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += columns_of(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def columns_of(text: str) -> int:
    """How many columns of the terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Cf")
        else 2
        if unicodedata.east_asian_width(character) in ("W", "F")
        else 1
        for character in text
    )


def cell(value: Any, kind: Kind = "value") -> str:
    """A value as people read it; None is unknown."""
    if value is None:
        return UNKNOWN
    show = _SHOW.get(kind)
    return printable(_text(value)) if show is None else show(value)


def usd(amount: Decimal) -> str:
    """Dollars: cents from one dollar on, below it three digits that tell something."""
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size == 0 or size >= 1:
        return f"{sign}${size:,.2f}"
    digits = max(2, 2 - size.adjusted())
    text = f"{size:.{digits}f}"
    whole, _, cents = text.partition(".")
    return f"{sign}${whole}.{cents.rstrip('0'):0<2}"


def seconds(value: float) -> str:
    """A duration in the unit that suits it."""
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s" if value >= 9.995 else f"{value:.2f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes // 60}h {minutes % 60:02}m" if minutes >= 60 else f"{minutes}m {rest:02}s"


_SHOW: dict[Kind, Callable[[Any], str]] = {
    "count": lambda value: f"{value:,.1f}" if isinstance(value, float) else f"{value:,}",
    "usd": usd,
    "share": lambda value: f"{round(value * 100, 1) + 0.0:.1f}%",
    "seconds": seconds,
}


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number and its noun: `1 exchange`, `2,000 exchanges`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def printable(text: str, keep: str = "") -> str:
    """The text with what could steer a terminal written as escapes; `keep` goes through."""

    def escaped(match: re.Match[str]) -> str:
        character = match[0]
        if character in keep:
            return character
        code = ord(character)
        return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")

    return _UNSAFE.sub(escaped, text)


def as_json(table: Table) -> str:
    """A list of objects, one a line. Amounts are numbers with all their digits."""
    names = _distinct([column.name for column in table.columns])
    objects = [json_line(dict(zip(names, row, strict=True))) for row in _all_rows(table)]
    return "[\n" + ",\n".join(objects) + "\n]\n" if objects else "[]\n"


def json_line(value: Any, *, indent: bool = False) -> str:
    """A value as JSON in full precision, safe to print."""
    option = orjson.OPT_INDENT_2 if indent else 0
    text = orjson.dumps(_plain(value), option=option).decode()
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def csv_lines(table: Table, *, head: bool = True, safe: bool = False) -> Iterator[str]:
    """The table as CSV; `safe` for a terminal. Unknown is empty."""
    rows: list[Sequence[Any]] = [[column.name for column in table.columns]] if head else []
    for row in [*rows, *_all_rows(table)]:
        texts = ["" if value is None else _text(value) for value in row]
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerow(map(printable, texts) if safe else texts)
        yield text.getvalue().removesuffix("\r\n")  # the terminator makes it quote \r too


def _all_rows(table: Table) -> list[Sequence[Any]]:
    return [*table.rows, *table.footer]


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered where one comes again: an object has each key once."""
    given: list[str] = []
    for name in names:
        number, free = 1, name
        while free in given:
            number += 1
            free = f"{name}_{number}"
        given.append(free)
    return given


def _text(value: Any) -> str:
    """A value in full, for text and CSV."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return _digits(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping | list | tuple):
        return json_line(value)
    return str(value)


def _digits(value: Decimal) -> str:
    if not value.is_finite():
        return str(value)
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _plain(value: Any) -> Any:
    """What orjson takes. Amounts and large integers go in as the digits they are."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return value if value in _INT64 else orjson.Fragment(str(value))
    if isinstance(value, Decimal):
        return orjson.Fragment(_digits(value)) if value.is_finite() else None
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {_plain(_text(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _text(value)
