"""Images: usage of newer models, whole and streamed."""

import pytest

IMAGES = "/v1/images/generations"
USAGE = {
    "input_tokens": 60,
    "input_tokens_details": {"text_tokens": 20, "image_tokens": 40},
    "output_tokens": 300,
    "total_tokens": 360,
}
PICTURE = "aGVsbG8=" * 20


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        (IMAGES, "image_generation"),
        ("/openai/deployments/d/images/edits", "image_edit"),
        ("/v1/images/variations", "image_variation"),
    ],
)
def test_each_path_has_its_operation(reading, path, operation):
    assert reading(path).operation == operation


def test_a_request_is_json_or_a_form(reading):
    asked = reading(IMAGES).request({"model": "i-1", "prompt": "a cat", "user": "ana"})
    assert (asked.model, asked.stream, asked.labels) == ("i-1", False, {"user_id": "ana"})
    form = b'--e\r\nContent-Disposition: form-data; name="model"\r\n\r\ni-1\r\n--e--\r\n'
    assert reading("/v1/images/edits").request(form).model == "i-1"
    assert reading("/openai/deployments/d/images/edits").request({}).model == "d"


def test_older_models_report_no_usage(reading):
    facts = reading(IMAGES).reply({"created": 1, "data": [{"url": "https://example.com/i"}]})
    assert (facts.usage, facts.error_type, facts.parse_error) == (None, None, None)


def test_the_output_is_image_unless_it_is_broken_down(reading):
    usage = reading(IMAGES).reply({"data": [{"b64_json": PICTURE}], "usage": USAGE}).usage
    assert (usage.input_tokens, usage.output_tokens) == (60, 300)
    assert (usage.image_input_tokens, usage.image_output_tokens) == (40, 300)
    parts = {**USAGE, "output_tokens_details": {"text_tokens": 50, "image_tokens": 250}}
    assert reading(IMAGES).reply({"usage": parts}).usage.image_output_tokens == 250


def test_a_stream_ends_with_its_usage(reading, stream):
    body = stream(
        ("image_generation.partial_image", {"b64_json": PICTURE}),
        ("image_generation.completed", {"b64_json": PICTURE, "usage": USAGE}),
        done=False,
    )
    facts = reading(IMAGES).reply(body)
    assert (facts.usage.output_tokens, facts.usage.image_output_tokens) == (300, 300)
    assert reading(IMAGES).pieces(body[:-30]).usage is None
    behind = reading(IMAGES).pieces(body[:40], None, body[-250:])
    assert behind.usage == facts.usage


def test_usage_of_several_images_is_not_guessed(reading, stream):
    last = {"type": "image_generation.completed", "usage": USAGE}
    facts = reading(IMAGES).pieces(stream(last, last))
    assert facts.usage is None
    assert facts.parse_error


def test_a_drawing_is_a_pass_of_its_own(reading):
    drawn = {"input_tokens": 5, "output_tokens": 7, "reasoning_tokens": 2, "total_tokens": 12}
    usage = reading(IMAGES).reply({"usage": USAGE, "svg_usage": {**drawn, "model": "s-1"}}).usage
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) == (65, 307, 2)
    (part,) = usage.passes
    assert (part.model, part.usage.output_tokens) == ("s-1", 7)


def test_errors_are_read(reading, stream):
    refused = reading(IMAGES).reply({"error": {"code": "bad_prompt", "message": "No."}}, status=400)
    assert (refused.error_type, refused.error_message) == ("bad_prompt", "No.")
    failed = reading(IMAGES).reply(stream({"type": "error", "error": {"message": "broke"}}))
    assert (failed.error_type, failed.error_message) == ("error", "broke")
