"""What rules cost in speed: `python -m tests.benchmarks.rules`.

Requests per second at 32 connections and chunks of 8 streams, through a proxy without rules and
through the same with a typical set of them, interleaved in rounds. Figures are medians over the
rounds, the ratio is the median of each round's ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.benchmarks import load
from tests.benchmarks.contenders import Contender, end, free_port, wait_until_listening

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PATH = "/openai/v1/chat/completions"
CASES = {"32 connections": (32, PATH), "8 streams": (8, f"{PATH}/stream")}
RELIABLE = """
[[rules]]
name = "again"
retry = {}

[[rules]]
name = "resting"
breaker = {}

[[rules]]
name = "elsewhere"
when = { model = "gpt-4o*" }
fallback = { to = ["vllm/llama-3.3-70b"], deadline_seconds = 60 }

[[rules]]
name = "fair-use"
limit = { per = "user", requests = 1_000_000_000, concurrent = 1000 }
"""
BUDGET = """
[[rules]]
name = "monthly"
budget = { per = "key", usd = 1_000_000_000 }
"""
GUARDRAIL = """
[[rules]]
name = "nothing-secret-leaves"
guardrail = { secrets = "refuse", pii = "mask" }
"""
SETS = {
    "without rules": "",
    "four rules": RELIABLE,
    "with a budget": RELIABLE + BUDGET,
    "with a guardrail": RELIABLE + GUARDRAIL,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.rules", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contenders(Path(folder)) as found:
        report(asyncio.run(measure(found, args.rounds, args.seconds)), list(SETS))
    return 0


@contextlib.contextmanager
def contenders(folder: Path) -> Iterator[list[Contender]]:
    upstream = free_port()
    provider = subprocess.Popen([sys.executable, str(HERE / "upstream.py"), str(upstream)])
    found = [Contender("provider", upstream, "", provider)]
    try:
        for number, (name, rules) in enumerate(SETS.items()):
            found.append(proxy(folder / f"{number}.toml", name, upstream, rules))
        for contender in found:
            wait_until_listening(contender)
        yield found[1:]
    finally:
        for contender in found:
            end(contender.process)


def proxy(config: Path, name: str, upstream: int, rules: str) -> Contender:
    port = free_port()
    config.write_text(
        f'data_dir = "{config.stem}"\n[server]\nport = {port}\n'
        f'[providers.openai]\nbase_url = "http://127.0.0.1:{upstream}"\n{rules}'
    )
    words = [sys.executable, "-m", "meterline", "proxy", "--config", str(config)]
    return Contender(name, port, "", subprocess.Popen(words, cwd=ROOT))


Figures = dict[tuple[str, str], list[tuple[float, float]]]
"""By case and contender: a second's work and the microseconds of CPU for each, a round each."""


async def measure(found: list[Contender], rounds: int, seconds: float) -> Figures:
    figures: Figures = {(case, c.name): [] for case in CASES for c in found}
    for contender in found:
        await load.run(contender.port, PATH, 8, 0.5)  # warm up
    for number in range(rounds):
        for case, (connections, path) in CASES.items():
            for contender in found[number % len(found) :] + found[: number % len(found)]:
                before = contender.cpu_seconds()
                seen = await load.run(contender.port, path, connections, seconds)
                work = seen.chunks or len(seen.latencies)
                cpu = (contender.cpu_seconds() - before) / work * 1e6
                figures[case, contender.name].append((work / seen.seconds, cpu))
    return figures


def report(figures: Figures, names: list[str]) -> None:
    for case in CASES:
        print(f"\n{case:<20}{'per second':>12}{'cpu us each':>13}{'ratio':>8}{'cpu ratio':>11}")
        for name in names:
            pairs = list(zip(figures[case, name], figures[case, names[0]], strict=True))
            rate, cpu = (median(mine[i] for mine, _ in pairs) for i in (0, 1))
            ratio = median(mine[0] / plain[0] for mine, plain in pairs)
            share = median(mine[1] / plain[1] for mine, plain in pairs)
            print(f"{name:<20}{rate:>12,.0f}{cpu:>13.1f}{ratio:>8.2f}{share:>11.2f}")


if __name__ == "__main__":
    sys.exit(main())
