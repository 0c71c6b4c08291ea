"""Secrets: which values of a request are credentials, and how none reaches the disk.

Owns the names under which credentials travel, their masking in targets, their keyed hash and
their removal from captured copies. Refuses to store one.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote_plus

from proxy.virtual_keys import PREFIX

CREDENTIAL_HEADERS = frozenset(
    {
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "proxy-authorization",
        "cookie",
        "x-amz-security-token",
        "ocp-apim-subscription-key",
    }
)
CREDENTIAL_PARAMETERS = frozenset(
    {
        "key",
        "api_key",
        "api-key",
        "apikey",
        "access_token",
        "token",
        "auth",
        "sig",
        "signature",
        "password",
        "client_secret",
        "subscription-key",
        "x-amz-credential",
        "x-amz-signature",
        "x-amz-security-token",
        "x-goog-signature",
        "x-goog-credential",
    }
)
_SHOWN_IN = ("x-api-key", "api-key", "x-goog-api-key", "authorization")
MASK = "***"
SHORTEST = 6
"""Shorter values are not looked for in bodies: they would match anything."""

_AWS_ACCESS_KEY = re.compile(r"Credential=([^/,\s]+)")
_AWS_SIGNATURE = re.compile(r"Signature=([0-9a-fA-F]+)")
_SCHEME = re.compile(r"(?:bearer|basic|token|key)\s+", re.IGNORECASE)
_WEBSOCKET_KEY = re.compile(r"openai-insecure-api-key\.([^\s,]+)")


def credential(
    headers: Iterable[tuple[str, str]], target: str, checked: str | None = None
) -> str | None:
    """What identifies the caller: a virtual key, else the first credential in the headers, else in
    the query. `checked`: the header that the provider looks at, which goes before all others."""
    found = dict(reversed([(n, v) for n, v in headers if n in CREDENTIAL_HEADERS]))
    order = _SHOWN_IN if checked is None else (checked, "authorization", *_SHOWN_IN)
    shown = {name: _shown(found[name]) for name in order if found.get(name)}
    if len(shown) > 1 and (ours := next(filter(_is_virtual, shown.values()), None)):
        return ours
    asked = next(iter(_query_secrets(target)), None)
    if asked is not None and checked == "x-goog-api-key" and checked not in shown:
        return asked
    return next(iter(shown.values()), asked)


def _shown(value: str) -> str:
    aws = _AWS_ACCESS_KEY.search(value)
    return aws[1] if aws else _SCHEME.sub("", value, count=1)


def _is_virtual(value: str) -> bool:
    return value.startswith(PREFIX)


def values(headers: Iterable[tuple[str, str]], target: str) -> tuple[bytes, ...]:
    """Every secret that the request carries, longest first, to be removed from copies."""
    found: set[str] = set(_query_secrets(target))
    for name, value in headers:
        if name in CREDENTIAL_HEADERS:
            found.add(_SCHEME.sub("", value, count=1))
            if value.startswith("AWS4-"):
                found |= {*_AWS_ACCESS_KEY.findall(value), *_AWS_SIGNATURE.findall(value)}
            if name == "cookie":
                found |= {pair.partition("=")[2].strip() for pair in value.split(";")}
        elif name == "sec-websocket-protocol":
            found |= set(_WEBSOCKET_KEY.findall(value))
    ordered = sorted((v for v in found if len(v) >= SHORTEST), key=len, reverse=True)
    return tuple(v.encode("utf-8", "surrogateescape") for v in ordered)


def _query_secrets(target: str) -> list[str]:
    found: list[str] = []
    if "?" not in target:
        return found
    for pair in target.partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        if value and unquote_plus(name).lower() in CREDENTIAL_PARAMETERS:
            found += dict.fromkeys((unquote_plus(value), value))
    return found


def mask_target(target: str) -> str:
    """The target with the values of credential parameters masked."""
    path, mark, query = target.partition("?")
    if not mark:
        return target
    return f"{path}?{'&'.join(map(_mask_pair, query.split('&')))}"


def _mask_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    if equals and unquote_plus(name).lower() in CREDENTIAL_PARAMETERS:
        return f"{name}={MASK}"
    return pair


def without_parameters(target: str) -> str:
    """The target without credential parameters, for when the proxy adds its own credential."""
    path, mark, query = target.partition("?")
    kept = [
        pair
        for pair in query.split("&")
        if unquote_plus(pair.partition("=")[0]).lower() not in CREDENTIAL_PARAMETERS
    ]
    return f"{path}?{'&'.join(kept)}" if mark and kept else path


def remove(data: bytes, found: Sequence[bytes]) -> bytes:
    """The data with each secret overwritten, length kept."""
    for value in found:
        if value in data:
            data = data.replace(value, b"*" * len(value))
    return data


def remove_edges(head: bytes, tail: bytes, found: Sequence[bytes]) -> bytes:
    """Head and tail of a body whose middle is missing, joined. A secret that the gap cut in two
    is overwritten, too: its beginning at the end of the head, its end at the start of the tail."""
    for value in found:
        for size in range(len(value) - 1, SHORTEST - 1, -1):
            if head.endswith(value[:size]):
                head = head[:-size] + b"*" * size
            if tail.startswith(value[-size:]):
                tail = b"*" * size + tail[size:]
    return head + tail


class KeyHash:
    """Keyed hash of credentials: equal ones compare equal, none can be guessed from the hash."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.of_credential = lru_cache(maxsize=1024)(self._hash)

    def __repr__(self) -> str:
        return "KeyHash(***)"

    @classmethod
    def of(cls, data_dir: Path) -> KeyHash:
        """With the key kept in the data folder, made on first use, readable by its owner only."""
        path = data_dir / "key-hash.secret"
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        if not path.exists():
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with open(fd, "wb") as file:
                    file.write(secrets.token_bytes(32))
                os.link(draft, path)
            except FileExistsError:
                pass  # another worker was first
            finally:
                draft.unlink()
        return cls(path.read_bytes())

    def of_value(self, value: str) -> str:
        """The same for any other value; not remembered, and never that of a credential."""
        return self._hash(f"value {value}")

    def _hash(self, value: str) -> str:
        data = value.encode("utf-8", "surrogateescape")
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()[:16]
