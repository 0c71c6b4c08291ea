from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routes import NoRoute, has_dot_segments, match, path_labels

PROVIDERS = frozenset({"openai", "anthropic", "gemini", "mine"})


@pytest.mark.parametrize(
    ("target", "provider", "rest"),
    [
        ("/openai/v1/models?a=b", "openai", "/v1/models?a=b"),
        ("/openai", "openai", "/"),
        ("/openai?a=b", "openai", "/?a=b"),
        ("/openai//x", "openai", "//x"),
        ("/mine/v1/a%2Fb%3A0?", "mine", "/v1/a%2Fb%3A0?"),
        ("/v1/models", "openai", "/v1/models"),
        ("/v1", "openai", "/v1"),
        ("/v1beta/models/m:generateContent", "gemini", "/v1beta/models/m:generateContent"),
        ("/openai/anthropic/v1", "openai", "/anthropic/v1"),
    ],
)
def test_the_first_segment_names_the_provider(target: str, provider: str, rest: str) -> None:
    route = match(target, PROVIDERS)
    assert (route.provider, route.target, route.labels) == (provider, rest, {})


def test_labels_in_the_path_are_taken_out_of_it() -> None:
    route = match("/with/feature=a%20b,user=%C3%A4/v1/x?y", PROVIDERS, "anthropic")
    assert (route.provider, route.target) == ("anthropic", "/v1/x?y")
    assert route.labels == {"feature": "a b", "user": "ä"}


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("a=1,b=2", {"a": "1", "b": "2"}),
        ("a=1=2", {"a": "1=2"}),
        ("a=%2C%3D", {"a": ",="}),
        ("a=,=b,,c", {}),
        ("", {}),
    ],
)
def test_path_labels_are_pairs(given_text: str, expected: dict[str, str]) -> None:
    assert path_labels(given_text) == expected


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://evil.test/openai/v1", 400),
        ("*", 400),
        ("", 400),
        ("/", 404),
        ("//openai/v1", 404),
        ("/OpenAI/v1", 404),
        ("/openai%2Fv1", 404),
        ("/with/a=b", 404),
        ("/with/", 404),
        ("/v2/x", 404),
    ],
)
def test_what_leads_nowhere_is_told(target: str, status: int) -> None:
    with pytest.raises(NoRoute) as error:
        match(target, PROVIDERS)
    assert error.value.status == status


@given(rest=st.text(alphabet=st.characters(exclude_characters="\r\n"), max_size=40))
def test_what_follows_the_provider_is_never_changed(rest: str) -> None:
    assert match(f"/openai/{rest}", PROVIDERS).target == f"/{rest}"


@pytest.mark.parametrize(
    "target", ["/..", "/a/../b", "/%2e%2e/x", "/%2E.", "/..%2fx", "/..%5Cx", "/a\\..\\b", "/../?q"]
)
def test_a_path_that_climbs_is_seen(target: str) -> None:
    assert has_dot_segments(target)


@pytest.mark.parametrize("target", ["/a..b", "/...", "/a/.b", "/x?../..", "/%252e%252e/x"])
def test_a_path_that_does_not_climb_is_not(target: str) -> None:
    assert not has_dot_segments(target)
