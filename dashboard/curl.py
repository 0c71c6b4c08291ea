"""An exchange as a curl command, to send it again.

Owns the command. A credential was never stored, so the command names the environment variable in
which shells usually have it. Pure.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from analytics.bodies import Said

_SKIPPED = frozenset(
    {"content-length", "content-encoding", "host", "accept-encoding", "connection", "user-agent"}
)
_CREDENTIALS = {
    "anthropic": "x-api-key: $ANTHROPIC_API_KEY",
    "gemini": "x-goog-api-key: $GEMINI_API_KEY",
    "azure": "api-key: $AZURE_OPENAI_API_KEY",
    "demo": None,
}
_LONGEST = 100_000


def command(address: str, exchange: Mapping[str, Any], said: Said) -> str | None:
    """The command, through the proxy at `address`; None where the request was not kept whole."""
    body = said.request
    if said.target is None or body.gap is not None or body.error or len(body.data) > _LONGEST:
        return None
    lines = [f"curl {shlex.quote(address + '/' + str(exchange['provider']) + said.target)}"]
    method = exchange["method"] or "POST"
    if method != ("POST" if body.data else "GET"):
        lines.append(f"-X {shlex.quote(method)}")
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in _headers(body.headers)]
    if (credential := _credential(str(exchange["provider"]))) is not None:
        lines.append(f'-H "{credential}"')
    lines += [f"-H {shlex.quote(each)}" for each in _labels(exchange)]
    if body.data:
        lines.append(f"--data-raw {shlex.quote(body.text())}")
    return " \\\n  ".join(lines)


def _headers(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _SKIPPED]


def _credential(provider: str) -> str | None:
    if provider in _CREDENTIALS:
        return _CREDENTIALS[provider]
    variable = "".join(c if c.isalnum() and c.isascii() else "_" for c in provider).upper()
    return f"Authorization: Bearer ${variable}_API_KEY"


def _labels(exchange: Mapping[str, Any]) -> list[str]:
    given = {
        "Meterline-Feature": exchange["feature"],
        "Meterline-User": exchange["user_id"],
        "Meterline-Session": exchange["session_id"],
        "Meterline-Environment": exchange["environment"],
    }
    return [f"{name}: {value}" for name, value in given.items() if value is not None]
