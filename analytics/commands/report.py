"""`meterline report NAME`: explanations of the bill.

Owns which reports there are and the options that all have. Each report's arguments and words are
those of its module in analytics/reports/shown/.
"""

from __future__ import annotations

import argparse
import importlib
from types import ModuleType

from analytics.commands import output
from proxy.config import Settings

HELP = "explain the bill: what changed, what is wasted, what another model would cost, ..."
FORMATS = True
NAMES = (
    "change",
    "prompts",
    "waste",
    "whatif",
    "reconcile",
    "anomalies",
    "missing-usage",
    "canary",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    reports = parser.add_subparsers(dest="report", metavar="NAME", required=True)
    for name in NAMES:
        page = _page(name)
        description = page.HELP[0].upper() + page.HELP[1:] + "."
        own = reports.add_parser(name, help=page.HELP, description=description)
        page.add_arguments(own)
        own.add_argument("--part", metavar="PART", help="only this part of the report")
        # Both may also stand before the report's name; what is not given here leaves that alone.
        own.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS)
        own.add_argument("--format", choices=("table", "json", "csv"), default=argparse.SUPPRESS)


def run(args: argparse.Namespace, settings: Settings) -> int:
    from analytics.reports.shown import write_sections

    sections = _page(args.report).sections(args, settings)
    write_sections(sections, args.format, args.part, output())
    return 0


def _page(name: str) -> ModuleType:
    return importlib.import_module(f"analytics.reports.shown.{name.replace('-', '_')}")
