"""Whole bodies looked through: JSON string by string, all else as text.

Owns that a masked body is written anew only where something was masked, and that JSON stays JSON.
Pure; linear in the body.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import brotli  # type: ignore[import-untyped]
import orjson
import zstandard

from proxy.screening.growing import Event, Growing
from proxy.screening.leaves import found_in, leaves, mask
from proxy.screening.masks import Masks
from proxy.screening.screen import Finding, Screen, Wanted

Seen = dict[Wanted, set[str]]
"""What was found, by its mask."""


@dataclass(frozen=True, slots=True)
class Screened:
    """A body as it may be kept: what is masked or refused is masked in it."""

    data: bytes
    changed: bool
    seen: Seen
    refused: Wanted | None


def screened(
    data: bytes, screen: Screen, masks: Masks, top: frozenset[str] = frozenset()
) -> Screened:
    """Look through a body without content coding; `top` are members that are passed over, those of
    a request."""
    seen: Seen = {}
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return _text(data, screen, masks)
    if not isinstance(document, dict | list):
        return _text(data, screen, masks)
    if isinstance(document, list) and all(isinstance(each, dict) for each in document):
        return _by_turns(data, document, screen, masks)
    if top and screen.clears(data):  # answers have times in them, which look like numbers of cards
        return Screened(data, False, seen, None)
    changed = False
    found = list(leaves(document, top))
    for leaf, spans in zip(found, found_in(screen, [x.text for x in found]), strict=True):
        if acting := _acting(spans, leaf.text, masks, seen):
            mask(leaf, acting, masks)
            changed = True
    return Screened(orjson.dumps(document) if changed else data, changed, seen, refused(seen))


def _by_turns(data: bytes, document: list[Any], screen: Screen, masks: Masks) -> Screened:
    """A list may be a stream's events, in which texts go on from one to the next."""
    growing = Growing(screen, masks, ends=False)
    events = [Event(each) for each in document]
    for event in events:
        growing.add(event)
    growing.finish()
    changed = any(event.changed for event in events)
    body = orjson.dumps(document) if changed else data
    return Screened(body, changed, growing.seen, refused(growing.seen))


def _text(data: bytes, screen: Screen, masks: Masks) -> Screened:
    coding = "utf-8"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        coding = "latin-1"
        text = data.decode(coding)
    seen: Seen = {}
    acting = _acting(screen.find(text), text, masks, seen)
    body = masks.applied(text, acting).encode(coding) if acting else data
    return Screened(body, bool(acting), seen, refused(seen))


def _acting(found: Iterable[Finding], text: str, masks: Masks, seen: Seen) -> list[Finding]:
    """Those that are masked; all are kept as seen."""
    acting = []
    for span in found:
        seen.setdefault(span.of, set()).add(masks.of(span.of.name, text[span.start : span.end]))
        if span.of.action != "note":
            acting.append(span)
    return acting


def refused(seen: Iterable[Wanted]) -> Wanted | None:
    """The first of what was found for which a call is refused."""
    return next((wanted for wanted in seen if wanted.action == "refuse"), None)


def encoded(data: bytes, coding: str) -> bytes | None:
    """The body in this content coding; None for one that is not known."""
    match coding.strip().lower():
        case "" | "identity":
            return data
        case "gzip" | "x-gzip":
            packer = zlib.compressobj(wbits=31)
            return packer.compress(data) + packer.flush()
        case "deflate":
            return zlib.compress(data)
        case "br":
            return bytes(brotli.compress(data, quality=4))
        case "zstd":
            return zstandard.ZstdCompressor().compress(data)
    return None
