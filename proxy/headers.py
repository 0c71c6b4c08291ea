"""Header fields: which go on, which stay, which the journal may know.

Owns hop-by-hop rules (RFC 9110, section 7.6.1) and the allow-list of the journal. Pure; bytes in,
bytes out, so that names keep their case and values their bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from proxy.credentials import CREDENTIAL_HEADERS
from proxy.journal.entries import Headers
from proxy.labels import is_label

RawHeaders = Sequence[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
KEY_PROTOCOL = b"openai-insecure-api-key."
OURS = b"meterline-exchange-id"
_CONTROL = (b"meterline-", b"helicone-", b"x-portkey-", b"cf-aig-")
_CONTROL_NAMES = frozenset({b"x-litellm-tags", b"x-litellm-customer-id"})
_NEVER_NOMINATED = frozenset(
    {b"host", b"content-length", b"content-type", b"content-encoding"}
) | frozenset(name.encode() for name in CREDENTIAL_HEADERS)

_JOURNALED = frozenset(
    {
        "accept",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "idempotency-key",
        "openai-beta",
        "openai-model",
        "openai-organization",
        "openai-processing-ms",
        "openai-project",
        "openai-version",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "server",
        "tracestate",
        "traceparent",
        "user-agent",
        "via",
        "x-claude-code-session-id",
        "x-client-request-id",
        "x-goog-api-client",
        "x-goog-user-project",
        "x-groq-region",
        "x-request-id",
        "x-should-retry",
        "x-vertex-ai-llm-request-type",
        "x-vertex-ai-llm-shared-request-type",
        "apim-request-id",
        "cf-ray",
        "session-id",
    }
)
_JOURNALED_PREFIXES = (
    "anthropic-",
    "meterline-",
    "x-amzn-bedrock-",
    "x-amzn-errortype",
    "x-amzn-requestid",
    "x-ms-",
    "x-ratelimit-",
    "x-stainless-",
    "x-gemini-",
)
_LONGEST_JOURNALED = 2048


class BadHeaders(Exception):
    """The request's header fields must not be obeyed; answer 400."""


class Kind(NamedTuple):
    """What is known of a field from its name alone."""

    name: str
    """In lower case."""
    goes_up: bool
    goes_down: bool
    journaled: bool
    credential: bool
    label: bool


@lru_cache(maxsize=4096)
def kind(name: bytes) -> Kind:
    """The rules of a field. Names repeat from request to request: they are looked up once."""
    lower = name.lower()
    text = lower.decode("latin-1")
    framing = lower in HOP_BY_HOP or lower == b"content-length"
    control = lower.startswith(_CONTROL) or lower in _CONTROL_NAMES
    return Kind(
        name=text,
        goes_up=not framing and not control and lower not in (b"host", b"expect"),
        goes_down=not framing and lower != OURS,
        journaled=text in _JOURNALED or text.startswith(_JOURNALED_PREFIXES),
        credential=text in CREDENTIAL_HEADERS,
        label=is_label(text),
    )


def text(value: bytes) -> str:
    """A field's value as text: UTF-8 where it is, else Latin-1, never an error."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def nominated(raw: RawHeaders) -> frozenset[bytes]:
    """The fields that `Connection` declares to be for this hop, in lower case."""
    names: set[bytes] = set()
    for name, value in raw:
        if kind(name).name == "connection":
            names |= {token.strip().lower() for token in value.split(b",")}
    return frozenset(names)


def request_headers(raw: RawHeaders, *, drop_credentials: bool) -> list[tuple[bytes, bytes]]:
    """What goes upstream, without Host and framing. Raises BadHeaders.

    `drop_credentials`: the proxy adds a credential of its own, the client's stay here.
    """
    for_this_hop = nominated(raw)
    if refused := for_this_hop & _NEVER_NOMINATED:
        raise BadHeaders(f"Connection must not name {text(min(refused))}")
    kept = [
        field
        for field in raw
        if (known := kind(field[0])).goes_up
        and not (drop_credentials and known.credential)
        and not (for_this_hop and field[0].lower() in for_this_hop)
    ]
    return _without_keys_in_protocols(kept) if drop_credentials else kept


def _without_keys_in_protocols(fields: RawHeaders) -> list[tuple[bytes, bytes]]:
    """Browsers bring a key as the name of a WebSocket subprotocol."""
    kept: list[tuple[bytes, bytes]] = []
    for name, value in fields:
        if kind(name).name == "sec-websocket-protocol" and KEY_PROTOCOL in value:
            words = [word.strip() for word in value.split(b",")]
            value = b", ".join(word for word in words if not word.startswith(KEY_PROTOCOL))
        if value or kind(name).name != "sec-websocket-protocol":
            kept.append((name, value))
    return kept


def uncompressed(fields: RawHeaders) -> list[tuple[bytes, bytes]]:
    """The fields of a request whose answer must come without content coding."""
    return [field for field in fields if kind(field[0]).name != "accept-encoding"]


class ReplyFields(NamedTuple):
    """The fields of an answer, sorted by what becomes of them."""

    forwarded: list[tuple[bytes, bytes]]
    """To the client, without framing."""
    journaled: Headers
    length: int | None
    """The announced length, None where the body is framed otherwise."""
    event_stream: bool


def reply_fields(raw: RawHeaders) -> ReplyFields:
    for_this_hop = nominated(raw)
    forwarded, kept = [], []
    length, coded, event_stream = None, False, False
    for field in raw:
        known = kind(field[0])
        if known.goes_down and not (for_this_hop and field[0].lower() in for_this_hop):
            forwarded.append(field)
        if known.journaled and len(field[1]) <= _LONGEST_JOURNALED:
            kept.append((known.name, text(field[1])))
        if known.name == "content-length":
            length = int(field[1])
        elif known.name == "transfer-encoding":
            coded = True
        elif known.name == "content-type":
            event_stream = field[1].lower().startswith(b"text/event-stream")
    return ReplyFields(forwarded, kept, None if coded else length, event_stream)


def journaled(raw: RawHeaders) -> Headers:
    """The fields that the journal may know, as text; names in lower case."""
    return [
        (known.name, text(value))
        for name, value in raw
        if (known := kind(name)).journaled and len(value) <= _LONGEST_JOURNALED
    ]
