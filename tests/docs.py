"""Keeps the README true: its generated tables, its settings, its commands.

python -m tests.docs --check     say what is out of date; exit code 1
python -m tests.docs --write     renew the generated tables
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from analytics import schema, views
from proxy import config
from tests import coverage_table

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true")
    action.add_argument("--write", action="store_true")
    args = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    renewed = with_generated(text)
    if args.write:
        README.write_text(renewed, encoding="utf-8")
        return 0
    faults = list(differences(text, renewed))
    for fault in faults:
        print(f"README.md: {fault}")
    return 1 if faults else 0


def with_generated(text: str) -> str:
    """The README with its generated tables renewed."""
    tables = (
        ("exchanges", schema.markdown()),
        ("views", views.markdown()),
        ("coverage", coverage_table.markdown()),
    )
    for name, table in tables:
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)",
            lambda found, table=table: f"{found[1]}{table}{found[2]}",
            text,
            flags=re.DOTALL,
        )
    return text


def differences(text: str, renewed: str) -> Iterator[str]:
    if text != renewed:
        yield "generated tables are out of date. Run: python -m tests.docs --write"
    yield from settings_faults(text)
    yield from command_faults(text)


def settings_faults(text: str) -> Iterator[str]:
    """The example names every key, with its default, and nothing else."""
    table = tomllib.loads(re.search(r"<!-- settings -->\n```toml\n(.*?)```", text, re.DOTALL)[1])
    try:
        shown = config.parse(table, "settings")
    except config.ConfigError as error:
        yield str(error)
        return
    defaults = config.Settings()
    for name in ("data_dir", "server", "upstream", "capture", "journal", "keys", "dashboard"):
        if getattr(shown, name) != getattr(defaults, name):
            yield f"the settings of [{name}] are not the defaults"
        known = getattr(type(getattr(defaults, name)), "model_fields", None)
        if known and set(known) - set(table[name]):
            yield f"[{name}] lacks {', '.join(set(known) - set(table[name]))}"


def command_faults(text: str) -> Iterator[str]:
    """Each command is named, and each that is named exists."""
    shown = subprocess.run(
        [sys.executable, "-m", "meterline", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    known = set(re.findall(r"^    ([a-z-]+)", shown, re.MULTILINE))
    named = set(re.findall(r"`meterline ([a-z-]+)", text))
    for name in sorted(known - named):
        yield f"the command {name} is not named"
    for name in sorted(named - known):
        yield f"there is no command {name}"


if __name__ == "__main__":
    sys.exit(main())
