"""Chat completions at addresses of other providers' making."""

import pytest

VERTEX = "/v1/projects/p/locations/l/publishers/mistralai/models/mistral-x:"
ANSWER = {
    "id": "c-1",
    "model": "m-dated",
    "choices": [{"index": 0, "message": {"content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
}


@pytest.mark.parametrize(
    ("path", "provider", "body", "model", "stream"),
    [
        (VERTEX + "rawPredict", "vertex", {"model": "m"}, "mistral-x", False),
        (VERTEX + "rawPredict", "vertex", {"model": "m", "stream": True}, "mistral-x", True),
        (VERTEX + "streamRawPredict", "vertex", {"model": "m"}, "mistral-x", True),
        ("/v1/chat", "api-writer-com", {"model": "p", "stream": True}, "p", True),
        ("/ml/v1/text/chat?version=1", "watsonx", {"model_id": "ibm/g"}, "ibm/g", False),
        ("/ml/v1/deployments/d/text/chat_stream", "watsonx", {}, None, True),
    ],
)
def test_requests_are_read(reading, path, provider, body, model, stream):
    chat = reading(path, provider)
    facts = chat.request(body | {"messages": [{"role": "user", "content": "hi"}]})
    assert (chat.dialect.name, chat.operation) == ("chat_elsewhere", "chat")
    assert (facts.model, facts.stream, facts.message_count) == (model, stream, 1)


def test_answers_are_read(reading):
    facts = reading(VERTEX + "rawPredict", "vertex").reply(ANSWER)
    assert (facts.model, facts.finish_reasons) == ("m-dated", ("stop",))
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (5, 3)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat", "cohere_chat"),
        (VERTEX.replace("mistralai", "anthropic") + "rawPredict", "anthropic_messages"),
    ],
)
def test_others_keep_theirs(reading, path, name):
    assert reading(path, "vertex").dialect.name == name
