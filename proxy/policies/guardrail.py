"""Guardrails: what must not go to a provider, or come back from one, is refused, masked or noted.

Owns the order of the looks: what stands in the request, its bounds, one's own checker; then the
answer. Every guardrail that concerns a call acts; where several look for the same, the strongest
action counts. What is masked, or refused because it was found, is masked in the record too, which
is why the record opens here.
"""

from __future__ import annotations

from proxy.calls.asked import Asked
from proxy.calls.call import Call, Next, Reply
from proxy.errors import Refusal
from proxy.request_body import Body
from proxy.rules.choosing import Rules
from proxy.rules.guarding import Guardrail
from proxy.screening import looking
from proxy.screening.answers import Answers
from proxy.screening.asking import verdict
from proxy.screening.bodies import Screened, encoded
from proxy.screening.checker import Send
from proxy.screening.leaves import LABELS
from proxy.screening.looking import MOST_BYTES, UNREAD, look, note
from proxy.screening.masks import Masks
from proxy.screening.plan import Plan
from proxy.screening.requests import reason_against
from proxy.wire import coding

MOST_PLANS = 256
"""Sets of rules that concern a call together; callers choose labels, and so sets."""


class GuardrailPolicy:
    """Looks through requests and answers."""

    def __init__(self, rules: Rules[Guardrail], masks: Masks, send: Send) -> None:
        self._rules = rules
        self._masks = masks
        self._send = send
        self._answers = Answers(masks, send)
        self._plans: dict[tuple[str, ...], Plan] = {}

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        plan = self._plan(call)
        call = await self._request(call, plan)
        await call.open_record()
        if not plan.answer:
            return await next_step(call)
        reply = await next_step(call.but(plain=True))
        try:
            return await self._answers.guarded(call, plan, reply)
        except BaseException:
            reply.close()
            raise

    def _plan(self, call: Call) -> Plan:
        guards = tuple(self._rules.all(call))
        names = tuple(guard.name for guard in guards)
        plan = self._plans.get(names)
        if plan is None:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            plan = self._plans[names] = Plan(guards)
        return plan

    async def _request(self, call: Call, plan: Plan) -> Call:
        """The call as it goes on. Raises Refusal."""
        looks, plain = plan.request, _plain(call)
        size = len(call.body.data) if isinstance(call.body.data, bytes) else call.body.length
        if not looks or plain is None:
            if not looks and isinstance(call.body.data, bytes):
                call.trail.changed(call.body.data)
            _check_bounds(call, plan, size)
            if looks and (why := looking.why_unread(call, looks, "request")) is not None:
                raise Refusal(why, 403, UNREAD)
            return call
        result = await look(plain, looks.screen, self._masks, LABELS)
        call = _with_body(call, result)
        note(call, "request", result.seen)
        _check_bounds(call, plan, size)
        if result.refused is not None:
            why = looking.why_found(result.refused, "request")
            raise Refusal(why, 400, "sensitive_content")
        for asked in looks.webhooks:
            found = await verdict(call, asked, "request", result.seen, result.data, self._send)
            if found is not None:
                result = await look(result.data, found, self._masks, LABELS)
                call = _with_body(call, result)
                note(call, "request", result.seen)
        return call


def _check_bounds(call: Call, plan: Plan, size: int | None) -> None:
    """`size` of the body as it came, in bytes; None where it is unknown. Raises Refusal."""
    model = call.model
    for guard in plan.guards:
        if (reason := reason_against(guard.does, model, call.asked, size)) is not None:
            call.decide("guardrail", guard.name, "refused", reason.words)
            message = f"{guard.name}: {reason.words}"
            raise Refusal(message, reason.status, reason.error_type)


def _plain(call: Call) -> bytes | None:
    """The body without content coding; None where it cannot be read, or a session begins."""
    data = call.body.data
    codings = call.asked.head.headers.get("content-encoding", "")
    if not isinstance(data, bytes) or call.admitted.websocket:
        return None
    if not codings:
        return data
    decoded = coding.decode(data, codings, max_bytes=MOST_BYTES)
    return decoded.data if decoded.whole and encoded(b"", codings) is not None else None


def _with_body(call: Call, result: Screened) -> Call:
    """The call with what was masked; the record has the same."""
    data = call.body.data
    assert isinstance(data, bytes)
    if not result.changed:
        call.trail.changed(data)
        return call
    packed = encoded(result.data, call.asked.head.headers.get("content-encoding", ""))
    assert packed is not None
    call.trail.changed(packed)
    return _with(call, packed)


def _with(call: Call, data: bytes) -> Call:
    asked = Asked(call.asked.head, data, call.admitted.labels)
    return call.but(body=Body(data, len(data)), asked=asked)
