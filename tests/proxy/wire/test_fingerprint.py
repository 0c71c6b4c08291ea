"""The fingerprint hangs on what is said, not on how it is spelt."""

from proxy.wire.fingerprint import fingerprint


def test_nothing_has_no_fingerprint():
    assert fingerprint("", [], None) is None


def test_the_order_of_keys_does_not_matter_and_that_of_tools_does():
    assert fingerprint("s", [{"a": 1, "b": 2}]) == fingerprint("s", [{"b": 2, "a": 1}])
    assert fingerprint("s", [{"a": 1}, {"b": 2}]) != fingerprint("s", [{"b": 2}, {"a": 1}])


def test_instructions_and_tools_are_told_apart():
    assert fingerprint("x", None) != fingerprint(None, "x")


def test_huge_numbers_and_deep_nesting_are_no_error():
    assert fingerprint([2**80]) is not None
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    fingerprint(nested)
