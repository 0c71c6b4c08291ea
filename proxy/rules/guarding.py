"""`guardrail`: what must not go to a provider, or come back from one.

Owns the shape of that rule, its defaults and its bounds. Patterns are RE2's, which takes a time
linear in the text whatever the pattern.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from proxy.rules.conditions import LABELS
from proxy.screening.detectors import NAMES, PERSONAL, SECRETS, Name, expression
from proxy.screening.screen import Action
from proxy.sections import Seconds, Section, Words, listed

Side = Literal["request", "answer"]
Count = Annotated[int, Field(ge=0)]


def _pattern(text: str) -> str:
    try:
        ready = expression(text)
    except ValueError as fault:
        raise ValueError(f"is no expression of RE2, which knows no (?=...): {fault}") from None
    if ready.search("") is not None:
        raise ValueError("is met by nothing at all, and so everywhere. Let it want a character")
    return text


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address like http://127.0.0.1:9000/check")
    return url


def _label(name: str) -> str:
    if name not in LABELS and not name.startswith("tags."):
        known = ", ".join(LABELS)
        raise ValueError(f"must be one of {known}, or tags.NAME")
    return name


Label = Annotated[str, AfterValidator(_label)]


class Pattern(Section):
    """An expression of one's own."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")]
    """Shown in masks and in the record."""
    pattern: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_pattern)]
    action: Action = "refuse"
    case: bool = True
    """Whether it counts."""


class Names(Section):
    """Which of them may be used: globs. What is denied is so whatever is allowed."""

    allow: Words | None = None
    deny: Words | None = None

    @model_validator(mode="after")
    def _meant(self) -> Self:
        if self.allow is None and self.deny is None:
            raise ValueError("it says nothing; give it allow or deny")
        if both := sorted(set(self.allow or ()) & set(self.deny or ())):
            raise ValueError(f"{both[0]!r} is both allowed and denied. Remove one")
        return self


class AtMost(Section):
    """How large a request may be."""

    bytes: Count | None = None
    input_tokens: Count | None = None
    """Estimated at four characters a token."""
    output_tokens: Count | None = None
    """That it asks for, as `max_tokens`; those that ask for no bound have none."""
    messages: Count | None = None


class Webhook(Section):
    """A checker of one's own, asked by POST."""

    url: Annotated[str, AfterValidator(_address)]
    timeout_seconds: Annotated[Seconds, Field(gt=0, le=60)] = 2.0
    on_failure: Literal["refuse", "allow"] = "refuse"
    """What becomes of the call where it does not answer as it should."""
    token_env: str = ""
    """The variable with a token to be sent as `Authorization: Bearer`."""


class Guardrail(Section):
    """Refuse, mask or note what must not pass, and bound what may be asked for."""

    on: Annotated[tuple[Side, ...], BeforeValidator(listed), Field(min_length=1)] = ("request",)
    secrets: Action | None = None
    """Keys, tokens, private keys."""
    pii: Action | None = None
    """Mail addresses, phones, cards, IBANs, social security numbers."""
    detect: dict[Name, Literal["note", "mask", "refuse", "off"]] = Field(default_factory=dict)
    """One by one; goes before the two above."""
    patterns: Annotated[tuple[Pattern, ...], Field(strict=False)] = ()
    models: Names | None = None
    tools: Names | None = None
    at_most: AtMost | None = None
    require: Annotated[tuple[Label, ...], BeforeValidator(listed)] = ()
    """Labels without which a call is refused."""
    webhook: Webhook | None = None
    stream: Literal["hold", "observe"] = "hold"
    """Whether streams wait until it is settled what stands in them, or pass and are noted."""
    unread: Literal["refuse", "pass"] = "refuse"
    """What becomes of what cannot be looked through, where something is masked or refused."""

    @model_validator(mode="after")
    def _meant(self) -> Self:
        bounds = (self.models, self.tools, self.at_most, self.require or None)
        looks = bool(self.actions() or self.patterns or self.webhook)
        if not looks and not any(bound is not None for bound in bounds):
            raise ValueError("it guards nothing; give it secrets, pii, detect, patterns, ...")
        if "request" not in self.on and any(bound is not None for bound in bounds):
            raise ValueError("models, tools, at_most and require are of requests: add it to on")
        names = [pattern.name.lower() for pattern in self.patterns]
        for name in names:
            if name in NAMES or names.count(name) > 1:
                raise ValueError(f"the pattern's name {name!r} is taken. Use another")
        return self

    def actions(self) -> dict[Name, Action]:
        """What is done about each thing that is looked for."""
        found: dict[Name, Action] = {}
        if self.secrets is not None:
            found |= dict.fromkeys(SECRETS, self.secrets)
        if self.pii is not None:
            found |= dict.fromkeys(PERSONAL, self.pii)
        for name, action in self.detect.items():
            if action == "off":
                found.pop(name, None)
            else:
                found[name] = action
        return found
