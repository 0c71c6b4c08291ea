"""Ollama's own API: one object, or one a line."""

import json

import pytest

CHAT, GENERATE, EMBED = "/api/chat", "/api/generate", "/api/embed"
END = {"done": True, "done_reason": "stop", "prompt_eval_count": 17, "eval_count": 6}


def lines(*values, end=b"\n"):
    return b"".join(json.dumps(v, separators=(",", ":")).encode() + end for v in values)


def said(text, **others):
    return {"model": "m", "message": {"role": "assistant", "content": text}, **others}


@pytest.mark.parametrize(
    ("body", "stream"),
    [({"model": "m"}, True), ({"model": "m", "stream": False}, False), (b'{"model":"m","s', None)],
)
def test_answers_are_streamed_unless_the_request_says_otherwise(reading, body, stream):
    facts = reading(CHAT, "ollama").request(body)
    assert (facts.model, facts.stream) == ("m", stream)


def test_a_request_is_read(reading):
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]
    facts = reading(CHAT, "ollama").request({"model": "m", "messages": messages})
    assert (facts.message_count, facts.prompt_text()) == (2, "s\nhi")
    same = reading(GENERATE, "ollama").request({"model": "m", "system": "s", "prompt": "hi"})
    assert (same.message_count, same.prompt_text()) == (1, "s\nhi")
    assert facts.prompt_fingerprint
    assert same.prompt_fingerprint


def test_a_whole_answer_is_read(reading):
    call = {"function": {"name": "weather", "arguments": {"city": "Ulm"}}}
    message = {"content": "yes", "thinking": "hm ", "tool_calls": [call]}
    facts = reading(CHAT, "ollama").reply({"model": "m", "message": message, **END})
    assert (facts.model, facts.finish_reasons) == ("m", ("stop",))
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (17, 6)
    assert (facts.tool_names, facts.tool_call_count) == (("weather",), 1)
    assert facts.text().startswith("hm yes")


def test_a_stream_is_read(reading):
    call = {"function": {"name": "weather"}}
    body = lines(
        said("ye"),
        said("s"),
        {"model": "m", "message": {"content": "", "tool_calls": [call]}, "done": False},
        said("!"),
        said("", **END),
    )
    facts = reading(CHAT, "ollama").reply(body)
    assert (facts.model, facts.finish_reasons, facts.text()[:3]) == ("m", ("stop",), "yes")
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (17, 6)
    assert (facts.tool_names, facts.tool_call_count, facts.parse_error) == (("weather",), 1, None)


def test_a_prompt_that_was_not_evaluated_again_is_not_counted(reading):
    end = {name: value for name, value in END.items() if name != "prompt_eval_count"}
    facts = reading(GENERATE, "ollama").reply({"model": "m", "response": "yes", **end})
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (None, 6)
    assert (facts.text(), facts.tool_call_count) == ("yes", 0)


def test_a_cut_stream_has_no_usage(reading):
    body = lines(said("ye"), said("s"), said("", **END))
    facts = reading(CHAT, "ollama").pieces(body[: len(body) // 2])
    assert (facts.model, facts.usage, facts.tool_call_count) == ("m", None, None)
    assert facts.parse_error is None


def test_counts_behind_a_gap_in_the_last_line_are_read(reading):
    last = {"model": "m", "done": True, "done_reason": "stop", "context": list(range(99)), **END}
    body = lines({"model": "m", "response": "yes"}, last)
    facts = reading(GENERATE, "ollama").pieces(body[:150], None, body[250:])
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (17, 6)
    assert facts.tool_call_count is None


def test_embeddings_have_input_only(reading):
    facts = reading(EMBED, "ollama").request({"model": "e", "input": ["a", "b"]})
    assert (facts.stream, facts.message_count) == (False, 2)
    answer = {"model": "e", "embeddings": [[0.5]], "prompt_eval_count": 4}
    facts = reading(EMBED, "ollama").reply(answer)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (4, None)
    assert (facts.text, facts.tool_call_count) == (None, None)


def test_the_older_embeddings_are_claimed_too(reading):
    older = reading("/api/embeddings", "ollama")
    assert (older.dialect.name, older.operation) == ("ollama", "embeddings")
    assert older.reply({"embedding": [0.5]}).usage is None
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    assert older.reply({"data": [], "usage": usage}).usage.input_tokens == 5


def test_errors_are_read(reading):
    facts = reading(CHAT, "ollama").reply({"error": "no such model"}, status=404)
    assert (facts.error_type, facts.error_message) == (None, "no such model")
    facts = reading(CHAT, "ollama").reply(lines(said("ye"), {"error": "it broke"}))
    assert (facts.error_type, facts.error_message) == ("error", "it broke")
    assert reading(CHAT, "ollama").reply(b"busy", status=503).error_message == "busy"
    assert reading(CHAT, "ollama").pieces(b"<html>").parse_error == "no JSON"


def test_a_cut_document_is_said(reading):
    body = json.dumps({"model": "m", "message": {"content": "yes"}, **END}).encode()
    facts = reading(CHAT, "ollama").pieces(body[:-20])
    assert (facts.model, facts.parse_error) == ("m", "incomplete JSON")
