"""Virtual keys: issued once, kept as digests, never sent to a provider, and what they say holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from proxy.virtual_keys import FILE, KeyFault, issue, read, revoke
from tests.support.processes import Config, Meterline, wait_for
from tests.support.raw import FakeProvider, Message, connect, request
from tests.support.services import meterline

Keyed = Callable[..., Meterline]


@pytest.fixture
def keyed(
    start_proxy: Callable[..., Meterline],
    provider: FakeProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> Keyed:
    """A proxy that adds the provider's own key for openai."""
    monkeypatch.setenv("OWN_KEY", "sk-own-0123456789")

    def begin(tables: Config | None = None, **options: object) -> Meterline:
        own = {"providers.openai": {"base_url": provider.url, "api_key_env": "OWN_KEY"}}
        return start_proxy({**own, **(tables or {})}, **options)

    return begin


def chat(
    proxy: Meterline,
    secret: str | None,
    *fields: tuple[str, str],
    model: str = "gpt-4o-mini",
    name: str = "Authorization",
    target: str = "/openai/v1/chat/completions",
) -> Message:
    shown = (
        [] if secret is None else [(name, f"Bearer {secret}" if name != "x-api-key" else secret)]
    )
    with connect(proxy.port) as wire:
        body = orjson.dumps({"model": model, "user": "from-the-body"})
        wire.send(request("POST", target, [*shown, *fields], body))
        return wire.answer("POST")


def known(proxy: Meterline) -> Path:
    return proxy.data_dir / FILE


def test_the_providers_key_is_added_and_what_the_key_says_holds(
    keyed: Keyed, provider: FakeProvider, tmp_path: Path
) -> None:
    secret = issue(tmp_path / "d" / FILE, "team-a", user="ana", feature="chat")
    proxy = keyed(data_dir=tmp_path / "d")
    seen = chat(proxy, secret, ("Meterline-User", "bo"), ("Meterline-Environment", "prod"))
    assert seen.status == 200
    (asked,) = provider.requests
    assert asked.values(b"authorization") == [b"Bearer sk-own-0123456789"]
    opened = proxy.record(seen.exchange_id).opened
    assert opened is not None
    assert opened.key_id == "team-a"
    assert opened.labels == {"user_id": "ana", "feature": "chat", "environment": "prod"}
    files = [path for path in proxy.data_dir.rglob("*") if path.is_file()]
    assert not any(secret.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "api-key"])
def test_a_key_is_found_wherever_clients_put_it(
    keyed: Keyed, provider: FakeProvider, tmp_path: Path, name: str
) -> None:
    secret = issue(tmp_path / "d" / FILE, "team-a")
    proxy = keyed(data_dir=tmp_path / "d")
    assert chat(proxy, secret, name=name).status == 200
    values = [value for _, value in provider.requests[0].fields]
    assert not any(secret.encode() in value for value in values)


def test_unknown_and_revoked_keys_are_refused_at_once(keyed: Keyed, provider: FakeProvider) -> None:
    proxy = keyed()
    assert chat(proxy, "ml-unknown-0123456789").status == 401
    secret = issue(known(proxy), "late")
    wait_for(lambda: chat(proxy, secret).status == 200, "the new key")
    revoke(known(proxy), "late")
    wait_for(lambda: chat(proxy, secret).status == 401, "the end of the key")
    assert chat(proxy, "sk-of-a-client-01").status == 200, "others are as before"
    assert all(m.values(b"authorization") for m in provider.requests)


def test_callers_without_one_are_refused_where_it_is_required(keyed: Keyed) -> None:
    proxy = keyed({"keys": {"required": True}})
    seen = chat(proxy, "sk-of-a-client-01")
    assert seen.status == 401
    assert chat(proxy, None).status == 401
    assert proxy.closed(seen.exchange_id).error_type == "key_needed"


