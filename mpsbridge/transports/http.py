"""HTTP as WinRM speaks it: one POST at a time on one connection, signed in and sealed.

:class:`~mpsbridge.transports.wsman.Connection` hands each SOAP message to :meth:`HttpTransport.send`. What an HTTP of
our own buys: every wait ends in time and on ``cancel()``; signing
in starts with the token, so it costs one request less and no proxy is looked for; and a connection that the host
closed while it was idle is replaced, and signed in again, *before* a message is sealed for it.

Rules:

* A message is sent once. Whatever goes wrong after its first byte, the connection is dropped and the error goes up.
* One sign-in is one attempt: a 401 to the last leg is final. Which host is shown a credential, and when, is
  :mod:`mpsbridge.transports.signin.gate`'s matter; a host that is silent before that point holds up nobody.
* Protection is what we demand, not what the other side offers
  (:func:`~mpsbridge.transports.signin.context.demand_protection`).
* Over plain HTTP everything but Basic is sealed (MS-WSMV 2.2.9.1). Then an answer in clear is never believed: a 200 is
  an error, and the body of a fault is dropped, for it might come from someone who would have us think that nothing ran.
* Over TLS the sign-in is bound to the certificate (RFC 5929, ``tls-server-end-point``).
* A connection is not used any longer than the ticket is good that signed it in; then it is signed in again, before a
  message is sealed (W33).
* Signing in sends no message. So a message only ever goes to a host that has accepted us, and one answered 401 later
  was not necessarily left undone.
"""

from __future__ import annotations

import base64
import logging
import math
import struct

from pypsrp.encryption import WinRMEncryption
from spnego.exceptions import SpnegoError

from mpsbridge.errors import KdcUnreachable
from mpsbridge.models.credentials import Auth
from mpsbridge.models.targets import Target
from mpsbridge.transports.limit import Limit
from mpsbridge.transports.reply import Answer, BadAnswer, read_answer, refused
from mpsbridge.transports.signin import basic, gate
from mpsbridge.transports.signin.bindings import channel_bindings
from mpsbridge.transports.signin.challenge import refusal, token_in
from mpsbridge.transports.signin.context import SignIn, demand_protection
from mpsbridge.transports.signin.gate import Showing
from mpsbridge.transports.signin.kerberos_codes import refuses_secret
from mpsbridge.transports.signin.negotiate import begin, may_be_kerberos
from mpsbridge.transports.strict_xml import check_xml
from mpsbridge.transports.taken import Taken
from mpsbridge.transports.wire import Wire, tls_context
from mpsbridge.version import __version__

_log = logging.getLogger(__name__)

_CLEAR = "application/soap+xml;charset=UTF-8"
_BOUNDARY = "Encrypted Boundary"

MOST_LEGS = 4
"""Tokens to a host in one sign-in; NTLM needs two, Kerberos one or two."""
KDC_LIMIT_S = 15.0
"""How long a KDC is waited for; the library itself would ask a silent one for about half a minute."""


