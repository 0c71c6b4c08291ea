"""The word and the message of an error, whoever words it."""

import pytest

from proxy.wire.errors import error_facts, error_in, refusal_in


@pytest.mark.parametrize(
    ("body", "word", "message"),
    [
        ({"error": {"type": "bad_request", "code": None, "message": "No."}}, "bad_request", "No."),
        ({"error": {"type": "bad_request", "code": "no_model", "message": "m"}}, "no_model", "m"),
        ({"error": {"code": 429, "message": "slow down"}}, "429", "slow down"),
        ({"error": {"code": 400, "status": "INVALID", "message": "m"}}, "INVALID", "m"),
        ([{"error": {"code": "x", "message": "m"}}], "x", "m"),
        ({"error": "just words"}, None, "just words"),
        ({"message": "m", "type": "wrong_key", "code": "401"}, "wrong_key", "m"),
        ({"detail": "no such model"}, None, "no such model"),
        ({"detail": [{"loc": ["body"], "msg": "too long"}, {"msg": "odd"}]}, None, "too long; odd"),
        ({"object": "error", "type": "NotFound", "message": "m"}, "NotFound", "m"),
        ([], None, None),
        (7, None, None),
    ],
)
def test_every_shape_gives_its_word_and_message(body, word, message):
    assert error_facts(refusal_in(body)) == (word, message)


def test_an_answer_without_an_error_has_none():
    assert error_in({"error": None, "choices": []}) is None
    assert error_in({"type": "response"}) is None
    assert error_in("error") is None


def test_a_long_message_is_cut():
    assert len(error_facts({"message": "x" * 9000})[1]) == 2000
