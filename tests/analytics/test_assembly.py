import gzip
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

from analytics.assembly import assemble, bare
from analytics.found import Records, Unposted
from analytics.prices import PriceBook
from analytics.usage_columns import from_columns, to_columns
from proxy.facts import Pass, Usage
from proxy.facts_codec import facts_to_json
from proxy.journal import Closed, Opened
from proxy.journal.entries import AttemptMade, DecisionMade
from proxy.reading import Copied, read

EXCHANGE = "019b7a3c-1c00-7000-8000-000000000001"
AT = 1_767_225_600_000_000
BOOK = PriceBook()
REQUEST = orjson.dumps(
    {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Name a colour."}],
        "user": "from-body",
        "metadata": {"team": "red", "feature": "body"},
    }
)
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Green."},
            "finish_reason": "stop",
        }
    ],
}
USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
RESPONSE = orjson.dumps(ANSWER | {"usage": USAGE})
JSON_HEADERS = [("content-type", "application/json")]


def opened(**more: Any) -> Opened:
    given: dict[str, Any] = {
        "exchange_id": EXCHANGE,
        "node": "n",
        "started_at": AT,
        "provider": "openai",
        "method": "POST",
        "target": "/v1/chat/completions?a=b",
        "headers": JSON_HEADERS,
    }
    return Opened(**given | more)


def closed(**more: Any) -> Closed:
    given: dict[str, Any] = {
        "exchange_id": EXCHANGE,
        "node": "n",
        "started_at": AT,
        "outcome": "completed",
        "status": 200,
        "headers": JSON_HEADERS,
        "duration_seconds": 1.0,
        "response_bytes": 1,
    }
    return Closed(**given | more)


def assembled(begin: Opened | None = None, end: Closed | None = None, **more: Any) -> Records:
    given: dict[str, Any] = {"request": REQUEST, "response": RESPONSE}
    found = Unposted(
        exchange_id=EXCHANGE, opened=begin or opened(), closed=end or closed(), **given | more
    )
    return assemble(found, BOOK)


def test_a_row_holds_what_journal_and_bodies_say() -> None:
    row = assembled().exchange
    assert row.started_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (row.provider, row.dialect, row.operation) == ("openai", "openai_chat", "chat")
    assert (row.method, row.path) == ("POST", "/v1/chat/completions")
    assert (row.request_model, row.response_model) == ("gpt-4o", "gpt-4o-2024-08-06")
    assert (row.input_tokens, row.output_tokens, row.usage_source) == (100, 10, "provider")
    assert row.finish_reasons == ["stop"]
    assert row.cost_status == "priced"
    # https://openai.com/api/pricing: gpt-4o at 2.50 and 10.00 USD a million tokens
    assert row.cost_usd == Decimal("0.00035")
    assert orjson.loads(row.usage_raw or "") == USAGE
    assert (row.outcome, row.status, row.error_type, row.parse_error) == (
        "completed",
        200,
        None,
        None,
    )


def test_labels_of_headers_and_path_go_before_those_of_the_body() -> None:
    row = assembled(opened(labels={"feature": "header", "tags.team": "blue"})).exchange
    assert (row.feature, row.user_id) == ("header", "from-body")
    assert row.tags == {"team": "blue"}


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
def test_an_error_status_is_a_provider_error_with_a_word(status: int) -> None:
    row = assembled(end=closed(status=status), response=b"<html>no</html>").exchange
    assert (row.outcome, row.error_type) == ("provider_error", f"http_{status}")
    assert (row.usage_source, row.cost_usd, row.cost_status) == (None, None, None)


def test_the_providers_word_for_an_error_goes_first() -> None:
    body = b'{"error":{"message":"No.","type":"invalid_request_error","code":"bad_model"}}'
    row = assembled(end=closed(status=404, error_type="ours"), response=body).exchange
    assert row.outcome == "provider_error"
    assert row.error_type in ("invalid_request_error", "bad_model")
    assert row.error_message == "No."


@pytest.mark.parametrize("outcome", ["completed", "client_disconnected"])
def test_an_error_inside_a_success_is_a_provider_error(outcome: str) -> None:
    stream = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'
    row = assembled(end=closed(outcome=outcome), response=stream).exchange
    assert (row.outcome, row.status, row.error_type) == ("provider_error", 200, "server_error")
    assert row.usage_source is None


@pytest.mark.parametrize("outcome", ["timed_out", "upstream_failed", "client_disconnected"])
def test_an_exchange_without_answer_knows_nothing_of_the_answer(outcome: str) -> None:
    end = closed(outcome=outcome, status=None, headers=[], error_type="timeout", response_bytes=0)
    row = assembled(end=end, response=b"").exchange
    assert (row.outcome, row.error_type, row.status) == (outcome, "timeout", None)
    assert row.request_model == "gpt-4o"
    assert (row.usage_source, row.input_tokens, row.cost_status) == (None, None, None)


