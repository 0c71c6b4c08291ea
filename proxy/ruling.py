"""Ruling: which policies are in force, and what they remember.

Owns making the chain anew when rules or virtual keys change, and charging limits and
budgets their past. Refuses to touch a call: each one takes the chain as it is when it begins.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Collection, Container, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from proxy.calls.call import Next
from proxy.config import Settings
from proxy.limits.money import History
from proxy.limits.spending import Past
from proxy.own import Tally
from proxy.policies import chain
from proxy.policies.chain import Chain, Surroundings
from proxy.reload import RulesFile
from proxy.rules.choosing import Rules
from proxy.rules.settings import Budget, Limit, Rule
from proxy.virtual_keys import KeyFault, KeyRing, pinned

LOOK_SECONDS = 1.0
"""Between two looks for new rules and keys."""
LONGEST_LOOK_BACK_SECONDS = 20.0
"""The past of limits and budgets is read before the first call, unless the store cannot be read
for so long."""
AGAIN_SECONDS = 5.0


class Ruling:
    """The rules of one worker. `start` before the first call, `stop` after the last."""

    chain: Chain | None = None
    """The policies in force; None where there is nothing for them to do."""

    def __init__(
        self, around: Surroundings, ring: KeyRing, history: History | None, tally: Tally
    ) -> None:
        self._around = around
        self._ring = ring
        self._history = history
        self._tally = tally
        self._tasks: set[asyncio.Task[None]] = set()
        self._rules: Sequence[Rule] = ()
        self._file: RulesFile | None = None

    async def start(
        self, settings: Settings, source: Path | None, providers: Collection[str], send: Next
    ) -> None:
        """Put the settings' rules in force. `source` is their file, whose rules are taken anew
        when it changes; `send` makes one attempt at a call."""
        self._send = send
        if source is not None:
            self._file = RulesFile(source, settings, providers, self._use, self._tell)
        self._use(settings.rules)
        if self._tasks:  # calls must not spend what is spent already
            await asyncio.wait(self._tasks, timeout=LONGEST_LOOK_BACK_SECONDS)
        self._begin(self._watch())

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def reload(self) -> None:
        """Take the rules from the settings' file anew, changed or not."""
        if self._file is not None:
            self._file.take()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self._look()
            except Exception as fault:  # else a revoked key would go on
                self._tell(f"rules and keys stay as they are: {type(fault).__name__}: {fault}")

    def _look(self) -> None:
        try:
            if self._ring.look():
                self._use(self._rules)
        except KeyFault as fault:
            self._tell(f"the keys known before stay: {fault}")
        if self._file is not None:
            self._file.look()

    def _use(self, rules: Sequence[Rule]) -> None:
        """Put these rules in force, for the calls that come from now on."""
        self._rules = rules
        active = [rule for rule in rules if rule.enabled]
        around = replace(self._around, virtual_keys=self._ring.restricts)
        self.chain = chain.build(active, around, self._send)
        self._tally.rules = len(active)
        limits, budgets = Rules(Limit, active), Rules(Budget, active)
        if (limits or budgets) and self._history is not None:
            past = Past(self._history, self._around.memory, self._pinned)
            self._begin(self._charge(past, limits, budgets))

    async def _charge(self, past: Past, limits: Rules[Limit], budgets: Rules[Budget]) -> None:
        """Charge limits and budgets their past, once the store can be read."""
        while True:
            try:
                return await past.charge(limits, budgets)
            except OSError as error:
                self._tell(f"limits and budgets do not know yet what was used before: {error}")
                await asyncio.sleep(AGAIN_SECONDS)

    def _pinned(self, key: str | None, provider: str) -> Container[str]:
        ours = self._around.key_counts.get(provider, 0) > 0
        return pinned(self._ring.named(key), ours=ours)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _tell(self, message: str) -> None:
        if self._file is not None:
            self._tally.rules_error = self._file.error
        print(f"meterline proxy: {message}", file=sys.stderr, flush=True)
