"""Token estimates: which vocabulary, what is counted, and that nothing is downloaded."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import inspect
import re
import subprocess
import sys
from importlib.resources import files

import pytest

from analytics.tokens import PIECE_CHARACTERS, estimate, vocabulary


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_shipped_vocabulary_is_the_one_tiktoken_expects(name: str) -> None:
    openai_public = importlib.import_module("tiktoken_ext.openai_public")
    source = inspect.getsource(getattr(openai_public, name))
    expected = re.search(r'expected_hash="([0-9a-f]{64})"', source)
    assert expected is not None
    packed = files("analytics").joinpath("vocabularies", f"{name}.tiktoken.gz").read_bytes()
    assert hashlib.sha256(gzip.decompress(packed)).hexdigest() == expected[1]


def test_counts_are_those_of_the_published_vocabularies() -> None:
    # The newer vocabulary packs languages other than English into fewer tokens.
    assert estimate("hello world", "gpt-4o") == 2
    assert estimate("hello world", "gpt-4") == 2
    assert estimate("你好世界", "gpt-4o") < estimate("你好世界", "gpt-4")


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4",
        "gpt-4-0613",
        "gpt-4-turbo",
        "openai/gpt-4",
        "ft:gpt-3.5-turbo:acme::1",
        "gpt-35-turbo",
        "gpt-3.5-turbo-0125",
        "text-embedding-3-small",
        "openai/text-embedding-ada-002",
        "GPT-4",
    ],
)
def test_older_openai_families_use_the_older_vocabulary(model: str) -> None:
    assert vocabulary(model) == "cl100k_base"


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4.1",
        "gpt-4.5-preview",
        "chatgpt-4o-latest",
        "o3",
        "gpt-5",
        "claude-sonnet-4-5",
        "gemini-2.5-pro",
        "my-gpt-4",
        "",
        None,
    ],
)
def test_everything_else_uses_the_newer_vocabulary(model: str | None) -> None:
    assert vocabulary(model) == "o200k_base"


def test_empty_text_has_no_tokens() -> None:
    assert estimate("", "gpt-4o") == 0


def test_names_of_special_tokens_are_plain_text() -> None:
    assert estimate("<|endoftext|>", "gpt-4o") > 1
    assert estimate("<|fim_prefix|>", "gpt-4") > 1


def test_lone_surrogates_are_counted_rather_than_refused() -> None:
    assert estimate("a\ud800b", "gpt-4o") >= 1


def test_cutting_long_texts_hardly_changes_the_count() -> None:
    sentence = "The invoice of the third quarter was 12,345.67 euros, payable at once.\n"
    whole = estimate(sentence, "gpt-4o")
    repeats = 10 * PIECE_CHARACTERS // len(sentence)
    counted = estimate(sentence * repeats, "gpt-4o")
    assert counted == pytest.approx(whole * repeats, rel=0.002)


@pytest.mark.parametrize("unit", ["a", " ", "\n", "🙂", "=", "ab "])
def test_a_megabyte_of_repetition_is_counted(unit: str) -> None:
    count = 1_000_000 // len(unit.encode())
    assert 0 < estimate(unit * count, "gpt-4o") <= 1_000_000


def test_the_vocabulary_is_loaded_without_network() -> None:
    program = (
        "import socket\n"
        "def refuse(*args, **kwargs):\n"
        "    raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "from analytics.tokens import estimate\n"
        "print(estimate('hello world', None), estimate('hello world', 'gpt-4'))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.stdout.strip(), ran.stderr) == ("2 2", "")
