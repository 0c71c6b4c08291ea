"""Responses over a WebSocket: one after the other, each as its stream of events.

Owns telling them apart and adding them up. Each is read by `proxy.wire.response_objects`, as the
same events are over HTTP. Refuses frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from proxy.facts import ReplyFacts, ReplyHead
from proxy.wire.copies import Copy
from proxy.wire.errors import error_facts
from proxy.wire.response_objects import read_response
from proxy.wire.session_events import ending_error
from proxy.wire.usage_answers import read_usage_answer
from proxy.wire.usage_sum import Used, main_model, summed
from proxy.wire.websocket_frames import read_messages

_SWITCHING = 101
TELLING = (b'"response"', b'"item"', b'"error"')
_ENDS = (b'"response.completed"', b'"response.incomplete"', b'"response.failed"')

_ON_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


def read_responses(copy: Copy, head: ReplyHead) -> ReplyFacts:
    """The facts of a session. Of one whose messages are not all there no sum is given."""
    if head.status != _SWITCHING:
        return read_usage_answer(copy, head).facts(head, None)
    messages = read_messages(copy.segments)
    facts = [read_response(stream, head, bills=True) for stream in _streams(messages.found)]
    unreadable = next((each.parse_error for each in facts if each.parse_error), None)
    session = _combined(facts)
    if session.error_type is None and (error := ending_error(messages)):
        kind, message = error_facts(error)
        session = replace(session, error_type=kind, error_message=message)
    if reason := messages.parse_error or unreadable:
        session = replace(session, usage=None, tool_call_count=None, parse_error=reason)
    return session


def _streams(messages: Sequence[bytes]) -> Iterator[Copy]:
    """For each response the events that tell more than text, as a stream of events."""
    events: list[bytes] = []
    for message in messages:
        if not any(key in message for key in TELLING):
            continue
        # Line ends in JSON outside of strings are white space.
        events.append(b"data: " + message.translate(_ON_ONE_LINE) + b"\n\n")
        refused = not any(key in message for key in TELLING[:2])
        if refused or any(key in message for key in _ENDS):
            yield Copy((b"".join(events),))
            events = []
    if events:
        yield Copy((b"".join(events),))


def _combined(facts: Sequence[ReplyFacts]) -> ReplyFacts:
    used = [Used(each.model, each.usage) for each in facts if each.usage is not None]
    ended = [each for each in facts if each.finish_reasons]
    tiers = {each.service_tier for each in ended}
    names = {each.response_id for each in facts if each.response_id}
    last = facts[-1] if facts else ReplyFacts()
    model = main_model(used) or next((each.model for each in facts if each.model), None)
    counts = [each.tool_call_count for each in ended]
    raws = [usage.raw for _, usage in used]
    usage = used[0].usage if len(used) == 1 else summed(used, model, {"responses": raws})
    return ReplyFacts(
        model=model,
        response_id=names.pop() if len(names) == 1 else None,
        service_tier=tiers.pop() if len(tiers) == 1 else None,
        finish_reasons=tuple(r for each in ended for r in each.finish_reasons or ()) or None,
        tool_names=tuple(name for each in facts for name in each.tool_names or ()) or None,
        tool_call_count=None if not counts or None in counts else sum(c or 0 for c in counts),
        usage=usage,
        error_type=last.error_type,
        error_message=last.error_message,
    )
