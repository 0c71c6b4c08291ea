"""Settings: `meterline.toml` to validated, immutable values.

Owns names, defaults and error messages: each error names the key, its value and the mend, and all
are reported at once. Refuses to read secrets: the file only names environment variables.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
)

from proxy.providers import BUILT_IN
from proxy.rules.faults import counting_faults, rule_faults
from proxy.rules.settings import Rule
from proxy.sections import Section, Usd

DEFAULT_FILE = "meterline.toml"
ENVIRONMENT_VARIABLE = "METERLINE_CONFIG"


class ConfigError(Exception):
    """The settings cannot be used; the message lists every error, a line each."""


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address like https://api.example.com")
    if parts.username or parts.password:
        raise ValueError("must not contain credentials; name an environment variable: api_key_env")
    if parts.query or parts.fragment:
        raise ValueError("must end before any ? or #")
    _ = parts.port  # raises ValueError where it is no port
    return url.rstrip("/")


Port = Annotated[int, Field(ge=1, le=65535)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]


class Server(Section):
    """Where the proxy listens."""

    host: str = "127.0.0.1"
    port: Port = 8080
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    max_request_bytes: Annotated[int, Field(ge=0)] = 0
    """Larger request bodies get a 413; 0 sets no limit."""
    shutdown_seconds: Annotated[float, Field(ge=0)] = 5.0
    """How long exchanges under way may go on when the proxy is told to end."""


class Upstream(Section):
    """How patient the proxy is with providers."""

    connect_timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    read_timeout_seconds: Annotated[float, Field(gt=0)] = 600.0
    """The longest silence of a provider, before its answer and within it."""


class Capture(Section):
    content: Literal["full", "usage", "none"] = "full"
    max_body_bytes: Annotated[int, Field(ge=1024)] = 8_388_608


class Journal(Section):
    fsync: Literal["interval", "always"] = "interval"
    on_full: Literal["pass", "refuse"] = "pass"
    keep_hours: Annotated[float, Field(ge=0)] = 24.0
    """How long segments stay after their rows are in the store, to rebuild it from."""
    segment_bytes: Annotated[int, Field(ge=65536)] = 67_108_864


class Provider(Section):
    base_url: BaseUrl | None = None
    api_key_env: str = ""
    api_key_envs: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Several instead of one: where one is refused with 401 or 429, the next serves."""
    openai_path: str | None = None
    """What goes before `/chat/completions` here, for rules that move calls to other providers."""
    inject_stream_usage: bool = False
    """Ask for the usage of streams where the client does not, and hide the answer from it."""


class Keys(Section):
    """Virtual keys, which `meterline keys` issues."""

    required: bool = False
    """Calls without one are refused."""


class Dashboard(Section):
    """Where the dashboard listens, and who may look where that is not this machine alone."""

    host: str = "127.0.0.1"
    port: Port = 8501
    trusted_proxy: bool = False
    """A proxy in front of it lets nobody in without a login of its own."""
    hosts: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The names by which browsers reach it, where `host` is not this machine alone."""
    users: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Who may look after a login: addresses, or @example.com for a domain; none: all."""


