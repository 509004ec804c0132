"""Next steps that a call prints, so that they find what this call worked on: what was typed to name the record, the
inventory and the way to a host is typed again.

Rules: only what was typed; variables and the settings file hold for the next call, too. A text of ours has its commands
in quotes, or at the beginning of a sentence or a line; a command that stands elsewhere is taken for a word of a person,
which is shown as it is. What people wrote by itself (a reason in a column, a notice) is not looked through at all.
"""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from mpsbridge.settings import Settings

_RECORD = ("journal", "journal_shared")
_HOSTS = (
    "inventory",
    "username",
    "auth",
    "keytab",
    "spn",
    "port",
    "no_tls",
    "ca_file",
    "insecure_tls",
    "insecure_basic",
    "configuration",
)
_ON_RECORD = ("history", "report")
_ON_HOSTS = (
    *("sessions", "stations", "message", "disconnect", "logoff", "reset", "end", "maintain", "resume"),
    *("leases", "hold", "release", "logons", "doctor"),
)
_COMMAND = re.compile(rf"((?:^|['\n]|[:;] ) *)mpsbridge ({'|'.join((*_ON_RECORD, *_ON_HOSTS))})\b")


class Repeated(NamedTuple):
    """The typed options of a call, as words of a command line: those of the record, and those of the way to a host."""

    record: str = ""
    hosts: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Repeated:
        """What was typed in this call."""
        return cls(_typed(settings, _RECORD), _typed(settings, _HOSTS))

    def within(self, text: str) -> str:
        """The text, each command in it with these options."""
        if not (self.record or self.hosts) or "mpsbridge " not in text:
            return text
        return _COMMAND.sub(lambda found: f"{found[0]}{self._of_command(found[2])}", text)

    def _of_command(self, command: str) -> str:
        return self.record if command in _ON_RECORD else f"{self.record}{self.hosts}"


def _typed(settings: Settings, names: tuple[str, ...]) -> str:
    words = []
    for name in names:
        value = getattr(settings, name)
        if not settings.place(name).startswith("--") or value is None or value is False:
            continue
        option = "--" + name.replace("_", "-")
        words.append(option if value is True else f"{option} {shlex.quote(str(value))}")
    return "".join(f" {word}" for word in words)
