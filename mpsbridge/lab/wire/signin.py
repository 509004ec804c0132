"""Signing in, one object for each connection: Basic; NTLM raw or inside SPNEGO (``Negotiate``).

Authentication belongs to the connection, as on Windows. Over plain HTTP the messages after it are sealed
(multipart/encrypted); over HTTPS they are plain and NTLM must be bound to the channel (``tls-server-end-point``), with
no exception for clients that send no binding.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import shutil
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import spnego
from spnego._ntlm_raw.crypto import ntowfv1  # MD4 is in no public library any more
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from mpsbridge.lab.wire.http import HttpRequest

SOAP_TYPE = "application/soap+xml;charset=UTF-8"
_BOUNDARY = "Encrypted Boundary"
SPNEGO_SEALED = "application/HTTP-SPNEGO-session-encrypted"
_USER_FILE = "NTLM_USER_FILE"


class BadSeal(Exception):
    """A body that should be sealed cannot be opened; Windows answers 400."""


@dataclass(frozen=True, slots=True)
class Account:
    r"""The one account that all hosts of a lab share. ``user`` may be ``DOMAIN\name``.

    One without a domain is a local account, which is also known as ``.\name`` and ``COMPUTER\name`` to that computer.
    """

    user: str
    password: str
    computer: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """All names by which it may sign in."""
        if "\\" in self.user:
            return (self.user,)
        return (self.user, *(f"{domain}\\{self.user}" for domain in (".", self.computer) if domain))

    def fits(self, user: str, password: str) -> bool:
        """Whether a name (without case, as on Windows) and a password are this account's."""
        given = user.casefold().encode()
        same_user = [secrets.compare_digest(given, name.casefold().encode()) for name in self.names]
        return secrets.compare_digest(password.encode(), self.password.encode()) and any(same_user)


class UserFile:
    """The password file that pyspnego's acceptor reads.

    Its path is one environment variable for the whole process, so it is set once, by the first lab that starts, and put
    back by the last one that stops; each lab's account is in the file only while a token of that lab is looked at.
    """

    _lock = threading.RLock()
    _labs = 0
    _before: str | None = None
    _folder: Path | None = None
    _current: Account | None = None

    @classmethod
    def start(cls) -> None:
        """One more lab."""
        with cls._lock:
            cls._labs += 1
            if cls._labs == 1:
                cls._before, cls._current = os.environ.get(_USER_FILE), None
                cls._folder = Path(tempfile.mkdtemp(prefix="mpsbridge-lab-"))
                file = cls._folder / "ntlm-users"
                file.touch(mode=0o600)
                os.environ[_USER_FILE] = str(file)

    @classmethod
    def stop(cls) -> None:
        """One lab less."""
        with cls._lock:
            cls._labs -= 1
            if cls._labs or cls._folder is None:
                return
            shutil.rmtree(cls._folder, ignore_errors=True)
            if cls._before is None:
                os.environ.pop(_USER_FILE, None)
            else:
                os.environ[_USER_FILE] = cls._before

    @classmethod
    @contextmanager
    def holding(cls, account: Account) -> Iterator[None]:
        """The file holds this account, and only this one."""
        with cls._lock:
            if cls._current != account and cls._folder is not None:
                # As hashes (smbpasswd's form): of a password pyspnego would make both again for each connection.
                hashed = ntowfv1(account.password).hex()
                lines = "".join(f"{name}:0:{'0' * 32}:{hashed}::\n" for name in account.names)
                (cls._folder / "ntlm-users").write_text(lines, encoding="utf-8")
                cls._current = account
            yield


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with a request: let it in, or answer 401; either way with a header for the client."""

    allowed: bool
    header: str | None = None
    refused: bool = False
    """A whole attempt failed (a wrong password), as opposed to a step on the way."""


class BasicSignIn:
    """Basic: name and password in every request."""

    challenge = 'Basic realm="WSMAN"'

    def __init__(self, account: Account) -> None:
        self._account = account

    def check(self, request: HttpRequest) -> Verdict:
        """Let the right password in."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return Verdict(allowed=False, header=self.challenge)
        try:
            user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return Verdict(allowed=False, header=self.challenge, refused=True)
        if self._account.fits(user, password):
            return Verdict(allowed=True)
        return Verdict(allowed=False, header=self.challenge, refused=True)

    def open(self, request: HttpRequest) -> bytes:
        """The SOAP envelope in a request."""
        return request.body

    def wrap(self, xml: bytes) -> tuple[str, bytes]:
        """Content type and body for an envelope."""
        return SOAP_TYPE, xml


