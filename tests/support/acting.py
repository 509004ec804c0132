"""Acts on a make-believe Windows host, for the tests of the acting snippets."""

from __future__ import annotations

from typing import Any

from mpsbridge.models.scripts import Script
from mpsbridge.models.sessions import Result, SessionGuard
from mpsbridge.snippets.catalogue import CATALOGUE
from mpsbridge.snippets.sessions import (
    ActAnswer,
    SessionActAnswer,
)
from support.snippet_calls import act, box, log_off, reset
from support.windows import Person, Windows

ALICE = Person(2, "alice")
BOB = Person(5, "bob", name="rdp-tcp#7", logon="11/25/2026 10:30 AM", born="20261125103000.000000+000")
LATER = "20261125110000.000000+000"
USER: dict[str, Any] = {"rights": "rds"}
"""A host to which the caller is no administrator, but may see who is on."""
ACTS = ["logoff", "disconnect", "message"]
PROGRAM = {"logoff": "logoff", "disconnect": "tsdiscon", "message": "msg"}
DONE = {"logoff": Result.ENDED, "disconnect": Result.DISCONNECTED, "message": Result.SHOWN}


def script(name: str, *guards: SessionGuard, **changes: object) -> Script:
    changes = {"time_limit_s": 2} | changes
    if name == "message":
        return box("Please save your work", *guards, **changes).render()
    if name == "reset":
        return reset(*guards, **changes).render()
    if name == "logoff":
        return log_off(*guards, **changes).render()
    return act(*guards, **changes).render()


def answers(host: Windows, sent: Script, **how: str) -> list[SessionActAnswer]:
    output = host.run(sent, **how)
    assert output.errors == ()
    answer: ActAnswer = CATALOGUE[sent.snippet].read(output)
    return list(answer.sessions)


def results(host: Windows, sent: Script) -> list[Result]:
    return [answer.result for answer in answers(host, sent)]


def told(host: Windows) -> list[tuple[str, str]]:
    return [(entry.program, entry.arguments[0]) for entry in host.record]
