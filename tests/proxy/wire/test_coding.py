import gzip
import random
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.coding import FREE_BYTES, Decoder, decode

TEXT = b"".join(b'data: {"n":%d,"word":"%d"}\n\n' % (n, n * 7919) for n in range(400))


def _raw_deflate(data: bytes) -> bytes:
    codec = zlib.compressobj(wbits=-15)
    return codec.compress(data) + codec.flush()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=5),
    "zstd": zstandard.compress,
}


@pytest.mark.parametrize("coding", ENCODERS)
def test_each_coding_gives_the_text_back(coding: str) -> None:
    found = decode(ENCODERS[coding](TEXT), coding)
    assert (found.data, found.whole, found.error) == (TEXT, True, None)


@pytest.mark.parametrize("coding", ENCODERS)
def test_pieces_of_any_size_give_the_same(coding: str) -> None:
    encoded = ENCODERS[coding](TEXT)
    chance = random.Random(7)
    for _ in range(20):
        decoder = Decoder(coding)
        plain, at = b"", 0
        while at < len(encoded):
            size = chance.choice((1, 2, 5, 100, 1000))
            plain += decoder.feed(encoded[at : at + size])
            at += size
        assert plain == TEXT
        assert decoder.whole


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_cut_body_gives_what_could_be_decoded(coding: str) -> None:
    encoded = ENCODERS[coding](TEXT)
    for cut in range(0, len(encoded), 61):
        found = decode(encoded[:cut], coding)
        assert TEXT.startswith(found.data)
        assert found.error is None
        assert found.whole is (cut == 0)


def test_stacked_codings_are_undone_from_the_last() -> None:
    encoded = brotli.compress(gzip.compress(TEXT))
    assert decode(encoded, "gzip, br").data == TEXT
    assert decode(encoded, " GZIP ,identity,br ").data == TEXT


def test_damage_in_the_outer_of_two_codings_gives_no_encoded_bytes() -> None:
    encoded = bytearray(gzip.compress(zstandard.compress(TEXT)))
    encoded[len(encoded) // 2] ^= 0xFF
    found = decode(bytes(encoded), "zstd, gzip")
    assert TEXT.startswith(found.data)
    assert not found.whole


def test_deflate_without_its_header_is_read() -> None:
    assert decode(_raw_deflate(TEXT), "deflate").data == TEXT


def test_several_gzip_members_are_one_body() -> None:
    assert decode(gzip.compress(b"one ") + gzip.compress(b"two"), "gzip").data == b"one two"


def test_several_zstandard_frames_are_one_body() -> None:
    encoded = zstandard.compress(b"one ") + zstandard.compress(b"two")
    assert decode(encoded, "zstd").data == b"one two"


def test_an_unknown_coding_gives_nothing_and_says_so() -> None:
    found = decode(b"abc", "compress")
    assert found.data == b""
    assert "compress" in (found.error or "")


def test_no_coding_gives_the_body_itself() -> None:
    assert decode(b"abc", "") == decode(b"abc", "identity")
    assert decode(b"abc", "").data == b"abc"


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_bomb_is_cut_at_the_limit(coding: str) -> None:
    bomb = ENCODERS[coding](b"a" * 30_000_000)
    found = decode(bomb, coding, max_bytes=1_000_000)
    assert found.data == b"a" * 1_000_000
    assert found.error is not None


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_body_that_grows_out_of_proportion_is_cut(coding: str) -> None:
    bomb = ENCODERS[coding](b"a" * 60_000_000)
    found = decode(bomb, coding, max_ratio=50)
    assert "times its size" in (found.error or "")
    assert FREE_BYTES < len(found.data) <= 60_000_000


@given(
    st.binary(max_size=400), st.sampled_from([*ENCODERS, "gzip, br", "zstd, deflate", "x", ",;"])
)
def test_no_bytes_raise(data: bytes, codings: str) -> None:
    assert decode(data, codings).data is not None


@given(
    st.binary(max_size=2000),
    st.sampled_from(list(ENCODERS)),
    st.integers(0, 5000),
    st.integers(0, 7),
)
def test_a_flipped_bit_never_raises(text: bytes, coding: str, at: int, bit: int) -> None:
    encoded = bytearray(ENCODERS[coding](text))
    encoded[at % len(encoded)] ^= 1 << bit
    decode(bytes(encoded), coding)
