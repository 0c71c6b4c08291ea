"""Rules taken anew while calls run: when their file changes, or when told to.

Owns noticing the change, and keeping the rules in force where the new ones are broken. Refuses to
take anything but rules: the rest of the settings needs a restart, and it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from proxy import config
from proxy.config import ConfigError, Settings
from proxy.rules.faults import rule_faults
from proxy.rules.settings import Rule

Use = Callable[[Sequence[Rule]], None]
Tell = Callable[[str], None]


class RulesFile:
    """The settings file of a running worker."""

    def __init__(
        self, path: Path, settings: Settings, providers: Collection[str], use: Use, tell: Tell
    ) -> None:
        self._path = path
        self._settings = settings
        self._providers = providers
        self._use = use
        self._tell = tell
        self._seen = self._signature()
        self.error: str | None = None
        """Why the file's rules are not those in force."""

    def look(self) -> None:
        """Take the rules anew where the file has changed."""
        if self._signature() != self._seen:
            self.take()

    def take(self) -> None:
        """Put the file's rules in force, where they can be."""
        self._seen = self._signature()
        try:
            new = config.load(str(self._path))
            if faults := rule_faults(new.rules, self._providers):
                raise ConfigError("\n".join(f"{self._path}: {fault}" for fault in faults))
        except ConfigError as error:
            self.error = str(error)
            self._tell(f"the rules in force stay, because the new ones cannot be used:\n{error}")
            return
        self.error = None
        if new.model_copy(update={"rules": (), "server": self._settings.server}) != (
            self._settings.model_copy(update={"rules": ()})
        ):
            self._tell("settings other than rules have changed: they need a restart")
        self._use(new.rules)
        self._tell(f"{len(new.rules)} rules in force")

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
