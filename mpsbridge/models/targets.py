"""How to reach a host. A target travels between processes; a connection never does."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypedDict, Unpack

from pydantic import AfterValidator, BeforeValidator, Field

from mpsbridge.errors import InputError
from mpsbridge.models.complaints import EMPTY
from mpsbridge.models.credentials import Auth, Credentials, Ticket
from mpsbridge.models.frozen import Given

EndpointName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""The name of a session configuration. It becomes the end of a URI, so it is held to what needs no quoting there."""


def _filled(value: object) -> object:
    if value == "":
        raise ValueError(EMPTY)
    return value


Filled = Annotated[str, BeforeValidator(_filled)]
"""A text that is not empty."""
FileName = Annotated[Path, BeforeValidator(_filled)]
"""The name of a file or folder; an empty one would mean the working folder."""
_SERVICE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}/[A-Za-z0-9._-]{1,255}(?:@[A-Za-z0-9._-]{1,255})?")


def _service_name(text: str) -> str:
    if not _SERVICE_NAME.fullmatch(text):
        raise ValueError("it is not the name of a service; write host/NAME or host/NAME@REALM")
    return text


ServiceName = Annotated[str, AfterValidator(_service_name)]
"""``service/name`` or ``service/name@REALM``."""


def _address(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    if any(each.isspace() or not each.isprintable() for each in text):
        raise ValueError("it is not a name or an address: blanks and control characters stand in it")
    return text


def _shown_name(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("it is empty, or cannot be shown")
    return text


POWERSHELL = "Microsoft.PowerShell"
"""The endpoint of Windows PowerShell, which is there wherever WinRM is."""
HTTPS_PORT = 5986
HTTP_PORT = 5985
"""Where WinRM listens by default; over HTTP its messages are sealed."""


def default_port(*, tls: bool) -> int:
    """Where WinRM listens if nobody has changed it."""
    return HTTPS_PORT if tls else HTTP_PORT


class _Further(TypedDict, total=False):
    """What else :class:`Target` takes, by name."""

    kind: Literal["winrm", "local"]
    auth: Auth
    credentials: Credentials
    spn: str | None
    ca_file: Path | None
    insecure_tls: bool
    insecure_basic: bool
    connect_timeout_s: float
    configuration_name: str


class Target(Given):
    """One host and how to sign in there: ``Target("ts1", credentials=Password("admin", "..."))``.

    ``host`` is the name as the person gave it (it is what reports show), ``address`` the name or IP that is
    connected to (where none is given, ``host``). The port follows from ``tls``: 5986, or 5985 without. Raises
    ``InputError``.
    """

    host: Annotated[str, AfterValidator(_shown_name)]
    address: Annotated[str, AfterValidator(_address)]
    kind: Literal["winrm", "local"] = "winrm"
    port: int = Field(ge=1, le=65535)
    tls: bool = True
    auth: Auth = Auth.NEGOTIATE
    credentials: Credentials = Ticket()
    spn: ServiceName | None = None
    """The host's name in Kerberos, where it is not ``host/`` and ``address``."""
    ca_file: Path | None = None
    insecure_tls: bool = False
    """Accept any certificate."""
    insecure_basic: bool = False
    """Allow Basic over plain HTTP, where the password and all text are readable on the wire."""
    connect_timeout_s: float = 10.0
    """Seconds for name look-up and TCP (and, apart, for the TLS handshake); never more than the call's own limit."""
    configuration_name: EndpointName = POWERSHELL
    """The session configuration (endpoint) on the host."""

    def __init__(
        self,
        host: str,
        address: str | None = None,
        *,
        port: int | None = None,
        tls: bool = True,
        **more: Unpack[_Further],
    ) -> None:
        super().__init__(
            host=host,
            address=host if address is None else address,
            port=default_port(tls=tls) if port is None else port,
            tls=tls,
            **more,
        )

    @property
    def username(self) -> str | None:
        """The user name of the credentials, where they have one."""
        return self.credentials.username

    def check(self) -> None:
        """Raise ``InputError`` where the host could never be signed in to: nothing needs to be sent to know it."""
        if self.kind == "local":
            return
        if (problem := self.credentials.problem(self)) is not None:
            raise InputError(f"{self.host}: {problem.text}", hint=problem.hint).about(host=self.host)
        try:
            self.address.encode("idna")
        except UnicodeError:
            raise InputError(f"{self.host}: {self.address!r} is not a host name").about(host=self.host) from None

    @property
    def service_name(self) -> str:
        """What Kerberos is asked for. Every computer account has ``host/``; HTTP/ and WSMAN/ are aliases of it."""
        return self.spn or f"host/{self.address}"

    @property
    def has_service_name(self) -> bool:
        """Whether that can be a name in a realm; an IP address is none."""
        if self.spn is not None:
            return True
        try:
            ipaddress.ip_address(self.address.partition("%")[0])
        except ValueError:
            return True
        return False

    @property
    def restricted(self) -> bool:
        """Whether the endpoint is none of PowerShell's own (``Microsoft.PowerShell``, ``microsoft.powershell32``,
        ``PowerShell.7``): then nothing but published functions can be called there, and no script text runs.
        """
        return not self.configuration_name.casefold().startswith(("microsoft.powershell", "powershell."))


def demand_targets(targets: object) -> None:
    """Raise ``InputError`` where it is not a list of targets. A text, and one target, are sequences, too."""
    if not isinstance(targets, Sequence) or not all(isinstance(target, Target) for target in targets):
        raise InputError("targets: it is not a list of Target", hint='Write [Target("ts1")], also for one host.')
