"""The text fields of forms: multipart/form-data (RFC 7578) and urlencoded.

Owns finding the few short fields that say what is asked for, at memory speed and within bounds.
Refuses files: their bytes are passed over, never decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from proxy.facts import RequestHead
from proxy.wire.decode import starts_json
from proxy.wire.request_document import read_document

_LONGEST_HEADER = 4_096
_LONGEST_VALUE = 65_536
_MOST_FIELDS = 200
_MOST_PARTS = 1_000
_LONGEST_URLENCODED = 1 << 20
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE)
_NAME = re.compile(rb';\s*name=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)
_FILE_NAME = re.compile(rb";\s*filename\*?=", re.IGNORECASE)
_DISPOSITION = re.compile(rb"^content-disposition:[ \t]*form-data(.*)$", re.IGNORECASE | re.M)
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def read_members(head: RequestHead, body: bytes) -> tuple[dict[str, Any], str | None]:
    """The members of a body that is a form or JSON, and why they may not be all."""
    kind = head.headers.get("content-type", "")
    if "multipart/" in kind.lower() or (not kind and body.startswith(b"--")):
        return _typed(*form_fields(body, kind))
    if "urlencoded" in kind.lower() and not starts_json(body):
        return _typed(*_urlencoded(body))
    return read_document(body)


def form_fields(body: bytes, content_type: str) -> tuple[dict[str, str], str | None]:
    """The text fields by name, of repeated ones the first, and why they may not be all.

    Where the header names no boundary, the first line of the body is it.
    """
    if not body:
        return {}, None
    boundary = _boundary(body, content_type)
    if boundary is None:
        return {}, "request: form without a boundary"
    found: dict[str, str] = {}
    for part in _parts(body, boundary):
        field = _field(part)
        if field is not None and len(found) < _MOST_FIELDS:
            found.setdefault(*field)
    whole = body.rstrip().endswith(boundary + b"--")
    return found, None if whole else "request: the form is cut"


def _boundary(body: bytes, content_type: str) -> bytes | None:
    if named := _BOUNDARY.search(content_type):
        return b"--" + (named[1] or named[2]).encode()
    line = body[:256].lstrip().partition(b"\n")[0].rstrip()
    return line if line.startswith(b"--") and len(line) > 2 else None


def _parts(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """What stands between two boundaries, each of which begins a line."""
    start = -1
    at = body.find(boundary)
    for _ in range(_MOST_PARTS):
        if at < 0:
            return
        begins_line = at == 0 or body[at - 1 : at] == b"\n"
        after = body[at + len(boundary) : at + len(boundary) + 2]
        if begins_line and (after[:1] in (b"\r", b"\n", b" ", b"\t") or after == b"--"):
            if start >= 0:
                yield body[start:at]
            start = at + len(boundary)
        at = body.find(boundary, at + len(boundary))


def _field(part: bytes) -> tuple[str, str] | None:
    """Name and value of a part that is text and no file."""
    start = part[:_LONGEST_HEADER]
    header, blank, _ = start.partition(b"\r\n\r\n")
    if not blank:
        header, blank, _ = start.partition(b"\n\n")
    disposition = _DISPOSITION.search(header.replace(b"\r", b""))
    if not blank or disposition is None or _FILE_NAME.search(disposition[1]):
        return None
    name = _NAME.search(disposition[1])
    at = len(header) + len(blank)
    if name is None or len(part) - at > _LONGEST_VALUE:
        return None
    value = part[at:].removesuffix(b"\n").removesuffix(b"\r")
    return _text(name[1] if name[1] is not None else name[2]), _text(value)


def _urlencoded(body: bytes) -> tuple[dict[str, str], str | None]:
    if len(body) > _LONGEST_URLENCODED:
        return {}, "request: a form too long to be read"
    try:
        pairs = parse_qsl(_text(body), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        return {}, f"request: {error}"[:200]
    return dict(reversed(pairs)), None


def _typed(fields: dict[str, str], parse_error: str | None) -> tuple[dict[str, Any], str | None]:
    """All fields are text; the stream flag is meant as a boolean."""
    members: dict[str, Any] = dict(fields)
    if "stream" in members:
        members["stream"] = _FLAGS.get(members["stream"].strip().lower())
    return members, parse_error


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