class Price(Section):
    """A price of the user's own, in USD; it goes before the built-in prices."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    model: str
    """A model id; `*` stands for anything."""
    provider: str | None = None
    input_usd_per_mtok: Usd | None = None
    output_usd_per_mtok: Usd | None = None
    cache_read_usd_per_mtok: Usd | None = None
    cache_write_usd_per_mtok: Usd | None = None
    cache_write_1h_usd_per_mtok: Usd | None = None
    per_request_usd: Usd | None = None
    per_search_usd: Usd | None = None
    per_search_unit_usd: Usd | None = None
    """Of a rerank that is billed by search units."""
    per_file_search_usd: Usd | None = None
    per_audio_minute_usd: Usd | None = None
    """For models paid by the length of the sound; tokens then cost nothing."""
    input_usd_per_mchar: Usd | None = None
    """For speech paid by the million characters; tokens then cost nothing."""
    valid_from: date | None = Field(default=None, alias="from")


class Settings(Section):
    """Everything that can be configured."""

    data_dir: Annotated[Path, Field(strict=False)] = Path("meterline-data")
    server: Server = Server()
    upstream: Upstream = Upstream()
    capture: Capture = Capture()
    journal: Journal = Journal()
    providers: dict[str, Provider] = Field(default_factory=dict)
    keys: Keys = Keys()
    dashboard: Dashboard = Dashboard()
    prices: Annotated[tuple[Price, ...], Field(strict=False)] = ()
    rules: Annotated[tuple[Rule, ...], Field(strict=False)] = ()

    @property
    def journal_dir(self) -> Path:
        return self.data_dir / "journal"

    @property
    def store_path(self) -> Path:
        return self.data_dir / "meterline.duckdb"


def find(given: str | None) -> Path | None:
    """The configuration file: `given`, else METERLINE_CONFIG, else ./meterline.toml if there."""
    if named := given or os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(named)
    here = Path(DEFAULT_FILE)
    return here if here.exists() else None


def load(given: str | None = None) -> Settings:
    """The settings. A relative data_dir is relative to the file. Raises ConfigError."""
    path = find(given)
    if path is None:
        return resolved(Settings(), Path.cwd())
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file. Create it, or leave out --config.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    return resolved(parse(table, str(path)), path.resolve().parent)


def resolved(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"data_dir": folder / settings.data_dir.expanduser()})


def parse(table: dict[str, Any], where: str) -> Settings:
    """Validated settings of a parsed file; `where` begins each line of a ConfigError."""
    faults = _provider_faults(table.get("providers"))
    try:
        settings = Settings.model_validate(table)
    except ValidationError as error:
        faults = [_explain(fault) for fault in error.errors()] + faults
    else:
        known = BUILT_IN.keys() | settings.providers.keys()
        faults += rule_faults(settings.rules, known, _keyless(settings))
        faults += counting_faults(settings.rules, settings.server.workers)
    if faults:
        raise ConfigError("\n".join(f"{where}: {fault}" for fault in faults))
    return settings


def _keyless(settings: Settings) -> list[str]:
    """Built-in providers at their public address to which the proxy adds no key."""
    configured = settings.providers
    return [
        name
        for name, known in BUILT_IN.items()
        if (known.base_url or "").startswith("https:")
        and not (
            name in configured
            and (
                configured[name].base_url
                or configured[name].api_key_env
                or configured[name].api_key_envs
            )
        )
    ]


def _provider_faults(providers: Any) -> list[str]:
    """What the types cannot say: names that cannot be a path, addresses that are missing."""
    faults = []
    for name, provider in providers.items() if isinstance(providers, dict) else ():
        if not name or name in ("-", "with", "v1", "v1beta") or "/" in name or "%" in name:
            faults.append(f"providers.{name}: this name cannot be a path. Choose another.")
        if name not in BUILT_IN and isinstance(provider, dict) and "base_url" not in provider:
            close = difflib.get_close_matches(name, BUILT_IN, 1)
            hint = f" Or did you mean {close[0]}?" if close else ""
            faults.append(f"providers.{name}: not built in, so it needs a base_url.{hint}")
    return faults


def _explain(fault: Any) -> str:
    """One line of an error: key, value and mend."""
    key = _dotted(fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _known_keys(fault["loc"][:-1])
        close = difflib.get_close_matches(str(fault["loc"][-1]), known, 1)
        hint = f"Did you mean {close[0]}?" if close else f"Known here: {', '.join(known)}."
        return f"{key}: unknown key. {hint}"
    if fault["type"] == "missing":
        return f"{key}: missing. Add it."
    message = fault["msg"].removeprefix("Value error, ")
    if isinstance(fault["input"], dict):
        return f"{key}: {message}"
    return f"{key} = {fault['input']!r}: {message[0].lower()}{message[1:]}"


def _dotted(location: tuple[str | int, ...]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys of the table at a location, found by walking the models."""
    section: type[BaseModel] = Settings
    for step in location:
        field = section.model_fields.get(step) if isinstance(step, str) else None
        if field is not None and (inner := _section_in(field.annotation)):
            section = inner
    return [field.alias or name for name, field in section.model_fields.items()]


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The table's model in an annotation such as `tuple[Price, ...]` or `Retry | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)