class NegotiateSignIn:
    """NTLM, raw or in SPNEGO. ``binding`` is the channel binding that must be there (HTTPS)."""

    challenge = "Negotiate"
    _schemes: ClassVar[dict[str, str]] = {"negotiate": SPNEGO_SEALED}

    def __init__(self, account: Account, binding: GssChannelBindings | None) -> None:
        self._seals = binding is None
        self._account = account
        self._binding = binding
        self._context: spnego.ContextProxy | None = None
        self._protocol = SPNEGO_SEALED
        self._signed_in = False

    def check(self, request: HttpRequest) -> Verdict:
        """Take one step. A connection that is signed in stays so until the client begins again."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not token:
            return Verdict(allowed=True) if self._signed_in else Verdict(allowed=False, header=self.challenge)
        if scheme.lower() not in self._schemes:
            return Verdict(allowed=False, header=self.challenge, refused=True)
        try:
            return self._step(scheme, base64.b64decode(token, validate=True))
        except (binascii.Error, SpnegoError, ValueError, struct.error, IndexError, AttributeError):
            # A wrong password, a missing channel binding, or bytes that are no token: Windows says 401 to all. (The
            # AttributeError is pyspnego's, when the Kerberos library refuses a ticket and has a word for the client.)
            self._context, self._signed_in = None, False
            return Verdict(allowed=False, header=self.challenge, refused=True)

    def _step(self, scheme: str, token: bytes) -> Verdict:
        if self._context is None or self._context.complete:
            self._signed_in = False
            self._context = self._accept(token)
        self._protocol = self._schemes[scheme.lower()]
        answer = self._take(self._context, token)
        header = scheme + (f" {base64.b64encode(answer).decode()}" if answer else "")
        self._signed_in = self._context.complete
        return Verdict(allowed=self._signed_in, header=header if answer or not self._signed_in else None)

    def _accept(self, token: bytes) -> spnego.ContextProxy:
        protocol, options = "negotiate", spnego.NegotiateOptions.use_negotiate | spnego.NegotiateOptions.use_ntlm
        if token.startswith(b"NTLMSSP"):
            protocol, options = "ntlm", spnego.NegotiateOptions.use_ntlm
        # Always in Python: Windows' own acceptor knows the accounts of this machine, and not the lab's.
        return spnego.server(protocol=protocol, channel_bindings=self._binding, options=options)

    def _take(self, context: spnego.ContextProxy, token: bytes) -> bytes | None:
        with UserFile.holding(self._account):
            return context.step(token)

    def open(self, request: HttpRequest) -> bytes:
        """The SOAP envelope in a request, unsealed over HTTP. Raises ``BadSeal``."""
        kind = request.headers.get("content-type", "")
        if not kind.lower().startswith("multipart/encrypted"):
            if self._seals:
                raise BadSeal("a message over HTTP must be sealed")
            return request.body
        if self._context is None:
            raise BadSeal("nobody is signed in")
        try:
            return _unseal(self._context, request.body)
        except (SpnegoError, ValueError, struct.error) as error:
            raise BadSeal(str(error)) from error

    def wrap(self, xml: bytes) -> tuple[str, bytes]:
        """Content type and body for an envelope, sealed over HTTP."""
        if not self._seals or self._context is None:
            return SOAP_TYPE, xml
        kind = f'multipart/encrypted;protocol="{self._protocol}";boundary="{_BOUNDARY}"'
        return kind, _seal(self._context, xml, self._protocol)


SignIn = BasicSignIn | NegotiateSignIn


def _unseal(context: spnego.ContextProxy, body: bytes) -> bytes:
    """One message of MS-WSMV 2.2.9.1: a part that tells the length, a part with signature and sealed text."""
    found = re.match(
        rb"--\s*Encrypted Boundary\r\n.*?Length=(\d+)\r\n--\s*Encrypted Boundary\r\n"
        rb"\s*Content-Type: application/octet-stream\r\n(.*)--\s*Encrypted Boundary--\r\n\Z",
        body,
        re.DOTALL,
    )
    if found is None:
        raise ValueError("no sealed message")
    length, sealed = int(found[1]), found[2]
    (signature,) = struct.unpack_from("<i", sealed)
    if not 0 < signature <= len(sealed) - 4:
        raise ValueError("no signature")
    text = context.unwrap_winrm(sealed[4 : 4 + signature], sealed[4 + signature :])
    if len(text) != length:
        raise ValueError(f"{len(text)} bytes where {length} were announced")
    return text


def _seal(context: spnego.ContextProxy, xml: bytes, protocol: str) -> bytes:
    sealed = context.wrap_winrm(xml)
    head = "\r\n".join(
        (
            f"--{_BOUNDARY}",
            f"\tContent-Type: {protocol}",
            f"\tOriginalContent: type={SOAP_TYPE};Length={len(xml) + sealed.padding_length}",
            f"--{_BOUNDARY}",
            "\tContent-Type: application/octet-stream",
            "",
        )
    )
    signature = struct.pack("<i", len(sealed.header)) + sealed.header
    return head.encode() + signature + sealed.data + f"--{_BOUNDARY}--\r\n".encode()
