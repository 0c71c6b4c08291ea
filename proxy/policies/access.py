"""Access: a virtual key asks for the models that it may use, and for no others.

Owns that check. A call whose model cannot be read is refused: it could be any.
"""

from __future__ import annotations

from proxy.calls.call import Call, Next, Reply
from proxy.errors import Refusal
from proxy.rules.conditions import pattern


class AccessPolicy:
    """Refuses what the key of a call does not allow."""

    async def __call__(self, call: Call, next_step: Next) -> Reply:
        key = call.admitted.key
        if key is None or not key.models:
            return await next_step(call)
        model = call.asked.model
        if model is not None and any(pattern(glob).match(model) for glob in key.models):
            return await next_step(call)
        asked = model or "a model that cannot be read"
        call.decide("access", f"key {key.name}", "refused", f"asked for {asked}")
        allowed = ", ".join(key.models)
        message = f"the key {key.name} may use {allowed}, not {asked}"
        raise Refusal(message, 403, "model_not_allowed")
