from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.body_copy import BodyCopy


@given(st.lists(st.binary(max_size=300), max_size=12), st.integers(2, 500))
def test_a_copy_is_whole_or_has_head_and_tail(pieces: list[bytes], limit: int) -> None:
    copy = BodyCopy(limit)
    for piece in pieces:
        copy.add(piece)
    body = b"".join(pieces)
    kept = copy.take() + copy.tail()
    assert copy.total == len(body)
    if len(body) <= limit:
        assert (kept, copy.gap) == (body, None)
    else:
        assert copy.gap is not None
        assert len(kept) == limit
        assert kept[: copy.gap] == body[: copy.gap]
        assert body.endswith(kept[copy.gap :])


@given(st.lists(st.binary(max_size=300), max_size=12), st.integers(0, 2))
def test_a_copy_of_next_to_nothing_keeps_no_more(pieces: list[bytes], limit: int) -> None:
    copy = BodyCopy(limit)
    for piece in pieces:
        copy.add(piece)
    assert len(copy.take() + copy.tail()) == min(limit, copy.total)


@given(st.lists(st.tuples(st.binary(max_size=50), st.integers(0, 20)), max_size=12))
def test_what_is_taken_and_put_back_keeps_its_order(steps: list[tuple[bytes, int]]) -> None:
    copy, seen = BodyCopy(10_000), b""
    for piece, held in steps:
        copy.add(piece)
        data = copy.take()
        keep = min(held, len(data))
        copy.put_back(data[len(data) - keep :])
        seen += data[: len(data) - keep]
        assert copy.pending == keep
    assert seen + copy.take() == b"".join(piece for piece, _ in steps)