class HttpTransport:
    """The connection to one host.

    ``messages`` counts the messages whose first byte may have gone out; requests that only sign in are not messages.
    Raises what sockets, TLS, pyspnego and pypsrp raise; :mod:`mpsbridge.transports.trouble` gives those their meaning.
    """

    def __init__(self, target: Target, limit: Limit) -> None:
        name = target.address.encode("idna").decode("ascii")
        self.authority = f"[{name}]:{target.port}" if ":" in name else f"{name}:{target.port}"
        self.endpoint = f"{'https' if target.tls else 'http'}://{self.authority}/wsman"
        self.messages = 0
        self.taken = Taken()
        self._target = target
        self._limit = limit
        self._wire: Wire | None = None
        self._sealing: WinRMEncryption | None = None
        self._expires = math.inf
        self.signed_in = target.auth.value
        """What the last sign-in was: ``kerberos``, ``ntlm`` or ``basic``."""

    @property
    def is_open(self) -> bool:
        """Whether the next message needs no new connection."""
        return self._wire is not None and self._limit.moment(0) < self._expires and self._wire.is_quiet()

    def send(self, message: bytes) -> bytes:
        """POST one SOAP message and return the SOAP message that answers it. Nothing is repeated."""
        if not self.is_open:
            self.close()
            self._open()
        sealing = self._sealing
        kind, body = (_CLEAR, message) if sealing is None else _seal(sealing, message)
        answer = self._post_message(body, f"Content-Type: {kind}")
        text = answer.body if sealing is None else _unseal(sealing, answer)
        if text:
            self.taken.more(len(text))
        if answer.status != 200:
            raise refused(answer, _fault(text))
        check_xml(text)
        return text

    def cancel(self) -> None:
        """End whatever waits in another thread; nothing is sent any more."""
        self._limit.cancel()
        if (wire := self._wire) is not None:
            wire.shut()

    def close(self) -> None:
        """Close the connection; the next message makes a new one."""
        wire, self._wire, self._sealing, self._expires = self._wire, None, None, math.inf
        if wire is not None:
            wire.close()

    def _open(self) -> None:
        target = self._target
        self._wire = Wire(self._limit)  # kept before it dials, so that cancel() finds it
        try:
            tls = tls_context(target.ca_file, insecure=target.insecure_tls) if target.tls else None
            self._wire.dial(target.address, target.port, connect_timeout_s=target.connect_timeout_s, tls=tls)
            if target.auth is not Auth.BASIC:
                self._sign_in(self._wire.certificate)
        except BaseException:
            self.close()
            raise

    def _sign_in(self, certificate: bytes | None) -> None:
        with gate.process_gate.showing(self._target, self._limit) as showing:
            sign_in = self._begin(certificate, showing)
            answer = self._exchange(sign_in, showing)
            context = sign_in.context
            if answer.status not in {200, 401}:
                raise refused(answer)
            if answer.status == 401 or not context.complete:
                raise refusal(answer, sign_in.scheme, shown=showing.shown, instead=sign_in.instead)
            showing.accepted()
        self.signed_in = sign_in.method
        if isinstance(lifetime_s := getattr(context, "lifetime_s", None), float):
            self._expires = self._limit.moment(lifetime_s)
        _log.info("%s: signed in by %s", self._target.host, sign_in.method)
        if not self._target.tls:
            self._sealing = WinRMEncryption(context, sign_in.sealed_as)

    def _exchange(self, sign_in: SignIn, showing: Showing) -> Answer:
        """Send tokens to and fro; the last answer. By NTLM the second token is the first that shows the credential."""
        context, token = sign_in.context, sign_in.token
        for leg in range(MOST_LEGS):
            if leg and sign_in.method == "ntlm":
                showing.begin()
            answer = self._post(
                b"", f"Authorization: {sign_in.scheme} {base64.b64encode(token or b'').decode('ascii')}"
            )
            if answer.status == 401 and showing.begun:
                showing.refused()
                break
            reply = token_in(answer, sign_in.scheme)
            token = context.step(reply) if reply and not context.complete else None
            demand_protection(context, self._target.host)
            if token is None:
                break
        return answer

    def _begin(self, certificate: bytes | None, showing: Showing) -> SignIn:
        target = self._target
        bindings = channel_bindings(certificate) if certificate is not None else None
        if not may_be_kerberos(target):
            return begin(target, bindings)
        showing.begin()
        # In a thread, because the library asks its own servers here and knows nothing of our deadline.
        try:
            sign_in = self._limit.call(lambda: begin(target, bindings), self._limit.moment(KDC_LIMIT_S))
        except TimeoutError:
            self._limit.left()  # was it the whole call's time?
            raise KdcUnreachable(f"{target.host}: the KDC did not answer within {KDC_LIMIT_S:.0f} s") from None
        except Exception as error:
            if refuses_secret(error):
                showing.refused(by="the KDC")
            raise
        if sign_in.method == "kerberos":
            showing.accepted()  # by the KDC: a host is shown a ticket only
        showing.end()
        return sign_in

    def _post_message(self, body: bytes, kind: str) -> Answer:
        """POST a message. By Basic each one shows the credential, and the first one's answer accepts or refuses it."""
        if self._target.auth is not Auth.BASIC:
            self.messages += 1
            return self._post(body, kind)
        with gate.process_gate.showing(self._target, self._limit) as showing:
            showing.begin()
            if not self.is_open:  # closed by the host during a wait; nothing was sent on it
                self.close()
                self._open()
            self.messages += 1
            answer = self._post(body, kind, basic.header(self._target))
            if answer.status == 401:
                showing.refused()
                raise refusal(answer, "Basic")
            showing.accepted()
        return answer

    def _post(self, body: bytes, *headers: str) -> Answer:
        if self._wire is None:
            raise ConnectionResetError("the host closed the connection")
        head = (
            "POST /wsman HTTP/1.1",
            f"Host: {self.authority}",
            f"User-Agent: mpsbridge/{__version__}",
            "Accept-Encoding: identity",
            "Connection: Keep-Alive",
            *headers,
            f"Content-Length: {len(body)}",
        )
        try:
            self._limit.step()
            self._wire.send("\r\n".join((*head, "", "")).encode("ascii") + body)
            answer = read_answer(self._wire.receive)
        except BaseException:
            self.close()
            raise
        if answer.last:
            self.close()
        return answer


def _seal(sealing: WinRMEncryption, message: bytes) -> tuple[str, bytes]:
    kind, body = sealing.wrap_message(message)
    return f'{kind};protocol="{sealing.protocol}";boundary="{_BOUNDARY}"', body


def _unseal(sealing: WinRMEncryption, answer: Answer) -> bytes:
    if not answer.header("content-type").lower().startswith("multipart/encrypted"):
        if answer.status == 200:
            raise BadAnswer("the host answered in clear where only a sealed answer can be trusted")
        return b""
    try:
        text = bytes(sealing.unwrap_message(answer.body, _BOUNDARY))
    except (IndexError, ValueError, struct.error, SpnegoError) as error:
        raise BadAnswer(f"the sealed answer cannot be opened: {error}") from error
    if not text:  # nothing was opened, so nothing was proved
        raise BadAnswer("the sealed answer is empty")
    return text


def _fault(text: bytes) -> str:
    """The body of an answer that is not 200, as pypsrp may read it: empty where it is no XML that Windows sends."""
    try:
        check_xml(text)
    except BadAnswer:
        return ""
    return text.decode("utf-8", "replace")
