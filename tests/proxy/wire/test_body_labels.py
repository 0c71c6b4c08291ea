"""Labels in bodies, and which of two wins."""

from proxy.wire.body_labels import body_labels


def test_the_user_field_wins_over_all_others():
    body = {"user": "ana", "safety_identifier": "s", "metadata": {"user_id": "m"}}
    assert body_labels(body) == {"user_id": "ana"}


def test_metadata_fills_columns_and_tags():
    metadata = {"feature": "search", "Session-Id": "s1", "env": "staging", "team": "a", "n": 3}
    assert body_labels({"metadata": metadata}) == {
        "feature": "search",
        "session_id": "s1",
        "environment": "staging",
        "tags.team": "a",
    }


def test_a_cache_key_names_the_session_where_nothing_else_does():
    assert body_labels({"prompt_cache_key": "k"}) == {"session_id": "k"}
    assert body_labels({"prompt_cache_key": "k", "metadata": {"session": "s"}}) == {
        "session_id": "s"
    }


def test_what_is_no_text_is_no_label():
    assert body_labels({"user": 7, "metadata": ["x"], "safety_identifier": ""}) == {}
