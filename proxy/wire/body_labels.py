"""Labels that a request's body carries.

Owns the body fields that name a user, a session or a tag, and their precedence among themselves.
Refuses to weigh them against headers or the path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COLUMNS = {
    "feature": "feature",
    "user": "user_id",
    "user_id": "user_id",
    "userid": "user_id",
    "end_user_id": "user_id",
    "session": "session_id",
    "session_id": "session_id",
    "sessionid": "session_id",
    "conversation_id": "session_id",
    "thread_id": "session_id",
    "environment": "environment",
    "env": "environment",
}
_MEMBERS = ("user", "safety_identifier", "session_id", "metadata", "prompt_cache_key")
_LONGEST = 500


def body_labels(body: Mapping[str, Any]) -> dict[str, str]:
    """Labels by column name or `tags.NAME`: `user`, `safety_identifier`, `session_id`, then
    `metadata`, then `prompt_cache_key`."""
    found: dict[str, str] = {}
    if body.keys().isdisjoint(_MEMBERS):
        return found
    _keep(found, "user_id", body.get("user"))
    _keep(found, "user_id", body.get("safety_identifier"))
    _keep(found, "session_id", body.get("session_id"))
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        for name, value in metadata.items():
            _keep(found, _COLUMNS.get(name.lower().replace("-", "_"), f"tags.{name}"), value)
    _keep(found, "session_id", body.get("prompt_cache_key"))
    return found


def tags(labels: Any) -> dict[str, str]:
    """The labels of Google's requests, as `tags.NAME`."""
    named = labels.items() if isinstance(labels, dict) else ()
    return {f"tags.{name}": value for name, value in named if isinstance(value, str)}


def _keep(found: dict[str, str], column: str, value: Any) -> None:
    if isinstance(value, str) and value:
        found.setdefault(column, value[:_LONGEST])
