"""A little OpenID Connect provider on loopback: authorization code flow, PKCE, signed id tokens.

Owns one client and what it may do: a code is good once, for the redirect address and the verifier
that it was made for. Whoever presses a name is that person; there are no passwords.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "dashboard", "only-for-this-test"


@dataclass(slots=True)
class Provider:
    """What the provider knows; `forges` makes it sign with a key that it does not publish."""

    url: str
    people: Mapping[str, Mapping[str, Any]]
    forges: bool = False
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    codes: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    tokens_given: int = 0

    def secrets_toml(self, dashboard_url: str) -> str:
        """Streamlit's [auth] section for this provider."""
        given = {
            "redirect_uri": f"{dashboard_url}/oauth2callback",
            "cookie_secret": secrets.token_hex(32),
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "server_metadata_url": f"{self.url}/.well-known/openid-configuration",
        }
        return "[auth]\n" + "".join(
            f"{name} = {json.dumps(text)}\n" for name, text in given.items()
        )

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def keys(self) -> dict[str, Any]:
        return {"keys": [{**self.key.as_dict(private=False), "use": "sig", "alg": "RS256"}]}

    def choice(self, query: dict[str, str]) -> str:
        """The page on which somebody says who they are."""
        links = (
            f'<a href="/grant?{urlencode({**query, "who": who})}">{who}</a>' for who in self.people
        )
        return f"<!DOCTYPE html><title>Who are you?</title>{'<br>'.join(links)}"

    def grant(self, query: dict[str, str]) -> str:
        """Back to the client, with a code."""
        assert query["client_id"] == CLIENT_ID
        code = secrets.token_urlsafe()
        self.codes[code] = (query["who"], query)
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The tokens for a code; None where it is not good."""
        who, query = self.codes.pop(form.get("code", ""), ("", {}))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        good = (
            who
            and _client(form, authorization) == (CLIENT_ID, CLIENT_SECRET)
            and form.get("redirect_uri") == query["redirect_uri"]
            and challenge == query["code_challenge"]
        )
        if not good:
            return None
        self.tokens_given += 1
        return {"access_token": secrets.token_urlsafe(), "token_type": "Bearer"} | {
            "id_token": self._id_token(who, query["nonce"]),
            "expires_in": 300,
        }

    def _id_token(self, who: str, nonce: str) -> str:
        now = int(time.time())
        key = RSAKey.generate_key(2048) if self.forges else self.key
        claims = {"iss": self.url, "aud": CLIENT_ID, "sub": who, "nonce": nonce}
        times = {"iat": now, "exp": now + 300}
        header = {"alg": "RS256", "kid": "one"}
        return jwt.encode(header, claims | times | dict(self.people[who]), key)


def _client(form: dict[str, str], authorization: str) -> tuple[str, str]:
    if authorization.startswith("Basic "):
        name, _, secret = base64.b64decode(authorization[6:]).decode().partition(":")
        return unquote(name), unquote(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


@contextmanager
def provider(people: Mapping[str, Mapping[str, Any]]) -> Iterator[Provider]:
    """A provider that these people may log in with; each has further claims."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    made = _Handler.provider = Provider(f"http://127.0.0.1:{server.server_port}", people)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = _flat(parts.query)
        if parts.path == "/.well-known/openid-configuration":
            self._json(self.provider.metadata())
        elif parts.path == "/keys":
            self._json(self.provider.keys())
        elif parts.path == "/authorize":
            self._send(200, self.provider.choice(query).encode(), "text/html")
        elif parts.path == "/grant":
            self._send(302, b"", "text/plain", ("Location", self.provider.grant(query)))
        else:
            self._send(404, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        found = self.provider.token(_flat(body), self.headers.get("Authorization", ""))
        if found is None:
            self._send(400, b'{"error": "invalid_grant"}', "application/json")
        else:
            self._json(found)

    def _json(self, value: dict[str, Any]) -> None:
        self._send(200, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Type", kind), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The test says what matters."""


def _flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
