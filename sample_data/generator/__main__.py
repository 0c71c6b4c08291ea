"""The generator's command line: a folder with a store or a journal, its ledger and settings."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from analytics.store import StoreError
from sample_data.generator import Window, fill, fill_rows, write_journal, write_settings
from sample_data.generator.ledger import NAME


def main() -> int:
    parser = _parser()
    args = parser.parse_args()
    if args.rows is not None and args.contents:
        parser.error("--rows needs --no-contents: bodies are not copied")
    if args.rows is not None and args.via == "journal":
        parser.error("--rows goes into a store")
    window = Window(end=args.end, days=args.days, seed=args.seed, scale=args.scale)
    args.out.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    try:
        number = _generate(args, window)
    except StoreError as error:
        print(f"generator: {error}", file=sys.stderr)
        return 1
    write_settings(args.out, window)
    took = time.perf_counter() - begun
    print(f"{number:,} exchanges in {took:.1f} s ({number / took:,.0f} a second): {args.out}")
    return 0


def _generate(args: argparse.Namespace, window: Window) -> int:
    ledger = args.out / NAME
    if args.rows is not None:
        return fill_rows(args.out, window, args.rows)
    if args.via == "journal":
        return write_journal(args.out, window, ledger=ledger)
    return fill(
        args.out,
        days=window.days,
        end=window.end,
        seed=window.seed,
        scale=window.scale,
        contents=args.contents,
        ledger=ledger,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sample_data.generator", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the data folder to fill")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--end", type=_moment, default=datetime.now(UTC), help="a day or a moment, in UTC"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="1: about 30,000 in 30 days")
    parser.add_argument("--via", choices=("store", "journal"), default="store")
    parser.add_argument("--no-contents", dest="contents", action="store_false")
    parser.add_argument("--rows", type=int, help="exactly so many, copied; for benchmarks")
    return parser


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
