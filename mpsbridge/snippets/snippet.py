"""What a snippet is: one question or act of ours on a host, as one class.

Its fields are the parameters of the call, ``name`` and ``effect`` say what it is, ``read`` how its answer is read::

    script = Look(time_limit_s=5).render()
    seen = Look.read(output)

Rules: the text of a snippet is the template of the same name, whose last line names the function and its parameters;
each field becomes one of them. Sessions travel as one JSON text (``{"sessions": [...]}``, ASCII only) that the function
reads and checks itself, so the same call works where only published functions may be called. Times travel as CIM
datetimes in UTC. A new snippet is a template, a class in the file of its subject, and an entry in the catalogue.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Protocol, TypeVar

from mpsbridge.models.frozen import Answer, Given
from mpsbridge.models.scripts import Effect, RawOutput, Script
from mpsbridge.parsing.observation import Check
from mpsbridge.snippets.envelope import open_envelope
from mpsbridge.snippets.render import render

A = TypeVar("A", bound=Answer)
M_co = TypeVar("M_co", covariant=True)


def unhurried() -> None:
    """The check of a reading that nobody limits."""


class Snippet(Given):
    """One call of a snippet; made wrongly it raises :class:`~mpsbridge.errors.InputError`."""

    name: ClassVar[str]
    effect: ClassVar[Effect]

    def render(self, *, reason: str = "") -> Script:
        """Write the script; ``reason`` goes into its audit header. Raises :class:`~mpsbridge.errors.RenderError`."""
        return render(self.name, self.effect, self, reason=reason)

    @classmethod
    def answered(cls, output: RawOutput, answer: type[A]) -> A:
        """The result in the host's own shape. Raises ``RemoteError`` (``Blind`` too) and ``ParseError``."""
        return open_envelope(cls.name, output).answer(answer)

    @classmethod
    @abstractmethod
    def read(cls, output: RawOutput, check: Check = unhurried) -> Any:
        """Read what the script answered: each class says as what. Raises ``RemoteError`` and ``ParseError``.

        ``check`` is called between the lines of tables; it raises its own error when the time is up.
        """


class Asks(Protocol[M_co]):
    """A snippet as its caller sees it: rendered it is a script, and what the host answers is read as an ``M``."""

    @property
    def name(self) -> str:
        """What it is called in templates, envelopes and the record."""

    @property
    def effect(self) -> Effect:
        """What it does to the host; only ``read`` may be repeated by itself."""

    def render(self, *, reason: str = "") -> Script:
        """Write the script. Raises :class:`~mpsbridge.errors.RenderError`."""

    def read(self, output: RawOutput, check: Check = unhurried) -> M_co:
        """Read what the script answered."""
