"""How to reach a host. A target travels between processes; a connection never does."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr

from mpsbridge.models.frozen import Frozen


class Auth(StrEnum):
    """How to sign in over WinRM."""

    NEGOTIATE = "negotiate"
    NTLM = "ntlm"
    KERBEROS = "kerberos"
    BASIC = "basic"


EndpointName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""The name of a session configuration. It becomes the end of a URI, so it is held to what needs no quoting there."""


def _filled(value: object) -> object:
    if value == "":
        raise ValueError("it is empty: leave it out, or fill it (what is missing in CI looks like this)")
    return value


Filled = Annotated[str, BeforeValidator(_filled)]
"""A text that is not empty."""
FileName = Annotated[Path, BeforeValidator(_filled)]
"""The name of a file or folder; an empty one would mean the working folder."""
ServiceName = Annotated[
    str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,40}/[A-Za-z0-9._-]{1,255}(@[A-Za-z0-9._-]{1,255})?$")
]
"""``service/name`` or ``service/name@REALM``."""


POWERSHELL = "Microsoft.PowerShell"
"""The endpoint of Windows PowerShell, which is there wherever WinRM is."""


class Target(Frozen):
    """One host and how to sign in there.

    ``host`` is the name as the person gave it (it is what reports show), ``address`` the name or IP that is
    connected to. The password is masked in every ``repr`` and dump.
    """

    host: str
    address: str
    kind: Literal["winrm", "local"] = "winrm"
    port: int = Field(default=5986, ge=1, le=65535)
    tls: bool = True
    auth: Auth = Auth.NEGOTIATE
    username: str | None = None
    password: SecretStr | None = None
    keytab: Path | None = None
    """A key table to sign in from by Kerberos, in place of a password."""
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
