"""The command line: composes proxy, analytics and dashboard, and does nothing else."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from proxy.config import ConfigError, Settings, find, load, parse
from proxy.own import VERSION

READING = (
    "top",
    "sql",
    "tail",
    "show",
    "reprice",
    "reparse",
    "report",
    "export",
    "prune",
    "clients",
    "doctor",
    "keys",
    "rules",
)
"""Commands of analytics/commands, a module each."""
SUPERVISED = "METERLINE_SUPERVISED_BY"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 1 failed, 2 cannot run as asked."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.run is None:
        parser.print_help()
        return 0
    _end_with_supervisor()
    try:
        return int(args.run(args))
    except ConfigError as error:
        print(f"meterline: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meterline",
        description="A pass-through proxy for LLM traffic that knows what it costs.",
        epilog="Settings: --config FILE, else $METERLINE_CONFIG, else ./meterline.toml. "
        "Start with `meterline up`.",
    )
    parser.add_argument("--version", action="version", version=f"meterline {VERSION}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _running(commands)
    for name in READING:
        _reading(commands, name)
    return parser


def _running(commands: Any) -> None:
    """The commands that run until they are ended."""
    up = _command(
        commands, "up", "run the proxy, the poster and the dashboard; Ctrl-C ends them", up_all
    )
    demo = _command(
        commands, "demo", "the same with live synthetic traffic, no key needed", up_demo
    )
    proxy = _command(commands, "proxy", "run the proxy alone", run_proxy)
    proxy.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    for command in (up, demo, proxy):
        command.add_argument("--host", help="listen here instead of server.host")
        command.add_argument("--port", type=int, help="listen here instead of server.port")
    post = _command(commands, "post", "move journal entries into the store", run_poster)
    post.add_argument("--once", action="store_true", help="post what there is, then end")
    show = _command(commands, "dashboard", "run the dashboard alone", run_dashboard)
    show.add_argument("--host", help="listen here instead of dashboard.host")
    show.add_argument("--port", type=int, help="listen here instead of dashboard.port")
    show.add_argument("--after", metavar="URL", help=argparse.SUPPRESS)
    for command in (up, demo):
        command.add_argument("--no-dashboard", action="store_true", help="leave it out")
    traffic = _command(commands, "demo-traffic", None, run_traffic)
    traffic.add_argument("--url", required=True)


def _reading(commands: Any, name: str) -> None:
    module = _module(name)

    def run(args: argparse.Namespace) -> int:
        from analytics.commands import CommandFailed

        try:
            settings = settings_of(args)
        except ConfigError as error:
            if not hasattr(module, "run_without_settings"):
                raise
            return int(module.run_without_settings(args, error))
        try:
            return int(module.run(args, settings))
        except CommandFailed as failure:
            print(f"meterline {name}: {failure}", file=sys.stderr)
            return failure.code

    command = _command(commands, name, module.HELP, run)
    module.add_arguments(command)
    if getattr(module, "FORMATS", False):
        command.add_argument("--format", choices=("table", "json", "csv"), default="table")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"analytics.commands.{name}")


def _command(commands: Any, name: str, text: str | None, run: Any) -> argparse.ArgumentParser:
    shown = {"help": text, "description": text[0].upper() + text[1:] + "."} if text else {}
    command: argparse.ArgumentParser = commands.add_parser(name, **shown)
    command.add_argument("--config", metavar="FILE", help="the settings to use")
    command.set_defaults(run=run)
    return command


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings, with what the command line overrides. Raises ConfigError."""
    settings = load(args.config)
    given = {key: value for key in ("host", "port") if (value := getattr(args, key, None))}
    if not given:
        return settings
    overridden = {**settings.server.model_dump(), **given}
    server = parse({"server": overridden}, "command line").server
    return settings.model_copy(update={"server": server})


def run_proxy(args: argparse.Namespace) -> int:
    from proxy.server import CannotServe, listen, serve
    from proxy.targets import known_targets

    settings = settings_of(args)
    workers = settings.server.workers
    try:
        known_targets(settings)
        sock = listen(settings.server.host, settings.server.port, shared=args.worker)
        if workers > 1 and not args.worker:
            sock.close()
            return _supervise(
                [
                    _child(f"worker {n + 1}", args, "proxy", "--worker", *_address(args))
                    for n in range(workers)
                ],
                settings,
            )
        money = _Money(settings)
        asyncio.run(
            serve(
                settings,
                sock,
                start_demo=_start_demo,
                ready=_announce(settings),
                source=find(args.config),
                price=money.price,
                history=money.history,
            )
        )
    except CannotServe as error:
        print(f"meterline proxy: {error}", file=sys.stderr)
        return 2
    return 0


