from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from analytics import hours, rows, store
from analytics.checks import machine, providers
from analytics.commands import doctor
from analytics.poster import Poster
from proxy.config import ConfigError, Provider, Server, Settings, parse
from proxy.exchange import Loss
from proxy.journal import JournalWriter, Opened

Function = Callable[..., Any]
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in providers.KEY_VARIABLES.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def settings(tmp_path: Path, free_port: int) -> Settings:
    return Settings(data_dir=tmp_path / "data", server=Server(port=free_port))


@pytest.fixture
def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def found(run: Function) -> Function:
    """The findings about a subject, and the exit code."""

    def findings(subject: str, *arguments: str, **options: Any) -> list[dict[str, Any]]:
        ran = run("doctor", "--offline", "--format", "json", *arguments, **options)
        every = json.loads(ran.out)
        assert ran.code == (1 if any(each["state"] == "fail" for each in every) else 0)
        return [each for each in every if each["subject"] == subject]

    return findings


def test_a_fresh_place_has_nothing_that_fails(run: Function) -> None:
    ran = run("doctor", "--offline")
    assert ran.code == 0
    assert re.search(r"^warn  proxy +not running", ran.out, re.M)
    assert re.search(r"^warn  store +no store at", ran.out, re.M)
    assert "-> Start it: meterline up" in ran.out
    assert "0 failed" in ran.out


def test_each_error_in_the_settings_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError) as error:
        parse({"server": {"prot": 1, "workers": 0}}, "meterline.toml")
    code = doctor.run_without_settings(argparse.Namespace(format="table"), error.value)
    assert code == 1
    out = capsys.readouterr().out
    assert out.count("fail  settings") == 2
    assert "Did you mean port?" in out


def test_files_open_to_others_are_told_with_the_command(
    post: Function, found: Function, settings: Settings
) -> None:
    post({})
    assert found("data folder")[0]["state"] == "ok"
    settings.store_path.chmod(0o644)
    (finding,) = found("data folder")
    assert finding["state"] == "warn"
    assert "meterline.duckdb" in finding["message"]
    subprocess.run(finding["mend"], shell=True, check=True)
    assert found("data folder")[0]["state"] == "ok"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_fails(found: Function, settings: Settings) -> None:
    settings.data_dir.parent.chmod(0o500)
    try:
        assert found("data folder")[0]["state"] == "fail"
    finally:
        settings.data_dir.parent.chmod(0o700)


def test_a_file_in_place_of_the_folder_fails(settings: Settings) -> None:
    settings.data_dir.write_text("")
    (finding,) = machine.data_folder(settings)
    assert finding.state == "fail"


