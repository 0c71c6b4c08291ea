"""What a request offers the model is found in the words of every dialect."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.screening.requests import tool_names


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"tools": [{"type": "function", "function": {"name": "look"}}]}, ["look"]),
        ({"tools": [{"type": "web_search"}]}, ["web_search"]),
        ({"tools": [{"name": "look", "input_schema": {}}]}, ["look"]),
        ({"toolConfig": {"tools": [{"toolSpec": {"name": "look"}}]}}, ["look"]),
        ({"tools": [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}]}, ["a", "b"]),
        ({"tools": [{"googleSearch": {}}]}, ["googleSearch"]),
        (
            {"tools": [{"function_declarations": [{"name": "a"}], "code_execution": {}}]},
            ["a", "code_execution"],
        ),
        ({"tools": [{"functionDeclarations": [{}]}, 7]}, ["None"]),
    ],
)
def test_tools_are_named(document: dict[str, Any], names: list[str]) -> None:
    assert list(tool_names(document)) == names
