"""OpenAI images: made, edited and varied, and everyone who speaks it.

Owns which paths these are and what the counts of images mean. Only newer models report usage.
Refuses the images themselves.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from proxy.facts import Pass, ReplyFacts, ReplyHead, ReplyReader, RequestFacts, RequestHead, Usage
from proxy.wire.copies import Copy, CopyReader
from proxy.wire.counts import total
from proxy.wire.multipart import read_members
from proxy.wire.openai_request import common_facts, posts_to
from proxy.wire.openai_usage import read_usage
from proxy.wire.usage_answers import read_usage_answer
from proxy.wire.words import word

_OPERATIONS = {
    "/images/generations": "image_generation",
    "/images/edits": "image_edit",
    "/images/variations": "image_variation",
}


class OpenAIImages:
    """Claims `POST .../images/generations`, `.../edits` and `.../variations`."""

    name = "openai_images"

    def operation(self, head: RequestHead) -> str | None:
        return next((name for end, name in _OPERATIONS.items() if posts_to(head, end)), None)

    def read_request(self, head: RequestHead, body: bytes) -> RequestFacts:
        return common_facts(head, *read_members(head, body))

    def reply_reader(self, head: ReplyHead) -> ReplyReader:
        return CopyReader(partial(_read_reply, head=head))


def _read_reply(copy: Copy, head: ReplyHead) -> ReplyFacts:
    answer = read_usage_answer(copy, head)
    usage = _with_images(read_usage(answer.members.get("usage")))
    return answer.facts(head, _with_drawing(usage, answer.members.get("svg_usage")))


def _with_images(usage: Usage | None) -> Usage | None:
    """Where the output is not broken down, all of it is image."""
    if usage is None or "output_tokens_details" in usage.raw or usage.image_output_tokens:
        return usage
    return replace(usage, image_output_tokens=usage.output_tokens)


def _with_drawing(usage: Usage | None, raw: Any) -> Usage | None:
    """Drawings in SVG are written by a model of their own, whose usage comes apart."""
    drawing = read_usage(raw)
    model = word(drawing.raw.get("model")) if drawing else None
    if drawing is None or model is None:
        return usage
    rendered = usage or Usage(input_tokens=0, output_tokens=0)
    return replace(
        rendered,
        input_tokens=total(rendered.input_tokens, drawing.input_tokens),
        output_tokens=total(rendered.output_tokens, drawing.output_tokens),
        reasoning_tokens=total(rendered.reasoning_tokens, drawing.reasoning_tokens),
        raw={"usage": rendered.raw, "svg_usage": raw},
        passes=(Pass(model=model, usage=drawing),),
    )


DIALECT = OpenAIImages()
