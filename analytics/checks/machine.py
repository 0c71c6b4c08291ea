"""Checks of the machine: data folder, permissions, disk, clock, environment variables."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from analytics.checks import Finding, fail, ok, warn
from proxy.config import Settings

_SCARCE_BYTES = 1 << 30
_TOO_FEW_BYTES = 100 << 20
_NOT_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


def data_folder(settings: Settings) -> Iterator[Finding]:
    """Whether the folder can be used, and by its owner only."""
    folder, subject = settings.data_dir, "data folder"
    if not folder.exists():
        parent = _existing(folder)
        if os.access(parent, os.W_OK | os.X_OK):
            yield ok(subject, f"{folder} will be made when it is needed")
        else:
            yield _unwritable(folder, parent)
        return
    if not folder.is_dir():
        yield fail(
            subject, f"{folder} is not a folder", "Set another data_dir, or remove the file."
        )
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield _unwritable(folder, folder)
        return
    if open_ones := _open_to_others(folder):
        yield warn(
            subject,
            f"{len(open_ones)} files or folders in {folder} are open to other users, "
            f"such as {open_ones[0].name}",
            f"chmod -R go-rwx {shlex.quote(str(folder))}",
        )
    else:
        yield ok(subject, f"{folder} is writable, and private")


def _unwritable(folder: Path, where: Path) -> Finding:
    return fail(
        "data folder",
        f"{folder} cannot be used: {where} is not writable for this user",
        "Make it writable, or set another data_dir in meterline.toml.",
    )


def _open_to_others(folder: Path) -> list[Path]:
    found = [folder, *folder.glob("*"), *folder.glob("journal/**/*")]
    return [path for path in found if _mode(path) & 0o077]


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode & 0o777
    except OSError:
        return 0  # gone meanwhile


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def disk(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(_existing(settings.data_dir)).free
    message = f"{size(free)} free for {settings.data_dir}"
    mend = "Free some space: a full disk means exchanges that are not recorded."
    if free < _TOO_FEW_BYTES:
        yield fail("disk", message, mend)
    elif free < _SCARCE_BYTES:
        yield warn("disk", message, mend)
    else:
        yield ok("disk", message)


def clock(_: Settings) -> Iterator[Finding]:
    yield clock_at(datetime.now(UTC))


def clock_at(now: datetime, newest: datetime | None = None) -> Finding:
    """Prices and windows go by this clock; `newest` is when the latest exchange began."""
    mend = "Set the clock (timedatectl set-ntp true)."
    if now < _NOT_BEFORE:
        return fail("clock", f"it says {now:%Y-%m-%d %H:%M} UTC, which is long ago", mend)
    if newest is not None and (newest - now).total_seconds() > 60:
        message = f"an exchange began in the future, at {newest:%Y-%m-%d %H:%M} UTC"
        return warn("clock", message, mend)
    return ok("clock", f"it says {now:%Y-%m-%d %H:%M} UTC")


def keys(settings: Settings) -> Iterator[Finding]:
    """The environment variables that are to hold the providers' keys."""
    for name, provider in settings.providers.items():
        key = "api_key_env" if provider.api_key_env else "api_key_envs"
        for variable in (provider.api_key_env,) if provider.api_key_env else provider.api_key_envs:
            if os.environ.get(variable):
                yield ok("keys", f"{variable} is set, for {name}")
            else:
                yield fail(
                    "keys",
                    f"providers.{name}.{key} names {variable}, which is not set here",
                    f"export {variable}=..., or remove {key} to pass the client's key through",
                )


def size(count: int) -> str:
    """Bytes as people read them."""
    amount = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if amount < 1000:
            return f"{count:,} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"
