"""`meterline sql`: one SELECT over the store, which it can only read.

Owns the command's arguments, its help without a query, and how DuckDB's errors read. What is
accepted and its limits are analytics/sandbox.py's.
"""

from __future__ import annotations

import argparse
import sys

from analytics.commands import CommandFailed, explained, output
from analytics.tables import Column, Table, printable, write
from proxy.config import Settings

HELP = "run one SELECT over the store; without one, show what there is to ask"
FORMATS = True
EXAMPLES = (
    ("what each model cost, by day", "FROM spend_by_model ORDER BY day DESC, cost_usd DESC"),
    (
        "the ten dearest exchanges of the last day",
        "SELECT exchange_id, response_model, feature, cost_usd FROM exchanges "
        "WHERE started_at > now() - INTERVAL 1 DAY ORDER BY cost_usd DESC NULLS LAST LIMIT 10",
    ),
    (
        "how much input came from the providers' caches",
        "SELECT response_model, sum(cache_read_tokens) / sum(input_tokens) AS cached "
        "FROM exchanges GROUP BY ALL ORDER BY cached DESC NULLS LAST",
    ),
    (
        "errors by kind",
        "SELECT provider, outcome, error_type, count(*) AS n FROM exchanges "
        "WHERE outcome <> 'completed' GROUP BY ALL ORDER BY n DESC",
    ),
    ("a tag of your own", "SELECT tags['team'] AS team, sum(cost_usd) FROM exchanges GROUP BY ALL"),
    ("what has no price yet", "FROM unpriced ORDER BY exchanges DESC"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "query", nargs="?", metavar="QUERY", help="one SELECT; - reads it from stdin"
    )
    parser.add_argument(
        "--max-rows", type=int, default=1000, metavar="N", help="rows at most (default: 1000)"
    )
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="stop after (default: 30)"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    if args.query is None:
        output().writelines(f"{line}\n" for line in _help_lines())
        return 0
    if args.max_rows < 1 or args.timeout <= 0:
        raise CommandFailed("--max-rows and --timeout must be more than 0.", 2)
    query = sys.stdin.read() if args.query == "-" else args.query
    if not query.strip():
        raise CommandFailed('the query is empty. Try: meterline sql "FROM spend_by_model"', 2)
    names, rows = _answer(query, args, settings)
    write(
        Table(columns=[Column(name=name) for name in names], rows=rows[: args.max_rows]),
        args.format,
        output(),
    )
    if len(rows) > args.max_rows:
        print(
            f"meterline sql: these are the first {args.max_rows:,} rows; there are more. "
            "Raise --max-rows, or add ORDER BY and LIMIT.",
            file=sys.stderr,
        )
    return 0


def _answer(
    query: str, args: argparse.Namespace, settings: Settings
) -> tuple[list[str], list[tuple[object, ...]]]:
    import duckdb

    from analytics import sandbox

    with explained():
        try:
            return sandbox.run(
                settings.store_path,
                query,
                max_rows=args.max_rows + 1,
                timeout_seconds=args.timeout,
            )
        except sandbox.SqlRefused as error:
            raise CommandFailed(printable(f"{error}{_mend(str(error))}", "\n"), 2) from None
        except duckdb.Error as error:
            raise CommandFailed(printable(str(error).strip(), "\n"), 2) from None


def _mend(message: str) -> str:
    if "stopped after" in message:
        return ". Narrow it with a WHERE on started_at, or raise --timeout."
    if "of memory" in message:
        return ". Narrow it with a WHERE on started_at, or select fewer columns."
    if "only SELECT" in message:
        return ". The store can only be read here."
    return ""


def _help_lines() -> list[str]:
    from analytics.schema import RECORDS
    from analytics.views import VIEWS
    from proxy.exchange import columns

    width = max(len(name) for name in (*VIEWS, *RECORDS))
    lines = ['Ask with: meterline sql "SELECT ..."', "", "Views"]
    lines += [f"  {name:{width}}  {doc}" for name, (doc, _) in VIEWS.items()]
    lines += ["", "Tables"]
    for name, record in RECORDS.items():
        doc = (record.__doc__ or "").strip().partition("\n")[0]
        lines.append(f"  {name:{width}}  {doc}")
    lines += ["", "Columns of exchanges (unknown is NULL, never 0)"]
    shown = columns(RECORDS["exchanges"])
    widest = max(len(column.name) for column in shown)
    lines += [f"  {column.name:{widest}}  {column.doc}" for column in shown]
    lines += ["", "Examples"]
    for doc, query in EXAMPLES:
        lines += [f"  # {doc}", f'  meterline sql "{query}"']
    return lines
