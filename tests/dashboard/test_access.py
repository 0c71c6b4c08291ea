from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.access import is_let_in
from dashboard.launch import CannotShow, check, hosts, options
from dashboard.reach import is_loopback
from proxy.config import Dashboard
from tests.support.services import meterline


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_no_login(host: str) -> None:
    assert is_loopback(host)
    check(Dashboard(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "dash.example.com"])
def test_other_address_without_a_login_is_refused(host: str) -> None:
    with pytest.raises(CannotShow, match="trusted_proxy"):
        check(Dashboard(host=host))


def test_trusted_proxy_is_taken_at_its_word() -> None:
    check(Dashboard(host="0.0.0.0", trusted_proxy=True))


@pytest.mark.parametrize("command", ["dashboard", "up"])
def test_command_refuses_an_open_address(tmp_path: Path, command: str) -> None:
    config = tmp_path / "meterline.toml"
    config.write_text('[dashboard]\nhost = "0.0.0.0"\n[server]\nport = 1\n', encoding="utf-8")
    if command == "up":
        config.write_text('[dashboard]\nhost = "0.0.0.0"\n[server]\nport = 28473\n')
    done = meterline(command, "--config", str(config))
    assert done.returncode == 2
    assert "others could read every prompt" in done.stderr


def test_only_names_of_this_machine_are_answered_on_loopback() -> None:
    assert "*" not in hosts(Dashboard())
    assert set(hosts(Dashboard())) == {"localhost", "127.0.0.1", "::1"}
    assert options(Dashboard())["server.allowedHosts"]


def test_server_tells_nobody_anything() -> None:
    given = options(Dashboard())
    assert given["browser.gatherUsageStats"] is False
    assert given["server.enableCORS"] is True
    assert given["server.enableXsrfProtection"] is True
    assert given["server.enableAgentApi"] is False


@pytest.mark.parametrize(
    ("email", "verified", "users", "is_in"),
    [
        ("ana@example.com", True, (), True),
        ("ana@example.com", True, ("Ana@Example.com",), True),
        ("ana@example.com", True, ("@example.com",), True),
        ("ana@example.com", False, ("@example.com",), False),
        ("ana@example.com.evil.net", True, ("@example.com",), False),
        ("ana@evil@example.net", True, ("@example.com",), False),
        (None, None, ("@example.com",), False),
    ],
)
def test_login_counts_for_listed_users(
    email: str | None, verified: bool | None, users: tuple[str, ...], is_in: bool
) -> None:
    assert is_let_in({"email": email, "email_verified": verified}, users) is is_in
