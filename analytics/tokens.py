"""Token estimates, for exchanges whose provider reported no usage.

Owns the choice of a vocabulary and the count. The vocabularies are shipped beside this module
and checked against the digests that tiktoken expects; refuses to download anything. A count is
exact for the text of OpenAI's models and an approximation for everyone else's.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from base64 import b64decode
from functools import cache
from importlib import import_module
from importlib.resources import files
from math import ceil
from types import FunctionType
from typing import Any, Literal

from tiktoken import Encoding

Vocabulary = Literal["o200k_base", "cl100k_base"]

PIECE_CHARACTERS = 20_000
"""Texts are encoded in pieces: some inputs take time that grows faster than their length."""

# The older families; a letter, digit or point behind `gpt-4` is a newer one (gpt-4o, gpt-4.1).
_CL100K = re.compile(
    r"(?:^|[/:.])(?:gpt-4(?![a-z0-9.])|gpt-3\.?5|text-embedding-|davinci-002|babbage-002)"
)


_CLAUDES_MORE = 1.15
"""Claude's vocabulary is not public; it cuts the same text into about a seventh more tokens (fitted
to half of the recorded prompts, tested on the other half)."""


def estimate(text: str, model: str | None) -> int:
    """The number of tokens in `text`, as `model` would count them.

    Names of special tokens are counted as the plain text they are. Cutting into pieces adds a
    token or so per piece, less than one in a thousand.
    """
    if not text:
        return 0
    encode = _encoding(vocabulary(model)).encode_ordinary
    starts = range(0, len(text), PIECE_CHARACTERS)
    count = sum(len(encode(text[start : start + PIECE_CHARACTERS])) for start in starts)
    return ceil(count * _CLAUDES_MORE) if model and "claude" in model.lower() else count


def vocabulary(model: str | None) -> Vocabulary:
    """The vocabulary of a model; the newer one where the model is not known."""
    return "cl100k_base" if model and _CL100K.search(model.lower()) else "o200k_base"


@cache
def _encoding(name: Vocabulary) -> Encoding:
    openai_public = import_module("tiktoken_ext.openai_public")

    # tiktoken keeps pattern and special tokens in a function that also downloads the ranks. The
    # same function is run here with a loader that reads the shipped file instead.
    original = getattr(openai_public, name)
    shipped = FunctionType(
        original.__code__, {**vars(openai_public), "load_tiktoken_bpe": _shipped_ranks}
    )
    settings: dict[str, Any] = shipped()
    return Encoding(**settings)


def _shipped_ranks(url: str, expected_hash: str) -> dict[bytes, int]:
    """The ranks in the shipped copy of the file that tiktoken would download from `url`."""
    name = url.rpartition("/")[2]
    packed = files("analytics").joinpath("vocabularies", f"{name}.gz").read_bytes()
    data = gzip.decompress(packed)
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected_hash:
        raise ValueError(
            f"analytics/vocabularies/{name}.gz holds {digest}, and tiktoken expects "
            f"{expected_hash}: reinstall Meterline, or the version of tiktoken it names"
        )
    pairs = (line.split() for line in data.splitlines() if line)
    return {b64decode(token): int(rank) for token, rank in pairs}
