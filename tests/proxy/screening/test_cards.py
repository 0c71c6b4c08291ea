"""Cards: what is found in any text is what a slow and plain reading of it finds."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.screening import numbers
from proxy.screening.detectors import sieve

GROUPS = ((4, 4, 4, 4, 3), (4, 4, 4, 4), (4, 6, 5), (4, 6, 4))
BEGINNINGS: dict[str, tuple[int, ...]] = {
    "4": (13, 16, 19),
    **dict.fromkeys(("51", "52", "53", "54", "55"), (16,)),
    **{str(n): (16,) for n in range(2221, 2721)},
    **dict.fromkeys(("34", "37"), (15,)),
    **{str(n): (14,) for n in range(300, 306)},
    "36": (14,),
    **dict.fromkeys(("38", "39"), (14, 16)),
    "6011": (16, 19),
    **{str(n): (16, 19) for n in range(644, 660)},
    **{str(n): (16, 17, 18, 19) for n in range(3528, 3590)},
    "62": (16, 17, 18, 19),
    **{str(n): (16,) for n in range(2200, 2205)},
}


def is_digit(text: str, at: int) -> bool:
    return text[at : at + 1] in set("0123456789")


def is_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and (text[at].isalnum() or text[at] == "_")


def grouped(text: str, at: int, sizes: tuple[int, ...]) -> int | None:
    """Where a number in these groups ends, all with the same character between them."""
    between = text[at + sizes[0] : at + sizes[0] + 1]
    if between not in (" ", "-"):
        return None
    for number, size in enumerate(sizes):
        if number:
            if text[at : at + 1] != between:
                return None
            at += 1
        if not all(is_digit(text, at + n) for n in range(size)):
            return None
        at += size
    return None if is_word(text, at) else at


def alone(text: str, at: int) -> int | None:
    end = at
    while is_digit(text, end):
        end += 1
    return end if 13 <= end - at <= 19 and not is_word(text, end) else None


def total(digits: str) -> int:
    """By ISO/IEC 7812-1: every second digit from the right, but the last, counts twice."""
    doubled = [int(d) * 2 for d in digits[-2::-2]]
    return sum(int(d) for d in digits[-1::-2]) + sum(d // 10 + d % 10 for d in doubled)


def is_card(shown: str) -> bool:
    digits = "".join(c for c in shown if c not in " -")
    issued = any(digits.startswith(b) and len(digits) in ns for b, ns in BEGINNINGS.items())
    return issued and total(digits) % 10 == 0


def plainly(text: str) -> Iterator[tuple[int, int]]:
    for at in range(len(text)):
        if not is_digit(text, at) or is_word(text, at - 1) or text[at - 1 : at] == ".":
            continue
        ends = [*(grouped(text, at, sizes) for sizes in GROUPS), alone(text, at)]
        found = [end for end in ends if end is not None and is_card(text[at:end])]
        if found:
            yield at, found[0]


def with_check_digit(digits: str) -> str:
    return next(f"{digits}{d}" for d in range(10) if total(f"{digits}{d}") % 10 == 0)


def shown(digits: str, between: str) -> str:
    sizes = next((s for s in GROUPS if sum(s) == len(digits)), None)
    if not between or sizes is None:
        return digits
    found, at = [], 0
    for size in sizes:
        found.append(digits[at : at + size])
        at += size
    return between.join(found)


@st.composite
def numbers_like_cards(draw: st.DrawFn) -> str:
    beginning = draw(st.sampled_from([*BEGINNINGS, "1", "7", "2721", "3590"]))
    size = draw(st.sampled_from(BEGINNINGS.get(beginning, (16,)))) + draw(
        st.sampled_from((0, 0, 0, -1, 1))
    )
    rest = draw(st.text("0123456789", min_size=size, max_size=size))
    digits = with_check_digit((beginning + rest)[: size - 1])
    if draw(st.integers(0, 4)) == 0:
        digits = digits[:-1] + draw(st.sampled_from("0123456789"))
    return shown(digits, draw(st.sampled_from(("", " ", "-"))))


TEXTS = st.lists(
    st.one_of(
        numbers_like_cards(),
        st.text("0123456789", max_size=8),
        st.sampled_from([" ", "-", ".", "x", "_", "é", "٣", "\x00", "\n", ", ", "4111 ", "4111-"]),
    ),
    max_size=12,
).map("".join)


@settings(max_examples=500)
@given(TEXTS)
@example("4111 1111 1111 1111 123")
@example("4111 1111 1111 1111 1234")
@example("4111 1111 1111 1111 4111 1111 1111 1111")
@example("4111-1111 1111-1111")
@example("٤٥٦٧ ٤٥٦٧ ٤٥٦٧ ٤٥٦٧")
def test_what_is_found_is_what_a_plain_reading_finds(text: str) -> None:
    found = list(numbers.cards(text))
    assert found == list(plainly(text))
    assert not found or sieve(("card",)).Match(text), "the sieve lets all through that is found"


@given(numbers_like_cards())
def test_numbers_made_as_issuers_make_them_are_read_alike(text: str) -> None:
    assert list(numbers.cards(text)) == list(plainly(text))


def test_the_plain_reading_knows_cards_when_it_sees_them() -> None:
    for text in ("4111111111111111", "5555-5555-5555-4444", "3782 822463 10005"):
        assert list(plainly(text)) == [(0, len(text))]