class _Money:
    """What limits and budgets ask for, loaded when the first one does: without them nobody does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _loaded(self) -> Any:
        from analytics import spending

        return spending.price(self._settings), spending.history(self._settings)

    def price(self, **usage: Any) -> Any:
        return self._loaded[0](**usage)

    def history(self, since: Any, until: Any, step: Any) -> Any:
        return self._loaded[1](since, until, step)


async def _start_demo() -> str:
    from sample_data.demo_provider import start

    demo = await start("127.0.0.1", 0, pace=1.0)
    return f"http://127.0.0.1:{demo.port}"


def _announce(settings: Settings) -> Any:
    def ready() -> None:
        print(f"meterline proxy: listening on {address(settings)}", flush=True)

    return ready


def address(settings: Settings) -> str:
    host = settings.server.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"


def run_poster(args: argparse.Namespace) -> int:
    stop = _told_to_stop()
    from analytics.poster import Poster
    from analytics.poster_lock import PosterRunning
    from analytics.prices import PriceBook

    logging.basicConfig(level=logging.WARNING, format="meterline poster: %(message)s")
    settings = settings_of(args)
    try:
        poster = Poster(
            settings.data_dir,
            book=PriceBook.of(settings),
            keep_hours=settings.journal.keep_hours,
        )
    except PosterRunning as error:
        print(f"meterline post: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        mend = "Make the folder writable, or set another data_dir."
        print(
            f"meterline post: cannot write to {settings.data_dir}: {error.strerror}. {mend}",
            file=sys.stderr,
        )
        return 2
    if args.once:
        return _post_once(poster, stop)
    poster.run(stop)
    return 0


def _post_once(poster: Any, stop: threading.Event) -> int:
    from analytics.store import StoreError

    count, result = 0, None
    try:
        while not stop.is_set() and (result is None or result.behind):
            result = poster.post_once()
            count += result.rows
    except StoreError as error:
        print(f"meterline post: {error}", file=sys.stderr)
        return 1
    while not stop.is_set() and poster.sum_up():
        continue
    print(f"posted {count} exchanges")
    return 0


def _told_to_stop() -> threading.Event:
    """Set by SIGTERM and SIGINT. Asked for before the slow imports: none may be missed."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def run_dashboard(args: argparse.Namespace) -> int:
    from dashboard.launch import CannotShow, run

    settings = load(args.config)
    given = {key: value for key in ("host", "port") if (value := getattr(args, key))}
    shown = {**settings.dashboard.model_dump(), **given}
    chosen = parse({"dashboard": shown}, "command line").dashboard
    if args.after:
        _wait_until_ready(args.after)
    try:
        run(settings.model_copy(update={"dashboard": chosen}), args.config)
    except CannotShow as error:
        print(f"meterline dashboard: {error}", file=sys.stderr)
        return 2
    return 0


def run_traffic(args: argparse.Namespace) -> int:
    from sample_data.traffic import run

    return int(run(args.url))


