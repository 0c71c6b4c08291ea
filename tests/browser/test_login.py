"""Logging in with OpenID Connect: a real provider, a real browser, the real dashboard."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from analytics import store
from tests.browser.conftest import IDLE
from tests.support.oidc import Provider, provider
from tests.support.processes import free_port, wait_for, write_config
from tests.support.services import launch

PEOPLE = {
    "ana": {"email": "ana@example.com", "email_verified": True},
    "eve": {"email": "eve@elsewhere.test", "email_verified": True},
    "una": {"email": "una@example.com", "email_verified": False},
}
SEEN = "No exchange yet"
"""What the page of an empty store says, to those who may look."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A dashboard that asks for a login, and who is asked."""

    url: str
    provider: Provider


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A dashboard on every address of this machine, for logins of example.com."""
    folder = tmp_path_factory.mktemp("guarded")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with store.write(folder / store.NAME):
        pass
    tables = {
        "": {"data_dir": str(folder)},
        "dashboard": {"host": "0.0.0.0", "port": port, "users": ["@example.com"]},
    }
    config = write_config(folder, tables)
    with provider(PEOPLE) as asked:
        secrets = folder / ".streamlit" / "secrets.toml"
        secrets.parent.mkdir()
        secrets.write_text(asked.secrets_toml(url), encoding="utf-8")
        service = launch(
            folder / "dashboard.log",
            *("meterline", "dashboard", "--config", str(config)),
            environment={"HOME": str(folder)},
        )
        try:
            wait_for(lambda: answers(url), "the dashboard", seconds=60)
            yield Guarded(url, asked)
        finally:
            service.stop()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    made.set_default_timeout(30_000)
    yield made
    made.close()


def opened(context: BrowserContext, guarded: Guarded, path: str = "/") -> Page:
    page = context.new_page()
    page.goto(guarded.url + path)
    page.wait_for_function(IDLE)
    return page


def logged_in(context: BrowserContext, guarded: Guarded, who: str) -> Page:
    page = opened(context, guarded)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name=who).click()
    page.wait_for_url(f"{guarded.url}/**")
    page.wait_for_function(IDLE)
    return page


@pytest.mark.parametrize("path", ["/", "/spend", "/requests", "/exchange?id=0", "/sql", "/health"])
def test_whoever_is_not_logged_in_sees_nothing(
    context: BrowserContext, guarded: Guarded, path: str
) -> None:
    page = opened(context, guarded, path)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert page.get_by_text(SEEN).count() == 0
    assert page.get_by_test_id("stSidebarNav").count() == 0


def test_whoever_is_logged_in_sees_the_page(context: BrowserContext, guarded: Guarded) -> None:
    page = logged_in(context, guarded, "ana")
    expect(page.get_by_text(SEEN)).to_be_visible()
    again = opened(context, guarded, "/spend")
    expect(again.get_by_text(SEEN)).to_be_visible()


def test_login_of_somebody_else_is_not_let_in(context: BrowserContext, guarded: Guarded) -> None:
    for who in ("eve", "una"):
        page = logged_in(context, guarded, who)
        expect(page.get_by_text("not on the list of users")).to_be_visible()
        assert page.get_by_text(SEEN).count() == 0
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_token_that_the_provider_did_not_sign_lets_nobody_in(
    context: BrowserContext, guarded: Guarded
) -> None:
    given = guarded.provider.tokens_given
    guarded.provider.forges = True
    try:
        logged_in(context, guarded, "ana")
    finally:
        guarded.provider.forges = False
    assert guarded.provider.tokens_given == given + 1
    page = opened(context, guarded)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert page.get_by_text(SEEN).count() == 0


def test_cookie_that_was_made_up_lets_nobody_in(context: BrowserContext, guarded: Guarded) -> None:
    made_up = '{"is_logged_in": true, "email": "ana@example.com", "email_verified": true}'
    context.add_cookies([{"name": "_streamlit_user", "value": made_up, "url": guarded.url}])
    page = opened(context, guarded)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert page.get_by_text(SEEN).count() == 0


def test_secrets_of_the_login_are_on_no_page(context: BrowserContext, guarded: Guarded) -> None:
    page = logged_in(context, guarded, "ana")
    page.goto(f"{guarded.url}/health")
    page.wait_for_function(IDLE)
    assert "only-for-this-test" not in page.content()


@pytest.mark.parametrize(
    "path", ["/.streamlit/secrets.toml", "/app/static/../theme.toml", "/meterline.duckdb"]
)
def test_files_are_not_served(guarded: Guarded, path: str) -> None:
    """Neither the secrets nor the store can be asked for; the page itself may come instead."""
    try:
        with urllib.request.urlopen(guarded.url + path, timeout=5) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    assert b"client_secret" not in body
    assert b"DUCK" not in body
    assert b"[theme" not in body
