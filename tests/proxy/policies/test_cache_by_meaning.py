"""The semantic cache: in its shadow until it has shown that its hits are right."""

from __future__ import annotations

import orjson
import pytest

from proxy.journal import Closed
from tests.proxy.policies.conftest import Ruled, actions, chat, closed
from tests.support.posted import select
from tests.support.processes import Meterline, wait_for
from tests.support.raw import FakeProvider, Message, Script, Wire, answer
from tests.support.services import Provider, meterline

VECTORS = {
    "How do I reset my password?": [1.0, 0.0, 0.1],
    "How can I reset the password?": [1.0, 0.1, 0.1],
    "Password lost. What now?": [1.0, 0.0, 0.12],
    "What does it cost?": [0.0, 1.0, 0.0],
    "What is 17 times 3?": [0.0, 0.0, 1.0],
    "What is 17 times 4?": [0.0, 0.0, 1.0],
    "Click on Forgot.": [1.0, 0.2, 0.0],
    "You click on Forgot.": [1.0, 0.25, 0.0],
    "Ask your admin.": [0.0, 1.0, 1.0],
}
RESET, ALSO_RESET, LOST, PRICE, TIMES_3, TIMES_4 = list(VECTORS)[:6]


def embedded(message: Message) -> bytes:
    asked = orjson.loads(message.body)
    data = [
        {"index": index, "embedding": VECTORS.get(text, [0.3, 0.3, 0.3])}
        for index, text in enumerate(asked["input"])
    ]
    usage = {"prompt_tokens": 1000, "total_tokens": 1000}
    return orjson.dumps({"model": asked["model"], "data": data, "usage": usage})


def answering_by(answers: dict[str, str] | None = None, **message: object) -> Script:
    """Answers each question with these words, else with always the same; and knows vectors."""

    def script(wire: Wire, seen: Message) -> None:
        if seen.target.endswith(b"/embeddings"):
            wire.send(answer(embedded(seen)))
            return
        text = orjson.loads(seen.body)["messages"][-1]["content"]
        words = (answers or {}).get(text if isinstance(text, str) else "", "Click on Forgot.")
        said = {"content": words, **message}
        body = {"model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": said}]}
        wire.send(answer(orjson.dumps(body)))

    return script


def rule(**members: object) -> str:
    given = {"embed": "openai/text-embedding-3-small", "threshold": 0.97, **members}
    does = ", ".join(f"{name} = {orjson.dumps(value).decode()}" for name, value in given.items())
    return f'[[rules]]\nname = "alike"\ncache = {{ semantic = {{ {does} }} }}\n'


SERVING = rule(mode="serve", samples=1, verify_share=0.0)


def semantic(seen: Message) -> bool:
    return seen.values(b"meterline-cache") == [b"semantic"]


def own(proxy: Meterline) -> list[Closed]:
    """The proxy's own exchanges, in order."""
    marked = [
        entry.exchange_id
        for entry, _, _ in proxy.entries()
        if getattr(entry, "labels", {}).get("tags.meterline-cache") == "alike"
    ]
    return [each for each in proxy.closed_entries() if each.exchange_id in marked]


def learned(proxy: Meterline, text: str, **options: object) -> Message:
    """Ask, and wait until the proxy has the vector too."""
    before = len(own(proxy))
    seen = chat(proxy.port, text=text, **options)
    closed(proxy, seen)
    wait_for(lambda: len(own(proxy)) > before, "the vector")
    return seen


def trusted(proxy: Meterline) -> None:
    """One comparison, whose hit is right."""
    learned(proxy, RESET)
    assert not semantic(learned(proxy, ALSO_RESET))


def noted(proxy: Meterline) -> list[tuple[str, str]]:
    """What was noted of meanings, in whichever record: (action, reason)."""
    made = [each for entry in proxy.closed_entries() for each in entry.decisions]
    return [(each.action, each.reason) for each in made if each.action not in ("kept", "hit")]


