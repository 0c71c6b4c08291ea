"""What the provider's events of an OpenAI realtime session say.

Owns adding up its responses, and the transcription of what was heard, which another model bills.
Refuses frames and paths; the dialect knows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from proxy.facts import Pass, ReplyFacts, Usage
from proxy.wire.decode import loads
from proxy.wire.errors import error_facts
from proxy.wire.openai_usage import read_usage
from proxy.wire.usage_sum import Used, summed
from proxy.wire.words import word

_TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
TELLING = (
    *(b'"response.done"', b"session.created", b"session.updated", b'"error"'),
    _TRANSCRIBED.encode(),
)
# Not named by the session, so that it has no price.
_UNKNOWN_MODEL = "unknown"


@dataclass(slots=True)
class RealtimeSession:
    """What has been heard so far; `asked` is the model that the client connected to."""

    asked: str | None = None
    model: str | None = None
    session_id: str | None = None
    transcriber: str | None = None
    responses: list[dict[str, Any]] = field(default_factory=list)
    transcriptions: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    error: Any = None

    def hear(self, message: bytes) -> bool:
        """Take in one message; False where it cannot be read. Most bring sound and nothing else."""
        if not any(key in message for key in TELLING):
            return True
        try:
            event = loads(message)
        except ValueError:
            return False
        if not isinstance(event, dict):
            return True
        kind = word(event.get("type")) or ""
        if kind.endswith(("session.created", "session.updated")):
            self._hear_session(_object(event.get("session")))
        elif kind == "response.done":
            self._hear_response(_object(event.get("response")))
        elif kind == _TRANSCRIBED and isinstance(event.get("usage"), dict):
            self.transcriptions.append(event["usage"])
        elif kind == "error":
            self.error = event.get("error") or event
        return True

    def _hear_session(self, session: dict[str, Any]) -> None:
        self.model = word(session.get("model")) or self.model
        self.session_id = word(session.get("id")) or self.session_id
        into = _object(_object(session.get("audio")).get("input"))
        for transcription in (into.get("transcription"), session.get("input_audio_transcription")):
            self.transcriber = word(_object(transcription).get("model")) or self.transcriber

    def _hear_response(self, response: dict[str, Any]) -> None:
        details = _object(response.get("status_details"))
        status = word(response.get("status"))
        if reason := word(details.get("reason")) or status:
            self.reasons.append(reason)
        if status == "failed":
            self.error = details.get("error") or {"type": "failed"}
        elif status == "completed":
            self.error = None  # whatever it was, the session outlived it
        if isinstance(usage := response.get("usage"), dict):
            self.responses.append(usage)
        output = response.get("output")
        for item in output if isinstance(output, list) else ():
            if isinstance(item, dict) and item.get("type") == "function_call":
                self.calls.append(word(item.get("name")) or "")

    def facts(self, *, all_heard: bool, parse_error: str | None) -> ReplyFacts:
        """The facts of the session. Of what was not all heard no sum is given."""
        kind, message = error_facts(self.error)
        return ReplyFacts(
            model=self._main(),
            response_id=self.session_id,
            finish_reasons=tuple(self.reasons) or None,
            tool_names=tuple(filter(None, self.calls)) or None,
            tool_call_count=len(self.calls) if all_heard and self.reasons else None,
            usage=self._usage() if all_heard else None,
            error_type=kind or ("error" if self.error else None),
            error_message=message,
            parse_error=parse_error,
        )

    def _main(self) -> str | None:
        """A session that only transcribes has no other model."""
        model = self.model or self.asked
        return model or (None if self.responses else self.transcriber)

    def _usage(self) -> Usage | None:
        main = self._main()
        transcriber = self.transcriber or _UNKNOWN_MODEL
        used = [Used(main, usage) for raw in self.responses if (usage := read_usage(raw))]
        timed = []
        for raw in self.transcriptions:
            usage = read_usage(raw)
            if usage is None or raw.get("type") == "duration":
                timed.append(raw)  # billed by the minute: no tokens
            else:
                used.append(Used(transcriber, usage))
        raw = {"responses": self.responses, "transcriptions": self.transcriptions}
        aside = (Pass(model=transcriber, usage=Usage()),) if timed else ()
        if aside and not used:
            return Usage(raw=raw, passes=aside if transcriber != main else ())
        return summed(used, main, {k: v for k, v in raw.items() if v}, aside)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
