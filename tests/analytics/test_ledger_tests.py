"""Every query and every report has a test against the ledger of the sample data.

Such a test has the ledger among its fixtures (`lines`, `sample`), directly or by others of its
file, and calls what the module gives. What is only a part of a report is tested with it.
"""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics import queries, reports

HERE = Path(__file__).parent
LEDGER = {"lines", "sample"}
PARTS = {
    "bills": "reconcile",
    "blame": "anomalies",
    "class_prices": "sums",
    "drivers": "change",
    "findings": "anomalies",
    "prefixes": "waste_kinds",
    "prompt_changes": "prompts",
    "prompt_text": "prompts",
    "prompt_versions": "prompts",
    "recorded": "reconcile",
    "repeats": "waste_kinds",
    "requests": "waste",
    "siblings": "waste_kinds",
    "split": "change",
    "sums": "change",
    "tokenizers": "whatif",
    "unusual": "watch",
    "waste_kinds": "waste",
    "watch": "anomalies",
}
"""Parts of reports, by one that uses them."""


def modules(paths: list[str]) -> list[str]:
    return [found.name for found in pkgutil.iter_modules(paths) if not found.ispkg]


QUERIES = modules(list(queries.__path__))
REPORTS = [name for name in modules(list(reports.__path__)) if name not in PARTS]


def ledger_tests(kind: str, module: str) -> list[str]:
    """The tests that hold what the module gives against the ledger."""
    found = []
    for path in sorted((HERE / kind).glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        given = set(imported(tree, f"analytics.{kind}.{module}"))
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for name in functions if given else ():
            used, arguments = reached(name, functions)
            if name.startswith("test_") and used & given and arguments & LEDGER:
                found.append(f"{path.name}::{name}")
    return found


def imported(tree: ast.Module, module: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == module:
            yield from (name.asname or name.name for name in node.names)


def reached(name: str, functions: dict[str, ast.FunctionDef]) -> tuple[set[str], set[str]]:
    """All names in a function and in those of its file that it uses, and all their arguments."""
    seen: set[str] = set()
    arguments: set[str] = set()
    left = [name]
    while left:
        node = functions.get(left.pop())
        if node is None:
            continue
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        given = {argument.arg for argument in node.args.args}
        arguments |= given
        left += (names | given) - seen
        seen |= names | given
    return seen, arguments


@pytest.mark.parametrize("module", QUERIES)
def test_every_query_has_a_test_against_the_ledger(module: str) -> None:
    assert ledger_tests("queries", module)


@pytest.mark.parametrize("module", REPORTS)
def test_every_report_has_a_test_against_the_ledger(module: str) -> None:
    assert ledger_tests("reports", module)


@pytest.mark.parametrize(("part", "user"), PARTS.items())
def test_a_part_is_used_by_its_report(part: str, user: str) -> None:
    path = Path(next(iter(reports.__path__))) / f"{user}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert list(imported(tree, f"analytics.reports.{part}"))


def test_what_has_no_such_test_is_told() -> None:
    assert not ledger_tests("queries", "no_such_query")
    assert all("hand" not in name for name in ledger_tests("queries", "missing_usage"))
