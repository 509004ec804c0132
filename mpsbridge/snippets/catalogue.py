"""The snippets: each a question or an act, with its effect, its parameters and how its answer is read.

The text of a snippet is the template of the same name; the call at its end names the function and its parameters.
The catalogue grows by a template and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from mpsbridge.errors import RenderError
from mpsbridge.models.answers import (
    ActAnswer,
    FailsafeAnswer,
    LeaseAnswer,
    LogonsAnswer,
    ModeAnswer,
    ObserveAnswer,
    PowerAnswer,
    StationsAnswer,
)
from mpsbridge.models.frozen import Answer, Frozen
from mpsbridge.models.scripts import Effect, RawOutput, Script
from mpsbridge.models.sessions import Logons, Observation, Stations
from mpsbridge.parsing.observation import Check, observe
from mpsbridge.parsing.wms import stations
from mpsbridge.snippets.envelope import open_envelope
from mpsbridge.snippets.parameters import (
    ActParameters,
    FailsafeParameters,
    FailsafeRemoveParameters,
    LeaseParameters,
    LogOffParameters,
    LogonsParameters,
    LogonsSetParameters,
    LookParameters,
    MessageParameters,
    ModeParameters,
    ObserveParameters,
    PowerParameters,
    ResetParameters,
    StationsParameters,
)
from mpsbridge.snippets.render import published, render

P = TypeVar("P", bound=Frozen)
A = TypeVar("A", bound=Answer)
M = TypeVar("M")


@dataclass(frozen=True)
class Snippet(Generic[P, A, M]):
    """One question or act: ``LOOK.render(LookParameters())`` is a script, ``LOOK.read(output)`` what came of it."""

    name: str
    effect: Effect
    parameters: type[P]
    answer: type[A]
    model: Callable[[A, tuple[str, ...], Check], M]
    """The host's answer and its problems -> what callers get; a long reading asks the check whether it may go on."""

    def render(self, parameters: P, *, reason: str = "") -> Script:
        """Write the script. Raises :class:`~mpsbridge.errors.RenderError`."""
        return render(self.name, self.effect, parameters, reason=reason)

    def read(self, output: RawOutput, *, check: Check = lambda: None) -> M:
        """Read what the script answered. Raises ``RemoteError`` (``Blind`` too) and ``ParseError``.

        ``check`` is called between the lines of tables; it raises its own error when the time is up.
        """
        envelope = open_envelope(self.name, output)
        return self.model(envelope.answer(self.answer), envelope.problems, check)


def _logons(answer: LogonsAnswer, _problems: tuple[str, ...], _check: Check) -> Logons:
    return Logons(mode=answer.mode, was=answer.was)


def _stations(answer: StationsAnswer, _problems: tuple[str, ...], _check: Check) -> Stations:
    return stations(answer)


def _as_it_is(answer: A, _problems: tuple[str, ...], _check: Check) -> A:
    return answer


OBSERVE = Snippet[ObserveParameters, ObserveAnswer, Observation](
    "observe", Effect.READ, ObserveParameters, ObserveAnswer, observe
)
LOOK = Snippet[LookParameters, ObserveAnswer, Observation]("look", Effect.READ, LookParameters, ObserveAnswer, observe)
STATIONS = Snippet[StationsParameters, StationsAnswer, Stations](
    "stations", Effect.READ, StationsParameters, StationsAnswer, _stations
)
LOGONS = Snippet[LogonsParameters, LogonsAnswer, Logons]("logons", Effect.READ, LogonsParameters, LogonsAnswer, _logons)
LOGONS_SET = Snippet[LogonsSetParameters, LogonsAnswer, Logons](
    "logons-set", Effect.DISRUPT, LogonsSetParameters, LogonsAnswer, _logons
)
MESSAGE = Snippet[MessageParameters, ActAnswer, ActAnswer](
    "message", Effect.NOTIFY, MessageParameters, ActAnswer, _as_it_is
)
DISCONNECT = Snippet[ActParameters, ActAnswer, ActAnswer](
    "disconnect", Effect.DISRUPT, ActParameters, ActAnswer, _as_it_is
)
LOGOFF = Snippet[LogOffParameters, ActAnswer, ActAnswer](
    "logoff", Effect.DISRUPT, LogOffParameters, ActAnswer, _as_it_is
)
RESET = Snippet[ResetParameters, ActAnswer, ActAnswer]("reset", Effect.DISRUPT, ResetParameters, ActAnswer, _as_it_is)
LEASE = Snippet[LeaseParameters, LeaseAnswer, LeaseAnswer](
    "lease", Effect.DISRUPT, LeaseParameters, LeaseAnswer, _as_it_is
)
FAILSAFE = Snippet[FailsafeParameters, FailsafeAnswer, FailsafeAnswer](
    "failsafe", Effect.DISRUPT, FailsafeParameters, FailsafeAnswer, _as_it_is
)
FAILSAFE_REMOVE = Snippet[FailsafeRemoveParameters, FailsafeAnswer, FailsafeAnswer](
    "failsafe-remove", Effect.DISRUPT, FailsafeRemoveParameters, FailsafeAnswer, _as_it_is
)
POWER = Snippet[PowerParameters, PowerAnswer, PowerAnswer](
    "power", Effect.DISRUPT, PowerParameters, PowerAnswer, _as_it_is
)
MODE = Snippet[ModeParameters, ModeAnswer, ModeAnswer]("mode", Effect.DISRUPT, ModeParameters, ModeAnswer, _as_it_is)

_ENTRIES = (
    *(OBSERVE, LOOK, STATIONS, LOGONS, LOGONS_SET, MESSAGE, DISCONNECT, LOGOFF, RESET),
    *(LEASE, FAILSAFE, FAILSAFE_REMOVE, POWER, MODE),
)
CATALOGUE: dict[str, Snippet[Any, Any, Any]] = {entry.name: entry for entry in _ENTRIES}


def snippet(name: str) -> Snippet[Any, Any, Any]:
    """The snippet of that name. Raises :class:`~mpsbridge.errors.RenderError` with the nearest name that exists."""
    if (found := CATALOGUE.get(name)) is not None:
        return found
    near = get_close_matches(name, CATALOGUE, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(CATALOGUE)}."
    raise RenderError(f"there is no snippet {name!r}", hint=hint)


def load_templates() -> None:
    """Have every template in memory: what gives back what a run holds must not hang on a file that is still to be read.

    Raises :class:`~mpsbridge.errors.RenderError` where one is missing, and ``OSError``.
    """
    for name in CATALOGUE:
        published(name)
