"""Checks of the providers: whether a connection to each can be made from here."""

from __future__ import annotations

import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from analytics.checks import Finding, fail, ok, warn
from analytics.tables import printable
from proxy.config import Settings
from proxy.providers import BUILT_IN

TIMEOUT_SECONDS = 3.0
KEY_VARIABLES: dict[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "mistral": ("MISTRAL_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "xai": ("XAI_API_KEY",),
    "cohere": ("CO_API_KEY", "COHERE_API_KEY"),
    "openrouter": ("OPENROUTER_API_KEY",),
    "together": ("TOGETHER_API_KEY",),
    "fireworks": ("FIREWORKS_API_KEY",),
    "perplexity": ("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
    "cerebras": ("CEREBRAS_API_KEY",),
}
"""The variables in which the providers' own clients look for a key."""


def reachable(settings: Settings) -> Iterator[Finding]:
    """A connection to each provider that is configured, or whose key is in the environment."""
    wanted = dict(_wanted(settings))
    if not wanted:
        yield ok("providers", "none is configured, and no provider's key is set: none to try")
        return
    results: queue.Queue[tuple[str, str | None]] = queue.Queue()
    for name, url in wanted.items():
        # Daemons: a name server that does not answer must not keep the command from ending.
        threading.Thread(
            target=lambda name=name, url=url: results.put((name, _try(url))), daemon=True
        ).start()
    faults = dict.fromkeys(wanted, f"no answer within {TIMEOUT_SECONDS:g} seconds") | dict(
        _collected(results, len(wanted))
    )
    for name, fault in faults.items():
        yield _finding(name, wanted[name], fault, configured=name in settings.providers)


def _wanted(settings: Settings) -> Iterator[tuple[str, str]]:
    for name in [*settings.providers, *(n for n in BUILT_IN if n not in settings.providers)]:
        configured = settings.providers.get(name)
        built_in = BUILT_IN.get(name)
        url = (configured.base_url if configured else None) or (
            built_in.base_url if built_in else None
        )
        keyed = any(os.environ.get(variable) for variable in KEY_VARIABLES.get(name, ()))
        if url is not None and (configured is not None or keyed):
            yield name, url


def _collected(
    results: queue.Queue[tuple[str, str | None]], count: int
) -> Iterator[tuple[str, str | None]]:
    deadline = time.monotonic() + TIMEOUT_SECONDS + 0.5
    for _ in range(count):
        try:
            yield results.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return


def _try(url: str) -> str | None:
    """Why no connection can be made; None where it can."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    address = (parts.hostname or "", parts.port or (443 if secure else 80))
    try:
        with socket.create_connection(address, timeout=TIMEOUT_SECONDS) as sock:
            if secure:
                context = ssl.create_default_context()
                with context.wrap_socket(sock, server_hostname=address[0]):
                    pass
    except TimeoutError:
        return f"no answer within {TIMEOUT_SECONDS:g} seconds"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not accepted: {error.verify_message}"
    except OSError as error:
        return error.strerror or str(error)
    return None


def _finding(name: str, url: str, fault: str | None, *, configured: bool) -> Finding:
    if fault is None:
        return ok("providers", f"{name} can be reached at {url}")
    message = printable(f"{name} cannot be reached at {url}: {fault}")
    if configured:
        mend = f"Check providers.{name}.base_url and this machine's way out."
        return fail("providers", message, mend)
    return warn("providers", message, "Check this machine's way out.")
