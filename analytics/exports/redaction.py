"""Personal data in texts, replaced: mail addresses, telephone numbers, payment cards.

Owns the patterns and the checksum that tells a card from another number. Linear in the text's
length. Refuses to promise: names and addresses in prose are not found, so a person should look
before a data set leaves the house.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

EMAIL, PHONE, CARD = "[email]", "[phone]", "[card]"

_EMAIL = re.compile(r"[A-Za-z0-9._%+\-]{1,64}@(?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_DIGITS = re.compile(r"(?<![\w.])\+?\(?\d(?:[ \-./()]{0,2}\d){6,18}(?![\w])")
_CARD_LENGTHS = range(13, 20)
_PHONE_LENGTHS = range(8, 16)
_GROUPED = re.compile(r"[ \-/()]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{1,2}.*)?")


def redacted(text: str) -> str:
    """The text with what was found replaced by its kind in brackets."""
    if "@" in text:
        text = _EMAIL.sub(EMAIL, text)
    return _DIGITS.sub(_number, text)


def redacted_value(value: Any) -> Any:
    """The same for every text in a JSON value; the names of members stay."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: redacted_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_value(item) for item in value]
    return value


def _number(match: re.Match[str]) -> str:
    text = match[0]
    digits = re.sub(r"\D", "", text)
    if len(digits) in _CARD_LENGTHS and is_card(digits):
        return CARD
    if len(digits) in _PHONE_LENGTHS and _is_phone(text):
        return PHONE
    return text


def is_card(digits: str) -> bool:
    """Whether the digits pass the check of payment card numbers (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0 and len(set(digits)) > 1


def _is_phone(text: str) -> bool:
    """International, or written in groups: a bare run of digits is more often an id."""
    if text.startswith("+"):
        return True
    return bool(_GROUPED.search(text)) and not _DATE.fullmatch(text) and text[0] in "0("
