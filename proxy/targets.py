"""Targets: every provider with an address, and the keys that the proxy adds there.

Owns reading keys from the environment. Refuses to start without one that the settings name.
"""

from __future__ import annotations

import os

from proxy.config import ConfigError, Provider, Settings
from proxy.outgoing import Target
from proxy.providers import BEARER, BUILT_IN, BuiltIn
from proxy.upstream import Endpoint


def known_targets(settings: Settings) -> dict[str, Target]:
    """The providers with an address. Raises ConfigError where a credential's variable is unset."""
    targets, faults = {}, []
    for name in BUILT_IN.keys() | settings.providers.keys():
        built_in = BUILT_IN.get(name, BuiltIn(base_url=None))
        configured = settings.providers.get(name)
        base_url = (configured.base_url if configured else None) or built_in.base_url
        keys = []
        for variable in _variables(configured):
            keys.append(os.environ.get(variable, ""))
            if not keys[-1]:
                faults.append(
                    f"providers.{name}.api_key_env = {variable!r}: this environment variable is "
                    "not set. Export it, or leave the key out to pass the client's credential "
                    "through."
                )
        if base_url is not None:
            path = configured.openai_path if configured else None
            targets[name] = Target(
                Endpoint.of(name, base_url),
                tuple(_credential(built_in.key_header, key) for key in keys),
                configured is not None and configured.inject_stream_usage,
                built_in.openai_path if path is None else path,
            )
    if faults:
        raise ConfigError("\n".join(faults))
    return targets


def _variables(configured: Provider | None) -> tuple[str, ...]:
    """The environment variables with a provider's keys."""
    if configured is None:
        return ()
    return (configured.api_key_env,) if configured.api_key_env else configured.api_key_envs


def _credential(header: str, key: str) -> tuple[bytes, bytes]:
    value = f"Bearer {key}" if header == BEARER else key
    return header.encode(), value.encode()


def adds_credential(target: Target | None) -> bool:
    return target is not None and target.credential is not None
