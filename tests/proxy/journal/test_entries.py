import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.journal import Closed, Lost, Opened, Part
from proxy.journal.entries import AttemptMade, DecisionMade, Entry, decode, encode

EXCHANGE = "019b0000-0000-7000-8000-000000000001"
ENTRIES: list[Entry] = [
    Opened(
        exchange_id=EXCHANGE,
        node="n",
        started_at=1,
        provider="openai",
        headers=[("a", "b")],
        labels={"feature": "chat", "tags.x": "y"},
    ),
    Part(exchange_id=EXCHANGE),
    Closed(
        exchange_id=EXCHANGE,
        node="n",
        started_at=1,
        outcome="completed",
        attempts=[AttemptMade(number=1, upstream="u", started_at=1, duration_seconds=0.5)],
        decisions=[DecisionMade(policy="retry", rule="r", action="again", reason="429")],
        facts={"request": {"model": "m"}},
    ),
    Lost(at=1, reason="disk full", count=3),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    assert encode(decode(entry.kind, encode(entry))) == encode(entry)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_unknown_keys_are_dropped(entry: Entry) -> None:
    head = orjson.loads(encode(entry)) | {"of_a_later_version": 1}
    assert encode(decode(entry.kind, orjson.dumps(head))) == encode(entry)


def test_missing_keys_take_their_default() -> None:
    head = orjson.dumps({"exchange_id": EXCHANGE, "node": "n", "started_at": 1})
    assert decode(Opened.kind, head) == Opened(exchange_id=EXCHANGE, node="n", started_at=1)


@given(st.integers(0, 255), st.binary(max_size=100) | st.just(b"[1]") | st.just(b'{"at":1}'))
def test_what_is_no_entry_is_a_value_error(kind: int, head: bytes) -> None:
    with pytest.raises(ValueError, match="no journal entry"):
        decode(kind, head)
