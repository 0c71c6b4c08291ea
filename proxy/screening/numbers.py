"""Numbers that name a person or an account: payment cards, IBANs, phones, social security numbers.

Owns their shapes, checksums and ranges. Each finder takes a time linear in the text: every
expression has a bound, and is tried once at each position.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 80
"""No finding here is longer, with what stands next to it."""

_FIRST_TWO = "(?:2[2-7]|3[04-9]|4[0-9]|5[1-5]|6[0245])"
"""What the issuers below begin with."""
CARD_AT_LEAST = (
    rf"(?:^|[^\w.]){_FIRST_TWO}"
    r"(?:[0-9]{11}|[0-9]{2}[ -](?:[0-9]{4}[ -][0-9]{4}[ -][0-9]{3}|[0-9]{6}[ -][0-9]{4}))"
)
"""What each card has in it, for RE2, to which other alphabets are no words."""
_CARD = re.compile(
    rf"{_FIRST_TWO}(?<![\w.]..)(?:"
    r"(?=[0-9]{2}([ -])(?:([0-9]{4}\1[0-9]{4}\1[0-9]{4})(?:(\1[0-9]{3})(?!\w)|(?!\w))"
    r"|([0-9]{6}\1[0-9]{4,5})(?!\w)))"
    r"|(?=([0-9]{11,17})(?!\w)))"
)
"""The first two digits, and what follows: groups of four and what may be a last one of three, the
groups of American Express and Diners Club, or digits alone."""
_ISSUERS = (
    # Beginnings and lengths of the numbers that the large networks issue (ISO/IEC 7812 ranges).
    (range(4, 5), 1, (13, 16, 19)),  # Visa
    (range(51, 56), 2, (16,)),  # Mastercard
    (range(2221, 2721), 4, (16,)),  # Mastercard
    (range(34, 35), 2, (15,)),  # American Express
    (range(37, 38), 2, (15,)),
    (range(300, 306), 3, (14,)),  # Diners Club
    (range(36, 37), 2, (14,)),
    (range(38, 40), 2, (14, 16)),
    (range(6011, 6012), 4, (16, 19)),  # Discover
    (range(644, 660), 3, (16, 19)),
    (range(3528, 3590), 4, (16, 17, 18, 19)),  # JCB
    (range(62, 63), 2, (16, 17, 18, 19)),  # UnionPay
    (range(2200, 2205), 4, (16,)),  # Mir
)
_IBAN = re.compile(
    r"(?<!\w)(?=([A-Z]{2}[0-9]{2}"
    r"(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)(?!\w)))"
)
_IBAN_LENGTHS = {
    # SWIFT's IBAN registry.
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FO", "FI", "GL", "NL", "SD", "FK"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "XK", "LT", "LU", "MN"), 20),
    **dict.fromkeys(("HR", "LV", "LI", "CH"), 21),
    **dict.fromkeys(("BH", "BG", "CR", "GE", "DE", "IE", "ME", "RS", "GB", "VA"), 22),
    **dict.fromkeys(("TL", "GI", "IQ", "IL", "OM", "SO", "AE"), 23),
    **dict.fromkeys(("AD", "CZ", "MD", "PK", "RO", "SA", "SK", "ES", "SE", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("FR", "GR", "IT", "MC", "SM", "BI", "DJ", "MR"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "SV", "GT", "HU", "LB", "NI", "PL"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
    **dict.fromkeys(("RU",), 33),
}
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![\w-])")
_PHONES = (
    # With the country's code, or as North Americans write theirs; plain digits are no phone.
    re.compile(
        r"(?<![\w+.-])\+[1-9](?:[0-9]{7,14}"
        r"|[0-9]{0,3}(?: ?\([0-9]{1,4}\))?(?:[ .-][0-9]{1,10}){1,5})(?![\w+-])"
    ),
    re.compile(
        r"(?<![\w+.)-])(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])"
        r"[2-9][0-9]{2}[.-][0-9]{4}(?![\w-])"
    ),
)


def cards(text: str) -> Iterator[tuple[int, int]]:
    """Payment cards: grouped as they are printed or not at all, of a known issuer, with their
    check digit."""
    for match in _CARD.finditer(text):
        start, number = match.start(), match.lastindex
        ends = (match.end(3), match.end(2)) if number == 3 else (match.end(number or 0),)
        for end in ends:
            if _is_card(text[start:end]):
                yield start, end
                break


def _is_card(shown: str) -> bool:
    digits = shown.replace(" ", "").replace("-", "")
    return luhn(digits) and _issued(digits)


def _issued(digits: str) -> bool:
    return any(
        len(digits) in lengths and int(digits[:size]) in beginnings
        for beginnings, size, lengths in _ISSUERS
    )


_DOUBLED = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    data = digits.encode()
    odd, even = data[::-2], data[-2::-2]
    return (sum(odd) - 48 * len(odd) + sum(even.translate(_DOUBLED))) % 10 == 0


def ibans(text: str) -> Iterator[tuple[int, int]]:
    """International account numbers: of the length of their country, with their check digits."""
    for match in _IBAN.finditer(text):
        found = match[1]
        length = _IBAN_LENGTHS.get(found[:2])
        if length is None:
            continue
        size = length if " " not in found else length + (length - 1) // 4
        ends = len(found) == size or found[size : size + 1] == " "
        if ends and checked(found[:size].replace(" ", ""), length):
            yield match.start(1), match.start(1) + size


def checked(iban: str, length: int) -> bool:
    """Whether the check digits are right (ISO 13616, modulo 97)."""
    if len(iban) != length:
        return False
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def social_security_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Of the United States, with their hyphens and in the ranges that are given out."""
    for match in _SSN.finditer(text):
        yield match.span()


def phones(text: str) -> Iterator[tuple[int, int]]:
    """Phone numbers that show themselves: `+49 30 901820`, `(212) 555-0123`, `212-555-0123`."""
    for shape in _PHONES:
        for match in shape.finditer(text):
            if 8 <= sum(map(str.isdigit, match[0])) <= 15:
                yield match.span()
