"""Answers of a make-believe host for tests that need no PowerShell: envelopes as the templates send them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mpsbridge.errors import Interrupted, NotSent
from mpsbridge.host import Host
from mpsbridge.models.scripts import RawOutput, Script
from mpsbridge.models.targets import Target
from mpsbridge.transports.canned import CannedTransport

HEADER = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME"
NOW = "20261125120000.000000+000"


def row(
    user: str, id: int, state: str = "Active", *, name: str = "rdp-tcp#1", logon: str = "11/25/2026 9:00 AM"
) -> str:
    return f" {user:<20}  {name:<15}  {id:>4}  {state:<6} {'.':>10}  {logon}"


def envelope(snippet: str, result: Any, *, ok: bool = True, problems: Sequence[str] = ()) -> str:
    return json.dumps({"mpsbridge": 1, "snippet": snippet, "ok": ok, "result": result, "problems": list(problems)})


def born(id: int) -> str:
    return f"202611250900{id:02d}.000000+000"


def observation(rows: Sequence[str], **more: Any) -> dict[str, Any]:
    """An elevated caller's answer; every row's id has a witness and a birth."""
    ids = [int(line[39:45]) for line in rows]
    text = "\r\n".join([HEADER, *rows, ""]) if rows else ""
    nobody = "" if rows else "No User exists for *\r\n"
    return {
        "computer": "TS1",
        "now": NOW,
        "utc_offset_min": 0,
        "boot": "20261101000000.000000+000",
        "quser": {"exit": 0 if rows else 1, "out": _base64(text), "err": _base64(nobody)},
        "qwinsta": {"exit": 0, "out": _base64(""), "err": ""},
        "oem": 437,
        "ansi": 1252,
        "patterns": {"short_date": "M/d/yyyy", "short_time": "h:mm tt", "am": "AM", "pm": "PM", "locale": "en-US"},
        "births": [{"id": id, "born": born(id)} for id in ids],
        "witness": {"before": ids, "after": ids},
        "caller": {"account": "TS1\\admin", "elevated": True, "session_id": 0},
        "logons": {"mode": "enabled", "logons": 0, "drain": 0},
        "powershell": {"version": "5.1", "language": "FullLanguage", "bits": 64},
        **more,
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("cp437", "replace")).decode("ascii")


@dataclass
class Hands:
    """A host whose answers are functions of the script's name; ``calls`` are the names that were run.

    A small look is answered, and counted, as an observation.
    """

    answers: dict[str, Callable[[Script], str | RawOutput | NotSent | Interrupted]]
    calls: list[str] = field(default_factory=list)
    connections: int = 0

    def answer(self, script: Script) -> str | RawOutput | NotSent | Interrupted:
        name = "observe" if script.snippet == "look" else script.snippet
        self.calls.append(name)
        answer = self.answers[name](script)
        return (
            answer.replace('"snippet": "observe"', f'"snippet": "{script.snippet}"')
            if isinstance(answer, str)
            else answer
        )

    def connect(self, _target: Target) -> CannedTransport:
        self.connections += 1
        return CannedTransport(self.answer)

    def host(self, name: str = "ts1", **more: Any) -> Host:
        return Host(Target(host=name, address=name), connect=self.connect, **more)


def guarded_ids(script: Script) -> list[int]:
    """The session ids that an act was sent for."""
    return [entry["id"] for entry in json.loads(str(script.parameters["Sessions"]))["sessions"]]


def acted(snippet: str, **results: str) -> Callable[[Script], str]:
    """An act's answer: ``s2="ended"`` for session 2; ``s2="begun"`` is unknown, because it has begun."""
    begun = {"result": "unknown", "text": "the log-off has begun", "begun": True}
    by_id = {int(key[1:]): begun if value == "begun" else {"result": value} for key, value in results.items()}
    return lambda script: envelope(
        snippet,
        {"now": NOW, "sessions": [{"id": id, **by_id[id]} for id in guarded_ids(script) if id in by_id]},
    )
