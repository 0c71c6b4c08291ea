"""Generated content as Gemini speaks it; answers come whole.

Owns the wire format of request, answer and error.
"""

from __future__ import annotations

from typing import Any

import orjson

from sample_data.generator.planned import Ask, Planned

FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool": "STOP"}


def request(ask: Ask) -> bytes:
    return orjson.dumps(
        {
            "systemInstruction": {"parts": [{"text": ask.system.text}]},
            "contents": [
                {"role": "user", "parts": [{"text": message.text}]} for message in ask.messages
            ],
            "generationConfig": {"maxOutputTokens": ask.limit},
        }
    )


def response(planned: Planned) -> tuple[bytes, dict[str, Any] | None]:
    usage = _usage(planned)
    candidate = {
        "content": {"parts": [{"text": " ".join(planned.answer.pieces)}], "role": "model"},
        "finishReason": FINISH[planned.answer.ending],
        "index": 0,
    }
    body = {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": planned.ask.model.full_name,
        "responseId": planned.exchange_id,
    }
    return orjson.dumps(body), usage


def _usage(planned: Planned) -> dict[str, Any]:
    counted = planned.counted
    prompt, output, thoughts = counted.input or 0, counted.output or 0, counted.reasoning or 0
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": output - thoughts,
        "totalTokenCount": prompt + output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
        "thoughtsTokenCount": thoughts,
    }


def error(planned: Planned) -> bytes:
    fate = planned.fate
    return orjson.dumps(
        {
            "error": {
                "code": fate.status,
                "message": fate.error_message,
                "status": fate.error_type,
            }
        }
    )
