"""What the demo provider says, whatever the dialect.

Owns the wording, the token arithmetic (a token is four characters) and the believable timing,
all decided by a hash of the prompt. Refuses to know any wire format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import orjson

from sample_data.demo.memory import CHARS_PER_TOKEN
from sample_data.demo.models import reasons
from sample_data.demo.schema import PLACES, Hint, places_in, value_for

Ending = Literal["stop", "length", "tools"]
TOKENS_PER_MESSAGE = 4

_OPENERS = (
    "Short answer: yes, with one condition.",
    "That depends on what you measure.",
    "Here is how I would go about it.",
    "Two things matter here.",
    "Let us take it step by step.",
    "In most cases the simple way wins.",
    "Good question, and the numbers help.",
    "The usual advice holds, mostly.",
)
_MIDDLES = (
    "Start with the smallest case that still shows the effect, and write down what you expect.",
    "Keep the first version plain: one input, one output, and a clear name for each.",
    "Check the total against the parts, because a missing part looks just like a saving.",
    "A café that counts every cup knows on Friday what Monday will need.",
    "If the figure moves by more than 10 %, look for a change in the input before anything else.",
    "The slow part is rarely the one people point at, so time each step on its own.",
    "Ask what happens at zero, at one, and at a million; the middle will look after itself.",
    "Group the requests by purpose, sort by cost, and read only the top five lines.",
    "Costs of €0.002 look harmless until they come 40,000 times a day.",
    "Move it from draft → review → done, and never skip the middle step.",
    "Use the same words for the same things; half of all confusion ends there.",
    "Leave a note for whoever comes next: what was tried, and why it was dropped.",
)
_CLOSERS = (
    "Shall I go into detail?",
    "That should cover it.",
    "Try it on one example first.",
    "Tell me if your case differs.",
    "The rest follows from that.",
    "Measure again afterwards.",
)
_SAY = "Say exactly: "
"""A message that begins so is answered with its rest."""
_TOOL_PREAMBLE = "I will look that up."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function the client offers."""

    name: str
    schema: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    name: str
    arguments: dict[str, Any]

    @property
    def arguments_json(self) -> str:
        return orjson.dumps(self.arguments).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A request, stripped of its dialect."""

    model: str
    text: str
    """Everything the model reads, in its order: tools, system prompt, messages."""
    last_user: str
    """The last message, empty where it is not the user's (a tool's result, for instance)."""
    messages: int
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """auto, none, required, or the name of a tool."""
    parallel: bool = True
    limit: int | None = None
    """Output tokens allowed, reasoning included."""
    schema: Any = None
    """The answer is JSON of this schema; None for prose."""
    think: bool = True

    @property
    def input_tokens(self) -> int:
        return count_tokens(self.text) + TOKENS_PER_MESSAGE * self.messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What is said, what it costs and how long it takes."""

    text: str
    calls: tuple[ToolCall, ...]
    ending: Ending
    text_tokens: int
    reasoning_tokens: int
    lead_seconds: float
    talk_seconds: float

    @property
    def output_tokens(self) -> int:
        return self.text_tokens + self.reasoning_tokens


def count_tokens(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)


def pieces(text: str, words: int = 1) -> list[str]:
    """The text in parts of so many words each, white space kept."""
    parts = re.findall(r"\s*\S+|\s+", text)
    return ["".join(parts[i : i + words]) for i in range(0, len(parts), words)]


def compose(prompt: Prompt, variant: int = 0) -> Utterance:
    """The answer to a prompt: always the same one for the same prompt and variant."""
    seed = _seed(f"{variant}:{prompt.model}:{prompt.text}")
    calls = _calls(prompt, seed)
    reasoning = _reasoning_tokens(prompt, seed)
    text = _TOOL_PREAMBLE if calls else _wording(prompt, seed)
    ending: Ending = "tools" if calls else "stop"
    if prompt.limit is not None and not calls:
        room = max(0, prompt.limit - reasoning)
        if count_tokens(text) > room:
            text, ending = text[: room * CHARS_PER_TOKEN], "length"
    tokens = count_tokens(text)
    tokens += sum(count_tokens(call.name + call.arguments_json) + 3 for call in calls)
    speed = 30 + (seed >> 8) % 91
    return Utterance(
        text=text,
        calls=calls,
        ending=ending,
        text_tokens=tokens,
        reasoning_tokens=reasoning,
        lead_seconds=0.2 + (seed >> 16) % 400 / 1000 + reasoning / (4 * speed),
        talk_seconds=tokens / speed,
    )


def _seed(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _wording(prompt: Prompt, seed: int) -> str:
    if prompt.schema is not None:
        value = value_for(prompt.schema, _hint(prompt, seed))
        return orjson.dumps(value).decode()
    if prompt.last_user.startswith(_SAY):
        return prompt.last_user.removeprefix(_SAY)
    count = 1 + (seed >> 24) % 4
    start = (seed >> 32) % len(_MIDDLES)
    middles = [_MIDDLES[(start + 5 * i) % len(_MIDDLES)] for i in range(count)]
    opener = _OPENERS[seed % len(_OPENERS)]
    closer = _CLOSERS[(seed >> 40) % len(_CLOSERS)]
    return " ".join([opener, *middles, closer])


def _hint(prompt: Prompt, seed: int, place: str | None = None) -> Hint:
    named = places_in(prompt.last_user)
    fallback = named[0] if named else PLACES[seed % len(PLACES)]
    return Hint(seed=seed >> 20, place=place or fallback)


def _calls(prompt: Prompt, seed: int) -> tuple[ToolCall, ...]:
    tool = _wanted_tool(prompt)
    if tool is None:
        return ()
    places: list[str | None] = list(places_in(prompt.last_user)) if prompt.parallel else []
    hints = [_hint(prompt, seed, place) for place in places or [None]]
    calls: list[ToolCall] = []
    for hint in hints:
        arguments = value_for(tool.schema, hint) if tool.schema else {}
        call = ToolCall(name=tool.name, arguments=arguments if isinstance(arguments, dict) else {})
        if call not in calls:  # a tool that takes no place is called once
            calls.append(call)
    return tuple(calls)


def _wanted_tool(prompt: Prompt) -> Tool | None:
    if not prompt.tools or prompt.tool_choice == "none":
        return None
    for tool in prompt.tools:
        if tool.name == prompt.tool_choice:
            return tool
    asked = set(re.findall(r"[a-z0-9]{4,}", prompt.last_user.lower()))
    for tool in prompt.tools:
        if asked & set(re.findall(r"[a-z0-9]{4,}", tool.name.lower())):
            return tool
    must = prompt.tool_choice == "required"
    return prompt.tools[0] if must or "weather" in asked else None


def _reasoning_tokens(prompt: Prompt, seed: int) -> int:
    if not prompt.think or not reasons(prompt.model):
        return 0
    tokens = 64 * (1 + (seed >> 48) % 10)
    return tokens if prompt.limit is None else min(tokens, prompt.limit // 2)
