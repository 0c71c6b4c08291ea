"""Vertex's predict for embedding models."""

from proxy.dialects import find
from proxy.facts import RequestHead

PATH = "/v1/projects/p/locations/l/publishers/google/models/text-embedding-x:predict"


def test_a_request_names_its_model_in_the_path(reading):
    body = {"instances": [{"content": "hi", "task_type": "RETRIEVAL_QUERY"}, {"content": "ho"}]}
    predict = reading(PATH, "vertex")
    facts = predict.request(body)
    assert (predict.operation, facts.model, facts.message_count) == (
        "embeddings",
        "text-embedding-x",
        2,
    )
    assert facts.prompt_text() == "hi\nho"


def test_tokens_of_all_instances_are_input(reading):
    def counted(tokens):
        return {"embeddings": {"values": [0.5], "statistics": {"token_count": tokens}}}

    facts = reading(PATH, "vertex").reply({"predictions": [counted(4), counted(3.0)]})
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (7, None)
    facts = reading(PATH, "vertex").reply({"predictions": [counted(4), {"embeddings": {}}]})
    assert facts.usage is None


def test_errors_are_read(reading):
    body = {"error": {"code": 404, "status": "NOT_FOUND", "message": "no such model"}}
    facts = reading(PATH, "vertex").reply(body, status=404)
    assert (facts.error_type, facts.error_message) == ("NOT_FOUND", "no such model")


def test_other_models_are_not_claimed():
    target = PATH.replace("text-embedding-x", "imagen-x")
    assert find(RequestHead(provider="vertex", method="POST", target=target)) is None
