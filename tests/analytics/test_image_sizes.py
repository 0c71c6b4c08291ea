"""Images: their sizes, and the worked examples of the providers' own pages."""

from __future__ import annotations

from base64 import b64encode
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.image_sizes import Image, image_tokens, images_in, size_of


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x06"


def jpeg(width: int, height: int) -> bytes:
    preview = b"\xff\xe1" + pack(">H", 70) + b"\xff" * 68
    return b"\xff\xd8" + preview + b"\xff\xc2" + pack(">HBHHB", 17, 8, height, width, 3)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + pack("<HH", width, height)


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + pack("<I", 30 + len(body)) + b"WEBP" + kind + pack("<I", len(body)) + body


SIZED = {
    "png": png(640, 480),
    "jpeg": jpeg(640, 480),
    "gif": gif(640, 480),
    "webp": webp(b"VP8 ", bytes(6) + pack("<HH", 640, 480)),
    "webp, lossless": webp(b"VP8L", b"\x2f" + pack("<I", 639 | 479 << 14)),
    "webp, extended": webp(b"VP8X", bytes(4) + pack("<I", 639)[:3] + pack("<I", 479)[:3]),
}


@pytest.mark.parametrize("data", SIZED.values(), ids=SIZED)
def test_a_header_tells_the_size(data: bytes) -> None:
    assert size_of(data) == (640, 480)


@given(st.sampled_from([b"", *SIZED.values()]), st.integers(0, 40), st.binary(max_size=40))
def test_any_other_bytes_tell_none(begin: bytes, kept: int, rest: bytes) -> None:
    size = size_of(begin[:kept] + rest)
    assert size is None or min(size) > 0


def text_of(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text_of(png(9, 7))}"}},
        {"type": "input_image", "image_url": f"data:image/png;base64,{text_of(png(9, 7))}"},
        {"type": "image", "source": {"type": "base64", "data": text_of(png(9, 7))}},
        {"inlineData": {"mimeType": "image/png", "data": text_of(png(9, 7))}},
        {"inline_data": {"mime_type": "image/png", "data": text_of(png(9, 7))}},
        {"image": {"format": "png", "source": {"bytes": text_of(png(9, 7))}}},
    ],
)
def test_images_are_found_in_every_format(part: dict[str, Any]) -> None:
    assert list(images_in({"any": [{"content": [part]}]})) == [Image(9, 7)]


def test_sound_and_words_are_no_images() -> None:
    sound = {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}
    tool = {"image": "a word", "source": "another"}
    assert list(images_in([sound, tool, "image_url", 5])) == []


def test_an_image_that_cannot_be_seen_has_a_usual_size() -> None:
    there = {"image_url": {"url": "https://example.org/a.png", "detail": "low"}}
    assert list(images_in(there)) == [Image(1024, 1024, "low")]
    broken = {"inlineData": {"mimeType": "image/png", "data": "?"}}
    assert list(images_in(broken)) == [Image(1024, 1024)]


@pytest.mark.parametrize(
    ("image", "model", "tokens"),
    [
        # platform.openai.com/docs/guides/images-vision, "Calculating costs"
        (Image(1024, 1024, "high"), "gpt-4o", 765),
        (Image(2048, 4096, "high"), "gpt-4o", 1105),
        (Image(4096, 8192, "low"), "gpt-4o", 85),
        (Image(1024, 1024), "gpt-4o-mini", 2833 + 4 * 5667),
        (Image(1024, 1024), "gpt-5", 70 + 4 * 140),
        (Image(1024, 1024), "o1", 75 + 4 * 150),
        (Image(1024, 1024), "gpt-4.1-mini", 1659),
        (Image(1800, 2400), "o4-mini", 2642),
        # docs.claude.com, "Vision", "Evaluate image size"
        (Image(200, 200), "claude-sonnet-4-5", 54),
        (Image(1000, 1000), "claude-sonnet-4-5", 1334),
        (Image(8000, 8000), "claude-sonnet-4-5", 1600),
        # ai.google.dev/gemini-api/docs/tokens and /image-understanding
        (Image(384, 384), "gemini-2.5-pro", 258),
        (Image(960, 540), "gemini-2.5-pro", 6 * 258),
    ],
)
def test_the_providers_own_examples_come_out(image: Image, model: str, tokens: int) -> None:
    assert image_tokens(image, None, model) == tokens
