"""What goes upstream: the target of a call and its message.

Owns how a client's request becomes the one that the provider gets. Refuses to send it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from proxy import stream_usage
from proxy.admission import Admitted
from proxy.capture import Capture
from proxy.errors import Refusal
from proxy.journal.entries import DecisionMade
from proxy.request_body import Body
from proxy.routes import has_dot_segments
from proxy.stream_usage import UsageFilter
from proxy.upstream import Endpoint, UpstreamRequest


@dataclass(frozen=True, slots=True)
class Target:
    """Where a provider's requests go, and the credentials that the proxy may add there."""

    endpoint: Endpoint
    credentials: tuple[tuple[bytes, bytes], ...] = ()
    inject_stream_usage: bool = False
    openai_path: str = "/v1"

    @property
    def credential(self) -> tuple[bytes, bytes] | None:
        return self.credentials[0] if self.credentials else None

    @property
    def secret(self) -> bytes:
        """The credential without its scheme, as an answer might echo it."""
        return self.credential[1].removeprefix(b"Bearer ") if self.credential else b""

    def with_key(self, number: int) -> Target:
        """With one of its credentials alone."""
        return replace(self, credentials=self.credentials[number : number + 1])


def asking_for_usage(
    admitted: Admitted, target: Target, upload: Body, capture: Capture
) -> tuple[Body, UsageFilter | None]:
    """The request with the question for its stream's usage, and what hides the answer."""
    if not target.inject_stream_usage or not isinstance(upload.data, bytes):
        return upload, None
    asked = stream_usage.ask(admitted.target, upload.data)
    if asked is None:
        return upload, None
    capture.changed(asked)
    capture.decisions.append(
        DecisionMade(
            policy="stream_usage",
            rule=f"providers.{admitted.provider}.inject_stream_usage",
            action="asked for usage",
            reason="the client asked for a stream without it",
        )
    )
    return Body(asked, len(asked)), UsageFilter()


def message(method: str, admitted: Admitted, target: Target, upload: Body) -> UpstreamRequest:
    """The call as the provider gets it. Raises Refusal where its path would leave the base_url."""
    endpoint = target.endpoint
    if endpoint.prefix and has_dot_segments(admitted.target):
        raise Refusal("the path must not climb with '..'", 400, "bad_target")
    forwarded = list(admitted.forwarded)
    if target.credential is not None:
        forwarded.append(_as_spoken(target.credential, admitted.target))
    if admitted.websocket:
        forwarded += [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    return UpstreamRequest(
        method=method,
        target=endpoint.target(admitted.target),
        headers=forwarded,
        body=upload.data,
        length=upload.length,
        upgrade=admitted.websocket,
    )


def _as_spoken(credential: tuple[bytes, bytes], target: str) -> tuple[bytes, bytes]:
    """Anthropic and Gemini take their key as a bearer token where they speak like OpenAI."""
    name, value = credential
    speaks = target.partition("?")[0].endswith(("/chat/completions", "/embeddings"))
    if speaks and name in (b"x-api-key", b"x-goog-api-key"):
        return b"authorization", b"Bearer " + value
    return credential
