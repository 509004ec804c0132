"""What goes to a host and what comes back, before anyone gives it a meaning."""

from __future__ import annotations

from enum import StrEnum

from pydantic import JsonValue

from mpsbridge.models.frozen import Frozen


class Effect(StrEnum):
    """What a snippet does to the host. Only ``read`` may ever be repeated by itself."""

    READ = "read"
    NOTIFY = "notify"
    DISRUPT = "disrupt"


class Script(Frozen):
    """A rendered snippet: an audit header line, function definitions, and one call.

    ``text`` is the whole; ``short`` is for a runspace that has the definitions already. ``function`` and
    ``parameters`` are the same call as data, for endpoints where only published functions can be called.
    ``digest`` (SHA-256, hex) is of definitions and call, without the header; ``definitions_digest`` of the definitions.
    """

    snippet: str
    effect: Effect
    header: str
    definitions: str
    call: str
    function: str
    parameters: dict[str, JsonValue]
    digest: str
    definitions_digest: str

    @property
    def text(self) -> str:
        """Header, definitions and call."""
        return f"{self.header}\n{self.definitions}\n{self.call}\n"

    @property
    def short(self) -> str:
        """Header and call."""
        return f"{self.header}\n{self.call}\n"


class RawOutput(Frozen):
    """What a transport brings home: the strings that the script emitted, and PowerShell's own records as text.

    ``output`` holds each emitted object as text, in order; ``errors`` and ``warnings`` the records of those streams;
    ``failed`` is true when the pipeline ended in a terminating error. ``elapsed_s`` is measured here, from the call
    of ``run`` to its return.
    """

    output: tuple[str, ...]
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    failed: bool = False
    elapsed_s: float = 0.0
    signed_in: str = ""
    """How the client signed in there: ``kerberos``, ``ntlm``, ``basic``; empty where nobody had to."""
