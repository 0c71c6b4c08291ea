"""`meterline doctor`: what is wrong here, and the mend.

Owns the order of the checks and how findings are shown. The checks are in analytics/checks.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from analytics.commands import output
from analytics.tables import json_line, printable
from proxy.config import ConfigError, Settings, find

if TYPE_CHECKING:
    from analytics.checks import Finding

HELP = "check settings, disk, processes, store and prices, and tell the mend"
_COLOURS = {"ok": "\x1b[32m", "warn": "\x1b[33m", "fail": "\x1b[31m"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--offline", action="store_true", help="try no connection to providers")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def run(args: argparse.Namespace, settings: Settings) -> int:
    return _shown(_findings(args, settings), args.format)


def run_without_settings(args: argparse.Namespace, error: ConfigError) -> int:
    """Where the settings cannot be used there is nothing else to check."""
    from analytics.checks import fail

    mend = "Mend the file; the keys and their defaults are in the README."
    faults = str(error).splitlines()
    return _shown((fail("settings", printable(line), mend) for line in faults), args.format)


def _findings(args: argparse.Namespace, settings: Settings) -> Iterator[Finding]:
    from analytics.checks import machine, ok, processes, providers, records

    path = find(args.config)
    yield ok("settings", f"{path} is valid" if path else "no file, all defaults")
    checks: dict[str, Callable[[Settings], Iterator[Finding]]] = {
        "keys": machine.keys,
        "data folder": machine.data_folder,
        "disk": machine.disk,
        "proxy": processes.proxy,
        "poster": processes.poster,
        "journal": processes.journal,
        "store": records.stored,
        "clock": machine.clock,
    }
    if not args.offline:
        checks["providers"] = providers.reachable
    for subject, check in checks.items():
        yield from _guarded(subject, check, settings)


def _guarded(
    subject: str, check: Callable[[Settings], Iterator[Finding]], settings: Settings
) -> Iterator[Finding]:
    """The findings of a check; one that breaks is a finding itself, never a traceback."""
    from analytics.checks import fail

    try:
        yield from check(settings)
    except Exception as error:
        told = f"{type(error).__name__}: {error}".partition("\n")[0]
        yield fail(subject, printable(f"cannot be checked: {told}"))


def _shown(findings: Iterable[Finding], form: str) -> int:
    out = output()
    kept = []
    for finding in findings:
        kept.append(finding)
        if form == "table":
            _print(finding, out)
    if form == "json":
        out.write(json_line([_document(finding) for finding in kept], indent=True) + "\n")
    failed = sum(finding.state == "fail" for finding in kept)
    if form == "table":
        warned = sum(finding.state == "warn" for finding in kept)
        out.write(f"\n{failed} failed, {warned} to know, {len(kept) - failed - warned} fine\n")
    return 1 if failed else 0


def _document(finding: Finding) -> dict[str, str | None]:
    return {
        "state": finding.state,
        "subject": finding.subject,
        "message": finding.message,
        "mend": finding.mend,
    }


def _print(finding: Finding, out: TextIO) -> None:
    colour = out.isatty() and not os.environ.get("NO_COLOR")
    state = f"{finding.state:4}"
    if colour:
        state = f"{_COLOURS[finding.state]}{state}\x1b[0m"
    first, *others = finding.message.splitlines()
    out.write(f"{state}  {finding.subject:11}  {printable(first)}\n")
    more = others + [
        f"-> {line}" if not n else f"   {line}" for n, line in enumerate(_mend(finding))
    ]
    out.writelines(f"{'':19}{printable(line)}\n" for line in more)
    out.flush()


def _mend(finding: Finding) -> list[str]:
    return finding.mend.splitlines() if finding.mend else []
