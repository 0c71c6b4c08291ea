"""Filters on the command line, as a selection of exchanges.

Owns the arguments that commands with filters share, and what they mean. Refuses to query.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analytics.queries import Selection
    from analytics.windows import Window

NAMES = ("feature", "user", "session", "model", "provider", "environment")


class BadFilter(ValueError):
    """A filter that cannot be used as it is written; the message names it and the mend."""


def add_filters(parser: argparse.ArgumentParser) -> None:
    for name in NAMES:
        parser.add_argument(
            f"--{name}", metavar=name.upper(), action="append", help=f"only of this {name}"
        )
    parser.add_argument(
        "--tag", metavar="NAME=VALUE", action="append", help="only with this free label"
    )


def selection_of(args: argparse.Namespace, window: Window) -> Selection:
    """The exchanges in the window that every given filter lets through; a filter given twice lets
    either value through. Raises BadFilter."""
    from analytics.queries import TAG, Selection

    values: dict[str, list[str | None]] = {
        name: list(given) for name in NAMES if (given := getattr(args, name, None))
    }
    for text in args.tag or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise BadFilter(f"--tag {text!r}: write it as NAME=VALUE.")
        values.setdefault(f"{TAG}{name}", []).append(value)
    return Selection(window=window, values=values, errors_only=getattr(args, "errors", False))


def window_of(text: str, now: datetime) -> Window:
    """A window as people write it. Raises BadFilter."""
    from analytics.windows import BadWindow, parse

    try:
        return parse(text, now)
    except BadWindow as error:
        raise BadFilter(f"--last {error}") from None
