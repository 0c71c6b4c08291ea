"""No bytes make the readers of native formats raise, and any split gives the same."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects import DIALECTS, find
from proxy.facts import ReplyHead, RequestFacts, RequestHead
from tests.support.event_messages import chunks, events, exception

PATHS = (
    "/model/m/converse",
    "/model/m/converse-stream",
    "/model/m/count-tokens",
    "/model/m/invoke",
    "/model/m/invoke-with-response-stream",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/v1/chat",
    "/v2/chat",
    "/v2/embed",
    "/v1/rerank",
    "/ml/v1/text/generation_stream",
    "/v1/predictions",
    "/publishers/google/models/text-embedding-x:predict",
    "/publishers/mistralai/models/m:rawPredict",
)
MEMBERS = (
    *("usage", "output", "message", "content", "stopReason", "choices", "results", "generations"),
    *("tool_calls", "toolUse", "delta", "start", "type", "event_type", "response", "metrics"),
    *("completion", "stop_reason", "metadata", "contentBlockStart", "messageStop", "error", "done"),
    *("predictions", "embeddings", "statistics", "meta", "billed_units", "bytes", "model", "index"),
)
VALUES = st.recursive(
    st.none() | st.integers(-2, 9) | st.sampled_from(["message-end", "message_start", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=4)
EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "messageStop", "metadata")


def _lines(values):
    return b"\n".join(map(orjson.dumps, values))


BODIES = (
    st.binary(max_size=120)
    | st.lists(OBJECTS, max_size=4).map(_lines)
    | st.lists(OBJECTS, max_size=4).map(lambda values: chunks(*values))
    | st.lists(st.tuples(st.sampled_from(EVENTS), VALUES), max_size=4).map(lambda e: events(*e))
    | st.text(max_size=9).map(lambda words: events(("metadata", {})) + exception("e", words))
)


def test_each_path_is_claimed_by_one_dialect_alone():
    for path in PATHS:
        head = RequestHead(provider="any", method="POST", target="/a/prefix" + path)
        claims = [dialect.name for dialect in DIALECTS if dialect.operation(head)]
        assert len(claims) == 1, (path, claims)
        head = RequestHead(provider="any", method="GET", target=path)
        assert not any(dialect.operation(head) for dialect in DIALECTS), path


@given(st.sampled_from(PATHS), BODIES, st.integers(0, 300), st.sampled_from([200, 400]))
def test_no_bytes_make_a_dialect_raise_and_any_split_gives_the_same(path, body, cut, status):
    head = RequestHead(provider="any", method="POST", target=path)
    found = find(head)
    assert found is not None
    dialect, _ = found
    asked = dialect.read_request(head, body)
    if asked.prompt_text:
        asked.prompt_text()
    reply_head = ReplyHead(status=status, request=head, request_facts=RequestFacts())
    whole, split, gapped = (dialect.reply_reader(reply_head) for _ in range(3))
    whole.feed(body)
    for piece in (body[:cut], body[cut:]):
        split.feed(piece)
    gapped.feed(body[:cut])
    gapped.gap()
    gapped.feed(body[cut + 5 :])
    first, second = whole.finish(), split.finish()
    assert first.usage == second.usage
    assert first.parse_error == second.parse_error
    for facts in (first, second, gapped.finish()):
        assert not (facts.parse_error or "").startswith("reader failed"), facts.parse_error
        if facts.text:
            facts.text()
