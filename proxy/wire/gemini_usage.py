"""Usage metadata of Gemini's answers, from the Gemini API or Vertex.

Owns which counts contain which, and what the total tells of counts that are absent. Refuses to
price anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from proxy.facts import Usage
from proxy.wire.counts import count, total
from proxy.wire.words import word

# The values that `modality` and `trafficType` have where enums are sent as integers.
_MODALITIES = {1: "TEXT", 2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}
_TRAFFIC = {1: "ON_DEMAND", 2: "PROVISIONED_THROUGHPUT"}
_TIERED_TRAFFIC = "ON_DEMAND_"
# What interactions call the same counts, in all and by modality.
_INTERACTION_TOTALS = {
    "total_input_tokens": "promptTokenCount",
    "total_cached_tokens": "cachedContentTokenCount",
    "total_tool_use_tokens": "toolUsePromptTokenCount",
    "total_output_tokens": "candidatesTokenCount",
    "total_thought_tokens": "thoughtsTokenCount",
    "total_tokens": "totalTokenCount",
}
_INTERACTION_DETAILS = {
    "input_tokens_by_modality": "promptTokensDetails",
    "cached_tokens_by_modality": "cacheTokensDetails",
    "tool_use_tokens_by_modality": "toolUsePromptTokensDetails",
    "output_tokens_by_modality": "candidatesTokensDetails",
}


def gemini_usage(raw: Mapping[str, Any]) -> Usage | None:
    """What was used: the cached part is inside the prompt, the tools' results and the thoughts
    are outside of prompt and candidates. None where no count is given."""
    prompt, tools = _count(raw, "promptTokenCount"), _count(raw, "toolUsePromptTokenCount")
    thoughts, candidates = _count(raw, "thoughtsTokenCount"), _candidates(raw)
    input_tokens = None if prompt is None else total(prompt, tools)
    output_tokens = total(candidates, thoughts)
    if candidates is None and (everything := _count(raw, "totalTokenCount")) is not None:
        output_tokens = _rest(everything, input_tokens, thoughts)
    if input_tokens is None and output_tokens is None:
        return None
    into = _modalities(raw, "promptTokensDetails", "toolUsePromptTokensDetails")
    out = _modalities(raw, "candidatesTokensDetails", "responseTokensDetails")
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=_count(raw, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        audio_input_tokens=into.get("AUDIO"),
        audio_output_tokens=out.get("AUDIO"),
        cached_audio_input_tokens=_modalities(raw, "cacheTokensDetails").get("AUDIO"),
        image_input_tokens=into.get("IMAGE"),
        image_output_tokens=out.get("IMAGE"),
        raw=raw,
    )


def live_usage(raw: Mapping[str, Any]) -> Usage | None:
    """What a turn of a live session used. Its film comes as pictures and is billed as such."""
    usage = gemini_usage(raw)
    into = _modalities(raw, "promptTokensDetails", "toolUsePromptTokensDetails")
    return usage and replace(usage, image_input_tokens=total(into.get("IMAGE"), into.get("VIDEO")))


def interaction_usage(raw: Mapping[str, Any]) -> Usage | None:
    """What an interaction used: the same counts under other names."""
    renamed: dict[str, Any] = {ours: raw.get(name) for name, ours in _INTERACTION_TOTALS.items()}
    for name, ours in _INTERACTION_DETAILS.items():
        details = raw.get(name)
        renamed[ours] = [
            {"modality": detail.get("modality"), "tokenCount": detail.get("tokens")}
            for detail in (details if isinstance(details, list) else [])
            if isinstance(detail, dict)
        ]
    usage = gemini_usage(renamed)
    return usage and replace(usage, raw=raw)


def embedding_usage(raw: Mapping[str, Any]) -> Usage | None:
    """What an embedding used: input only."""
    tokens = _count(raw, "promptTokenCount")
    if tokens is None:
        tokens = _count(raw, "totalTokenCount")
    if tokens is None:
        return None
    into = _modalities(raw, "promptTokensDetails", "promptTokenDetails")
    return Usage(
        input_tokens=tokens,
        audio_input_tokens=into.get("AUDIO"),
        image_input_tokens=into.get("IMAGE"),
        raw=raw,
    )


def gemini_tier(raw: Mapping[str, Any]) -> str | None:
    """The tier that served it; Vertex tells it by the type of traffic."""
    if tier := word(raw.get("serviceTier")):
        return tier.lower()
    traffic = raw.get("trafficType")
    traffic = _TRAFFIC.get(traffic) if isinstance(traffic, int) else word(traffic)
    if traffic and traffic.startswith(_TIERED_TRAFFIC):
        return traffic.removeprefix(_TIERED_TRAFFIC).lower()
    return traffic


def _candidates(raw: Mapping[str, Any]) -> int | None:
    found = _count(raw, "candidatesTokenCount")
    return _count(raw, "responseTokenCount") if found is None else found


def _rest(everything: int, input_tokens: int | None, thoughts: int | None) -> int | None:
    """The output as the total leaves it, where the candidates are not counted."""
    if input_tokens is None or everything < input_tokens + (thoughts or 0):
        return thoughts
    return everything - input_tokens


def _count(raw: Mapping[str, Any], name: str) -> int | None:
    return count(raw.get(name))


def _modalities(raw: Mapping[str, Any], *names: str) -> dict[str, int]:
    """Counts by modality, over all the details named."""
    found: dict[str, int] = {}
    for name in names:
        details = raw.get(name)
        for detail in details if isinstance(details, list) else []:
            if not isinstance(detail, dict):
                continue
            modality, tokens = detail.get("modality"), count(detail.get("tokenCount"))
            if isinstance(modality, int):
                modality = _MODALITIES.get(modality)
            if isinstance(modality, str) and tokens is not None:
                found[modality.upper()] = found.get(modality.upper(), 0) + tokens
    return found
