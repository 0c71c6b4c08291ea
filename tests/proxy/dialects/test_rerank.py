"""Reranking, as several providers offer it."""


def test_a_request_counts_its_documents(reading):
    rerank = reading("/v2/rerank", "cohere")
    facts = rerank.request({"model": "r", "query": "q", "documents": ["a", {"text": "b"}]})
    assert (rerank.operation, facts.model, facts.message_count) == ("rerank", "r", 2)
    assert facts.prompt_text() == "q\na\nb"


def test_search_units_are_no_tokens(reading):
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    facts = reading("/v2/rerank", "cohere").reply({"id": "a", "results": [], "meta": meta})
    assert (facts.usage.input_tokens, facts.usage.web_searches) == (None, None)
    assert facts.usage.units == {"search_units": 1}
    assert facts.usage.raw == {"billed_units": {"search_units": 1}}


def test_tokens_are_input(reading):
    answer = {"model": "r-dated", "data": [], "usage": {"total_tokens": 43}}
    facts = reading("/v1/rerank", "voyage").reply(answer)
    assert (facts.model, facts.usage.input_tokens, facts.usage.output_tokens) == (
        "r-dated",
        43,
        None,
    )


def test_errors_are_read(reading):
    facts = reading("/v1/rerank").reply({"detail": "no such model"}, status=400)
    assert facts.error_message == "no such model"
    assert reading("/v1/rerank").reply(b"busy", status=503).error_message == "busy"
    assert reading("/v1/rerank").pieces(b"<html>").parse_error == "no JSON"
    assert reading("/v1/rerank").pieces(b"").usage is None
