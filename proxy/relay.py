"""The relay: one client call, from its head to the end of its answer.

Owns the order of things: admit, open the record, attempt, pass on piece by piece, close the
record, and only then let the client see the end. Refuses to read what it passes on. What it says
itself is in own_answers.py.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from dataclasses import replace
from functools import partial

from aiohttp import HttpVersion10, web
from aiohttp.web_request import BaseRequest

from proxy import exchange_id, headers, labels, outgoing, own_answers, request_body, websocket
from proxy.admission import Admitted, Head, admit, read_head
from proxy.attempts import Attempts, FindTarget
from proxy.calls.asked import Asked
from proxy.calls.call import Call, Reply, refusal_of
from proxy.calls.served import NOT_SERVED, may_be_billed
from proxy.capture import Capture, Outcome
from proxy.config import Settings
from proxy.credentials import KeyHash, credential, mask_target
from proxy.errors import AnswerRefused, AttemptFailed, Broken, Refusal
from proxy.facts import RequestHead
from proxy.journal import Opened
from proxy.own import Tally
from proxy.providers import BEARER, BUILT_IN
from proxy.recorder import Recorder
from proxy.request_body import Body
from proxy.response import RelayedResponse
from proxy.ruling import Ruling
from proxy.stream_usage import UsageFilter
from proxy.upstream import UpstreamReply
from proxy.virtual_keys import KeyRing, pinned

WHOLE_FOR_RULES_BYTES = 16 << 20
"""Where rules may want to read or repeat a body, larger ones than usual are read before."""


class Relay:
    """Handles the calls of one worker."""

    def __init__(
        self,
        settings: Settings,
        attempts: Attempts,
        recorder: Recorder,
        key_hash: KeyHash,
        key_ring: KeyRing,
        ruling: Ruling,
        own_credentials: dict[str, bool],
        find_target: FindTarget,
        tally: Tally,
        node: str,
    ) -> None:
        self._settings = settings
        self._attempts = attempts
        self._recorder = recorder
        self._key_hash = key_hash
        self._key_ring = key_ring
        self._ruling = ruling
        self._own_credentials = own_credentials
        self._find_target = find_target
        self._tally = tally
        self._node = node
        self.ending = False
        """The worker ends: what is cancelled now is interrupted."""

    async def handle(self, request: BaseRequest) -> web.StreamResponse:
        started = time.perf_counter()
        raw = request._message.raw_headers
        head = read_head(request._message.path, raw)
        self._tally.in_flight += 1
        try:
            if request.version < HttpVersion10:
                raise Refusal("HTTP/1.0 or newer is needed", 400, "bad_version")
            key = self._key_ring.find(head.credential)
            admitted = admit(head, self._own_credentials, key)
        except Refusal as refusal:
            return await own_answers.refused(
                self._capture(request, head, None, started), head, refusal
            )
        else:
            capture = self._capture(request, head, admitted, started)
            return await self._relay(request, head, admitted, capture, started)
        finally:
            self._tally.in_flight -= 1

    def _capture(
        self, request: BaseRequest, head: Head, admitted: Admitted | None, started: float
    ) -> Capture:
        opened = Opened(
            exchange_id=exchange_id.new(),
            node=self._node,
            started_at=time.time_ns() // 1000,
            provider=admitted.provider if admitted else None,
            method=request.method,
            target=mask_target(admitted.target if admitted else head.target),
            headers=head.fields.journaled,
            labels=admitted.labels if admitted else labels.collect(head.fields.labels, {}),
            key_id=self._key_id(head, admitted),
            client=head.fields.client,
            trace_id=head.fields.trace_id,
            parent_span_id=head.fields.parent_span_id,
        )
        capture = self._settings.capture
        return Capture(
            self._recorder,
            opened,
            head.secrets,
            started=started,
            content=capture.content,
            max_body_bytes=capture.max_body_bytes,
            tally=self._tally.exchanges,
        )

    def _key_id(self, head: Head, admitted: Admitted | None) -> str | None:
        """The name of a virtual key, the hash of any other credential: the one that the provider
        looks at, so that nobody is somebody else by showing more."""
        if admitted is not None and admitted.key is not None:
            return admitted.key.name
        found, shown = head.credential, head.fields.secret
        if admitted is not None and len(shown) + ("?" in head.target) > 1:
            known = BUILT_IN.get(admitted.provider)
            checked = BEARER if known is None else known.key_header
            found = credential(shown, head.target, checked)
        return self._key_hash.of_credential(found) if found else None

    async def _relay(
        self,
        request: BaseRequest,
        head: Head,
        admitted: Admitted,
        capture: Capture,
        started: float,
    ) -> web.StreamResponse:
        chain = self._ruling.chain
        try:
            target = await self._find_target(admitted.provider)
            waited = time.perf_counter()
            upload = await request_body.read(
                request,
                head,
                capture,
                self._settings.server.max_request_bytes,
                request_body.WHOLE_BODY_BYTES if chain is None else WHOLE_FOR_RULES_BYTES,
            )
            if chain is not None and not upload.whole:
                upload = await request_body.gathered(upload, WHOLE_FOR_RULES_BYTES)
            waited = time.perf_counter() - waited
            upload, hide = outgoing.asking_for_usage(admitted, target, upload, capture)
            if chain is None:  # else it is made for each attempt
                message = outgoing.message(request.method, admitted, target, upload)
                if hide is not None:
                    message = replace(message, headers=headers.uncompressed(message.headers))
            if target.credential is not None:
                capture.add_secret(target.secret)
            if chain is not None and chain.screens:
                capture.changed(b"")  # the record waits for what the guardrails leave of it
            else:
                await self._open(capture)
            capture.overhead_seconds = time.perf_counter() - started - waited
            if chain is None:
                reply: Reply = await self._attempts.attempt(target.endpoint, message, capture)
            else:
                call = self._call(request, head, admitted, upload, capture, hide is not None)
                reply = await chain.begin(call)
        except Refusal as refusal:
            return await own_answers.refused(capture, head, refusal)
        except AttemptFailed as failure:
            if (told := refusal_of(failure)) is not None:
                return await own_answers.refused(capture, head, told)
            return await own_answers.failed(capture, head, failure)
        except asyncio.CancelledError:
            served = may_be_billed(capture.attempts)
            error_type = None if served else NOT_SERVED
            capture.close_now(Outcome(outcome=self._why_cancelled(), error_type=error_type))
            raise
        except Exception as fault:
            return await own_answers.failed(capture, head, self._own_fault(fault))
        try:
            if reply.upgraded and isinstance(session := reply.origin, UpstreamReply):
                return await websocket.tunnel(request, session, capture)
            return await self._pass_on(request, reply, capture, hide)
        finally:
            reply.close()

    async def _open(self, capture: Capture) -> None:
        """Write the beginning of the record. Raises Refusal."""
        if not await capture.open() and self._settings.journal.on_full == "refuse":
            raise Refusal("the journal cannot be written", 503, "journal_unwritable")

    def _call(
        self,
        request: BaseRequest,
        head: Head,
        admitted: Admitted,
        upload: Body,
        capture: Capture,
        plain: bool,
    ) -> Call:
        """The call as policies see it."""
        data = upload.data if isinstance(upload.data, bytes) else None
        request_head = RequestHead(
            admitted.provider, request.method, capture.target, head.fields.named
        )
        return Call(
            request.method,
            admitted,
            upload,
            head.raw,
            Asked(request_head, data, admitted.labels),
            capture,
            capture.key_id,
            pinned(admitted.key, ours=self._own_credentials[admitted.provider]),
            head.fields.cross_site,
            plain,
            time.perf_counter(),
            partial(self._open, capture),
        )

    async def _pass_on(
        self,
        request: BaseRequest,
        reply: Reply,
        capture: Capture,
        hide: UsageFilter | None,
    ) -> web.StreamResponse:
        """The answer, piece by piece; its last piece only once the record is closed."""
        fields = headers.reply_fields(reply.headers)
        if hide is not None and not fields.event_stream:
            hide = None
        response = RelayedResponse(
            reply.status,
            reply.reason,
            fields.forwarded,
            length=fields.length if hide is None else None,
            exchange_id=capture.exchange_id,
        )
        failed = reply.status >= 400
        capture.keep_answer_whole = failed
        end = Outcome(
            outcome=own_answers.outcome(reply),
            status=reply.status,
            headers=fields.journaled,
        )
        try:
            writer = await response.prepare(request)
            if writer is not None and not reply.begun and not reply.complete:
                writer.send_headers()
            while True:
                piece = await reply.read()
                if piece:
                    capture.received(piece)
                if hide is not None:
                    piece = hide.feed(piece)
                if reply.complete:
                    break
                await response.write(piece)
        except (asyncio.CancelledError, ConnectionError):
            end.outcome = self._why_cancelled()
            capture.close_now(end)
            raise
        except AnswerRefused as refusal:  # the stream's last words say so already
            await capture.close(own_answers.refusal_told(refusal, end.headers))
            await response.write_eof()
            return response
        except Exception as fault:
            failure = fault if isinstance(fault, Broken) else self._own_fault(fault)
            await capture.close(own_answers.failure_told(end, failure))
            _cut_off(request, framed=response.framed)
            return response
        await capture.close(end)
        await response.write_eof(piece + hide.finish() if hide is not None else piece)
        return response

    def _own_fault(self, fault: Exception) -> Broken:
        """What must not happen did; its words may hold a secret, its type does not."""
        self._recorder.lose("internal_fault")
        return Broken(f"a fault of the proxy's own ({type(fault).__name__})", "internal_fault")

    def _why_cancelled(self) -> str:
        return "interrupted" if self.ending else "client_disconnected"


def _cut_off(request: BaseRequest, *, framed: bool) -> None:
    """Let the client see that the answer is not whole: the connection ends without its end.
    Where nothing but the close frames the body, only a reset tells."""
    transport = request.transport
    if transport is None:
        return
    if not framed:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
