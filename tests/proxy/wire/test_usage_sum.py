"""The usage of several answers."""

from decimal import Decimal

from proxy.facts import Pass, Usage
from proxy.wire.usage_sum import Used, main_model, summed


def used(model, input_tokens=1, output_tokens=2, **others):
    return Used(model, Usage(input_tokens=input_tokens, output_tokens=output_tokens, **others))


def test_nothing_used_is_no_usage():
    assert summed([], None, None) is None
    assert main_model([]) is None


def test_the_main_model_gave_most_answers():
    assert main_model([used("a"), used("b"), used("b"), used(None)]) == "b"


def test_what_another_model_served_is_in_the_sum_and_a_pass():
    usage = summed([used("a", reasoning_tokens=1), used("b"), used("a"), used("b")], "a", {"x": 1})
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (4, 8, 1)
    assert usage.raw == {"x": 1}
    (part,) = usage.passes
    assert (part.model, part.usage.input_tokens, part.usage.output_tokens) == ("b", 2, 4)


def test_passes_of_the_answers_are_kept():
    inner = Pass(model="c", usage=Usage(input_tokens=1))
    usage = summed([used("a", passes=(inner,)), used("a", passes=(inner,))], "a", None)
    assert [(part.model, part.usage.input_tokens) for part in usage.passes] == [("c", 2)]


def test_a_total_is_unknown_where_one_answer_lacks_it():
    usage = summed([used("a"), used("a", output_tokens=None)], "a", None)
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (2, None, None)


def test_costs_add_up_where_all_are_stated():
    half = Decimal("0.5")
    assert summed([used("a", cost_usd=half)] * 2, "a", None).cost_usd == 1
    assert summed([used("a", cost_usd=half), used("a")], "a", None).cost_usd is None


def test_units_add_up_by_name():
    parts = [used("a", units={"file_searches": 2}), used("a", units={"file_searches": 1, "x": 1})]
    assert summed(parts, "a", None).units == {"file_searches": 3, "x": 1}
