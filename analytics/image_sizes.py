"""Images in a request, and how many tokens they are by the providers' published rules.

Owns finding images in any of the formats, their sizes (from the headers of PNG, JPEG, GIF and
WebP), and the rules. Refuses to decode an image, and to fetch one: of an image at an address the
size is taken to be 1,024 by 1,024.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from math import ceil
from struct import error as StructError
from struct import unpack
from typing import Any, NamedTuple

_UNKNOWN = (1024, 1024)
_HEADER_CHARACTERS = 1 << 18
"""Of base64; a JPEG's size may stand behind a preview of 64 KB."""

# OpenAI, "Images and vision", "Calculating costs": tokens for the image and for each tile.
_TILES = (
    (re.compile(r"gpt-4o-mini"), 2833, 5667),
    (re.compile(r"gpt-5(?!\.\d|-mini|-nano)"), 70, 140),
    (re.compile(r"(?:^|/)o[13](?!-mini)"), 75, 150),
    (re.compile(r"computer-use"), 65, 129),
    (re.compile(r""), 85, 170),
)
# The same page: models that count patches of 32 pixels, at most 1,536, times a factor.
_PATCHES = (
    (re.compile(r"gpt-4\.1-mini|gpt-5-mini"), 1.62),
    (re.compile(r"gpt-4\.1-nano|gpt-5-nano"), 2.46),
    (re.compile(r"o4-mini"), 1.72),
)
_MOST_PATCHES = 1536


class Image(NamedTuple):
    """An image in a prompt; `detail` as OpenAI has it."""

    width: int
    height: int
    detail: str | None = None


def images_in(document: Any) -> Iterator[Image]:
    """All images in a request's document, whatever its format."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            if (image := _image(value)) is not None:
                yield image
            else:
                pending += value.values()


def image_tokens(image: Image, dialect: str | None, model: str | None) -> int:
    """The tokens that an image costs."""
    name = (model or "").lower()
    if "gemini" in name or dialect == "gemini_generate":
        return _gemini(image)
    if "claude" in name or dialect == "anthropic_messages":
        return _anthropic(image)
    return _openai(image, name)


def _openai(image: Image, model: str) -> int:
    factor = next((factor for names, factor in _PATCHES if names.search(model)), None)
    if factor is not None:
        return ceil(min(_MOST_PATCHES, ceil(image.width / 32) * ceil(image.height / 32)) * factor)
    base, tile = next((base, tile) for names, base, tile in _TILES if names.search(model))
    if image.detail == "low":
        return base
    scale = min(1.0, 2048 / max(image.width, image.height))
    width, height = image.width * scale, image.height * scale
    scale = min(1.0, 768 / min(width, height))
    return base + tile * ceil(width * scale / 512) * ceil(height * scale / 512)


def _anthropic(image: Image) -> int:
    """Claude, "Vision": width times height by 750, scaled down to 1,568 pixels and 1,600 tokens."""
    scale = min(1.0, 1568 / max(image.width, image.height))
    area = image.width * image.height * scale * scale
    return max(1, ceil(min(area / 750, 1600)))


def _gemini(image: Image) -> int:
    """Gemini, "Understand and count tokens": 258 up to 384 pixels a side, else per tile of 768."""
    if image.width <= 384 and image.height <= 384:
        return 258
    unit = min(768.0, max(256.0, min(image.width, image.height) / 1.5))
    return 258 * ceil(image.width / unit) * ceil(image.height / unit)


def _image(part: dict[str, Any]) -> Image | None:
    """The image that a part of a message is, None where it is none."""
    if isinstance(address := part.get("image_url"), str | dict):
        detail = address.get("detail") if isinstance(address, dict) else part.get("detail")
        url = address.get("url") if isinstance(address, dict) else address
        return _sized(_of_url(url), detail)
    for name in ("inlineData", "inline_data"):
        if isinstance(inline := part.get(name), dict):
            kind = inline.get("mimeType") or inline.get("mime_type")
            return _sized(inline.get("data")) if _is_picture(kind) else None
    source = part.get("source")
    if part.get("type") == "image" and isinstance(source, dict):
        return _sized(source.get("data"))
    if isinstance(shown := part.get("image"), dict) and isinstance(shown.get("source"), dict):
        return _sized(shown["source"].get("bytes"))
    return None


def _is_picture(kind: Any) -> bool:
    return isinstance(kind, str) and kind.startswith("image/")


def _of_url(url: Any) -> str | None:
    """The base64 of a `data:` address."""
    if not isinstance(url, str) or not url.startswith("data:"):
        return None
    return url.partition(",")[2]


def _sized(data: Any, detail: Any = None) -> Image:
    size = None
    if isinstance(data, str):
        text = data[:_HEADER_CHARACTERS]
        try:
            size = size_of(b64decode(text[: len(text) // 4 * 4], altchars=_alphabet(text)))
        except (NotBase64, ValueError):
            size = None
    width, height = size or _UNKNOWN
    return Image(width, height, detail if isinstance(detail, str) else None)


def _alphabet(text: str) -> bytes | None:
    return b"-_" if "-" in text or "_" in text else None


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height of an image, from its first bytes; None where they do not say."""
    size: tuple[int, int] | None = None
    try:
        if data.startswith(b"\x89PNG"):
            size = unpack(">II", data[16:24])
        elif data.startswith((b"GIF87a", b"GIF89a")):
            size = unpack("<HH", data[6:10])
        elif data.startswith(b"\xff\xd8"):
            size = _jpeg(data)
        elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            size = _webp(data)
    except (IndexError, StructError):
        return None
    return size if size and min(size) > 0 else None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    match data[12:16]:
        case b"VP8 ":
            width, height = unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return (
                int.from_bytes(data[24:27], "little") + 1,
                int.from_bytes(data[27:30], "little") + 1,
            )
    return None
