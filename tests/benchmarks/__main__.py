"""What Meterline costs in speed: `make bench`, or `python -m tests.benchmarks`.

Requests per second and latencies at 1 and 32 connections, and streamed chunks per second, for
Meterline with full capture, for a bare aiohttp pass-through that records nothing, and for no proxy.
Everything runs on this machine over the loopback, interleaved in rounds; figures are medians over
the rounds, the ratio is the median of each round's ratio. What it leaves out: TLS, real networks,
and the poster, which runs afterwards and must find a row for each request.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.benchmarks import load
from tests.benchmarks.contenders import Contender, end, free_port, wait_until_listening

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CONNECTIONS = (1, 32)
STREAMS = 8
PATH = "/v1/chat/completions"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contenders(Path(folder)) as found:
        figures, sent = asyncio.run(measure(found, args.rounds, args.seconds))
        end(found[-1].process)
        rows = posted(Path(folder))
    report(figures, found)
    print(f"\nrequests through Meterline: {sent}, rows: {rows}")
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1))
    return 0 if rows == sent else 1


@contextlib.contextmanager
def contenders(folder: Path) -> Iterator[list[Contender]]:
    provider, bare, meterline = free_port(), free_port(), free_port()
    config = folder / "meterline.toml"
    config.write_text(
        f'data_dir = "data"\n[server]\nport = {meterline}\n'
        f'[providers.openai]\nbase_url = "http://127.0.0.1:{provider}"\n'
    )
    commands = {
        ("no proxy", provider, ""): [str(HERE / "upstream.py"), str(provider)],
        ("bare pass-through", bare, ""): [
            str(HERE / "pass_through.py"),
            str(bare),
            f"http://127.0.0.1:{provider}",
        ],
        ("meterline", meterline, "/openai"): ["-m", "meterline", "proxy", "--config", str(config)],
    }
    found = [
        Contender(*key, subprocess.Popen([sys.executable, *words], cwd=ROOT))
        for key, words in commands.items()
    ]
    try:
        for contender in found:
            wait_until_listening(contender)
        yield found
    finally:
        for contender in found:
            end(contender.process)


async def measure(
    found: list[Contender], rounds: int, seconds: float
) -> tuple[dict[str, dict[str, list[float]]], int]:
    """{case: {measure of a contender: a figure a round}}, and the requests to Meterline."""
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    sent = 0
    cases = [(f"{n} connection{'s' * (n > 1)}", n, PATH) for n in CONNECTIONS]
    cases.append((f"{STREAMS} streams", STREAMS, f"{PATH}/stream"))
    for contender in found:  # warm up
        sent += await one(contender, PATH, 8, 0.5, {}) * (contender.name == "meterline")
    for number in range(rounds):
        for case, connections, path in cases:
            for contender in found[number % 3 :] + found[: number % 3]:
                count = await one(contender, path, connections, seconds, figures[case])
                sent += count * (contender.name == "meterline")
            show_progress(number, rounds, case)
    return figures, sent


async def one(
    contender: Contender,
    path: str,
    connections: int,
    seconds: float,
    into: dict[str, list[float]],
) -> int:
    before = contender.cpu_seconds()
    seen = await load.run(contender.port, contender.prefix + path, connections, seconds)
    cpu = contender.cpu_seconds() - before
    ordered, count = sorted(seen.latencies), len(seen.latencies)
    work = seen.chunks or count
    if isinstance(into, defaultdict):  # else it is the warm-up
        name = contender.name
        into[f"{name}: per second"].append(work / seen.seconds)
        into[f"{name}: p50 ms"].append(ordered[count // 2] * 1000)
        into[f"{name}: p99 ms"].append(ordered[int(count * 0.99)] * 1000)
        into[f"{name}: cpu us"].append(cpu / work * 1e6)
    return count


def show_progress(number: int, rounds: int, case: str) -> None:
    if sys.stderr.isatty():
        print(f"\rround {number + 1} of {rounds}: {case:<20}", end="", file=sys.stderr, flush=True)


def posted(folder: Path) -> int:
    """Post what the journal has; the number of rows."""
    config = str(folder / "meterline.toml")
    post = [sys.executable, "-m", "meterline", "post", "--once", "--config", config]
    subprocess.run(post, cwd=ROOT, check=True)
    import duckdb

    with duckdb.connect(str(folder / "data" / "meterline.duckdb"), read_only=True) as store:
        found = store.execute("SELECT count(*) FROM exchanges").fetchone()
    return int(found[0]) if found else 0


def report(figures: dict[str, dict[str, list[float]]], found: list[Contender]) -> None:
    for case, columns in figures.items():
        unit = "chunks/s" if "streams" in case else "requests/s"
        print(f"\n{case:<20}{unit:>12}{'p50 ms':>10}{'p99 ms':>10}{'cpu us each':>13}{'ratio':>8}")
        reference = columns[f"{found[1].name}: per second"]
        for contender in found:
            rates = columns[f"{contender.name}: per second"]
            ratio = median(r / b for r, b in zip(rates, reference, strict=True))
            p50, p99, cpu = (
                median(columns[f"{contender.name}: {what}"])
                for what in ("p50 ms", "p99 ms", "cpu us")
            )
            print(
                f"{contender.name:<20}{median(rates):>12,.0f}{p50:>10.2f}{p99:>10.2f}{cpu:>13.1f}"
                f"{ratio:>8.2f}"
            )


if __name__ == "__main__":
    sys.exit(main())
