"""One TCP connection to a make-believe host: HTTP in, sign-in, faults, and the answers out.

Rules of this file: it runs in the lab's event loop only; requests of one connection are answered in their order; when
the client goes, its pending Receive is cancelled so that output stays for the next connection; an exception in the
make-believe host becomes a 500, never silence. Time on the wire (operation timeouts, delays, drips) is the loop's:
a client measures it with its own clock.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.wire import http, soap
from mpsbridge.lab.wire.faults import Fault, striking
from mpsbridge.lab.wire.replies import Pending, Reply
from mpsbridge.lab.wire.signin import BadSeal, SignIn
from mpsbridge.lab.wire.wsman import Endpoint

log = logging.getLogger(__name__)

_HTML = (
    b"<!DOCTYPE html>\r\n<html><head><title>No service</title></head><body><h2>No service</h2><hr></body></html>\r\n"
)
"""A page, and like most pages no XML."""


@dataclass(frozen=True, slots=True)
class Record:
    """One request as it was on the wire. ``step`` is a WSMan step, or ``auth`` for the legs of signing in."""

    host: str
    step: str
    bytes_in: int
    bytes_out: int
    connection: int
    status: int


class Listener(Protocol):
    """What a connection knows of the host it belongs to."""

    host: LabHost
    endpoint: Endpoint

    def new_sign_in(self) -> SignIn:
        """A sign-in for one connection."""
        ...

    def record(self, record: Record) -> None:
        """Note a request."""
        ...

    def refused(self) -> None:
        """Count a failed attempt to sign in."""
        ...


class Connection(asyncio.Protocol):
    """One connection. ``number`` counts them in the lab; ``among`` holds those that are open."""

    def __init__(self, listener: Listener, number: int, among: set[Connection]) -> None:
        self._listener = listener
        self._number = number
        self._among = among
        self._reader = http.HttpReader()
        self._sign_in = listener.new_sign_in()
        self._waiting: deque[http.HttpRequest] = deque()
        self._busy = False
        self._deaf = False
        self._pending: Pending | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._transport: asyncio.Transport | None = None
        self.closed = False

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_server hands out
        self._transport = transport
        self._among.add(self)
        if self.host.is_away:
            self.abort()
            return
        fault = striking(self.host.faults, "connect")
        if fault is None:
            return
        if fault.do == "delay":
            self._busy = True
            self._after(fault.delay_s, self._next)
        else:
            self._spoil(fault)

    def data_received(self, data: bytes) -> None:
        """Bytes, cut anyhow. A host that has gone down meanwhile reads none."""
        if self._deaf:
            return
        if self.host.is_away:
            self.abort()
            return
        try:
            self._waiting.extend(self._reader.feed(data))
        except http.BadRequest as error:
            self._write(http.answer(error.status, str(error).encode()))
            self.close()
            return
        if not self._busy:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone; nothing is sent any more, and nothing is lost to it."""
        del exc
        self.closed = True
        self._among.discard(self)
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        for timer in self._timers:
            timer.cancel()

    # One request after the other.

    def _next(self) -> None:
        self._busy = False
        if not self._waiting or self.closed or self._deaf:
            return
        self._busy = True
        request = self._waiting.popleft()
        self._try(request, lambda: self._admit(request))

    def _try(self, request: http.HttpRequest, act: Callable[[], None], after_s: float = 0.0) -> None:
        """Do something for a request, now or later; whatever goes wrong then is answered."""
        if after_s:
            self._after(after_s, lambda: self._try(request, act))
            return
        try:
            act()
        except Exception:
            log.exception("the make-believe host %s failed", self.host.name)
            self._answer(request, "any", 500)

    def _admit(self, request: http.HttpRequest) -> None:
        """Sign in, or go on to the message."""
        fault = striking(self.host.faults, "auth") if "authorization" in request.headers else None
        if fault is None or fault.do == "delay":
            self._try(request, lambda: self._check(request), fault.delay_s if fault else 0.0)
            return
        if fault.do == "refuse":
            self._listener.refused()
        self._fault_instead(request, "auth", fault, 401 if fault.do == "refuse" else fault.code or 503)

    def _check(self, request: http.HttpRequest) -> None:
        verdict = self._sign_in.check(request)
        if verdict.refused:
            self._listener.refused()
        headers = (("WWW-Authenticate", verdict.header),) if verdict.header else ()
        if not verdict.allowed:
            self._answer(request, "auth", 401, headers=headers)
        elif not request.body:
            self._answer(request, "auth", 200, headers=headers)
        elif request.method != "POST" or not request.path.startswith("/wsman"):
            self._answer(request, "any", 404)
        else:
            self._message(request, headers)

    def _message(self, request: http.HttpRequest, headers: tuple[tuple[str, str], ...]) -> None:
        try:
            asked = soap.read(self._sign_in.open(request))
        except (BadSeal, soap.Malformed) as error:
            log.info("%s: %s", self.host.name, error)
            self._answer(request, "any", 400)
            return
        fault = striking(self.host.faults, asked.step, self._listener.endpoint.call_of(asked))
        if fault is None or fault.do == "delay":
            self._try(request, lambda: self._serve(request, asked, headers, None), fault.delay_s if fault else 0.0)
        elif fault.do in {"fault", "refuse"}:
            code = soap.ACCESS_DENIED if fault.do == "refuse" else fault.code or soap.SHELL_QUOTA
            self._reply(request, asked.step, self._listener.endpoint.refuse(asked, code, fault.form), headers, None)
        elif fault.step_is_done:
            self._serve(request, asked, headers, fault)
        else:
            self._fault_instead(request, asked.step, fault, fault.code or 503)

    def _serve(
        self,
        request: http.HttpRequest,
        asked: soap.Request,
        headers: tuple[tuple[str, str], ...],
        fault: Fault | None,
    ) -> None:
        """Do the step, now or when there is output."""
        outcome = self._listener.endpoint.handle(asked, client=self._client(), connection=self._number)
        if isinstance(outcome, Reply):
            self._reply(request, asked.step, outcome, headers, fault)
            return

        def settled(reply: Reply) -> None:
            self._pending = None
            timer.cancel()
            self._reply(request, asked.step, reply, headers, fault)

        timer = self._after(outcome.timeout_s, outcome.expire)
        self._pending = outcome
        outcome.on_reply = settled
        outcome.poll()

    def _client(self) -> str:
        peer = self._transport.get_extra_info("peername") if self._transport else None
        return str(peer[0]) if peer else "127.0.0.1"

    # Answers, good and spoilt.

    def _reply(
        self,
        request: http.HttpRequest,
        step: str,
        reply: Reply,
        headers: tuple[tuple[str, str], ...],
        fault: Fault | None,
    ) -> None:
        if self.closed:
            return
        xml = reply.xml[: len(reply.xml) // 2] if fault is not None and fault.do == "garble" else reply.xml
        kind, body = self._sign_in.wrap(xml)
        data = http.answer(reply.status, body, content_type=kind, headers=headers)
        if fault is None or fault.do == "garble":
            self._finish(request, step, reply.status, data)
            return
        if fault.do == "cut":
            data = data[: len(data) - len(body) // 2]
            self._write(data)
        self._note(request, step, len(data) if fault.do in {"cut", "drip"} else 0, reply.status)
        if fault.do == "drip":
            self._drip(data, fault.delay_s)
        else:
            self._spoil(fault)

    def _answer(
        self, request: http.HttpRequest, step: str, status: int, *, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self._finish(request, step, status, http.answer(status, headers=headers))

    def _finish(self, request: http.HttpRequest, step: str, status: int, data: bytes) -> None:
        self._note(request, step, len(data), status)
        self._write(data)
        if request.keeps_alive:
            self._next()
        else:
            self.close()

    def _fault_instead(self, request: http.HttpRequest, step: str, fault: Fault, status: int) -> None:
        """A fault in place of the step, which the host never did."""
        if fault.do in {"status", "refuse"}:
            body = _HTML if fault.do == "status" else b""
            headers = (("WWW-Authenticate", self._sign_in.challenge),) if status == 401 else ()
            data = http.answer(status, body, content_type="text/html" if body else "", headers=headers)
            self._finish(request, step, status, data)
            return
        self._note(request, step, 0, 0)
        self._spoil(fault)

    def _spoil(self, fault: Fault) -> None:
        """End (or deaden) the connection in the way the rule says."""
        self._deaf = True
        if fault.do == "hang":
            return
        if fault.do == "reset":
            self.abort()
        else:
            self.close()

    def _drip(self, data: bytes, delay_s: float) -> None:
        if self.closed or not data:
            return
        self._write(data[:1])
        self._after(delay_s, lambda: self._drip(data[1:], delay_s))

    def _note(self, request: http.HttpRequest, step: str, bytes_out: int, status: int) -> None:
        self._listener.record(Record(self.host.name, step, request.size, bytes_out, self._number, status))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self.closed:
            self._transport.write(data)

    def _after(self, seconds: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        def run() -> None:
            self._timers.discard(handle)
            if not self.closed:
                act()

        handle = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(handle)
        return handle

    @property
    def host(self) -> LabHost:
        """The host that the client talks to."""
        return self._listener.host

    def abort(self) -> None:
        """Cut the client off with a TCP reset, as a host that has gone down does."""
        self._deaf = True
        if self._transport is not None:
            _reset_on_close(self._transport)
            self._transport.abort()

    def close(self) -> None:
        """Let the client go, after what was written."""
        self._deaf = True
        if self._transport is not None:
            self._transport.close()


def _reset_on_close(transport: asyncio.Transport) -> None:
    """Closing sends RST instead of FIN."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
