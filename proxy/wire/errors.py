"""Errors as the OpenAI family and those who speak like it word them.

Owns finding the word and the message in an error's body. Refuses to decide that an answer failed:
a status of 400 or more, or an error object, does.
"""

from __future__ import annotations

from typing import Any

from proxy.wire.words import plain, word

_LONGEST = 2_000
_MESSAGE = ("message", "detail", "details", "error_message", "error_description", "title", "reason")


def error_in(answer: Any) -> Any:
    """The error object or sentence inside an answer or event, None where there is none."""
    if not isinstance(answer, dict):
        return None
    if answer.get("error"):
        return answer["error"]
    if "error" in (answer.get("type"), answer.get("object")):
        return answer
    return None


def refusal_in(body: Any) -> Any:
    """The error in the body of an answer whose status says that it is one."""
    if isinstance(body, list) and body:
        body = body[0]
    return error_in(body) or body


def error_facts(error: Any) -> tuple[str | None, str | None]:
    """The provider's word for an error, and its message in words."""
    if isinstance(error, str):
        return None, word(error.strip()[:_LONGEST])
    if not isinstance(error, dict):
        return None, None
    return _word(error), _message(error)


def _word(error: dict[str, Any]) -> str | None:
    """The code where it is a word (`model_not_found`), the type or status else, a number last."""
    code, kind = error.get("code"), error.get("type")
    words = [code, kind if kind != "error" else None, error.get("status"), error.get("error_code")]
    for candidate in words:
        if isinstance(candidate, str) and candidate and not candidate.isdigit():
            return candidate[:200]
    if isinstance(code, (str, int)) and not isinstance(code, bool) and code != "":
        return str(code)[:200]
    return word(kind)


def _message(error: dict[str, Any]) -> str | None:
    for name in _MESSAGE:
        value = error.get(name)
        if isinstance(value, list):  # validation errors, one entry per field
            value = "; ".join(filter(None, (_message_of(entry) for entry in value)))
        if isinstance(value, dict):
            value = _message(value)
        if isinstance(value, str) and value:
            return value[:_LONGEST]
    return None


def _message_of(entry: Any) -> str:
    if isinstance(entry, dict):
        return plain(entry.get("msg") or entry.get("message"))
    return plain(entry)
