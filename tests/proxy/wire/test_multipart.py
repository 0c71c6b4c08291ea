"""The text fields of forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.facts import RequestHead
from proxy.wire.multipart import form_fields, read_members

KIND = "multipart/form-data; boundary=edge"
SOUND = b"RIFF\x00--edge\r\nnot a boundary\xff\x00" * 50


def form(*parts, boundary=b"edge", end=b"\r\n"):
    lines = b""
    for part in parts:
        name, value, *others = part
        lines += b"--" + boundary + end + b'Content-Disposition: form-data; name="' + name + b'"'
        lines += b"".join(others) + end + end + value + end
    return lines + b"--" + boundary + b"--" + end


FORM = form(
    (b"file", SOUND, b'; filename="a.wav"', b"\r\nContent-Type: audio/wav"),
    (b"model", b"ear-1"),
    (b"stream", b"true"),
    (b"model", b"ear-2"),
    (b"prompt", b"two\r\nlines"),
)


def head(kind):
    headers = {"content-type": kind} if kind else {}
    return RequestHead(provider="any", method="POST", target="/", headers=headers)


def test_text_fields_are_read_and_files_passed_over():
    fields, error = form_fields(FORM, KIND)
    assert fields == {"model": "ear-1", "stream": "true", "prompt": "two\r\nlines"}
    assert error is None


@pytest.mark.parametrize(
    "kind",
    [
        'multipart/form-data; boundary="edge"',
        "multipart/form-data;boundary=edge; charset=utf-8",
        "Multipart/Form-Data; Boundary=edge",
        "multipart/form-data",
        "",
    ],
)
def test_the_boundary_is_quoted_or_not_or_the_first_line(kind):
    members, error = read_members(head(kind), FORM)
    assert (members["model"], members["stream"], error) == ("ear-1", True, None)


def test_bare_line_feeds_do():
    body = form((b"model", b"ear-1"), (b"user", b"ana"), end=b"\n")
    assert form_fields(body, KIND) == ({"model": "ear-1", "user": "ana"}, None)


def test_a_cut_form_gives_whole_fields_only():
    for cut in range(1, len(FORM.rstrip())):
        fields, error = form_fields(FORM[:cut], KIND)
        assert error
        assert fields.get("model", "ear-1") == "ear-1"
        assert fields.get("prompt", "two\r\nlines") == "two\r\nlines"


def test_a_form_without_a_boundary_is_no_form():
    assert form_fields(b"model=ear-1", "multipart/form-data")[1]


def test_long_values_and_parts_without_a_name_are_passed_over():
    body = form((b"text", b"x" * 100_000), (b"model", b"ear-1"))
    assert form_fields(b"--edge\r\n\r\nnothing\r\n" + body, KIND)[0] == {"model": "ear-1"}


def test_urlencoded_forms_are_read():
    kind = "application/x-www-form-urlencoded"
    members, error = read_members(head(kind), b"model=ear%201&stream=false&model=b")
    assert (members, error) == ({"model": "ear 1", "stream": False}, None)
    assert read_members(head(kind), b"&".join([b"a=1"] * 999))[1]
    assert read_members(head(kind), b'{"model": "m"}')[0] == {"model": "m"}


def test_json_is_read_as_json():
    assert read_members(head("application/json"), b'{"model": "m"}') == ({"model": "m"}, None)


@given(st.binary(max_size=300), st.sampled_from([KIND, "multipart/form-data", ""]))
def test_no_bytes_make_it_raise(body, kind):
    read_members(head(kind), b"--edge\r\n" + body)
