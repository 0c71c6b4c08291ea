"""The text in a document, in order."""

from proxy.wire.prose import prose


def test_strings_are_joined_in_order_without_silent_keys():
    document = {"a": "one", "b": [{"skip": "no", "c": "two"}, "three"], "d": 4}
    assert prose(document, {"skip"}) == "one\ntwo\nthree"


def test_depth_is_no_limit():
    document: object = "deep"
    for _ in range(100_000):
        document = [document]
    assert prose(document, frozenset()) == "deep"
    while isinstance(document, list):  # taken apart here: freeing it at once would recurse
        document = document.pop()
