"""One TCP or TLS connection whose every step ends in time.

Rules: each single wait is given only what the :class:`~mpsbridge.transports.limit.Limit` has left; the socket is shut
beneath TLS, never through it, so that no thread can be made to write in clear; names are looked up by the operating
system, and no proxy is asked for.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import selectors
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

from mpsbridge.errors import CertificateRefused
from mpsbridge.once import once
from mpsbridge.transports.limit import Limit

_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""``select`` knows no descriptor above 1,023, and ``poll`` is not everywhere."""
_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK})
"""What a connection that is being made answers: the second by Windows."""
_WORDS = {
    errno.ECONNREFUSED: "Connection refused",
    errno.ECONNRESET: "Connection reset by peer",
    errno.ECONNABORTED: "Software caused connection abort",
    errno.ETIMEDOUT: "Connection timed out",
    errno.ENETUNREACH: "Network is unreachable",
    errno.EHOSTUNREACH: "No route to host",
    errno.EADDRNOTAVAIL: "Cannot assign requested address",
    getattr(errno, "WSAEACCES", errno.EACCES): "Permission denied",
}
"""Of what makes no connection: for Winsock's numbers Python has no words on Windows."""
PIECE_BYTES = 65536
"""How much is read at a time."""


class HandshakeTimedOut(TimeoutError):
    """The peer is connected and says nothing of TLS."""


class Wire:
    """A connection that belongs to one thread; only :meth:`shut` may come from another."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def dial(self, address: str, port: int, *, connect_timeout_s: float, tls: ssl.SSLContext | None) -> None:
        """Connect to the first address that answers, and shake hands where ``tls`` is given.

        Look-up and TCP together have ``connect_timeout_s``, shared out among the addresses that are left; so has the
        handshake. Raises ``OSError`` in all its kinds (``socket.gaierror``, ``TimeoutError``, ``ssl.SSLError``).
        """
        by = self._limit.moment(connect_timeout_s)
        places = self._look_up(address, port, by)
        for left, (family, _, _, _, place) in zip(range(len(places), 0, -1), places, strict=True):
            try:
                self._connect(family, place, self._limit.left(by) / left)
                break
            except OSError:
                if left == 1 or self._limit.cancelled:
                    raise
        if tls is not None:
            self._shake_hands(tls, address, self._limit.moment(connect_timeout_s))

    def _look_up(self, address: str, port: int, by: float) -> list[Any]:
        ask = functools.partial(socket.getaddrinfo, address, port, type=socket.SOCK_STREAM)
        try:
            return ask(flags=socket.AI_NUMERICHOST)  # an IP address needs no name server, and no thread
        except socket.gaierror:
            return self._limit.call(ask, by)

    def _connect(self, family: int, place: Any, seconds: float) -> None:
        connection = self._hold(socket.socket(family, socket.SOCK_STREAM))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(0)
        code = connection.connect_ex(place)
        by = self._limit.moment(min(seconds, self._limit.left()))  # after connect_ex: from here on shut() ends the wait
        if code in _UNDER_WAY:
            with _Selector() as selector:
                selector.register(connection, selectors.EVENT_WRITE)
                if not selector.select(self._limit.left(by)):
                    raise OSError(errno.ETIMEDOUT, _WORDS[errno.ETIMEDOUT])
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, _WORDS.get(code) or os.strerror(code))

    def _shake_hands(self, tls: ssl.SSLContext, address: str, by: float) -> None:
        if self._socket is None:
            raise ConnectionAbortedError("not connected")
        name = address.partition("%")[0]  # an IPv6 zone is no part of a certificate's name
        secure = tls.wrap_socket(self._socket, server_hostname=name, do_handshake_on_connect=False)
        self._hold(secure)
        secure.settimeout(self._limit.left(by))
        try:
            secure.do_handshake()
        except TimeoutError as error:
            raise HandshakeTimedOut("the TLS handshake got no answer in time") from error

    def _hold(self, connection: socket.socket) -> socket.socket:
        with self._lock:
            before, self._socket = self._socket, connection
            if before is not None:
                before.close()  # an address that did not answer; after a handshake it is empty already
        return connection

    @property
    def certificate(self) -> bytes | None:
        """The peer's certificate (DER), or ``None`` without TLS."""
        return self._socket.getpeercert(binary_form=True) if isinstance(self._socket, ssl.SSLSocket) else None

    def is_quiet(self) -> bool:
        """Whether it is open and nothing waits to be read, as it must be between two requests."""
        if self._socket is None:
            return False
        self._socket.settimeout(0)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False  # closed by the peer, or bytes that nobody asked for

    def send(self, data: bytes) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._timed().send(rest) :]

    def receive(self) -> bytes:
        """Read what is there, or wait for the first bytes; none at the end."""
        return self._timed().recv(PIECE_BYTES)

    def _timed(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionAbortedError("the connection is closed")
        self._socket.settimeout(self._limit.left())
        return self._socket

    def shut(self) -> None:
        """End every wait on it at once; from any thread."""
        with self._lock:
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # Not SSLSocket.shutdown: that drops TLS first, and the next write would be in clear.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of it; closing twice is fine."""
        with self._lock:
            connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()


@once
def tls_context(ca_file: Path | None, *, insecure: bool) -> ssl.SSLContext:
    """TLS as the target asks for it: the system's CAs, or only those of ``ca_file``, or anyone's word.

    Made once for all hosts that share it, because loading the system's CAs takes about 20 ms and a megabyte. Raises
    :class:`~mpsbridge.errors.CertificateRefused` where ``ca_file`` cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or str(error)
        raise CertificateRefused(f"the CA file {ca_file} cannot be used: {reason}", hint="Check --ca-file.") from error
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
