"""The demo provider: OpenAI, Anthropic and Gemini on one address, without a key.

Owns the command line and the entry point for embedding; `sample_data.demo` does the work.
Refuses to think: answers are short, and always the same for the same prompt.

    python -m sample_data.demo_provider --port 9000

Any request may ask for a fault, by the header `demo-fault: NAME[=VALUE]` or at the end of the
model's name (`gpt-4o-mini!429`, `claude-sonnet-4-5!cut=2`):

- 400, 401, 429, 500, 503, 529: that error; the value is its retry-after
- slow=SECONDS: before the head; drip=SECONDS: between chunks; hang: no answer ever
- reset: the connection is reset; cut=N: closed after N chunks, or half of a whole body
- error-in-stream=N: an error event after N chunks; no-usage; bad-json; empty

`demo-pace: FACTOR` scales the waiting of one request. `GET /ledger` lists what was served,
`DELETE /ledger` clears that list.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

from sample_data.demo.server import Demo, start

__all__ = ["Demo", "main", "start"]


async def _serve(host: str, port: int, pace: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    demo = await start(host, port, pace)
    try:
        print(f"demo provider on {demo.base_url}", flush=True)
        await stop.wait()
    finally:
        await demo.close()


def _pace(text: str) -> float:
    pace = float(text)
    if not 0 <= pace <= 1000:
        raise argparse.ArgumentTypeError(f"{text}: a factor from 0 (no waiting) to 1000")
    return pace


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="demo_provider", description="A fake LLM provider.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes a free one")
    parser.add_argument("--pace", type=_pace, default=1.0, help="scales waiting; 0 is none")
    chosen = parser.parse_args(arguments)
    asyncio.run(_serve(chosen.host, chosen.port, chosen.pace))


if __name__ == "__main__":
    main()
