"""How tests reach a host of the lab, and an engine that answers however a test likes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from mpsbridge.lab.engines.contract import Answer, Memory, Submitted
from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.models.credentials import Auth, Credentials, KeyTable, Password, Ticket
from mpsbridge.models.scripts import Effect, Script
from mpsbridge.models.targets import Target


def reach(
    lab: Lab,
    name: str = "alpha",
    *,
    username: str | None = "",
    password: SecretStr | str | None = "",
    keytab: Path | None = None,
    **changes: Any,
) -> Target:
    """A target for one host of a lab that has started; its own user and password where none are given."""
    username = lab.user if username == "" else username
    password = lab.password if password == "" else password
    address = next(host.address for host in lab.hosts if host.name == name)
    facts: dict[str, Any] = {
        "host": name,
        "address": address,
        "port": lab.port,
        "tls": lab.tls,
        "auth": Auth.BASIC if lab.auth == "basic" else Auth.NEGOTIATE,
        "credentials": credentials(username, password, keytab),
        "insecure_basic": True,
        "ca_file": lab.ca_file,
    }
    return Target(**facts | changes)


def credentials(
    username: str | None, password: SecretStr | str | None = None, keytab: Path | None = None
) -> Credentials:
    """What a call with these settings signs in with."""
    if keytab is not None:
        return KeyTable(keytab, username)
    return Ticket(username) if password is None else Password(username or "", password)


def variables(lab: Lab) -> dict[str, str]:
    """What a process that is to reach a lab with Basic has in its environment."""
    return {
        "MPSBRIDGE_INVENTORY": str(lab.inventory),
        "MPSBRIDGE_USERNAME": lab.user,
        "MPSBRIDGE_PASSWORD": lab.password,
        "MPSBRIDGE_AUTH": "basic",
        "MPSBRIDGE_NO_TLS": "1",
        "MPSBRIDGE_INSECURE_BASIC": "1",
    }


def script(call: str = "Get-Thing", *, definitions: str = "function Get-Thing { 'swordfish' }") -> Script:
    """A script of a test."""
    return Script(
        snippet="observe",
        effect=Effect.READ,
        header="# mpsbridge test",
        definitions=definitions,
        call=call,
        function="Get-Thing",
        parameters={"TimeLimitSeconds": 20, "Text": "it's"},
        digest="d" * 64,
        definitions_digest=str(hash(definitions)),
    )


Emitted = str | tuple[str, ...]
"""One string, or several."""


class TestEngine:
    """Emits what ``answer`` makes of the script text, ``after_s`` seconds late; ``texts`` are the scripts it got."""

    __test__ = False

    def __init__(self, answer: Callable[[str], Emitted] = lambda _: "done", *, after_s: float = 0.0) -> None:
        self.texts: list[str] = []
        self._answer = answer
        self._after_s = after_s

    def answer(self, host: LabHost, submitted: Submitted, memory: Memory) -> Answer:  # noqa: ARG002 - the engine's contract
        text = submitted.text if submitted.text is not None else f"{submitted.command} {submitted.parameters}"
        self.texts.append(text)
        if self._after_s:
            yield self._after_s
        return self._answer(text)
