"""Settings: defaults, all errors at once and in words, and a process that tells them and ends."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.config import ConfigError, Settings, load, parse
from tests.support.processes import ROOT, Meterline, free_port


def run(config: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`meterline proxy` with this file, for when it is expected not to run."""
    return subprocess.run(
        [sys.executable, "-m", "meterline", "proxy", "--config", str(config), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=20,
    )


def told(config: Path, *arguments: str, **environment: str) -> str:
    """What it says before it ends with code 2."""
    ended = run(config, *arguments, **environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_every_key_has_a_default() -> None:
    settings = parse({}, "nowhere")
    assert settings == Settings()
    assert (settings.server.host, settings.server.port, settings.server.workers) == (
        "127.0.0.1",
        8080,
        1,
    )
    assert (settings.capture.content, settings.capture.max_body_bytes) == ("full", 8_388_608)
    assert (settings.journal.fsync, settings.journal.on_full) == ("interval", "pass")


def test_all_errors_are_told_at_once_with_key_value_and_mend() -> None:
    with pytest.raises(ConfigError) as error:
        parse(
            {
                "data_dirr": "x",
                "server": {"port": "8080", "workers": 0, "hots": "h"},
                "capture": {"content": "ful", "max_body_bytes": 1},
                "journal": {"fsync": True},
                "providers": {"openai": {"base_url": "ftp://x"}},
                "nonsense": {},
            },
            "m.toml",
        )
    lines = str(error.value).splitlines()
    assert len(lines) == 9
    assert all(line.startswith("m.toml: ") for line in lines)
    for expected in (
        "data_dirr: unknown key. Did you mean data_dir?",
        "server.hots: unknown key. Did you mean host?",
        "server.port = '8080': ",
        "server.workers = 0: ",
        "capture.content = 'ful': ",
        "capture.max_body_bytes = 1: ",
        "journal.fsync = True: ",
        "providers.openai.base_url = 'ftp://x': must be an address like https://api.example.com",
        "nonsense: unknown key. Known here: ",
    ):
        assert any(expected in line for line in lines), expected


@pytest.mark.parametrize(
    "url",
    [
        "api.openai.com",
        "http://",
        "https://user:secret@host",
        "https://host/?a=b",
        "https://host/#f",
        "https://host:99999",
        "https://host:port",
        "file:///etc/passwd",
    ],
)
def test_an_address_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"providers\.x\.base_url"):
        parse({"providers": {"x": {"base_url": url}}}, "m.toml")


@pytest.mark.parametrize("name", ["-", "with", "v1", "v1beta", "a/b", "a%20b", ""])
def test_a_provider_whose_name_cannot_be_a_path_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a path"):
        parse({"providers": {name: {"base_url": "http://h"}}}, "m.toml")


def test_a_provider_that_is_not_built_in_needs_an_address() -> None:
    with pytest.raises(ConfigError, match=r"needs a base_url\. Or did you mean openai"):
        parse({"providers": {"opanai": {}}}, "m.toml")


def test_money_is_the_decimal_that_was_written() -> None:
    settings = parse({"prices": [{"model": "m", "input_usd_per_mtok": 0.1}]}, "m.toml")
    assert settings.prices[0].input_usd_per_mtok == Decimal("0.1")


def test_a_relative_data_dir_is_relative_to_the_file(tmp_path: Path) -> None:
    config = tmp_path / "m.toml"
    config.write_text('data_dir = "there"\n')
    assert load(str(config)).data_dir == tmp_path / "there"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("data_dir = [", "not valid TOML"), ("\xff", "cannot be read"), (None, "no such file")],
)
def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, text: str | None, expected: str
) -> None:
    config = tmp_path / "m.toml"
    if text is not None:
        config.write_bytes(text.encode("latin-1"))
    assert expected in told(config)


def test_the_process_tells_all_errors_and_ends_with_2(tmp_path: Path) -> None:
    config = tmp_path / "m.toml"
    config.write_text('[server]\nport = 0\nworkerz = 1\n[journal]\non_full = "drop"\n')
    text = told(config)
    for key in ("server.port = 0", "server.workerz: unknown key", "journal.on_full = 'drop'"):
        assert key in text


def test_a_port_that_is_taken_is_told(tmp_path: Path, proxy: Meterline) -> None:
    config = tmp_path / "m.toml"
    config.write_text(f"[server]\nport = {proxy.port}\n")
    text = told(config)
    assert f"cannot listen on 127.0.0.1:{proxy.port}: Address already in use" in text
    assert "server.port" in text
    config.write_text(f"[server]\nport = {proxy.port}\nworkers = 2\n")
    assert "Address already in use" in told(config)


def test_a_host_that_is_none_is_told(tmp_path: Path) -> None:
    config = tmp_path / "m.toml"
    config.write_text(f'[server]\nhost = "192.0.2.1"\nport = {free_port()}\n')
    assert "cannot listen on 192.0.2.1" in told(config)


@pytest.mark.parametrize("place", ["data", "data/journal"])
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, place: str) -> None:
    """A file in the place of the folder stands for one without permission: root has all."""
    blocked = tmp_path / place
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_text("in the way")
    config = tmp_path / "m.toml"
    config.write_text(f'data_dir = "data"\n[server]\nport = {free_port()}\n')
    text = told(config)
    assert f"cannot write to {blocked}" in text
    assert "set another data_dir" in text


def test_a_disk_that_is_full_at_the_start_is_told(tmp_path: Path) -> None:
    config = tmp_path / "m.toml"
    config.write_text(f"[server]\nport = {free_port()}\n")
    limited = f"ulimit -f 0; exec {sys.executable} -m meterline proxy --config {config}"
    ended = subprocess.run(
        ["bash", "-c", limited], cwd=ROOT, capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 2, ended.stderr
    assert "cannot write to" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_key_variable_that_is_not_set_is_told(tmp_path: Path) -> None:
    config = tmp_path / "m.toml"
    config.write_text(
        '[providers.openai]\napi_key_env = "NOT_SET_1"\n'
        '[providers.groq]\napi_key_env = "NOT_SET_2"\n'
    )
    text = told(config)
    assert "providers.openai.api_key_env = 'NOT_SET_1'" in text
    assert "providers.groq.api_key_env = 'NOT_SET_2'" in text
