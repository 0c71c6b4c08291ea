"""Which dialect claims which request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects import DIALECTS, PARSER_VERSION, find
from proxy.facts import ReplyHead, RequestFacts, RequestHead

PATHS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages",
    "/v1beta/models/g:streamGenerateContent",
    "/v1beta/interactions",
)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("GET", "/v1/chat/completions/c-1"),
        ("GET", "/v1/organization/usage/completions"),
        ("DELETE", "/v1/responses/r-1"),
        ("GET", "/v1/responses/r-1/input_items"),
        ("POST", "/v1/files"),
        ("GET", "/"),
    ],
)
def test_what_bills_nothing_is_not_claimed(method, path):
    assert find(RequestHead(provider="openai", method=method, target=path)) is None


def test_each_path_is_claimed_by_one_dialect_alone():
    for path in PATHS:
        head = RequestHead(provider="any", method="POST", target="/a/prefix" + path)
        claims = [dialect.name for dialect in DIALECTS if dialect.operation(head)]
        assert len(claims) == 1, (path, claims)


def test_names_are_distinct_and_there_is_a_version():
    assert len({dialect.name for dialect in DIALECTS}) == len(DIALECTS)
    assert PARSER_VERSION >= 1


FRAGMENTS = (
    *(b"data: ", b"event: e", b"\n", b"\n\n", b"{", b"}", b"[", b"]", b",", b"null", b"1e999"),
    *(b'"usage":', b'"error":', b'"item":', b'{"prompt_tokens":3}', b'{"response":{"output":[1]}}'),
    b'{"choices":[{"delta":{"tool_calls":[{}]}}]}',
    b'{"choices":[{"message":"x"},7]}',
    b'{"type":"message_start","message":{"usage":{"input_tokens":3}}}',
    b'{"candidates":[{"content":7}],"usageMetadata":{"promptTokenCount":"x"}}',
)
BODIES = st.binary(max_size=200) | st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(b"".join)


@given(st.sampled_from(PATHS), BODIES, st.integers(0, 200), st.sampled_from([200, 400]))
def test_no_bytes_make_a_dialect_raise_and_any_split_gives_the_same(path, body, cut, status):
    head = RequestHead(provider="any", method="POST", target=path)
    found = find(head)
    assert found is not None
    dialect, _ = found
    dialect.read_request(head, body)
    reply_head = ReplyHead(status=status, request=head, request_facts=RequestFacts())
    whole, split, gapped = (dialect.reply_reader(reply_head) for _ in range(3))
    whole.feed(body)
    split.feed(body[:cut])
    split.feed(body[cut:])
    gapped.feed(body[:cut])
    gapped.gap()
    gapped.feed(body[cut:])
    first, second = whole.finish(), split.finish()
    assert first.usage == second.usage
    assert first.parse_error == second.parse_error
    for facts in (first, second, gapped.finish()):
        assert not (facts.parse_error or "").startswith("reader failed")
        if facts.text:
            facts.text()
