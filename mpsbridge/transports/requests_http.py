"""HTTP as pypsrp brings it along, built on requests: what :mod:`mpsbridge.transports.http` does, at its own price.

For who wants the library's own way to a host (``--http pypsrp``), say to compare the two. It costs a request more to
sign in, and more CPU. What pypsrp's transport does not do by itself is done around it here:

* It knows no deadline but for single reads. So each message has a thread of its own, which nobody waits for when the
  time is up or :meth:`RequestsHttp.cancel` comes; its socket is shut, and it has no other message to send.
* It would sign in anew in the middle of a message, and send the message again. So it may open a connection only where
  there is none, and a 401 on one that is signed in is the end of it.
* It believes an answer in clear where messages are sealed, follows redirects and reads without an end. A guard between
  requests and the wire takes none of these.
* requests wraps every error in others; the one at the bottom goes up.

What it cannot do is refused by name before anything is sent (:func:`objection`). The inner names of pypsrp that are
used here are ``session``, ``encryption``, ``_build_session`` and ``_pool_manager``; the contract's tests hold them.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import struct
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3
from pypsrp._pool_manager import DisableNewConnectionsContext, NewConnectionDisabled
from pypsrp.exceptions import AuthenticationError, WinRMTransportError
from pypsrp.negotiate import NoCertificateRetrievedWarning
from requests.adapters import BaseAdapter, HTTPAdapter
from spnego.exceptions import SpnegoError

from mpsbridge.models.targets import Auth, Target
from mpsbridge.transports.http import refusal
from mpsbridge.transports.limit import Limit
from mpsbridge.transports.reply import BODY_LIMIT, Answer, BadAnswer
from mpsbridge.transports.signin import may_be_kerberos
from mpsbridge.transports.wire import tls_context

if TYPE_CHECKING:
    from pypsrp.wsman import _TransportHTTP

logging.getLogger("urllib3").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", category=NoCertificateRetrievedWarning)


def objection(target: Target) -> tuple[str, str] | None:
    """What pypsrp's HTTP cannot do for this target, and what to do instead; ``None`` where it can do all."""
    if target.keytab is not None:
        return "--http pypsrp takes no --keytab", "Name it by KRB5_CLIENT_KTNAME, or leave --http out."
    if target.auth is Auth.KERBEROS and target.password is not None:
        # Each host would have the KDC asked about it, so a wrong one would lock the account.
        return "--http pypsrp signs in by Kerberos with a ticket only", "Run kinit first, or leave --http out."
    if target.spn is not None and "@" in target.spn:
        return "--http pypsrp takes no realm in --spn", "Leave @REALM out, krb5.conf says it; or leave --http out."
    return None


def credentials(target: Target) -> dict[str, Any]:
    """What pypsrp's :class:`WSMan` is to know of a target for its own transport."""
    service, _, name = target.service_name.partition("/")
    method = _method(target)
    return {
        "auth": method,
        "username": target.username,
        "password": target.password.get_secret_value() if target.password is not None else None,
        "cert_validation": _trusted(target),
        "encryption": "never" if method == "basic" and not target.tls else "auto",
        "no_proxy": True,
        "negotiate_service": service,
        "negotiate_hostname_override": name,
    }


def _method(target: Target) -> str:
    """Chosen before anything is sent, as ever: no password is shown by one method after another."""
    if target.auth is not Auth.NEGOTIATE:
        return target.auth.value
    return "kerberos" if target.password is None and may_be_kerberos(target) else "ntlm"


def _trusted(target: Target) -> bool | str:
    """The CAs as a file or a folder: the system's where none is named, not those that requests would bring along."""
    if target.insecure_tls:
        return False
    system = ssl.get_default_verify_paths()
    return str(target.ca_file or system.cafile or system.capath or True)


