"""Admission: what a request's head says, before anything is done about it.

Owns the decision where a request goes and what of its head is forwarded, journaled and secret.
Pure: target and header fields in, a value or a Refusal out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from proxy import credentials, headers, labels, routes
from proxy.errors import Refusal, Speech, speech
from proxy.headers import RawHeaders
from proxy.journal.entries import Headers
from proxy.providers import DEFAULT
from proxy.virtual_keys import VirtualKey

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


class Fields(NamedTuple):
    """What the header fields of a request say."""

    default_provider: str
    """Where a bare `/v1/...` goes: the SDK shows itself by a header that only it sends."""
    anthropic: bool
    transfer_coding: str
    expects_continue: bool
    websocket: bool
    cross_site: bool
    """A browser says that another site's page sent it."""
    labels: list[tuple[str, str]]
    """Fields that may carry labels; names in lower case."""
    secret: list[tuple[str, str]]
    """Fields that carry credentials."""
    journaled: Headers
    named: Mapping[str, str]
    """The same by name; of repeated ones the last."""
    client: str | None
    trace_id: str | None
    parent_span_id: str | None


class Head(NamedTuple):
    """What every request tells, also one that is refused."""

    target: str
    fields: Fields
    raw: RawHeaders
    """All fields but Content-Length."""
    content_length: int | None
    speech: Speech
    secrets: tuple[bytes, ...]
    credential: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A request that goes upstream."""

    provider: str
    target: str
    """Raw path and query at the provider."""
    labels: dict[str, str]
    forwarded: RawHeaders
    websocket: bool
    """It asks to become a WebSocket session."""
    key: VirtualKey | None = None


def read_head(target: str, raw: RawHeaders) -> Head:
    kept, length = [], None
    for field in raw:
        if headers.kind(field[0]).name == "content-length":
            length = int(field[1])
        else:
            kept.append(field)
    rest = tuple(kept)
    fields = _read_fields(rest)
    return Head(
        target,
        fields,
        rest,
        length,
        speech(target, anthropic=fields.anthropic),
        credentials.values(fields.secret, target),
        credentials.credential(fields.secret, target),
    )


@lru_cache(maxsize=256)
def _read_fields(raw: RawHeaders) -> Fields:
    """A client sends the same fields again and again, but for the length: they are read once."""
    by_name: dict[str, str] = {}
    secret: list[tuple[str, str]] = []
    labelled: list[tuple[str, str]] = []
    for name, value in raw:
        known = headers.kind(name)
        pair = known.name, headers.text(value)
        by_name.setdefault(*pair)
        if known.credential or known.name == "sec-websocket-protocol":
            secret.append(pair)
        if known.label:
            labelled.append(pair)
    journaled = headers.journaled(raw)
    trace = _TRACEPARENT.fullmatch(by_name.get("traceparent", ""))
    return Fields(
        default_provider=_default_provider(by_name),
        anthropic="anthropic-version" in by_name,
        transfer_coding=by_name.get("transfer-encoding", "chunked"),
        expects_continue=by_name.get("expect", "").lower() == "100-continue",
        websocket=by_name.get("upgrade", "").lower() == "websocket"
        and "upgrade" in by_name.get("connection", "").lower(),
        cross_site=by_name.get("sec-fetch-site", "").lower() == "cross-site",
        labels=labelled,
        secret=secret,
        journaled=journaled,
        named=dict(journaled),
        client=_client(by_name.get("user-agent")),
        trace_id=trace[1] if trace else None,
        parent_span_id=trace[2] if trace else None,
    )


def admit(
    head: Head, own_credentials: Mapping[str, bool], key: VirtualKey | None = None
) -> Admitted:
    """Where the request goes, and with which fields. Raises Refusal.

    `own_credentials` has the known providers, and whether the proxy adds the credential there;
    `key` is the virtual key that the caller shows.
    """
    try:
        route = routes.match(head.target, own_credentials, head.fields.default_provider)
    except routes.NoRoute as error:
        raise Refusal(str(error), error.status, error.error_type) from None
    if head.fields.transfer_coding.lower() != "chunked":
        raise Refusal("the only transfer coding taken is chunked", 400, "bad_headers")
    ours = own_credentials[route.provider]
    if key is not None and not ours:
        name = route.provider
        message = f"keys of Meterline's own need the provider's: set providers.{name}.api_key_env"
        raise Refusal(message, 502, "no_provider_key")
    if ours and head.fields.cross_site:
        raise cross_site()
    try:
        forwarded = _forwarded(head.raw, ours)
    except headers.BadHeaders as error:
        raise Refusal(str(error), 400, "bad_headers") from None
    return Admitted(
        provider=route.provider,
        target=credentials.without_parameters(route.target) if ours else route.target,
        labels=_labelled(head, route.labels, key),
        key=key,
        forwarded=forwarded,
        websocket=head.fields.websocket,
    )


def _labelled(head: Head, path: dict[str, str], key: VirtualKey | None) -> dict[str, str]:
    """What the key says goes before what the caller says."""
    found = labels.collect(head.fields.labels, path)
    return {**found, **key.labels} if key is not None else found


def cross_site() -> Refusal:
    """Any page could make the browser of whoever opens it spend the proxy's credential."""
    return Refusal("pages of other sites must not use the proxy's credential", 403, "cross_site")


@lru_cache(maxsize=256)
def _forwarded(raw: RawHeaders, drop_credentials: bool) -> list[tuple[bytes, bytes]]:
    return headers.request_headers(raw, drop_credentials=drop_credentials)


def _default_provider(fields: dict[str, str]) -> str:
    if "anthropic-version" in fields:
        return "anthropic"
    return "gemini" if "x-goog-api-key" in fields else DEFAULT


@lru_cache(maxsize=1024)
def _client(user_agent: str | None) -> str | None:
    """Product and version: `OpenAI/Python 3.54.0`, without comments and details."""
    if not user_agent:
        return None
    words = user_agent.partition(" (")[0].split()
    kept = words[:2] if len(words) > 1 and words[1][0].isdigit() else words[:1]
    return labels.clean(" ".join(kept))[:100] or None
