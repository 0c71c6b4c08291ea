"""Destinations: `provider/model`, and what a call must become to go there.

Owns that change: path, model, and that a client's credential goes nowhere but where the client
sent it, and there again where a call comes back. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from proxy import credentials, headers
from proxy.admission import Admitted
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
        home = call.home or call.admitted
        if to.provider == call.upstream:
            admitted = replace(call.admitted, target=target)
        else:
            there = self._path(target, call.upstream, to)
            at_home = to.provider == home.provider
            admitted = _back(home, there) if at_home else _away(call, to.provider, there)
        sent_model = to.model or call.sent_model
        return call.but(admitted=admitted, body=body, home=home, sent_model=sent_model)

    def _path(self, target: str, provider: str, to: Destination) -> str:
        here = self.openai_path(provider)
        rest = target.removeprefix(here)
        if not target.startswith(here) or rest[:1] not in ("/", "?", ""):
            return target
        return self.openai_path(to.provider) + rest


def _back(home: Admitted, target: str) -> Admitted:
    """The call at the client's own provider: with its fields and its query as they came."""
    path, (_, mark, query) = target.partition("?")[0], home.target.partition("?")
    return replace(home, target=path + mark + query)


def _away(call: Call, provider: str, target: str) -> Admitted:
    """The call at another provider than the client's: without its credentials and accounts."""
    kept = headers.request_headers(call.raw, drop_credentials=True)
    return replace(
        call.admitted,
        provider=provider,
        target=credentials.without_parameters(target),
        forwarded=[field for field in kept if kind(field[0]).name not in _OF_ONE_ACCOUNT],
    )
