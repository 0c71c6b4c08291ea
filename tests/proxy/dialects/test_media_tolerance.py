"""Whatever bytes come, forms, results files and sessions are read without raising."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects import find
from proxy.facts import ReplyHead, RequestFacts, RequestHead
from tests.support.websocket_traffic import Direction

REQUESTS = (
    ("POST", "/v1/images/edits", 200),
    ("POST", "/v1/audio/transcriptions", 200),
    ("POST", "/v1/audio/speech", 200),
    ("POST", "/v1/moderations", 200),
    ("GET", "/v1/files/f/content", 200),
    ("GET", "/v1/batches/b", 200),
    ("GET", "/v1/messages/batches/b/results", 200),
    ("GET", "/v1/realtime?model=m", 101),
    ("GET", "/v1/responses", 101),
)
FRAGMENTS = (
    *(b"data: ", b"\n", b"\n\n", b"{", b"}", b"null", b"--e\r\n", b"\r\n--e--", b"1e999"),
    b'Content-Disposition: form-data; name="model"\r\n\r\nm',
    b'{"usage": {"input_tokens": 3, "output_tokens": "x"}}',
    b'{"usage": [], "svg_usage": {"model": 7}, "error": {"code": []}}',
    b'{"custom_id": 1, "response": {"body": {"model": [], "usage": {"input_tokens": 3}}}}',
    b'{"custom_id": 1, "result": {"message": {"usage": {"iterations": [1]}}}}',
    b'{"object": "batch", "status": "completed", "usage": {"input_tokens": 1}}',
    b'{"type": "response.done", "response": {"output": [1], "usage": 7, "status_details": []}}',
    b'{"type": "session.created", "session": {"audio": [], "model": {}}}',
    b'{"type": "response.completed", "response": {"output": 1, "usage": {"input_tokens": 1}}}',
    b'{"type": "session.update", "session": 7}',
)
PIECES = st.lists(st.sampled_from(FRAGMENTS), max_size=12)
BODIES = (
    st.binary(max_size=200) | PIECES.map(b"".join) | PIECES.map(lambda p: Direction().stream(p))
)


@given(st.sampled_from(REQUESTS), BODIES, st.integers(0, 300), st.booleans())
def test_no_bytes_make_a_dialect_raise_and_any_split_gives_the_same(request, body, cut, refused):
    method, target, status = request
    head = RequestHead(provider="any", method=method, target=target)
    dialect, _ = find(head)
    dialect.read_request(head, body)
    reply = ReplyHead(status=400 if refused else status, request=head, request_facts=RequestFacts())
    whole, split, gapped = (dialect.reply_reader(reply) for _ in range(3))
    whole.feed(body)
    split.feed(body[:cut])
    split.feed(body[cut:])
    gapped.feed(body[:cut])
    gapped.gap()
    gapped.feed(body[cut:])
    first, second = whole.finish(), split.finish()
    assert (first.usage, first.parse_error) == (second.usage, second.parse_error)
    for facts in (first, gapped.finish()):
        assert not (facts.parse_error or "").startswith("reader failed"), facts.parse_error
