"""Starting the dashboard: which address it may listen on, and Streamlit's settings.

Owns the refusal of addresses that others reach without a login, and every setting of the server
that bears on who can ask it what. They are given as options, which go before any file.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dashboard.reach import is_loopback
from proxy.config import Dashboard, Settings

HERE = Path(__file__).parent
_REPORTS = ("change", "anomalies", "waste", "prompts", "whatif")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class CannotShow(Exception):
    """The dashboard cannot run as configured; the message says why and what to do."""


def check(dashboard: Dashboard) -> None:
    """Raise CannotShow where others would reach the dashboard without a login."""
    if is_loopback(dashboard.host) or dashboard.trusted_proxy:
        return
    from dashboard.access import login_configured  # which imports Streamlit, slowly

    if not login_configured():
        raise CannotShow(
            f"dashboard.host = {dashboard.host!r}: others could read every prompt there. Configure "
            "a login ([auth] in .streamlit/secrets.toml, OpenID Connect), or listen on 127.0.0.1, "
            "or set dashboard.trusted_proxy = true behind a proxy that asks for a login."
        )
    if find_spec("authlib") is None:
        raise CannotShow(
            f"dashboard.host = {dashboard.host!r}: the login needs Authlib. "
            "Install it: pip install 'streamlit[auth]'."
        )


def is_free(dashboard: Dashboard) -> bool:
    """Whether the port can be listened on."""
    family = socket.AF_INET6 if ":" in dashboard.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((dashboard.host, dashboard.port))
        except OSError:
            return False
    return True


def address(dashboard: Dashboard) -> str:
    """Where a browser on this machine finds it."""
    host = "127.0.0.1" if dashboard.host in ("0.0.0.0", "::") else dashboard.host
    return f"http://{f'[{host}]' if ':' in host else host}:{dashboard.port}"


def hosts(dashboard: Dashboard) -> tuple[str, ...]:
    """The names in Host headers that are this dashboard's; none: any."""
    if is_loopback(dashboard.host):
        return (*LOOPBACK, dashboard.host, *dashboard.hosts)
    return dashboard.hosts


def options(dashboard: Dashboard) -> dict[str, Any]:
    """Streamlit's settings."""
    names = [f"[{each}]" if ":" in each else each for each in hosts(dashboard)]
    return {
        "server.address": dashboard.host,
        "server.port": dashboard.port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.allowedHosts": [each.strip("[]") for each in names],
        "server.enableStaticServing": True,
        "server.enableAgentApi": False,
        "server.maxUploadSize": 1,
        "server.baseUrlPath": "",
        "browser.gatherUsageStats": False,
        "browser.serverAddress": "localhost",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "runner.magicEnabled": False,
        "global.disableWidgetStateDuplicationWarning": True,  # filters of a drill are both
        "logger.level": "warning",
        "logger.hideWelcomeMessage": True,
        "theme.base": str(HERE / "theme.toml"),
    }


def run(settings: Settings, config: str | None) -> None:
    """Serve until told to end. Raises CannotShow."""
    check(settings.dashboard)
    if not is_free(settings.dashboard):
        raise CannotShow(
            f"port {settings.dashboard.port} is taken. Choose another: dashboard.port, or --port."
        )
    if config is not None:
        os.environ["METERLINE_CONFIG"] = config  # for the pages, which read the settings anew
    import streamlit as st
    from starlette.middleware import Middleware

    from dashboard.server import Guarded

    threading.Thread(target=_warm, args=(settings,), daemon=True).start()
    logging.getLogger("streamlit").setLevel(logging.WARNING)
    dashboard = settings.dashboard
    guarded = Middleware(Guarded, hosts=hosts(dashboard), fronts=dashboard.hosts)
    app = st.App(HERE / "app.py", middleware=[guarded])
    app.run(config=options(settings.dashboard))


def _warm(settings: Settings) -> None:
    """Do what the first viewer would wait for: slow imports, the list of prices."""
    for name in ("pandas", *(f"analytics.reports.{each}" for each in _REPORTS)):
        import_module(name)
    from analytics.prices import PriceBook

    PriceBook.of(settings)
