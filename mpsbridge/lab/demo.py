"""The demo's hosts and user, what the hosts themselves say afterwards, and how every command reaches a lab."""

from __future__ import annotations

from typing import NamedTuple

from mpsbridge.lab.engines.scripted.lease import lease_of
from mpsbridge.lab.server import Lab

DEMO_HOST, DEMO_USER = "school-fr", "user5"
"""Who gets a message and is logged off, and where."""
MAINTAINED = "library-1"
"""The host that is restarted."""


def environment(running: Lab) -> dict[str, str]:
    """The settings with which every command reaches this lab."""
    ready = running.ready()
    found = {
        "MPSBRIDGE_INVENTORY": str(ready["inventory"]),
        "MPSBRIDGE_AUTH": running.auth,
    }
    if running.keytab is None:
        found |= {"MPSBRIDGE_USERNAME": running.user, "MPSBRIDGE_PASSWORD": running.password}
    if running.tls:
        found["MPSBRIDGE_CA_FILE"] = str(running.ca_file)
    else:
        found["MPSBRIDGE_NO_TLS"] = "1"
        if running.auth == "basic":
            found["MPSBRIDGE_INSECURE_BASIC"] = "1"
    return found


class Told(NamedTuple):
    """Whether the user got the message and is ``gone``, how many people's sessions were ``ended`` on the other host,
    and whether that ``restarted`` once and has all given back.
    """

    gone: bool
    ended: int
    restarted: bool


def what_hosts_say(running: Lab) -> Told:
    """What happened in a demo, by the hosts' own account."""
    with running.world.changing() as hosts:
        left = [session.user for session in hosts[DEMO_HOST].rows()]
        maintained = hosts[MAINTAINED]
        given_back = (lease_of(maintained), [*maintained.tasks], maintained.logon_mode) == (None, [], "enabled")
    acts = [change.act for change in running.changes if change.user == DEMO_USER]
    there = [change for change in running.changes if change.host == MAINTAINED]
    return Told(
        gone=acts == ["message", "logoff"] and DEMO_USER not in left,
        ended=len({change.user for change in there if change.act == "logoff"}),
        restarted=[change.act for change in there].count("restart") == 1 and given_back,
    )
