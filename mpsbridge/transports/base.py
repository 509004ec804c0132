"""The contract that every transport keeps; one test runs it over all of them.

1. Construction does no I/O; the first ``run`` connects.
2. ``run`` returns also when PowerShell reported errors. It raises only :class:`~mpsbridge.errors.NotSent` or
   :class:`~mpsbridge.errors.Interrupted`. That a restricted endpoint has no such function is ``NotSent``.
3. ``timeout_s`` is the total for the call, name look-up and sign-in included, and holds against a peer that is silent
   or drips bytes.
4. After an expiry, a lost connection or a ``cancel`` the transport is closed; after ``close`` every ``run`` raises
   :class:`~mpsbridge.errors.TransportClosed`. Closing twice is fine, and ``close`` itself never raises.
5. Nothing is repeated by itself once the script may have been sent.
6. No foreign exception escapes. Script text is never logged, only its name and digest.
7. One transport for one host and one thread; only ``cancel`` and ``silent_s`` may come from another thread.
"""

from __future__ import annotations

from typing import Protocol

from mpsbridge.models.scripts import RawOutput, Script


class Transport(Protocol):
    """What carries a script to one host."""

    name: str
    """For reports only: ``winrm``, ``local``, ``canned``."""

    def run(self, script: Script, *, timeout_s: float) -> RawOutput:
        """Run one script and bring home what it emitted. Raises ``NotSent`` or ``Interrupted``."""
        ...

    def cancel(self) -> None:
        """End a ``run`` in another thread at once; it raises ``Interrupted`` there, or ``NotSent`` where it knows."""
        ...

    def silent_s(self) -> float:
        """Seconds since the host last answered or a ``run`` began; infinite where nobody knows. From any thread."""
        ...

    def close(self) -> None:
        """Let go of the host; never raises, may be called twice."""
        ...