def test_in_its_shadow_it_serves_nothing_and_tells_what_it_would_have(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = answering_by()
    proxy = ruled(rule())
    first, second = learned(proxy, RESET), learned(proxy, ALSO_RESET)
    assert second.values(b"meterline-cache") == []
    assert closed(proxy, second).outcome == "completed"
    (would, why), (verdict, so_far) = noted(proxy)
    assert (would, verdict) == ("would have served", "right hit")
    assert f"{first.exchange_id} for {second.exchange_id}" in why
    assert why.endswith("the rule is in its shadow")
    assert so_far.endswith("0 of 1 hits were false")


def test_a_vector_that_comes_before_the_answer_is_told_in_the_record_of_the_call(
    ruled: Ruled, provider: FakeProvider
) -> None:
    known = answering_by()

    def slow(wire: Wire, seen: Message) -> None:
        if not seen.target.endswith(b"/embeddings"):
            wanted = sum(not each.target.endswith(b"/embeddings") for each in provider.requests)
            wait_for(lambda: len(own(proxy)) >= wanted, "the vector")
        known(wire, seen)

    provider.script = slow
    proxy = ruled(rule())
    chat(proxy.port, text=RESET)
    seen = chat(proxy.port, text=ALSO_RESET)
    expected = [("cache", each) for each in ("kept", "would have served", "right hit")]
    assert actions(closed(proxy, seen)) == expected


@pytest.mark.parametrize(
    ("second", "verdict"), [("You click on Forgot.", "right hit"), ("Ask your admin.", "false hit")]
)
def test_answers_in_other_words_are_compared_by_their_vectors(
    ruled: Ruled, provider: FakeProvider, second: str, verdict: str
) -> None:
    provider.script = answering_by({ALSO_RESET: second})
    proxy = ruled(rule())
    learned(proxy, RESET)
    asked = learned(proxy, ALSO_RESET)
    wait_for(lambda: len(own(proxy)) == 3, "the comparison")
    comparison = own(proxy)[-1]
    assert actions(comparison) == [("cache", verdict)]
    assert asked.exchange_id in comparison.decisions[0].reason


def test_it_serves_once_its_hits_were_right(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = answering_by()
    proxy = ruled(SERVING)
    trusted(proxy)
    asked = len(provider.requests)
    seen = chat(proxy.port, text=LOST)
    assert semantic(seen)
    record = closed(proxy, seen)
    assert (record.outcome, record.cache_hit, record.attempts) == ("cached", "semantic", [])
    assert actions(record) == [("cache", "hit")]
    assert [m.target for m in provider.requests[asked:]] == [b"/v1/embeddings"]


def test_false_hits_keep_it_in_its_shadow(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = answering_by({ALSO_RESET: "Ask your admin."})
    proxy = ruled(SERVING)
    learned(proxy, RESET)
    learned(proxy, ALSO_RESET)
    wait_for(lambda: len(own(proxy)) == 3, "the comparison")
    seen = learned(proxy, LOST)
    assert not semantic(seen)
    assert "100% of 1 hits were false" in noted(proxy)[-2][1]


def test_a_share_of_its_hits_is_asked_all_the_same(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = answering_by()
    proxy = ruled(rule(mode="serve", samples=1, verify_share=1.0))
    trusted(proxy)
    seen = learned(proxy, LOST)
    assert not semantic(seen)
    assert [each for each in noted(proxy) if "for a comparison" in each[1]]


@pytest.mark.parametrize(
    "other",
    [
        {"text": PRICE},
        {"text": LOST, "temperature": 0.5},
        {"text": LOST, "model": "gpt-4o"},
        {"text": LOST, "fields": [("Authorization", "Bearer sk-other-0123456789")]},
        {"text": LOST, "target": "/behind/v1/chat/completions"},
        {"text": LOST, "messages": [{"role": "system", "content": "Be brief"}]},
    ],
    ids=str,
)
def test_all_but_the_last_words_must_be_the_same(
    ruled: Ruled, provider: FakeProvider, other: dict
) -> None:
    provider.script = answering_by()
    proxy = ruled(SERVING)
    trusted(proxy)
    if "messages" in other:
        last = {"role": "user", "content": other["text"]}
        other = {**other, "messages": [*other["messages"], last]}
    assert not semantic(learned(proxy, **other))
    assert semantic(chat(proxy.port, text=LOST))


def test_other_numbers_are_another_question(ruled: Ruled, provider: FakeProvider) -> None:
    provider.script = answering_by()
    proxy = ruled(SERVING)
    trusted(proxy)
    learned(proxy, TIMES_3)
    assert not semantic(chat(proxy.port, text=TIMES_4))


def test_answers_that_call_tools_are_not_for_other_words(
    ruled: Ruled, provider: FakeProvider
) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    provider.script = answering_by(tool_calls=[call])
    proxy = ruled(rule())
    learned(proxy, RESET)
    learned(proxy, ALSO_RESET)
    assert noted(proxy) == []


def test_without_vectors_the_call_goes_on(ruled: Ruled, provider: FakeProvider) -> None:
    known = answering_by()

    def silent(wire: Wire, seen: Message) -> None:
        if not seen.target.endswith(b"/embeddings"):
            known(wire, seen)

    proxy = ruled(rule(mode="serve", samples=1, patience_seconds=0.2))
    provider.script = known
    trusted(proxy)
    provider.script = silent
    seen = chat(proxy.port, text=LOST)
    assert (seen.status, semantic(seen)) == (200, False)
    closed(proxy, seen)
    wait_for(lambda: noted(proxy)[-1][0] == "did not look for its meaning", "the end of patience")
    wait_for(lambda: own(proxy)[-1].outcome == "timed_out", "the record of the vector's call")


def test_vectors_are_exchanges_of_their_own_with_the_labels_of_their_cause(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = answering_by()
    proxy = ruled(rule())
    fields = [("Meterline-Feature", "faq"), ("Authorization", "Bearer sk-one-0123456789")]
    learned(proxy, RESET, fields=fields)
    config = str(proxy.data_dir.parent / "meterline.toml")
    assert meterline("post", "--once", "--config", config).returncode == 0
    (row,) = select(
        proxy.data_dir / "meterline.duckdb",
        "FROM exchanges WHERE tags['meterline-cache'] = 'alike'",
    )
    assert (row["feature"], row["operation"], row["client"]) == ("faq", "embeddings", "meterline")
    assert row["cost_usd"] > 0
    assert row["request_model"] == "text-embedding-3-small"
    (asked,) = [m for m in provider.requests if m.target.endswith(b"/embeddings")]
    assert asked.value(b"authorization") == b"Bearer sk-one-0123456789"
    assert asked.values(b"meterline-feature") == []
    files = [path for path in proxy.data_dir.rglob("*") if path.is_file()]
    assert not any(b"sk-one-0123456789" in path.read_bytes() for path in files)


def test_the_credential_of_a_client_goes_to_no_other_provider(
    ruled: Ruled, provider: FakeProvider
) -> None:
    provider.script = answering_by()
    proxy = ruled(rule(embed="behind/text-embedding-3-small"))
    learned(proxy, RESET, fields=[("Authorization", "Bearer sk-one-0123456789")])
    (asked,) = [m for m in provider.requests if m.target.endswith(b"/embeddings")]
    assert asked.target == b"/some/prefix/v1/embeddings"
    assert asked.values(b"authorization") == []


def test_streams_are_served_by_meaning_too(ruled: Ruled, demo: Provider) -> None:
    """The demo provider's vectors tell what has words in common; its answers hang on each word."""
    rules = rule(mode="serve", samples=1, verify_share=0.0, threshold=0.8, alike=0.0)
    proxy = ruled(rules, tables={"providers.openai": {"base_url": demo.url}})
    first = learned(proxy, "How do I reset my password?", stream=True)
    learned(proxy, "how can I reset my password", stream=True)
    wait_for(lambda: len(own(proxy)) == 3, "the comparison")
    seen = chat(proxy.port, text="How do I reset the password?", stream=True)
    assert semantic(seen)
    assert seen.body == first.body
    assert not semantic(chat(proxy.port, text="What does the plan cost?", stream=True))
