"""What an engine is: it takes one submitted call for one host and says what comes out.

A call may take time, so an answer is a generator: it yields seconds to wait (by the world's clock) and returns the
one string that the script emits, or several of them. A script that ends in an error raises :class:`Terminating`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

from mpsbridge.lab.windows.host import LabHost

Answer = Generator[float, None, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Submitted:
    """What a client asked to run: script ``text``, or a ``command`` with parameters where ``text`` is ``None``."""

    text: str | None
    command: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Memory:
    """What one runspace pool remembers from script to script: the functions that were defined in it."""

    published: bool = False
    """A JEA endpoint: its functions are there from the start, and script text is refused."""
    functions: set[str] = field(default_factory=set)


class Terminating(Exception):
    """A terminating error, in PowerShell's own terms."""

    def __init__(self, message: str, *, error_id: str, reason: str, category: str = "NotSpecified") -> None:
        super().__init__(message)
        self.message = message
        self.error_id = error_id
        self.reason = reason
        self.category = category
        """A member of ``System.Management.Automation.ErrorCategory``."""


class Engine(Protocol):
    """How a make-believe host executes what it is sent."""

    def answer(self, host: LabHost, submitted: Submitted, memory: Memory) -> Answer:
        """Run one call. Raises ``Terminating``, at once or while it runs."""
        ...