def test_usage_is_estimated_where_the_provider_gave_none() -> None:
    row = assembled(response=orjson.dumps(ANSWER)).exchange
    assert row.usage_source == "estimated"
    assert row.input_tokens
    assert row.output_tokens
    assert row.cost_status == "estimated"
    assert row.usage_raw is None


def test_a_stream_that_the_client_cut_is_estimated_from_what_was_seen() -> None:
    stream = b'data: {"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"Gre"}}]}\n\n'
    row = assembled(end=closed(outcome="client_disconnected"), response=stream).exchange
    assert (row.outcome, row.usage_source) == ("client_disconnected", "estimated")
    assert row.output_tokens


CLAUDE_BEGINS = (
    b'data: {"type":"message_start","message":{"model":"claude-sonnet-4-5","type":"message",'
    b'"usage":{"input_tokens":20,"cache_read_input_tokens":60,"output_tokens":1}}}\n\n'
    b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
)
CLAUDE_SAYS = (
    b'data: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"Green is a colour."}}\n\n'
)
CLAUDE = {"provider": "anthropic", "target": "/v1/messages"}


def test_of_a_cut_stream_that_told_its_input_only_the_output_is_estimated() -> None:
    cut = closed(outcome="client_disconnected")
    row = assembled(opened(**CLAUDE), cut, response=CLAUDE_BEGINS + CLAUDE_SAYS).exchange
    assert (row.input_tokens, row.cache_read_tokens) == (80, 60)
    assert row.output_tokens == 6  # of five tokens' words, as Claude would count them
    assert (row.usage_source, row.cost_status) == ("estimated", "estimated")
    # claude.com/pricing: Sonnet 4.5 3 / 15, cache reads 0.30
    assert row.cost_usd == Decimal("0.000168")
    assert row.usage_raw is not None


def test_a_stream_cut_before_it_said_anything_has_its_input_alone() -> None:
    cut = closed(outcome="client_disconnected")
    row = assembled(opened(**CLAUDE), cut, response=CLAUDE_BEGINS).exchange
    assert (row.input_tokens, row.output_tokens) == (80, None)
    assert (row.usage_source, row.cost_status) == ("provider", "partial")


def test_what_was_said_in_a_gap_is_not_estimated() -> None:
    stream = CLAUDE_BEGINS + CLAUDE_SAYS * 9
    cut = closed(outcome="client_disconnected", response_gap=len(CLAUDE_BEGINS + CLAUDE_SAYS))
    row = assembled(opened(**CLAUDE), cut, response=stream).exchange
    assert row.output_tokens is None
    assert row.cost_status == "partial"


def test_an_answer_that_says_nothing_is_not_estimated() -> None:
    queued = b'{"id":"resp_1","object":"response","status":"queued","output":[],"usage":null}'
    row = assembled(opened(target="/v1/responses"), response=queued).exchange
    assert (row.usage_source, row.input_tokens) == (None, None)


def test_an_interrupted_exchange_has_what_was_seen_and_no_more() -> None:
    found = Unposted(
        exchange_id=EXCHANGE, opened=opened(), closed=None, request=REQUEST, response=b""
    )
    records = assemble(found, BOOK)
    row = records.exchange
    assert (row.outcome, row.request_model) == ("interrupted", "gpt-4o")
    unknown = ("status", "duration_seconds", "response_bytes", "truncated", "attempts", "cost_usd")
    assert [getattr(row, name) for name in unknown] == [None] * len(unknown)
    assert records.content is not None
    assert records.content.response_body is None


def test_an_exchange_of_which_only_the_identifier_is_left_has_its_time() -> None:
    found = Unposted(exchange_id=EXCHANGE, opened=None, closed=None, fault="missing")
    row = assemble(found, BOOK).exchange
    assert int(row.started_at.timestamp() * 1000) == int(EXCHANGE.replace("-", "")[:12], 16)
    assert (row.outcome, row.parse_error) == ("interrupted", "missing")


def test_compressed_bodies_are_read_and_kept_as_they_were() -> None:
    encoded = gzip.compress(RESPONSE)
    records = assembled(
        end=closed(headers=[*JSON_HEADERS, ("content-encoding", "gzip")]), response=encoded
    )
    assert records.exchange.input_tokens == 100
    assert records.content is not None
    assert records.content.response_body == encoded


def test_repeated_codings_count_in_order() -> None:
    twice = gzip.compress(gzip.compress(RESPONSE))
    end = closed(headers=[("content-encoding", "gzip"), ("content-encoding", "gzip")])
    assert assembled(end=end, response=twice).exchange.input_tokens == 100


def test_a_capped_copy_still_gives_the_usage_at_its_end() -> None:
    chunk = b'data: {"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
    last = b'data: {"model":"gpt-4o","choices":[],"usage":' + orjson.dumps(USAGE) + b"}\n\n"
    head, tail = chunk * 10, chunk[9:] + chunk * 3 + last + b"data: [DONE]\n\n"
    row = assembled(end=closed(response_gap=len(head)), response=head + tail).exchange
    assert (row.truncated, row.input_tokens, row.output_tokens) == (True, 100, 10)


