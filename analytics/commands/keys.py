"""`meterline keys`: issue, list and revoke virtual keys.

Owns the arguments and the words. Keys themselves are proxy/virtual_keys's. The secret of a key is
printed once, and cannot be told again.
"""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta

from analytics.commands import CommandFailed, output
from proxy import virtual_keys
from proxy.config import Settings
from proxy.virtual_keys import FILE, KeyFault, VirtualKey

HELP = "issue, list and revoke keys that stand for a user, a feature and allowed models"
_NAME = re.compile(r"[\w.-]{1,64}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="issue a key; its secret is shown this once")
    add.add_argument("name")
    add.add_argument("--user", help="every call of the key is this user's")
    add.add_argument("--feature", help="... and for this feature")
    add.add_argument("--environment", help="... in this environment")
    add.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="PATTERN",
        help="the only models it may use; may be repeated, * stands for anything",
    )
    add.add_argument("--days", type=int, metavar="N", help="it expires after so many days")
    actions.add_parser("list", help="all keys, without their secrets")
    actions.add_parser("revoke", help="calls with the key are refused from now on").add_argument(
        "name"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    path = settings.data_dir / FILE
    try:
        if args.action == "add":
            output().write(f"{_add(args, settings)}\n")
        elif args.action == "revoke":
            virtual_keys.revoke(path, args.name)
            output().write(f"{args.name} is revoked.\n")
        else:
            keys = virtual_keys.read(path).values()
            output().writelines(f"{_line(key)}\n" for key in keys)
    except KeyFault as fault:
        raise CommandFailed(str(fault)) from fault
    return 0


def _add(args: argparse.Namespace, settings: Settings) -> str:
    if not _NAME.fullmatch(args.name):
        raise CommandFailed(f"{args.name!r}: a name has letters, digits, '.', '_' and '-'.", 2)
    return virtual_keys.issue(
        settings.data_dir / FILE,
        args.name,
        user=args.user,
        feature=args.feature,
        environment=args.environment,
        models=args.model,
        expires_at=datetime.now(UTC) + timedelta(days=args.days) if args.days else None,
    )


def _line(key: VirtualKey) -> str:
    words = [f"{name}={value}" for name, value in key.labels.items()]
    if key.models:
        words.append(f"models={','.join(key.models)}")
    if key.expires_at:
        words.append(f"expires={key.expires_at[:10]}")
    return "  ".join([key.name, f"created={key.created_at[:10]}", *words])
