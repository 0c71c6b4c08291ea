"""The house rules, held against the imports as they are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("proxy", "analytics", "dashboard", "sample_data")
MAY_IMPORT = {
    "proxy": {"proxy"},
    "analytics": {"analytics", "proxy"},
    "dashboard": {"dashboard", "analytics", "proxy"},
    "sample_data": {"sample_data", "analytics", "proxy"},
}
HTTP = {
    "connections",
    "failures",
    "relay",
    "request_body",
    "response",
    "server",
    "upstream",
    "websocket",
}
"""The modules of proxy/ that touch sockets, and so aiohttp."""
SIBLINGS_APART = ("proxy/dialects", "proxy/policies", "analytics/commands", "dashboard/views")


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if path.exists())


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, at its top or within a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_data_runs_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for package in PACKAGES
        for path in modules(package)
        for name in imports(path)
        if (first := name.partition(".")[0]) in PACKAGES and first not in MAY_IMPORT[package]
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("duckdb", ("analytics",)),
        ("streamlit", ("dashboard",)),
        ("polars", ("analytics", "dashboard")),
    ],
)
def test_a_library_stays_in_its_rooms(library: str, homes: tuple[str, ...]) -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        if package not in (*homes, "sample_data")
        for path in modules(package)
        if library in {name.partition(".")[0] for name in imports(path)}
    ]
    assert wrong == []


def test_only_the_sockets_know_aiohttp() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in modules("proxy", "analytics", "dashboard")
        if "aiohttp" in {name.partition(".")[0] for name in imports(path)}
        and not (path.parent.name == "proxy" and path.stem in HTTP)
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", SIBLINGS_APART)
def test_siblings_do_not_import_each_other(folder: str) -> None:
    package = folder.replace("/", ".")
    wrong = [
        f"{path.name} imports {name}"
        for path in modules(folder)
        if path.stem not in ("__init__", "chain")  # they list the siblings in order
        for name in imports(path)
        if name.startswith(f"{package}.") and (ROOT / f"{name.replace('.', '/')}.py").exists()
    ]
    assert wrong == []


def test_command_line_composes_and_nothing_else() -> None:
    for path in modules(*PACKAGES):
        assert "meterline" not in set(imports(path)), path