def up_all(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    return _up(args, settings, [])


def up_demo(args: argparse.Namespace) -> int:
    from proxy.supervisor import Child
    from sample_data.generator.demo_folder import prepare

    server, folder = settings_of(args).server, prepare(settings_of(args).data_dir)
    port = settings_of(args).dashboard.port
    args.config, args.host, args.port = str(folder.settings), server.host, server.port
    settings = settings_of(args)
    shown = settings.dashboard.model_copy(update={"port": port})
    settings = settings.model_copy(update={"dashboard": shown})
    command = [sys.executable, "-m", "meterline", "demo-traffic", "--url", address(settings)]
    with folder.filling():
        return _up(args, settings, [Child(name="traffic", command=command)])


def _up(args: argparse.Namespace, settings: Settings, more: list[Any]) -> int:
    from proxy.server import CannotServe, listen, open_journal
    from proxy.targets import known_targets

    try:
        known_targets(settings)
        listen(settings.server.host, settings.server.port).close()
        open_journal(settings).close()
    except CannotServe as error:
        print(f"meterline up: {error}", file=sys.stderr)
        return 2
    try:
        shown = [] if args.no_dashboard else _dashboard(args, settings)
    except ConfigError as error:
        print(f"meterline up: {error}", file=sys.stderr)
        return 2
    children = [
        _child("proxy", args, "proxy", *_address(args)),
        *more,
        _child("poster", args, "post"),
        *shown,
    ]
    threading.Thread(target=_welcome, args=(settings, bool(shown)), daemon=True).start()
    return _supervise(children, settings)


def _dashboard(args: argparse.Namespace, settings: Settings) -> list[Any]:
    """The dashboard's part, none where its port is taken: traffic goes on without it. It waits
    for the proxy, whose start it shall not slow down. Raises ConfigError."""
    from dashboard.launch import CannotShow, check, is_free

    try:
        check(settings.dashboard)
    except CannotShow as error:
        raise ConfigError(f"{error} Or use --no-dashboard.") from None
    port = settings.dashboard.port
    if not is_free(settings.dashboard):
        print(f"meterline up: no dashboard: port {port} is taken", file=sys.stderr, flush=True)
        return []
    words = ("dashboard", "--port", str(port), "--after", address(settings))
    return [_child("dashboard", args, *words)]


def _supervise(children: list[Any], settings: Settings) -> int:
    from proxy.supervisor import Supervisor

    os.environ[SUPERVISED] = str(os.getpid())
    grace = settings.server.shutdown_seconds + 10.0
    return asyncio.run(Supervisor(children, end_seconds=grace).run())


def _child(name: str, args: argparse.Namespace, *words: str) -> Any:
    from proxy.supervisor import Child

    config = ["--config", args.config] if args.config else []
    return Child(name=name, command=[sys.executable, "-m", "meterline", *words, *config])


def _address(args: argparse.Namespace) -> list[str]:
    host = ["--host", args.host] if args.host else []
    return host + (["--port", str(args.port)] if args.port else [])


def _wait_until_ready(url: str, path: str = "/-/ready") -> bool:
    """Whether a server answered within half a minute."""
    import urllib.request

    for _ in range(600):
        try:
            with urllib.request.urlopen(url + path, timeout=1):
                return True
        except OSError:
            time.sleep(0.05)
    return False


def _welcome(settings: Settings, is_shown: bool) -> None:
    """Once the proxy answers, tell how to use it; once the dashboard does, where it is."""
    url = address(settings)
    _wait_until_ready(url)
    words = {"url": url, "meterline": _own_name(), "store": _shown(settings.store_path)}
    print(_WELCOME.format(**words), flush=True)
    if is_shown:
        from dashboard.launch import address as address_of

        shown = address_of(settings.dashboard)
        if _wait_until_ready(shown, "/_stcore/health"):
            print(f"The dashboard is at {shown}\n", flush=True)


_WELCOME = """
Meterline is ready at {url}

  OpenAI      base_url="{url}/openai/v1"
  Anthropic   base_url="{url}/anthropic"
  Gemini      http_options={{"base_url": "{url}/gemini"}}

Try it without a key:

  curl {url}/demo/v1/chat/completions -H 'Meterline-Feature: hello' \\
    -d '{{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

See it, in another terminal:

  {meterline} tail
  {meterline} top --by feature
  {meterline} sql "FROM spend_by_model"

Lines for every other client: {meterline} clients. The store is {store}.
Ctrl-C ends.
"""


def _own_name() -> str:
    """How to call this program from here: its name where the shell finds it, else its path."""
    own = Path(sys.executable).with_name("meterline")
    found = shutil.which("meterline")
    if (found and Path(found).resolve() == own.resolve()) or not own.exists():
        return "meterline"
    return _shown(own)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _end_with_supervisor() -> None:
    """A supervised part ends when its supervisor is gone, however that died."""
    supervisor = os.environ.get(SUPERVISED)
    if supervisor is None:
        return
    if int(supervisor) != os.getppid():
        try:
            os.kill(int(supervisor), 0)
        except ProcessLookupError:  # it died while this part was starting
            sys.exit(1)
        except PermissionError:
            pass  # it lives, and is somebody else's
        return

    def watch() -> None:
        while os.getppid() == int(supervisor):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
