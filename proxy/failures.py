"""Foreign errors in our own words: what aiohttp raises to NotSent and Broken.

The one place that knows aiohttp's exception classes. Refuses to decide what is done about them.
"""

from __future__ import annotations

from aiohttp.client_exceptions import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ConnectionTimeoutError,
    SocketTimeoutError,
)
from aiohttp.http_exceptions import HttpProcessingError

from proxy.errors import Broken, NotSent


def not_sent(error: Exception, name: str, where: str | None, seconds: float) -> NotSent:
    """No connection to the upstream `name` at `where` came about; `seconds` was the patience."""
    if isinstance(error, ConnectionTimeoutError | TimeoutError):
        return NotSent(
            f"{name} ({where}) did not accept a connection within {seconds:g} s",
            "connect_timeout",
            timed_out=True,
        )
    if isinstance(error, ClientConnectorDNSError):
        return NotSent(f"{name}: the name {where} cannot be resolved", "dns_failed")
    if isinstance(error, ClientConnectorCertificateError):
        return NotSent(f"{name} ({where}): its certificate is not valid", "bad_tls")
    reason = getattr(error, "os_error", error)
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return NotSent(f"cannot connect to {name} ({where}): {text}", "connect_failed")


def broken(error: BaseException) -> Broken:
    """The connection or the answer failed after something was sent."""
    if isinstance(error, SocketTimeoutError | TimeoutError):
        return Broken("the provider was silent for too long", "read_timeout", timed_out=True)
    if isinstance(error, HttpProcessingError):
        return Broken("the provider's answer is not valid HTTP", "bad_answer")
    return Broken("the provider closed the connection before its answer was whole", "cut_off")
