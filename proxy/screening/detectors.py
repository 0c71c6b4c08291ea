"""The detectors: what can be looked for, by name, and which of them a text is worth showing.

Owns that list. A text is looked through once by an automaton for the least that a finding must
have; only what that lets through is looked at closely, so that ordinary text costs little.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, NamedTuple, get_args

import re2  # type: ignore[import-untyped]

from proxy.screening import addresses, injection, numbers, secret_shapes
from proxy.screening.spans import Find

Name = Literal[
    "api_key", "jwt", "private_key", "email", "phone", "card", "iban", "ssn", "ip", "injection"
]
NAMES: tuple[Name, ...] = get_args(Name)
SECRETS: tuple[Name, ...] = ("api_key", "jwt", "private_key")
PERSONAL: tuple[Name, ...] = ("email", "phone", "card", "iban", "ssn")


class Detector(NamedTuple):
    """How one thing is found."""

    least: str
    """What each finding has in it, as an expression of RE2: texts without it are not looked at."""
    find: Find


DETECTORS: dict[Name, Detector] = {
    "api_key": Detector(
        r"sk-[A-Za-z0-9_-]{4}|AIza|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-"
        r"|(?:sk|rk|whsec)_|gsk_|xai-|hf_|r8_|pplx-|csk-|fw_|npm_|pypi-AgE|SG\.|dop_v1_|ml-",
        secret_shapes.api_keys,
    ),
    "jwt": Detector(r"eyJ[A-Za-z0-9_-]+\.eyJ", secret_shapes.web_tokens),
    "private_key": Detector(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY", secret_shapes.private_keys),
    "email": Detector(r"[A-Za-z0-9_.+%-]@[A-Za-z0-9-]+\.[A-Za-z]", addresses.emails),
    "phone": Detector(
        r"\+[1-9][0-9 .(-]|[2-9][0-9]{2}[ .)-]{1,2}[2-9][0-9]{2}[.-][0-9]{4}"
        r"|[2-9][0-9]{2}\)[2-9][0-9]{2}[.-][0-9]{4}",
        numbers.phones,
    ),
    "card": Detector(numbers.CARD_AT_LEAST, numbers.cards),
    "iban": Detector(r"[A-Z]{2}[0-9]{2}[ A-Z0-9][A-Z0-9]{3}", numbers.ibans),
    "ssn": Detector(r"[0-9]{3}-[0-9]{2}-[0-9]{4}", numbers.social_security_numbers),
    "ip": Detector(r"[0-9]\.[0-9]{1,3}\.[0-9]", addresses.machines),
    "injection": Detector(injection.least(), injection.phrases),
}


def expression(pattern: str, *, case: bool = True) -> Any:
    """The pattern made ready by RE2. Raises ValueError with its words where it is none."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = case
    try:
        return re2.compile(pattern, options)
    except re2.error as fault:
        words = fault.args[0] if fault.args else b""
        raise ValueError(words.decode() if isinstance(words, bytes) else str(words)) from None


@cache
def sieve(names: tuple[Name, ...]) -> Any:
    """Matches the least of these detectors; `Match` gives the numbers of those that are met."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 64 << 20
    found = re2.Set.SearchSet(options)
    for name in names:
        found.Add(DETECTORS[name].least)
    found.Compile()
    return found