class Own(BaseHTTPRequestHandler):
    """What a proxy says of itself, for the port's check."""

    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def listening(free_port: int) -> Iterator[type[Own]]:
    handler = type("Handler", (Own,), {})
    server = ThreadingHTTPServer(("127.0.0.1", free_port), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_port_that_another_program_has_fails(found: Function, listening: type[Own]) -> None:
    for body in (b"<html>", b"[]", b"{}"):
        listening.body = body
        (finding,) = found("proxy")
        assert finding["state"] == "fail"
        assert "not Meterline" in finding["message"]
        assert "server.port" in finding["mend"]


def test_a_running_proxy_tells_its_version_and_its_losses(
    found: Function, listening: type[Own]
) -> None:
    from proxy.own import VERSION, OwnPages, Tally

    tally = Tally()
    listening.body = OwnPages(tally).answer("/-/health")[1]
    (finding,) = found("proxy")
    assert finding["state"] == "ok"
    assert f"Meterline {VERSION} answers" in finding["message"]
    tally.losses["journal"] = 3
    listening.body = OwnPages(tally).answer("/-/health")[1]
    (finding,) = found("proxy")
    assert finding["state"] == "warn"
    assert "3 x journal" in finding["message"]


def test_a_running_poster_is_recognised(found: Function, settings: Settings) -> None:
    assert found("poster")[0]["state"] == "warn"
    poster = Poster(settings.data_dir)
    try:
        assert found("poster")[0]["state"] == "ok"
    finally:
        poster.close()


def test_what_waits_in_the_journal_is_told_with_its_age(
    found: Function, settings: Settings
) -> None:
    long_ago = int((datetime.now(UTC) - timedelta(hours=2)).timestamp() * 1e6)
    identity = "01976b1e-1111-7222-8333-444455556666"
    journal = JournalWriter(settings.journal_dir)
    journal.append(Opened(exchange_id=identity, node="n", started_at=long_ago))
    journal.close()
    (finding,) = found("journal")
    assert finding["state"] == "warn"
    assert "2h 00m" in finding["message"]
    poster = Poster(settings.data_dir)
    try:
        assert found("journal")[0]["state"] == "fail"
        poster.post_once()
        assert found("journal")[0]["state"] == "ok"
    finally:
        poster.close()


def test_a_held_store_fails_and_names_the_process(
    post: Function, found: Function, held: Function
) -> None:
    post({})
    with held() as process_id:
        (finding,) = found("store")
    assert finding["state"] == "fail"
    assert str(process_id) in finding["message"]


def test_what_is_no_store_fails(found: Function, settings: Settings) -> None:
    settings.data_dir.mkdir(mode=0o700)
    settings.store_path.write_bytes(b"no database" * 1000)
    (finding,) = found("store")
    assert finding["state"] == "fail"
    assert "meterline post --once" in finding["mend"]


def test_sums_that_are_wrong_are_told_with_the_mend(
    post: Function, found: Function, settings: Settings
) -> None:
    post({})
    with store.write(settings.store_path) as con:
        hours.sum_all(con, datetime.now(UTC) + timedelta(hours=2))
    assert [each["state"] for each in found("store")] == ["ok"]
    with store.write(settings.store_path) as con:
        con.execute("UPDATE exchanges SET feature = 'renamed'")
    finding = found("store")[-1]
    assert finding["state"] == "fail"
    assert "sums by hour" in finding["message"]
    with store.write(settings.store_path) as con:
        con.execute(finding["mend"].partition(": ")[2])
    assert [each["state"] for each in found("store")] == ["ok"]


def test_losses_are_told_by_reason(post: Function, found: Function, settings: Settings) -> None:
    post({})
    assert found("losses")[0]["state"] == "ok"
    with store.write(settings.store_path) as con:
        rows.insert_losses(con, [Loss(noticed_at=NOW, reason="disk full", count=n) for n in (1, 2)])
    (finding,) = found("losses")
    assert finding["state"] == "warn"
    assert "3 x disk full" in finding["message"]


def test_a_model_without_price_comes_with_the_table_that_mends_it(
    post: Function, found: Function, run: Function, settings: Settings
) -> None:
    model = 'our "own"\\model\n'
    post(
        {
            "request_model": model,
            "operation": "chat",
            "cost_usd": None,
            "cost_status": "unpriced",
            "cache_read_tokens": 400,
        }
    )
    (finding,) = found("prices")
    assert finding["state"] == "warn"
    snippet = finding["mend"].partition("\n")[2]
    with pytest.raises(ConfigError, match="input_usd_per_mtok"):
        parse(tomllib.loads(snippet), "meterline.toml")  # nobody takes the gaps for prices
    filled = parse(tomllib.loads(snippet.replace('"?"', "1")), "meterline.toml")
    assert filled.prices[0].model == model
    assert filled.prices[0].cache_read_usd_per_mtok == 1
    own = settings.model_copy(update={"prices": filled.prices})
    assert run("reprice", settings=own).code == 0
    assert found("prices", settings=own)[0]["state"] == "ok"


def test_streams_without_usage_are_told_by_client(post: Function, found: Function) -> None:
    stream = {"stream": True, "client": "openai-python/3", "dialect": "openai_chat"}
    post(stream, {**stream, "usage_source": "estimated", "cost_status": "estimated"})
    (finding,) = found("streams")
    assert "1 of 2 streams of openai-python/3 to openai" in finding["message"]
    assert "include_usage" in finding["mend"]


def test_a_key_variable_that_is_not_set_fails(
    found: Function, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings.model_copy(update={"providers": {"openai": Provider(api_key_env="OUR_KEY")}})
    monkeypatch.delenv("OUR_KEY", raising=False)
    assert found("keys", settings=given)[0]["state"] == "fail"
    monkeypatch.setenv("OUR_KEY", "canary")
    (finding,) = found("keys", settings=given)
    assert finding["state"] == "ok"
    assert "canary" not in json.dumps(finding)


def test_providers_are_tried_at_once_and_each_is_told(
    run: Function, settings: Settings, free_port: int
) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        given = {
            "there": Provider(base_url=f"http://127.0.0.1:{port}"),
            "closed": Provider(base_url=f"http://127.0.0.1:{free_port}"),
        }
        own = settings.model_copy(update={"providers": given})
        ran = run("doctor", settings=own)
    assert ran.code == 1
    assert re.search(r"^ok    providers +there can be reached", ran.out, re.M)
    assert re.search(r"^fail  providers +closed cannot be reached .*refused", ran.out, re.M)


def test_a_clock_behind_the_newest_exchange_is_told(post: Function, found: Function) -> None:
    assert found("clock")[0]["state"] == "ok"
    post({"started_at": datetime.now(UTC) + timedelta(hours=1)})
    assert "warn" in [finding["state"] for finding in found("clock")]
    assert machine.clock_at(NOW.replace(year=1970)).state == "fail"


def test_a_check_that_breaks_is_a_finding(found: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Settings) -> Iterator[Any]:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(machine, "disk", broken)
    (finding,) = found("disk")
    assert finding["state"] == "fail"
    assert "no such luck" in finding["message"]


def test_importing_the_commands_does_not_import_databases() -> None:
    code = (
        "import sys, importlib\n"
        "for name in ('top', 'sql', 'tail', 'show', 'clients', 'doctor', 'reprice'):\n"
        "    importlib.import_module(f'analytics.commands.{name}')\n"
        "slow = {'duckdb', 'polars', 'pyarrow', 'genai_prices', 'proxy.dialects'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
