"""How fast the poster is, and how much the store takes: python -m tests.benchmarks.posting

Chat completions with bodies of 3 KB (request and answer together), of many features, users and
sessions, no two alike, lie in a journal; the poster makes rows of them: read, parsed, counted,
priced and written in transactions of its own size, the next batch prepared while one is written:
so the clock may be ahead of the processor's time. Each round posts them into a new store. Then the
bytes on disk per exchange, of the rows and of the contents.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from analytics import store
from analytics.poster import Poster
from proxy import exchange_id as exchange_ids
from proxy.journal import Closed, JournalWriter, Opened

BODY_BYTES = 3_072
_WORDS = (
    "order invoice delivery total price the of and to is a plan team total first second review "
    "customer question answer report week month change note please thank later again with without"
)
_ANSWER_SHARE = 4
_ANSWER = (
    b'{"id":"chatcmpl-%d","object":"chat.completion","created":1764000000,'
    b'"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"%b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,'
    b'"completion_tokens":120,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":0},'
    b'"completion_tokens_details":{"reasoning_tokens":0}}}'
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.posting", description=__doc__)
    parser.add_argument("--exchanges", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    args = parser.parse_args()
    found = [posted(args.exchanges) for _ in range(args.rounds)]
    rates, busy = (sorted(each[place] for each in found) for place in (0, 1))
    rows, whole = found[0][2:]
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    print(f"posted: {median(rates):,.0f} exchanges/s ({rates[0]:,.0f} to {rates[-1]:,.0f}),")
    print(f"  {median(busy):,.0f} per second of the processor")
    print(f"on disk: {rows:,.0f} bytes an exchange, {whole:,.0f} with contents")
    return 0


def posted(number: int) -> tuple[float, float, float, float]:
    """Exchanges per second, per second of the processor; bytes per exchange, bare and in all."""
    with tempfile.TemporaryDirectory() as made:
        data_dir = Path(made)
        write_journal(data_dir, number)
        poster = Poster(data_dir)
        begun, busy = time.perf_counter(), time.process_time()
        rows = 0
        while True:
            result = poster.post_once()
            rows += result.rows
            if not result.behind:
                break
        seconds, processor = time.perf_counter() - begun, time.process_time() - busy
        poster.close()
        if rows != number:
            raise SystemExit(f"{number} exchanges were written, {rows} posted")
        whole = (data_dir / store.NAME).stat().st_size
        return (
            number / seconds,
            number / processor,
            without_contents(data_dir) / number,
            (whole / number),
        )


def write_journal(data_dir: Path, number: int) -> None:
    journal, dice = JournalWriter(data_dir / "journal"), random.Random(1)
    for place in range(number):
        exchange_id, at = exchange_ids.new(), time.time_ns() // 1000
        request, answer = bodies(dice, place)
        opened = Opened(
            exchange_id=exchange_id,
            node="benchmark",
            started_at=at,
            provider="openai",
            method="POST",
            target="/v1/chat/completions",
            headers=[("content-type", "application/json"), ("user-agent", "OpenAI/Python 3.54.0")],
            labels={
                "feature": f"feature-{place % 7}",
                "user_id": f"user-{dice.randrange(1000)}",
                "session_id": f"session-{place // 5}",
            },
            key_id="0123456789abcdef",
            client="OpenAI/Python",
        )
        closed = Closed(
            exchange_id=exchange_id,
            node="benchmark",
            started_at=at,
            outcome="completed",
            upstream="openai",
            status=200,
            headers=[("content-type", "application/json"), ("x-request-id", f"req_{place}")],
            duration_seconds=dice.uniform(0.3, 4.0),
            time_to_first_chunk_seconds=0.25,
            overhead_seconds=0.0004,
            request_bytes=len(request),
            response_bytes=len(answer),
        )
        journal.append(opened, request)
        journal.append(closed, b"", answer)
    journal.close()


def bodies(dice: random.Random, place: int) -> tuple[bytes, bytes]:
    """A request and its answer, of BODY_BYTES together."""
    said = text(dice, BODY_BYTES // _ANSWER_SHARE).encode()
    answer = _ANSWER % (place, said, 420 + place % 90, 540 + place % 90)
    head = b'{"model":"gpt-4o-mini","messages":[{"role":"system","content":"You are helpful."},'
    left = BODY_BYTES - len(answer) - len(head) - len(b'{"role":"user","content":""}]}')
    return head + b'{"role":"user","content":"%b"}]}' % text(dice, left).encode(), answer


def text(dice: random.Random, size: int) -> str:
    return " ".join(dice.choices(_WORDS.split(), k=size // 4))[:size]


def without_contents(data_dir: Path) -> int:
    """The size of the same store with nothing in `contents`."""
    bare = data_dir / "bare"
    bare.mkdir()
    copy = bare / store.NAME
    with store.write(copy):
        pass
    with store.write(data_dir / store.NAME) as con:
        con.execute(f"ATTACH '{store.quoted(copy)}' AS bare")
        for table in ("exchanges", "attempts", "decisions"):
            con.execute(f"INSERT INTO bare.{table} SELECT * FROM {table}")
        con.execute("DETACH bare")
    with store.write(copy) as con:
        con.execute("CHECKPOINT")
    return copy.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