@pytest.mark.parametrize(("content", "kept"), [("full", True), ("usage", False), ("none", False)])
def test_content_is_kept_as_the_settings_say(content: str, kept: bool) -> None:
    records = assembled(end=closed(content=content), request=b"", response=b"")
    assert (records.content is not None) is kept


def test_facts_read_by_the_proxy_stand_for_bodies_that_were_not_kept() -> None:
    whole = assembled().exchange
    head = opened()
    from proxy.facts import RequestHead

    reading = read(
        RequestHead(provider="openai", method=head.method, target=head.target),
        Copied(REQUEST),
        200,
        {},
        Copied(RESPONSE),
    )
    facts = orjson.loads(orjson.dumps(facts_to_json(reading)))
    row = assembled(end=closed(content="usage", facts=facts), request=b"", response=b"").exchange
    assert row == whole


def test_without_content_only_the_relay_is_known() -> None:
    row = assembled(end=closed(content="none"), request=b"", response=b"").exchange
    assert (row.dialect, row.request_model, row.usage_source) == (None, None, None)
    assert (row.status, row.outcome, row.duration_seconds) == (200, "completed", 1.0)


def test_an_unknown_path_gives_a_row_of_nulls() -> None:
    row = assembled(opened(target="/v9/unheard-of", provider="acme")).exchange
    assert (row.provider, row.dialect, row.input_tokens, row.cost_status) == (
        "acme",
        None,
        None,
        None,
    )
    assert row.parse_error is None


def test_attempts_and_decisions_become_rows_of_their_own() -> None:
    end = closed(
        attempts=[
            AttemptMade(number=1, upstream="a", started_at=AT, duration_seconds=0.1, status=429),
            AttemptMade(number=2, upstream="b", started_at=AT, duration_seconds=0.2, status=200),
        ],
        decisions=[DecisionMade(policy="retry", rule="r1", action="again", reason="429")],
        rules=["r1"],
    )
    records = assembled(end=end)
    assert [(a.number, a.upstream, a.status) for a in records.attempts] == [
        (1, "a", 429),
        (2, "b", 200),
    ]
    assert [(d.number, d.policy, d.action) for d in records.decisions] == [(1, "retry", "again")]
    assert (records.exchange.attempts, records.exchange.rules) == (2, ["r1"])


def test_nothing_is_billed_that_was_refused() -> None:
    row = assembled(end=closed(outcome="refused")).exchange
    assert (row.outcome, row.cost_usd, row.cost_status) == ("refused", None, None)


@pytest.mark.parametrize("outcome", ["cached", "client_disconnected"])
def test_an_answer_from_the_cache_used_and_cost_nothing(outcome: str) -> None:
    paid = assembled(end=closed()).exchange
    row = assembled(end=closed(outcome=outcome, cache_hit="exact")).exchange
    assert (row.outcome, row.cache_hit) == (outcome, "exact")
    assert (row.cost_usd, row.input_cost_usd, row.output_cost_usd) == (0, 0, 0)
    assert row.saved_usd == paid.cost_usd
    assert (row.cost_status, row.price_ref, row.usage_source) == (None, None, None)
    assert (row.input_tokens, row.output_tokens, row.usage_raw) == (None, None, None)
    assert row.response_model == paid.response_model
    assert paid.saved_usd is None


def test_a_bare_row_claims_nothing() -> None:
    found = Unposted(exchange_id=EXCHANGE, opened=opened(), closed=closed(), request=REQUEST)
    row = bare(found, "broken \ud800").exchange
    assert row.parse_error == "broken ?"
    assert (row.status, row.input_tokens, row.cost_usd) == (None, None, None)


def test_usage_survives_the_way_through_the_columns() -> None:
    usage = Usage(
        input_tokens=10,
        output_tokens=5,
        cache_read_tokens=0,
        image_input_tokens=3,
        cached_audio_input_tokens=1,
        audio_seconds=2.5,
        units={"search_units": 2},
        cost_usd=Decimal("0.5"),
        raw={"a": 1},
        passes=(Pass(model="small", usage=Usage(input_tokens=4, raw={"b": 2})),),
    )
    columns = to_columns(usage)
    back = from_columns(columns)
    assert back is not None
    assert back.raw == usage.raw
    assert to_columns(back) == columns
    assert back.passes == (Pass(model="small", usage=Usage(input_tokens=4)),)


def test_a_reported_cost_with_more_digits_than_the_column_is_rounded() -> None:
    columns = to_columns(Usage(cost_usd=Decimal("0.00012345678901251")))
    assert columns["provider_cost_usd"] == Decimal("0.000123456789")


def test_no_usage_is_no_usage_in_the_columns() -> None:
    assert to_columns(None) == {}
    empty = dict.fromkeys(to_columns(Usage()))
    assert from_columns(empty) is None
    assert to_columns(Usage())["usage_detail"] is None
    assert not re.search("detail", "".join(to_columns(None)))