def test_only_allowed_models_are_served_also_with_a_key_that_is_new(
    keyed: Keyed, provider: FakeProvider
) -> None:
    proxy = keyed()
    secret = issue(known(proxy), "mini", models=["gpt-4o-mini*"])
    wait_for(lambda: chat(proxy, secret).status == 200, "the new key")
    served = len(provider.requests)
    seen = chat(proxy, secret, model="gpt-4o")
    assert seen.status == 403
    assert b"may use gpt-4o-mini*, not gpt-4o" in seen.body
    assert chat(proxy, secret, target="/openai/v1/unknown").status == 403
    assert len(provider.requests) == served
    (made,) = proxy.closed(seen.exchange_id).decisions
    assert (made.policy, made.rule) == ("access", "key mini")


def test_a_virtual_key_never_goes_to_a_provider_without_a_key_of_ours(
    keyed: Keyed, provider: FakeProvider, tmp_path: Path
) -> None:
    secret = issue(tmp_path / "d" / FILE, "team-a")
    proxy = keyed(data_dir=tmp_path / "d")
    seen = chat(proxy, secret, target="/azure/v1/chat/completions")
    assert seen.status == 502
    assert b"providers.azure.api_key_env" in seen.body
    assert provider.requests == []


def test_a_budget_per_user_counts_by_the_user_of_the_key(keyed: Keyed, tmp_path: Path) -> None:
    path = tmp_path / "d" / FILE
    one, two = (issue(path, name, user="ana") for name in ("one", "two"))
    budget = 'budget = { per = "user", usd = 0.000_31, expected_output_tokens = 500 }'
    proxy = keyed(data_dir=tmp_path / "d", rules=f'[[rules]]\nname = "cap"\n{budget}')
    seen = [chat(proxy, secret).status for secret in (one, two)]
    assert seen == [200, 200], "what a call without usage was held for comes back"
    budget = budget.replace("0.000_31", "0.000_1")
    config = proxy.data_dir.parent / "proxy0" / "meterline.toml"
    config.write_text(config.read_text().replace("0.000_31", "0.000_1"))
    wait_for(lambda: chat(proxy, one).status == 429, "the smaller budget")
    assert b"by user ana" in chat(proxy, two).body


def test_keys_are_kept_as_digests_readable_by_their_owner_only(tmp_path: Path) -> None:
    path = tmp_path / FILE
    secret = issue(path, "a", models=["m"], expires_at=datetime.now(UTC) + timedelta(days=1))
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert secret not in path.read_text()
    key = read(path)["a"]
    assert key.models == ("m",) or list(key.models) == ["m"]
    assert not key.expired(datetime.now(UTC))
    assert key.expired(datetime.now(UTC) + timedelta(days=2))
    with pytest.raises(KeyFault, match="there is a key named a"):
        issue(path, "a")
    with pytest.raises(KeyFault, match=r"no key is named b\. Known: a"):
        revoke(path, "b")


def test_the_command_issues_lists_and_revokes(tmp_path: Path) -> None:
    config = tmp_path / "meterline.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"\n')
    said = meterline(
        "keys", "--config", str(config), "add", "team-a", "--user", "ana", "--days", "9"
    )
    assert (said.returncode, said.stdout[:3]) == (0, "ml-"), said.stderr
    said = meterline("keys", "--config", str(config), "list")
    assert said.stdout.startswith("team-a  created=")
    assert "user_id=ana" in said.stdout
    assert meterline("keys", "--config", str(config), "add", "team-a").returncode == 1
    assert meterline("keys", "--config", str(config), "revoke", "team-a").returncode == 0
    assert meterline("keys", "--config", str(config), "list").stdout == ""


def test_a_file_with_an_end_that_is_no_time_is_broken(tmp_path: Path) -> None:
    for wrong in ("soon", "2026-01-01T00:00:00"):
        path = tmp_path / FILE
        path.write_bytes(orjson.dumps([{"name": "a", "digest": "d", "expires_at": wrong}]))
        with pytest.raises(KeyFault, match="is no list of keys"):
            read(path)


def test_a_broken_file_of_keys_is_told_and_the_known_ones_stay(keyed: Keyed) -> None:
    proxy = keyed()
    secret = issue(known(proxy), "a")
    wait_for(lambda: chat(proxy, secret).status == 200, "the new key")
    known(proxy).write_text("{")
    wait_for(lambda: "the keys known before stay" in proxy.log.read_text(), "the word of it")
    assert chat(proxy, secret).status == 200
