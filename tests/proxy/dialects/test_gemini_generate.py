"""Gemini: what it counts, what it calls, and which counts of a stream are final."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.gemini_generate import DIALECT
from proxy.facts import ReplyHead, RequestFacts, RequestHead

GENERATE = "/v1beta/models/gemini-2.5-test:generateContent"
STREAM = "/v1beta/models/gemini-2.5-test:streamGenerateContent?alt=sse"
EMBED = "/v1beta/models/embedder:batchEmbedContents"
USAGE = {"promptTokenCount": 20, "candidatesTokenCount": 7, "totalTokenCount": 27}


def candidate(*parts, reason="STOP", index=0, **others):
    content = {"role": "model", "parts": list(parts)}
    return {"content": content, "finishReason": reason, "index": index} | others


def answer(*candidates, usage=USAGE, **others):
    chosen = list(candidates or [candidate({"text": "Yes."})])
    chunk = {"candidates": chosen, "usageMetadata": usage, "modelVersion": "gemini-2.5-test"}
    return chunk | {"responseId": "r1"} | others


def midway(text, **usage):
    chunk = answer(candidate({"text": text}), usage={"promptTokenCount": 20} | usage)
    del chunk["candidates"][0]["finishReason"]
    return chunk


def listed(*chunks):
    return b"[" + b"\n,\r\n".join(json.dumps(chunk, indent=2).encode() for chunk in chunks) + b"]"


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        (GENERATE, "generate_content"),
        (STREAM, "generate_content"),
        ("/v1beta/models/m%3AgenerateContent", "generate_content"),
        ("/v1beta/tunedModels/mine:generateContent", "generate_content"),
        ("/v1/p/l/publishers/google/models/m:streamGenerateContent", "generate_content"),
        ("/v1internal:generateContent", "generate_content"),
        ("/v1beta/models/m:countTokens", "count_tokens"),
        ("/v1beta/models/m:embedContent", "embeddings"),
        (EMBED, "embeddings"),
        ("/v1beta/cachedContents", "cached_contents"),
        ("/v1/p/l/publishers/google/models/m:predict", None),
        ("/v1/p/l/publishers/anthropic/models/m:rawPredict", None),
    ],
)
def test_requests_are_claimed_by_their_path(path, operation):
    assert DIALECT.operation(RequestHead(provider="p", method="POST", target=path)) == operation
    assert DIALECT.operation(RequestHead(provider="p", method="DELETE", target=path)) is None


@pytest.mark.parametrize(
    ("path", "model", "streams"),
    [
        (GENERATE, "gemini-2.5-test", False),
        (STREAM, "gemini-2.5-test", True),
        ("/v1beta/models/a%2Fb:generateContent?key=k", "a/b", False),
        ("/v1beta/cachedContents", "from-body", False),
    ],
)
def test_model_and_stream_are_in_the_path(reading, path, model, streams):
    facts = reading(path).request({"model": "models/from-body", "contents": []})
    assert (facts.model, facts.stream, facts.parse_error) == (model, streams, None)


def test_a_request_says_contents_and_labels_in_either_spelling(reading):
    body = {"contents": [{}, {}], "labels": {"team": "search"}, "service_tier": "flex"}
    facts = reading(GENERATE).request(body)
    assert (facts.message_count, facts.service_tier) == (2, "flex")
    assert facts.labels == {"tags.team": "search"}


def test_the_fingerprint_knows_instructions_and_tools_only(reading):
    system = {"parts": [{"text": "Be brief."}]}
    read = reading(GENERATE).request
    same = read({"systemInstruction": system, "contents": [1]}).prompt_fingerprint
    assert same
    assert read({"system_instruction": system, "contents": []}).prompt_fingerprint == same
    assert read({"contents": []}).prompt_fingerprint is None


def test_the_prompt_text_has_all_words_and_no_data(reading):
    parts = [{"text": "first"}, {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}]
    text = reading(GENERATE).request({"contents": [{"role": "user", "parts": parts}]}).prompt_text
    assert text
    assert text() == "first"


def test_tool_results_are_input_and_thoughts_are_output(reading):
    usage = USAGE | {"toolUsePromptTokenCount": 5, "thoughtsTokenCount": 3}
    usage |= {"cachedContentTokenCount": 16, "serviceTier": "STANDARD"}
    facts = reading(GENERATE).reply(answer(usage=usage))
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (25, 10)
    assert (facts.usage.cache_read_tokens, facts.usage.reasoning_tokens) == (16, 3)
    assert facts.usage.cache_write_tokens is None
    assert (facts.model, facts.response_id, facts.service_tier) == (
        "gemini-2.5-test",
        "r1",
        "standard",
    )
    assert (facts.finish_reasons, facts.tool_call_count) == (("STOP",), 0)
    assert facts.text() == "Yes."


def test_the_total_tells_of_candidates_that_are_not_counted(reading):
    read = reading(GENERATE).reply
    thinking = {"promptTokenCount": 15, "thoughtsTokenCount": 40, "totalTokenCount": 55}
    assert read(answer(usage=thinking)).usage.output_tokens == 40
    uncounted = {"promptTokenCount": 15, "totalTokenCount": 22}
    assert read(answer(usage=uncounted)).usage.output_tokens == 7
    assert read(answer(usage={"promptTokenCount": 15})).usage.output_tokens is None


def test_sound_and_pictures_are_told_apart(reading):
    usage = USAGE | {
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 4},
            {"modality": "AUDIO", "tokenCount": 9},
            {"modality": 2, "tokenCount": 7},
        ],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 5}],
    }
    found = reading(GENERATE).reply(answer(usage=usage)).usage
    assert (found.audio_input_tokens, found.image_input_tokens) == (9, 7)
    assert (found.cached_audio_input_tokens, found.image_output_tokens) == (6, 5)
    assert found.audio_output_tokens is None


def test_enums_may_be_integers(reading):
    facts = reading(GENERATE).reply(answer(candidate(reason=1), usage=USAGE | {"trafficType": 1}))
    assert (facts.finish_reasons, facts.service_tier) == (("STOP",), "ON_DEMAND")
    assert reading(GENERATE).reply(answer(candidate(reason=9))).finish_reasons == ("9",)


def test_vertex_tells_the_tier_by_the_traffic(reading):
    usage = USAGE | {"trafficType": "ON_DEMAND_PRIORITY"}
    assert reading(GENERATE).reply(answer(usage=usage)).service_tier == "priority"


def test_names_may_be_in_snake_case(reading, stream):
    usage = {"prompt_token_count": 20, "candidates_token_count": 7}
    call = {"function_call": {"name": "look", "args": {}}}
    chunk = {"candidates": [{"content": {"parts": [call]}, "finish_reason": "STOP"}]}
    chunk |= {"usage_metadata": usage, "model_version": "m"}
    for body in (chunk, stream(chunk, done=False), listed(chunk)):
        facts = reading(STREAM).reply(body)
        assert (facts.usage.input_tokens, facts.usage.output_tokens) == (20, 7)
        assert (facts.model, facts.tool_names) == ("m", ("look",))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_last_chunk_of_a_stream_counts(reading, stream, end):
    chunks = [midway("A", candidatesTokenCount=90), midway("b"), midway("c"), midway("d")]
    body = stream(*chunks, answer(candidate({"text": "e"})), end=end, done=False)
    facts = reading(STREAM).reply(body)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (20, 7)
    assert (facts.finish_reasons, facts.tool_call_count) == (("STOP",), 0)
    assert (facts.text(), facts.parse_error) == ("Abcde", None)


def test_a_stream_without_sse_is_an_array(reading):
    body = listed(midway("A"), midway("b"), answer(candidate({"text": "c"})))
    facts = reading(STREAM).reply(body)
    assert (facts.usage.output_tokens, facts.text(), facts.parse_error) == (7, "Abc", None)


@pytest.mark.parametrize("framed", ["sse", "array"])
def test_counts_of_a_stream_that_was_cut_are_not_final(reading, stream, framed):
    chunks = [midway("A", candidatesTokenCount=2), midway("b", candidatesTokenCount=4)]
    body = stream(*chunks, done=False) if framed == "sse" else listed(*chunks, answer())[:-30]
    facts = reading(STREAM).reply(body)
    assert (facts.usage, facts.finish_reasons, facts.tool_call_count) == (None, None, None)
    assert (facts.model, facts.parse_error) == ("gemini-2.5-test", None)
    assert facts.text() == "Ab"


def test_calls_are_counted_once_even_where_their_arguments_come_in_pieces(reading, stream):
    first = midway("")
    first["candidates"][0]["content"]["parts"] = [
        {"functionCall": {"name": "look", "willContinue": True}}
    ]
    second = midway("")
    second["candidates"][0]["content"]["parts"] = [{"functionCall": {"partialArgs": []}}]
    body = stream(midway("x"), first, second, midway("y"), midway("z"), answer(), done=False)
    facts = reading(STREAM).reply(body)
    assert (facts.tool_names, facts.tool_call_count) == (("look",), 1)


def test_code_that_the_provider_ran_is_no_call(reading):
    parts = [{"executableCode": {"code": "1+1"}}, {"codeExecutionResult": {"output": "2"}}]
    facts = reading(GENERATE).reply(answer(candidate(*parts)))
    assert (facts.tool_call_count, facts.text()) == (0, "1+1")


def test_each_candidate_has_its_reason_in_order(reading, stream):
    second = answer(candidate({"text": "b"}, reason="MAX_TOKENS", index=1))
    first = answer(candidate({"text": "a"}, reason="STOP", index=0))
    facts = reading(STREAM).reply(stream(second, first, done=False))
    assert facts.finish_reasons == ("STOP", "MAX_TOKENS")


def test_one_finished_candidate_of_two_ends_no_stream(reading, stream):
    other = midway("b")
    other["candidates"][0]["index"] = 1
    padding = [midway("x")] * 3
    body = stream(midway("a"), other, *padding, answer(), done=False)
    assert reading(STREAM).reply(body).usage is None


def test_a_blocked_prompt_says_why_and_counts_nothing(reading):
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "m"}
    facts = reading(GENERATE).reply(body | {"usageMetadata": {"trafficType": "ON_DEMAND"}})
    assert (facts.finish_reasons, facts.usage, facts.error_type) == (("SAFETY",), None, None)


@pytest.mark.parametrize(("model", "billed"), [("gemini-2.5-x", 1), ("gemini-3-x", 2)])
def test_searches_are_billed_by_prompt_or_by_unique_query(reading, model, billed):
    queries = {"webSearchQueries": ["", "rain today", "rain today", "sun"]}
    body = answer(candidate(groundingMetadata=queries), modelVersion=model)
    assert reading(GENERATE).reply(body).usage.web_searches == billed
    assert reading(GENERATE).reply(answer()).usage.web_searches is None


@pytest.mark.parametrize(
    ("body", "error_type", "message"),
    [
        ({"error": {"code": 400, "status": "BAD", "message": "No."}}, "BAD", "No."),
        ([{"error": {"code": 404, "status": "GONE", "message": "m"}}], "GONE", "m"),
        (b"try later", None, "try later"),
        (b'data: {"error": {"code": 503, "message": "m"}}\r\n\r\n', "503", "m"),
        (b"", None, None),
    ],
)
def test_refusals_are_read_in_every_shape(reading, body, error_type, message):
    facts = reading(STREAM).reply(body, status=503)
    assert (facts.error_type, facts.error_message) == (error_type, message)
    assert (facts.usage, facts.tool_call_count, facts.parse_error) == (None, None, None)


def test_an_error_may_end_a_stream_that_began_well(reading, stream):
    error = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}
    for body in (stream(midway("A"), error, done=False), listed(midway("A"), error)):
        facts = reading(STREAM).reply(body)
        assert (facts.error_type, facts.usage, facts.tool_call_count) == ("UNAVAILABLE", None, None)


def test_an_embedding_has_input_only(reading):
    body = {"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 4}}
    usage = reading(EMBED).reply(body).usage
    assert (usage.input_tokens, usage.output_tokens) == (4, None)
    assert reading(EMBED).reply({"embeddings": []}).usage is None


def test_counting_tokens_and_storing_content_use_nothing_that_is_known(reading):
    assert reading("/v1beta/models/m:countTokens").reply({"totalTokens": 9}).usage is None
    body = {"name": "cachedContents/c", "usageMetadata": {"totalTokenCount": 3000}}
    assert reading("/v1beta/cachedContents").reply(body).usage is None


def test_code_assistants_wrap_request_and_answer(reading, stream):
    path = reading("/v1internal:streamGenerateContent?alt=sse")
    facts = path.request({"model": "gemini-x", "request": {"contents": [{}]}})
    assert (facts.model, facts.stream, facts.message_count) == ("gemini-x", True, 1)
    assert path.reply(stream({"response": answer()}, done=False)).usage.output_tokens == 7


@pytest.mark.parametrize("framed", ["sse", "array"])
def test_behind_a_gap_a_stream_still_tells_its_usage_but_not_its_calls(reading, stream, framed):
    chunks = [*[midway("x" * 50)] * 9, answer()]
    body = stream(*chunks, done=False) if framed == "sse" else listed(*chunks)
    facts = reading(STREAM).pieces(body[:700], None, body[-600:])
    assert (facts.usage.output_tokens, facts.finish_reasons) == (7, ("STOP",))
    assert (facts.tool_call_count, facts.parse_error) == (None, None)


def test_behind_a_gap_a_whole_answer_still_tells_its_usage(reading):
    body = json.dumps(answer(candidate({"text": "x" * 900}))).encode()
    facts = reading(GENERATE).pieces(body[:300], None, body[-200:])
    assert (facts.model, facts.usage.output_tokens) == ("gemini-2.5-test", 7)
    assert facts.parse_error
    assert facts.tool_call_count is None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([b"[", b"{", b"data: {"]) | st.none()),
    st.sampled_from([200, 500]),
    st.sampled_from([GENERATE, STREAM, EMBED]),
)
def test_no_bytes_make_it_raise(pieces, status, path):
    head = RequestHead(provider="p", method="POST", target=path)
    reader = DIALECT.reply_reader(
        ReplyHead(status=status, request=head, request_facts=RequestFacts())
    )
    for piece in pieces:
        reader.gap() if piece is None else reader.feed(piece)
    facts = reader.finish()
    assert facts.usage is None
    assert "reader failed" not in (facts.parse_error or "")
    for piece in pieces:
        DIALECT.read_request(head, piece or b"")
