from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.credentials import CREDENTIAL_HEADERS
from proxy.headers import BadHeaders, journaled, reply_fields, request_headers, text


def test_no_credential_is_on_the_journals_list() -> None:
    names = [*CREDENTIAL_HEADERS, "set-cookie", "sec-websocket-protocol", "x-amz-signature"]
    assert journaled([(name.encode(), b"x") for name in names]) == []


def test_what_is_nominated_is_for_this_hop() -> None:
    raw = [(b"Connection", b"close, X-One"), (b"connection", b"x-TWO"), (b"X-One", b"1")]
    assert request_headers(
        [*raw, (b"x-two", b"2"), (b"X-Three", b"3")], drop_credentials=False
    ) == [(b"X-Three", b"3")]


@pytest.mark.parametrize("name", ["host", "AUTHORIZATION", "x-api-key", "content-length", "Cookie"])
def test_what_matters_must_not_be_nominated(name: str) -> None:
    with pytest.raises(BadHeaders, match=name.lower()):
        request_headers([(b"Connection", name.encode())], drop_credentials=False)


def test_credentials_are_dropped_only_where_the_proxy_adds_its_own() -> None:
    raw = [(name.encode(), b"v") for name in sorted(CREDENTIAL_HEADERS)] + [(b"X-Other", b"o")]
    assert request_headers(raw, drop_credentials=True) == [(b"X-Other", b"o")]
    kept = [name.decode() for name, _ in request_headers(raw, drop_credentials=False)]
    assert set(kept) == CREDENTIAL_HEADERS - {"proxy-authorization"} | {"X-Other"}


def test_a_key_in_a_subprotocols_name_is_dropped_too() -> None:
    name = b"Sec-WebSocket-Protocol"
    raw = [(name, b"realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1")]
    without = [(name, b"realtime, openai-beta.realtime-v1")]
    assert request_headers(raw, drop_credentials=True) == without
    assert request_headers(raw, drop_credentials=False) == raw
    alone = [(name, b"openai-insecure-api-key.sk-1")]
    assert request_headers(alone, drop_credentials=True) == []


def test_the_length_of_an_answer_counts_only_where_nothing_else_frames_it() -> None:
    assert reply_fields([(b"Content-Length", b"12")]).length == 12
    assert reply_fields([(b"X", b"y")]).length is None
    both = [(b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"12")]
    assert reply_fields(both).length is None


def test_a_field_too_long_for_the_journal_is_forwarded_all_the_same() -> None:
    raw = [(b"x-request-id", b"a" * 5000)]
    fields = reply_fields(raw)
    assert (fields.forwarded, fields.journaled) == (raw, [])


@given(st.binary(max_size=40))
def test_any_value_has_a_text(value: bytes) -> None:
    assert isinstance(text(value), str)
