"""Destinations: `provider/model`, and what a call must become to go there.

Owns that change: path, model, and that a client's credential goes nowhere but where the client
sent it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from proxy import credentials, headers
from proxy.calls.call import Call
from proxy.calls.model_in_request import with_model
from proxy.headers import kind
from proxy.request_body import Body

_OF_ONE_ACCOUNT = frozenset({"openai-organization", "openai-project"})


class Destination(NamedTuple):
    """Where a call may go; no model: the one asked for."""

    provider: str
    model: str | None

    @classmethod
    def of(cls, text: str) -> Destination:
        """`groq/llama-3.3-70b-versatile`, or `azure` alone."""
        provider, _, model = text.partition("/")
        return cls(provider, model or None)

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}" if self.model else self.provider


class Destinations:
    """Moves calls. `openai_paths` tells where each provider answers in OpenAI's words."""

    def __init__(self, openai_paths: Mapping[str, str]) -> None:
        self._openai_paths = openai_paths

    def openai_path(self, provider: str) -> str:
        return self._openai_paths.get(provider, "/v1")

    def moved(self, call: Call, to: Destination) -> Call | None:
        """The call as it goes there; None where its model cannot be changed."""
        target, body = call.admitted.target, call.body
        if to.model is not None:
            if not isinstance(body.data, bytes):
                return None
            changed = with_model(target, body.data, to.model)
            if changed is None:
                return None
            target, data = changed
            body = Body(data, len(data) if body.length is not None else None)
        admitted = replace(call.admitted, target=target)
        if to.provider != call.upstream:
            admitted = replace(
                admitted,
                provider=to.provider,
                target=credentials.without_parameters(self._path(target, call.upstream, to)),
                forwarded=_for_another(call.raw),
            )
        return call.but(admitted=admitted, body=body, model=to.model or call.model)

    def _path(self, target: str, provider: str, to: Destination) -> str:
        here = self.openai_path(provider)
        rest = target.removeprefix(here)
        if not target.startswith(here) or rest[:1] not in ("/", "?", ""):
            return target
        return self.openai_path(to.provider) + rest


def _for_another(raw: headers.RawHeaders) -> list[tuple[bytes, bytes]]:
    """The fields for another provider than the client's: without its credentials and accounts."""
    kept = headers.request_headers(raw, drop_credentials=True)
    return [field for field in kept if kind(field[0]).name not in _OF_ONE_ACCOUNT]
