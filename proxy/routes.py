"""Paths: the raw target of a request to provider, labels and upstream target.

Owns the addresses of DESIGN's section "Addresses". Pure; the part after the provider is never
decoded, normalised or changed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import unquote

from proxy.providers import DEFAULT

OWN = "/-/"
LABELLED = "/with/"


class NoRoute(Exception):
    """The target leads nowhere; the message says why, `status` what to answer."""

    def __init__(self, message: str, status: int, error_type: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a request goes."""

    provider: str
    target: str
    """Raw path and query at the provider, without the prefix of its base_url."""
    labels: dict[str, str] = field(default_factory=dict)
    """Given in the path."""


def match(target: str, providers: Collection[str], default: str = DEFAULT) -> Route:
    """The route of a raw target such as `/openai/v1/models?limit=2`.

    `default` is the provider of a bare `/v1/...`. Raises NoRoute.
    """
    if not target.startswith("/"):
        raise NoRoute("the request target must be a path", 400, "bad_target")
    labels: dict[str, str] = {}
    if target.startswith(LABELLED):
        given, slash, rest = target[len(LABELLED) :].partition("/")
        labels, target = path_labels(given), slash + rest
    first = target[1:].partition("?")[0].partition("/")[0]
    if first in providers:
        return Route(provider=first, target=_rest(target, first), labels=labels)
    if first == "v1":
        return Route(provider=default, target=target, labels=labels)
    if first == "v1beta":
        return Route(provider="gemini", target=target, labels=labels)
    raise NoRoute(
        f"no provider is named {first!r}. Send to /PROVIDER/..., where PROVIDER is one of "
        f"{', '.join(sorted(providers))}, or add [providers.{first or 'NAME'}] to meterline.toml",
        404,
        "unknown_provider",
    )


def _rest(target: str, first: str) -> str:
    rest = target[1 + len(first) :]
    return rest if rest.startswith("/") else "/" + rest


def path_labels(given: str) -> dict[str, str]:
    """`feature=chat,user=ana` as {"feature": "chat", "user": "ana"}, percent-decoded."""
    pairs = (item.partition("=") for item in given.split(","))
    return {unquote(name): unquote(value) for name, _, value in pairs if name and value}


def has_dot_segments(target: str) -> bool:
    """Whether the path climbs: `..`, however encoded. Behind a path prefix it could leave it."""
    path = unquote(target.partition("?")[0]).replace("\\", "/")
    return ".." in path and ".." in path.split("/")
