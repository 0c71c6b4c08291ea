"""Every rule in the README is valid, and they can all be in force together."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config import parse
from tests.support.processes import Meterline

README = Path(__file__).resolve().parents[3] / "README.md"
BLOCKS = [
    block
    for block in re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    if "[[rules]]" in block
]


def test_a_rule_that_people_want_is_three_lines() -> None:
    page = README.read_text(encoding="utf-8").partition("### The rules people want")[2]
    wanted = [block for block in BLOCKS if block in page.partition("### Conditions")[0]]
    for block in wanted:
        for rule in block.split("[[rules]]")[1:]:
            assert len(rule.strip().splitlines()) <= 3, rule
    assert len(wanted) >= 10


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split('"')[1])
def test_a_snippet_is_valid_by_itself(block: str) -> None:
    assert parse(tomllib.loads(block), "README").rules


def test_the_snippets_serve(start_proxy: Callable[..., Meterline]) -> None:
    narrow_first = sorted(BLOCKS, key=lambda block: "when" not in block)
    proxy = start_proxy(rules="\n".join(narrow_first))
    assert proxy.health()["rules"]["in_force"] == sum(b.count("[[rules]]") for b in BLOCKS)
