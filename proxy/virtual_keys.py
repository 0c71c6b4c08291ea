"""Virtual keys: credentials of Meterline's own, which stand for a user, a feature and bounds.

Owns their file and the finding of the one that a caller shows. Only digests are kept: the secret is
shown once, when a key is issued. (The secrets have 192 random bits, so that a plain digest cannot
be guessed back.) Refuses to send one to a provider: there, the provider's own key is added.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from proxy.errors import Refusal

PREFIX = "ml-"
FILE = "virtual-keys.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualKey:
    """What a key stands for. Labels that it has go before those that a call sends."""

    name: str
    digest: str
    user: str | None = None
    feature: str | None = None
    environment: str | None = None
    models: tuple[str, ...] = ()
    """Patterns; none: all models."""
    created_at: str = ""
    expires_at: str | None = None

    @property
    def labels(self) -> dict[str, str]:
        given = {"user_id": self.user, "feature": self.feature, "environment": self.environment}
        return {name: value for name, value in given.items() if value is not None}

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and datetime.fromisoformat(self.expires_at) <= now


class KeyFault(Exception):
    """A key cannot be issued or revoked; the message says why."""


def issue(
    path: Path,
    name: str,
    *,
    user: str | None = None,
    feature: str | None = None,
    environment: str | None = None,
    models: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> str:
    """Make a key and keep its digest; the secret, which nobody can tell again. Raises KeyFault."""
    known = read(path)
    if name in known:
        raise KeyFault(f"there is a key named {name}. Revoke it, or choose another name.")
    secret = PREFIX + secrets.token_urlsafe(24)
    key = VirtualKey(
        name=name,
        digest=digest(secret),
        user=user,
        feature=feature,
        environment=environment,
        models=tuple(models),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        expires_at=expires_at.astimezone(UTC).isoformat() if expires_at else None,
    )
    _write(path, {**known, name: key})
    return secret


def revoke(path: Path, name: str) -> None:
    """Raises KeyFault where there is no such key."""
    known = read(path)
    if name not in known:
        raise KeyFault(f"no key is named {name}. Known: {', '.join(known) or 'none'}.")
    _write(path, {n: key for n, key in known.items() if n != name})


def read(path: Path) -> dict[str, VirtualKey]:
    """All keys by name. Raises KeyFault where the file cannot be used."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise KeyFault(f"{path}: cannot be read: {error}") from None
    names = {field.name for field in fields(VirtualKey)}
    try:
        found = [VirtualKey(**{n: v for n, v in each.items() if n in names}) for each in table]
        for key in found:
            key.expired(datetime.now(UTC))
    except (TypeError, AttributeError, ValueError) as error:
        raise KeyFault(f"{path}: is no list of keys: {error}") from None
    return {key.name: key for key in found}


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _write(path: Path, keys: Mapping[str, VirtualKey]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            json.dump([asdict(key) for key in keys.values()], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


_NOTHING: frozenset[str] = frozenset()
_KEY_ALONE = frozenset({"key"})


def pinned(key: VirtualKey | None, *, ours: bool) -> frozenset[str]:
    """What a call cannot make up: the labels of its key, and the key itself. `ours`: the proxy adds
    the credential, so that nobody checks one of the caller's that is no virtual key."""
    if key is None:
        return _NOTHING if ours else _KEY_ALONE
    return frozenset({"key", *key.labels})


class KeyRing:
    """The keys that a worker knows. `required`: callers without one are refused."""

    def __init__(self, path: Path, *, required: bool) -> None:
        self._path = path
        self._required = required
        self._seen: tuple[int, int] | None = None
        self._by_name: dict[str, VirtualKey] = {}
        self._by_digest: dict[str, VirtualKey] = {}
        self.look()

    def look(self) -> bool:
        """Take the file anew where it has changed; whether it had. Raises KeyFault where it is
        broken, and keeps what was known."""
        try:
            found = self._path.stat()
            signature = found.st_mtime_ns, found.st_ino
        except OSError:
            signature = None
        if signature == self._seen:
            return False
        self._seen = signature
        self._by_name = read(self._path)
        self._by_digest = {key.digest: key for key in self._by_name.values()}
        return True

    @property
    def restricts(self) -> bool:
        """Whether some key may not use all models."""
        return any(key.models for key in self._by_digest.values())

    def find(self, credential: str | None) -> VirtualKey | None:
        """The key that a caller shows, None where it shows another credential. Raises Refusal."""
        if credential is None or not credential.startswith(PREFIX):
            if self._required:
                raise Refusal("a key of Meterline's own is needed: ml-...", 401, "key_needed")
            return None
        key = self._by_digest.get(digest(credential))
        if key is None or key.expired(datetime.now(UTC)):
            raise Refusal("this key is unknown, revoked or expired", 401, "key_unknown")
        return key

    def named(self, name: str | None) -> VirtualKey | None:
        return self._by_name.get(name) if name is not None else None
