"""What an account signs in with: a password, a Kerberos ticket that is there already, or a key table.

Each kind is one class, and each knows what it goes with: ``problem`` is the one place that says which ways to sign in,
which names and which hosts it can be used for. A further kind is a further class of :data:`Credentials`; mypy then
finds the places that must know it (``assert_never``).

Rules: a secret is masked in every ``repr`` and dump and stands in no message; an empty password does not exist.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, SecretStr

from mpsbridge.errors import InputError
from mpsbridge.models.frozen import Given

if TYPE_CHECKING:
    from mpsbridge.models.targets import Target


class Auth(StrEnum):
    """How to sign in over WinRM."""

    NEGOTIATE = "negotiate"
    NTLM = "ntlm"
    KERBEROS = "kerberos"
    BASIC = "basic"


class Problem(NamedTuple):
    """Why a host could never be signed in to, as the end of a sentence about it, and what to do."""

    text: str
    hint: str


class Password(Given):
    """A user name and a password. Raises ``InputError`` where one of them is empty."""

    kind: Literal["password"] = "password"
    username: str
    secret: SecretStr

    def __init__(self, username: str, secret: str | SecretStr, **more: Any) -> None:
        if not secret:
            raise InputError("the password is empty", hint="Give a password, or a ticket in its place.")
        if not username:
            raise InputError("there is a password, but no user name", hint=NAME_THE_USER)
        super().__init__(username=username, secret=secret, **more)

    def problem(self, target: Target) -> Problem | None:
        """Why the host could never be signed in to with it; ``None`` where it may work."""
        if target.auth is Auth.KERBEROS:
            return _problem_of_names(target)
        if target.auth is Auth.BASIC and not target.tls and not target.insecure_basic:
            return Problem(
                "Basic over plain HTTP would show the password to everyone on the way",
                "Use TLS (no --no-tls) or another --auth; --insecure-basic allows it all the same.",
            )
        return None


class Ticket(Given):
    """A Kerberos ticket: one that is there already, or that the Kerberos library gets by its own settings.

    ``username`` says whose, where several are there.
    """

    kind: Literal["ticket"] = "ticket"
    username: str | None = None

    def __init__(self, username: str | None = None, **more: Any) -> None:
        super().__init__(username=username or None, **more)

    def problem(self, target: Target) -> Problem | None:
        """Why the host could never be signed in to with it; ``None`` where it may work."""
        if target.auth in {Auth.BASIC, Auth.NTLM}:
            return Problem(f"--auth {target.auth} needs a user name and a password", NAME_BOTH)
        if target.auth is Auth.NEGOTIATE and self.username is None and not target.has_service_name:
            return Problem(
                f"no user name is given, and a Kerberos ticket is for a name, but {target.address} is an address",
                f"{NAME_BOTH} For a ticket use the host's name, or say it: --spn host/ts1.example.org.",
            )
        return _problem_of_names(target)


class KeyTable(Given):
    """A Kerberos key table, which stands in for the password; ``username`` picks one of its keys."""

    kind: Literal["key-table"] = "key-table"
    file: Path
    username: str | None = None

    def __init__(self, file: str | Path, username: str | None = None, **more: Any) -> None:
        super().__init__(file=file, username=username or None, **more)

    def problem(self, target: Target) -> Problem | None:
        """Why the host could never be signed in to with it; ``None`` where it may work."""
        if target.auth in {Auth.BASIC, Auth.NTLM}:
            return Problem(
                f"--auth {target.auth} needs a user name and a password; a key table is for Kerberos",
                "Leave out --auth or --keytab.",
            )
        return _problem_of_names(target)


Credentials = Annotated[Password | Ticket | KeyTable, Field(discriminator="kind")]
"""Any of them."""

NAME_THE_USER = "Use --username NAME; or remove the password, to sign in with a Kerberos ticket."
NAME_BOTH = "Use --username NAME, with MPSBRIDGE_PASSWORD, MPSBRIDGE_PASSWORD_FILE or a prompt for the password."
"""What to do where half of a password's credentials is missing, or both."""


def _problem_of_names(target: Target) -> Problem | None:
    """What Kerberos could never do with the names of host and user."""
    if not target.has_service_name:
        return Problem(
            f"Kerberos needs a name, but {target.address} is an address",
            "Use the host's name, or say its name in the domain: --spn host/ts1.example.org.",
        )
    if "\\" in (target.username or ""):
        return Problem(
            f"{target.username} is not a Kerberos name", "Write name@REALM, the realm being the domain's full name."
        )
    return None
