"""The key of a request: two have the same where the answer of one will do for the other.

Owns what counts: whose call it is, where it goes, the fields that a provider reads, and the body
without what changes no answer. Refuses to normalise what may matter: the order of members and
white space do not, the order of a list does. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from proxy import credentials
from proxy.calls.asked import Asked
from proxy.calls.call import Call
from proxy.headers import RawHeaders, kind
from proxy.rules.settings import Cache

GENERATED = frozenset({"chat", "text_completion", "generate_content"})
"""Operations whose answers end with a reason."""
COMPUTED = frozenset({"embeddings", "rerank", "moderation"})
"""Operations that draw nothing by chance."""
LEFT_OUT = frozenset(
    {"metadata", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"}
)
"""Members that say whose call it is, or where its prompt may be kept: no answer hangs on them.
A response object repeats them, so that there they count."""
_REPEATS_THEM = "openai_responses"
_READ_FIELDS = ("anthropic-", "openai-", "x-amzn-bedrock-")
_READ_NAMES = frozenset({"accept", "x-goog-user-project", "x-vertex-ai-llm-request-type"})
_TEMPERATURE_IN = ("generationConfig", "generation_config", "inferenceConfig", "options")


def fits(call: Call) -> bool:
    """Whether there can be a kept answer to a call of this kind."""
    asked = call.asked
    return (
        call.method == "POST"
        and call.body.whole
        and not call.admitted.websocket
        and not call.cross_site
        and is_repeatable(asked)
    )


def is_repeatable(asked: Asked) -> bool:
    """Whether the operation makes answers that can be given again."""
    known = asked.operation in GENERATED or asked.operation in COMPUTED
    return known and bool(asked.document)


def is_sampled(asked: Asked) -> bool:
    """Whether the answer is drawn by chance: at a temperature above 0, or at none that is said."""
    if asked.operation in COMPUTED:
        return False
    document = asked.document
    places = [document, *(document.get(name) for name in _TEMPERATURE_IN)]
    said = [place.get("temperature") for place in places if isinstance(place, dict)]
    return not any(value == 0 and value is not False for value in said if value is not None)


def of(call: Call, rule: Cache, document: dict[str, Any]) -> bytes:
    """The key of a call whose body has these members."""
    return key(
        rule,
        whose=call.key,
        upstream=call.upstream,
        target=call.admitted.target,
        raw=call.raw,
        asked=call.asked,
        document=document,
    )


def key(
    rule: Cache,
    *,
    whose: str | None,
    upstream: str,
    target: str,
    raw: RawHeaders,
    asked: Asked,
    document: dict[str, Any],
) -> bytes:
    """The same, of a call by its parts. Never has the calls of two keys (`whose`) share one,
    unless the rule says so."""
    sharing: list[str | None] = [rule.scope]
    if rule.scope != "all":
        sharing.append(whose)
    if rule.scope == "user":
        sharing.append(asked.labels.get("user_id"))
    path = credentials.without_parameters(target)
    dialect = asked.dialect
    if dialect is None or dialect.name != _REPEATS_THEM:
        document = {name: value for name, value in document.items() if name not in LEFT_OUT}
    parts = [sharing, upstream, path.encode("utf-8", "surrogateescape").hex(), document]
    data = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return blake2b(_read_by_provider(raw, rule.vary) + data, digest_size=24).digest()


@lru_cache(maxsize=256)
def _read_by_provider(raw: RawHeaders, vary: tuple[str, ...]) -> bytes:
    """The fields on which an answer may hang, in an order of their own."""
    more = frozenset(name.lower() for name in vary)
    found = sorted(
        (known.name.encode("latin-1"), value)
        for name, value in raw
        if not (known := kind(name)).credential
        and (known.name in _READ_NAMES or known.name in more or known.name.startswith(_READ_FIELDS))
    )
    return b"".join(b"%b: %b\n" % field for field in found) + b"\n"
