"""Kept answers stay within their bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.caching.answers import Answer, Answers, answer_of


def made(body: bytes, now: float = 0.0, coding: bytes = b"") -> Answer:
    fields = [(b"Content-Encoding", coding)] if coding else []
    return answer_of(
        fields, [body], reason="OK", exchange_id="e", upstream="u", model=None, now=now
    )


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"a", b"b", b"c", b"d"]),
            st.binary(max_size=3000),
            st.sampled_from([b"", b"gzip"]),
            st.booleans(),
        )
    )
)
def test_number_and_bytes_are_bounded_and_counted(steps: list) -> None:
    answers = Answers()
    for now, (key, body, coding, drops) in enumerate(steps):
        answer = made(body, float(now), coding)
        if drops:
            answers.drop(key, answer)
        else:
            answers.put(key, answer, max_entries=3, max_bytes=5000)
            assert answers.find(key, [coding.decode()], 0.0) is answer
        assert len(answers) <= 3
        assert answers.bytes <= 5000
        kept = [
            found
            for k in (b"a", b"b", b"c", b"d")
            for c in ("", "gzip")
            if (found := answers.find(k, [c], 0.0))
        ]
        assert answers.bytes == sum(each.size for each in kept)
        assert len(answers) == len(kept)


def test_old_answers_are_not_found() -> None:
    answers = Answers()
    answers.put(b"k", made(b"x", now=10.0), max_entries=3, max_bytes=5000)
    assert answers.find(b"k", [""], 10.0) is not None
    assert answers.find(b"k", [""], 10.1) is None
    assert answers.find(b"k", ["gzip"], 0.0) is None


def test_of_several_codings_the_newest_is_given() -> None:
    answers = Answers()
    for now, coding in enumerate((b"gzip", b"", b"br")):
        answers.put(b"k", made(b"x", float(now), coding), max_entries=9, max_bytes=5000)
    found = answers.find(b"k", ["", "gzip"], 0.0)
    assert found is not None
    assert found.coding == ""


def test_who_looked_is_remembered_for_that_answer_alone() -> None:
    answers = Answers()
    first, second = made(b"x"), made(b"y")
    answers.put(b"k", first, max_entries=3, max_bytes=5000)
    answers.put(b"k", second, max_entries=3, max_bytes=5000)
    answers.found_sound(b"k", first)
    found = answers.find(b"k", [""], 0.0)
    assert found is second
    assert found.is_sound is None
    answers.found_sound(b"k", second)
    found = answers.find(b"k", [""], 0.0)
    assert found is not None
    assert found.is_sound