class RequestsHttp:
    """pypsrp's own transport for one host, within our limits; the same face as ``HttpTransport``.

    ``messages`` counts also those that were only about to be sent when signing in for them failed.
    """

    def __init__(self, target: Target, limit: Limit, inner: _TransportHTTP) -> None:
        self.endpoint = inner.endpoint
        self.authority = urlsplit(inner.endpoint).netloc
        self.messages = 0
        self.signed_in = inner.auth
        self._target = target
        self._limit = limit
        self._inner = inner
        self._guard: _Guard | None = None

    @property
    def is_open(self) -> bool:
        """Whether the next message needs no new connection."""
        return self._guard is not None and self._guard.has_connection()

    def send(self, message: bytes, **_: object) -> bytes:
        """POST one SOAP message and return the SOAP message that answers it; signs in first where that is needed."""
        if fresh := not self.is_open:
            self.close()
            self._guard = self._begin()
        left_s, guard = self._limit.left(), self._guard
        self._limit.step()
        self.messages += 1
        answer = self._limit.call(lambda: self._deliver(message, left_s, fresh=fresh))
        self._limit.step()
        if guard is not None:
            guard.signed_in = self._inner.auth != "basic"
        return answer

    def cancel(self) -> None:
        """End whatever waits in another thread; nothing more is sent."""
        self._limit.cancel()
        if (guard := self._guard) is not None:
            guard.shut()

    def close(self) -> None:
        """Close the connection; the next message makes a new one."""
        self._inner.close()
        self._inner.session, self._inner.encryption, self._guard = None, None, None

    def _begin(self) -> _Guard:
        if self._target.tls:
            tls_context(self._target.ca_file, insecure=self._target.insecure_tls)  # says what is wrong with a CA file
        session = self._inner.session = self._inner._build_session()  # noqa: SLF001 - else it is made in send()
        scheme = "https://" if self._target.tls else "http://"
        guard = _Guard(self._inner, session.get_adapter(scheme))
        session.mount(scheme, guard)
        return guard

    def _deliver(self, message: bytes, left_s: float, *, fresh: bool) -> bytes:
        """In a thread of its own. Raises what ``HttpTransport.send`` raises.

        Without what lies behind it: that holds the connection and its keys, which no other process may get with it.
        """
        connect_s = min(self._target.connect_timeout_s, left_s)
        try:
            with contextlib.nullcontext() if fresh else DisableNewConnectionsContext():
                return self._inner.send(message, timeout=(connect_s, left_s))
        except Exception as error:  # noqa: BLE001 - whatever it is leaves without its context
            told = self._meaning(error)
        told.__cause__ = told.__context__ = None
        raise told

    def _meaning(self, error: Exception) -> Exception:
        match error:
            case NewConnectionDisabled():
                return ConnectionResetError("the host closed the connection")
            case requests.RequestException() | urllib3.exceptions.HTTPError():
                return _bottom(error)
            case AuthenticationError():
                return AuthenticationError(self._refusal())
            case SpnegoError() if self._inner.encryption is not None:
                return BadAnswer(f"the sealed answer cannot be opened: {error}")
            case AttributeError() | LookupError() | struct.error() | ValueError():
                if self._inner.wrap_required and self._inner.encryption is None:  # then signing in sends no message
                    return AuthenticationError("the host ended the sign-in before it was complete")
                return BadAnswer(f"the answer cannot be read: {error}")
        return error

    def _refusal(self) -> str:
        offers = self._guard.offers if self._guard is not None else ""
        scheme = "Basic" if self._inner.auth == "basic" else "Negotiate"
        return refusal(Answer(401, {"www-authenticate": [offers]}, b"", last=True), scheme)


class _Guard(HTTPAdapter):
    """Takes the place of pypsrp's adapter, and lets through only what can be believed, and not too much of it."""

    def __init__(self, transport: _TransportHTTP, adapter: BaseAdapter) -> None:
        super().__init__()
        self.poolmanager = adapter.poolmanager  # type: ignore[attr-defined]  # it is an HTTPAdapter
        self.signed_in = False
        self.offers = ""
        self._unread: requests.Response | None = None
        self._pools: list[Any] = []
        self._connections: list[Any] = []
        self._transport = transport

    def send(self, *args: Any, **options: Any) -> requests.Response:
        """Send one request, also one that only signs in, and look at what comes home."""
        answer = super().send(*args, **options)
        try:
            self._check(answer)
            if answer.status_code == 401:  # the next step asks its connection for the certificate, so it is not read
                self._unread = answer
            else:
                answer._content = _body(answer)  # noqa: SLF001 - as if requests had read it
        except BaseException:
            answer.close()
            raise
        return answer

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """The pool for a request, whose connections are noted here: a pool itself forgets one while it is in use."""
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        if pool not in self._pools:
            self._pools.append(pool)
            pool.ConnectionCls = self._noting(pool.ConnectionCls)
        return pool

    def _noting(self, kind: Callable[..., Any]) -> Callable[..., Any]:
        def make(*args: Any, **options: Any) -> Any:
            self._connections.append(kind(*args, **options))
            return self._connections[-1]

        return make

    def has_connection(self) -> bool:
        """Whether one is there that the host has not closed."""
        return any(connection.is_connected for connection in self._connections)

    def shut(self) -> None:
        """End every wait on the host at once; from any thread."""
        for connection in list(self._connections):
            if (wire := connection.sock) is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(wire, socket.SHUT_RDWR)  # beneath TLS, as in ``Wire.shut``

    def close(self) -> None:
        """Close all connections, also that of a sign-in that nobody went on with."""
        self.shut()
        if self._unread is not None:
            self._unread.close()
        for pool in self._pools:  # requests would leave them to the garbage collector
            pool.close()
        super().close()

    def _check(self, answer: requests.Response) -> None:
        code, transport = answer.status_code, self._transport
        kind = answer.headers.get("content-type", "").lower()
        if transport.encryption is not None and not kind.startswith("multipart/encrypted"):
            if code == 200:
                raise BadAnswer("the host answered in clear where only a sealed answer can be trusted")
            raise WinRMTransportError("http", code, "")
        signing_in = transport.wrap_required and transport.encryption is None
        if answer.is_redirect or (signing_in and code not in {200, 401}) or (self.signed_in and code == 401):
            raise WinRMTransportError("http", code, "")
        self.offers = answer.headers.get("www-authenticate", "")
        if code == 401 and not int(answer.headers.get("content-length", BODY_LIMIT + 1)) <= BODY_LIMIT:
            raise BadAnswer("the host refuses at a length that it does not say")


def _body(answer: requests.Response) -> bytes:
    body: bytes = answer.raw.read(BODY_LIMIT + 1, decode_content=True)
    if len(body) > BODY_LIMIT:
        raise BadAnswer(f"the answer is longer than {BODY_LIMIT} bytes")
    return body


def _bottom(error: BaseException) -> Exception:
    """The error of the socket, of TLS or of HTTP under those that requests and urllib3 have put around it."""
    if isinstance(error, requests.Timeout):
        return TimeoutError("no answer in time")
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and not isinstance(below, requests.RequestException):
            return below
        below = below.__cause__ or below.__context__
    return BadAnswer(f"the answer cannot be read: {error}")
