"""pypsrp's own client, unmodified, pointed at a lab."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pypsrp.powershell import DEFAULT_CONFIGURATION_NAME, PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from mpsbridge.lab import Lab

DEFINED = "".join(
    f"function {name} {{ }}\n"
    for name in (
        "Get-MpsbridgeObservation",
        "Get-MpsbridgeStation",
        "Get-MpsbridgeLogonMode",
        "Set-MpsbridgeLogonMode",
        "Send-MpsbridgeMessage",
        "Disconnect-MpsbridgeSession",
        "Close-MpsbridgeSession",
    )
)
"""Stands for the definitions that every real script carries; the scripted engine reads only their names."""

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
OBSERVE = "Get-MpsbridgeObservation -TimeLimitSeconds 20"
NEVER_LATE = "20991231235959.000000+000"


def wsman(lab: Lab, host: int | str = 0, **changed: Any) -> WSMan:
    """A connection to one host of the lab, in the way that the lab wants."""
    place = lab.hosts[host] if isinstance(host, int) else next(each for each in lab.hosts if each.name == host)
    settings: dict[str, Any] = {
        "port": lab.port,
        "ssl": lab.tls,
        "auth": lab.auth,
        "encryption": "never" if lab.auth == "basic" and not lab.tls else "auto",
        "username": lab.user,
        "password": lab.password,
        "cert_validation": str(lab.ca_file) if lab.ca_file else True,
        "no_proxy": True,
        "connection_timeout": 5,
        "read_timeout": 10,
        "operation_timeout": 5,
    }
    return WSMan(place.address, **(settings | changed))


@contextmanager
def pool(
    lab: Lab, host: int | str = 0, *, configuration: str = DEFAULT_CONFIGURATION_NAME, **changed: Any
) -> Iterator[RunspacePool]:
    """An open pool; closing it never hides what went wrong inside."""
    connection = wsman(lab, host, **changed)
    runspaces = RunspacePool(connection, configuration_name=configuration)
    try:
        runspaces.open()
        yield runspaces
    finally:
        with suppress(Exception):
            runspaces.close()
        connection.close()


def run(runspaces: RunspacePool, call: str, *, defined: str = DEFINED) -> PowerShell:
    """Run a script and return the finished pipeline."""
    pipeline = PowerShell(runspaces)
    pipeline.add_script(f"# mpsbridge\n{defined}\n{call}\n")
    pipeline.invoke()
    return pipeline


def answer(runspaces: RunspacePool, call: str) -> dict[str, Any]:
    """The envelope that a call is answered with."""
    pipeline = run(runspaces, call)
    assert not pipeline.had_errors, [str(record) for record in pipeline.streams.error]
    (text,) = pipeline.output
    envelope: dict[str, Any] = json.loads(text)
    return envelope


def guards_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What a client sends back about each row that it saw, cut at the columns of an English table."""
    births = {birth["id"]: birth["born"] for birth in result["births"]}
    rows = base64.b64decode(result["quser"]["out"]).decode("latin-1").split("\r\n")[1:-1]
    return [
        {
            "id": int(row[38:45]),
            "born": births.get(int(row[38:45])),
            "user": row[1:21].rstrip(),
            "logon": row[65:].rstrip(),
            "state": row[46:53].split()[0],
        }
        for row in rows
    ]


def act(function: str, guards: list[dict[str, Any]], *, not_after: str = NEVER_LATE, more: str = "") -> str:
    """One call of an act."""
    listed = json.dumps({"sessions": guards}).replace("'", "''")
    return f"{function} -Sessions '{listed}'{more} -NotAfter '{not_after}' -Run 'run-1' -TimeLimitSeconds 1"


def envelope(
    action: str, body: str = "", *, message_id: str = "uuid:1", resource: str = "", shell_id: str = ""
) -> bytes:
    """A request as small as a service takes it; ``action`` without its namespace (``Get``, ``Receive``)."""
    transfer = action in {"Create", "Delete", "Get"}
    space = "http://schemas.xmlsoap.org/ws/2004/09/transfer" if transfer else SHELL
    selector = f'<w:SelectorSet><w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet>' if shell_id else ""
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        f' xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:rsp="{SHELL}"><s:Header>'
        f"<a:Action>{space}/{action}</a:Action><a:MessageID>{message_id}</a:MessageID>"
        f"<w:ResourceURI>{resource}</w:ResourceURI><w:OperationTimeout>PT5S</w:OperationTimeout>{selector}"
        f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()
