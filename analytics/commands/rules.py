"""`meterline rules`: check rules, try them on recorded traffic, compare them, explain a decision.

Owns the arguments and the words. What rules decide is the proxy's; trying them on what was recorded
is analytics/simulation.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Callable, Container, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.commands import CommandFailed, explained, output
from analytics.filters import BadFilter, add_filters, selection_of, window_of
from analytics.progress import Counter
from analytics.tables import Column, Table, json_line, printable, write
from proxy import config, virtual_keys
from proxy.config import ConfigError, Settings

if TYPE_CHECKING:
    from analytics.checks import Finding
    from analytics.queries import Selection
    from analytics.reports.shown import Section
    from analytics.simulation.replay import Progress

HELP = "check rules, try them on recorded traffic, compare them, explain what they decided"
FORMATS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = _action(actions, "check", "all that is wrong with the rules, with the mend")
    check.add_argument("file", nargs="?", help="settings that are not in force yet")
    simulate = _action(actions, "simulate", "what rules would have done to recorded traffic")
    simulate.add_argument("--rules", metavar="FILE", help="rules that are not in force yet")
    diff = _action(actions, "diff", "what new rules would decide differently from those in force")
    diff.add_argument("file", help="the new rules")
    for each in (simulate, diff):
        each.add_argument("--last", default="7d", metavar="WINDOW", help="7d, 24h, all, ...")
        each.add_argument("--part", metavar="PART", help="only this part of the result")
        add_filters(each)
    explain = _action(actions, "explain", "what each rule saw and decided for one exchange")
    explain.add_argument("id", metavar="ID", help="its id, or the beginning or end of it")


def _action(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    described = f"{text[0].upper()}{text[1:]}."
    own: argparse.ArgumentParser = actions.add_parser(name, help=text, description=described)
    own.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS)
    own.add_argument("--format", choices=("table", "json", "csv"), default=argparse.SUPPRESS)
    return own


def run(args: argparse.Namespace, settings: Settings) -> int:
    actions = {"check": _check, "simulate": _simulate, "diff": _diff, "explain": _explain}
    return actions[args.action](args, settings)


def run_without_settings(args: argparse.Namespace, error: ConfigError) -> int:
    """Settings that cannot be used are what `check` is for."""
    if args.action != "check" or args.file:
        raise error
    return _faults(error, args.format)


def _check(args: argparse.Namespace, settings: Settings) -> int:
    from analytics.checks.rules import checked

    if args.file is None:
        return _told(checked(settings, None), args.format)
    try:
        new = _with_rules(args, args.file)
    except ConfigError as error:
        return _faults(error, args.format)
    return _told(checked(new, settings), args.format)


def _faults(error: ConfigError, form: str) -> int:
    from analytics.checks import fail

    return _told((fail("rules", line) for line in str(error).splitlines()), form)


def _told(findings: Iterable[Finding], form: str) -> int:
    found = list(findings)
    rows = [(each.state, each.subject, each.message, each.mend or "") for each in found]
    out = output()
    if form == "json":
        names = ("state", "subject", "message", "mend")
        out.write(json_line([dict(zip(names, row, strict=True)) for row in rows], indent=True))
        out.write("\n")
    else:
        for state, subject, message, mend in rows:
            out.write(f"{state:4}  {subject:8}  {printable(message)}\n")
            out.write(f"{'':16}-> {printable(mend)}\n" if mend else "")
    return 1 if any(each.state == "fail" for each in found) else 0


def _with_rules(args: argparse.Namespace, file: str) -> Settings:
    """The settings in force with the rules of a file, or those of a file that has more than rules.

    Raises ConfigError.
    """
    path, current = Path(file), config.find(args.config)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        if set(table) <= {"rules"} and current is not None:
            table = {**tomllib.loads(current.read_text(encoding="utf-8")), "rules": []} | table
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    return config.parse(table, str(path))


def _simulate(args: argparse.Namespace, settings: Settings) -> int:
    from analytics.simulation.replay import Replay, verdicts
    from analytics.simulation.shown import simulated
    from analytics.simulation.summary import summed

    tried = _with_rules(args, args.rules) if args.rules else settings
    if not any(rule.enabled for rule in tried.rules):
        raise CommandFailed(f"there is no rule to try{'' if args.rules else ': --rules FILE'}.", 2)
    chosen = _selection(args)
    replay = Replay(tried.rules, _book(settings), _pinned(settings))
    found = _over(
        settings,
        lambda con, progress: summed(each for (each,) in verdicts(con, [replay], chosen, progress)),
    )
    return _written(simulated(found, chosen.window, tried.rules), args)


def _diff(args: argparse.Namespace, settings: Settings) -> int:
    from analytics.simulation.compared import compared, rule_changes
    from analytics.simulation.replay import Replay, verdicts
    from analytics.simulation.shown import compared as sections

    new = _with_rules(args, args.file)
    chosen, book, pinned = _selection(args), _book(settings), _pinned(settings)
    replays = [Replay(rules, book, pinned) for rules in (settings.rules, new.rules)]
    found = _over(
        settings, lambda con, progress: compared(verdicts(con, replays, chosen, progress))
    )
    changes = rule_changes(settings.rules, new.rules)
    return _written(sections(found, changes, chosen.window, new.rules), args)


def _over(settings: Settings, work: Callable[[Any, Progress], Any]) -> Any:
    """Work on the open store that tells how far it is."""
    from analytics import store

    counter = Counter(sys.stderr)
    with explained(), store.read(settings.store_path) as con:
        try:
            return work(con, counter.show)
        finally:
            counter.end()


def _selection(args: argparse.Namespace) -> Selection:
    try:
        return selection_of(args, window_of(args.last, datetime.now(UTC)))
    except BadFilter as error:
        raise CommandFailed(str(error), 2) from None


def _book(settings: Settings) -> Any:
    from analytics.prices import PriceBook

    return PriceBook.of(settings)


def _pinned(settings: Settings) -> Callable[[str | None, str], Container[str]]:
    """What calls of a key to a provider cannot make up."""
    try:
        known = virtual_keys.read(settings.data_dir / virtual_keys.FILE)
    except virtual_keys.KeyFault as fault:
        raise CommandFailed(str(fault)) from fault
    ours = {n for n, p in settings.providers.items() if p.api_key_env or p.api_key_envs}

    def pinned(key: str | None, provider: str) -> Container[str]:
        return virtual_keys.pinned(known.get(key or ""), ours=provider in ours)

    return pinned


def _written(sections: list[Section], args: argparse.Namespace) -> int:
    from analytics.reports.shown import write_sections

    write_sections(sections, args.format, args.part, output())
    return 0


def _explain(args: argparse.Namespace, settings: Settings) -> int:
    from analytics import store
    from analytics.queries.exchange import BadId, candidates, digits, whole
    from analytics.simulation.explained import explained as lines

    try:
        part = digits(args.id)
    except BadId as error:
        raise CommandFailed(str(error), 2) from None
    with explained(), store.read(settings.store_path) as con:
        near = candidates(con, part, limit=2)
        if near.height != 1:
            many = "several exchanges have" if near.height else "no posted exchange has"
            raise CommandFailed(f"{many} the id {args.id!r}.")
        found = whole(con, near["exchange_id"][0])
        told = lines(
            con,
            settings.rules,
            _book(settings),
            found.exchange,
            found.decisions,
            _pinned(settings),
        )
    columns = [
        Column(name="rule", kind="text"),
        Column(name="kind", kind="text"),
        Column(name="concerns", kind="value", heading="concerns it"),
        Column(name="saw", kind="text"),
        Column(name="recorded", kind="text", heading="did then"),
        Column(name="decided", kind="text", heading="would do now"),
    ]
    rows = [[getattr(each, column.name) for column in columns] for each in told]
    write(Table(columns=columns, rows=rows, notes=_of_then(found)), args.format, output())
    return 0


def _of_then(found: Any) -> list[str]:
    """What was recorded of it, whatever rules there are now."""
    row = found.exchange
    notes = [
        f"Exchange {row['exchange_id']}: {row['request_model'] or 'no model'} asked, served by "
        f"{row['upstream'] or 'nobody'}, {row['outcome']}."
    ]
    for made in found.decisions:
        notes.append(
            f"Decided then, {made['number']}: {made['policy']} {made['rule']}: {made['action']} "
            f"({made['reason']})"
        )
    for tried in found.attempts:
        result = tried["error_type"] or tried["status"]
        notes.append(f"Attempt {tried['number']}: {tried['upstream']}, {result}.")
    return notes
