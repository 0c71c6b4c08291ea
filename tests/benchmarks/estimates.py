"""How far token estimates are from what providers report: python -m tests.benchmarks.estimates

Reads recorded exchanges (--corpus, a gzipped file of JSON lines with method, target, host or
provider, headers, and bodies in base64), estimates those whose usage the provider reported, and
prints the relative errors by family of models and by what the prompt holds, as a table in Markdown.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from analytics.estimates import usage_of
from analytics.found import Unposted
from proxy.facts import RequestHead, Usage
from proxy.journal import Closed, Opened
from proxy.reading import Copied, Reading, read

Errors = dict[tuple[str, str], list[float]]
_MODEL = re.compile(rb'"model(?:Id)?"\s*:\s*"([^"]{1,200})"')
_FAMILIES = (
    *(("claude", "Claude"), ("gemini", "Gemini"), ("nova", "Nova")),
    *(("gpt", "OpenAI"), ("'o1", "OpenAI"), ("'o3", "OpenAI"), ("'o4", "OpenAI")),
)
_PICTURES = (b'"image', b"inlineData", b"inline_data", b"fileData", b"file_data", b'"document"')


def main() -> None:
    parser = argparse.ArgumentParser(description="How far token estimates are off.")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--fewest", type=int, default=20, help="leave out groups with fewer")
    args = parser.parse_args()
    errors: Errors = defaultdict(list)
    for record, reported, estimated in _pairs(args.corpus):
        family, kind = _family(record), _kind(record["request_body_b64"])
        for side in ("input_tokens", "output_tokens"):
            told, guessed = getattr(reported, side), getattr(estimated, side)
            if side == "output_tokens" and reported.reasoning_tokens:
                continue  # not every answer shows what was thought
            if told and guessed is not None:
                group = (family, f"input, {kind}" if side == "input_tokens" else "output")
                errors[group].append((guessed - told) / told)
    print("| models | tokens | sample | median | median size | 95th percentile |")
    print("|---|---|---:|---:|---:|---:|")
    for (family, tokens), found in sorted(errors.items()):
        if len(found) >= args.fewest:
            sizes = sorted(map(abs, found))
            print(
                f"| {family} | {tokens} | {len(found):,} | {_at(sorted(found), 0.5):+.0%} "
                f"| {_at(sizes, 0.5):.0%} | {_at(sizes, 0.95):.0%} |"
            )


def _family(record: dict[str, Any]) -> str:
    """By the model that the address or the request names."""
    asked = base64.b64decode(record["request_body_b64"])[:1_000_000]
    named = f"{record['target']} {_MODEL.findall(asked)[:1]}".lower()
    return next((name for word, name in _FAMILIES if word in named), "others")


def _kind(body_b64: str) -> str:
    """What a prompt holds beside text: what is hardest to count names it."""
    body = base64.b64decode(body_b64)
    if any(word in body for word in _PICTURES):
        return "images or files"
    return "tools" if b'"tools"' in body or b'"toolConfig"' in body else "text"


def _at(ordered: list[float], quantile: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * quantile))]


def _pairs(corpus: Path) -> Iterator[tuple[dict[str, Any], Usage, Usage]]:
    """For each exchange that can be compared: the reported usage and the estimate."""
    with gzip.open(corpus) as lines:
        for line in lines:
            record = orjson.loads(line)
            found, reading = _recorded(record)
            reported = reading.reply and reading.reply.usage
            if reading.reply is None or not reported or record["status"] >= 300:
                continue
            silent = replace(reading, reply=replace(reading.reply, usage=None))
            estimated, _ = usage_of(found, silent)
            if estimated is not None:
                yield record, reported, estimated


def _recorded(record: dict[str, Any]) -> tuple[Unposted, Reading]:
    request = base64.b64decode(record["request_body_b64"])
    response = base64.b64decode(record["response_body_b64"])
    stripped = record["response_coding"] == "stripped"
    headers = {
        name.lower(): value
        for name, value in record["response_headers"]
        if not (stripped and name.lower() == "content-encoding")
    }
    shared: dict[str, Any] = {"exchange_id": "", "node": "", "started_at": 1}
    opened = Opened(
        provider=record["provider"], method=record["method"], target=record["target"], **shared
    )
    closed = Closed(
        outcome="completed", status=record["status"], response_bytes=len(response), **shared
    )
    head = RequestHead(
        provider=record["provider"],
        method=record["method"],
        target=record["target"],
        headers={"content-type": _content_type(record)},
    )
    found = Unposted(
        exchange_id="", opened=opened, closed=closed, request=request, response=response
    )
    return found, read(head, Copied(request), record["status"], headers, Copied(response))


def _content_type(record: dict[str, Any]) -> str:
    named = {name.lower(): value for name, value in record["request_headers"]}
    return str(named.get("content-type", ""))


if __name__ == "__main__":
    main()
