from decimal import Decimal

import orjson
import pytest

from proxy.facts import Pass, ReplyFacts, RequestFacts, Usage
from proxy.facts_codec import facts_from_json, facts_to_json
from proxy.reading import Reading

FULL = Reading(
    dialect="openai_chat",
    operation="chat",
    request=RequestFacts(
        model="m",
        stream=False,
        message_count=0,
        prompt_fingerprint="f",
        labels={"user_id": "u", "tags.x": "y"},
    ),
    reply=ReplyFacts(
        model="m2",
        response_id="r",
        finish_reasons=("stop",),
        tool_names=(),
        tool_call_count=0,
        usage=Usage(
            input_tokens=0,
            output_tokens=3,
            cost_usd=Decimal("0.000000000001"),
            units={"search_units": 2},
            raw={"in": 0},
            passes=(Pass(model="small", usage=Usage(input_tokens=1)),),
        ),
        error_type="e",
    ),
    parse_error="cut",
)


@pytest.mark.parametrize(
    "reading",
    [FULL, Reading(), Reading(request=RequestFacts(), reply=ReplyFacts(usage=Usage()))],
)
def test_a_reading_comes_back_as_it_was(reading: Reading) -> None:
    assert facts_from_json(orjson.loads(orjson.dumps(facts_to_json(reading)))) == reading


def test_texts_are_left_out() -> None:
    reading = Reading(
        request=RequestFacts(prompt_text=lambda: "secret"), reply=ReplyFacts(text=lambda: "secret")
    )
    assert b"secret" not in orjson.dumps(facts_to_json(reading))
    assert facts_from_json(facts_to_json(reading)) == Reading(
        request=RequestFacts(), reply=ReplyFacts()
    )


def test_unknown_keys_are_dropped() -> None:
    facts = facts_to_json(FULL)
    facts["later"] = 1
    facts["reply"]["later"] = 1
    facts["reply"]["usage"]["later"] = 1
    assert facts_from_json(facts) == FULL


@pytest.mark.parametrize(
    "facts",
    [{"reply": "x"}, {"reply": {"usage": 3}}, {"reply": {"usage": {"cost_usd": "x"}}}],
)
def test_what_is_no_reading_is_a_value_error(facts: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no facts"):
        facts_from_json(facts)
