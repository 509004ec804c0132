"""All snippets, by name."""

from __future__ import annotations

from difflib import get_close_matches

from mpsbridge.errors import RenderError
from mpsbridge.models.frozen import build_models
from mpsbridge.snippets.failsafe import RegisterFailsafe, RemoveFailsafe
from mpsbridge.snippets.lease import WriteLease
from mpsbridge.snippets.logons import ReadLogonMode, SetLogonMode
from mpsbridge.snippets.observe import Look, Observe
from mpsbridge.snippets.power import OrderPower, SwitchMode
from mpsbridge.snippets.render import published
from mpsbridge.snippets.sessions import DisconnectSessions, LogOffSessions, ResetSessions, SendMessage
from mpsbridge.snippets.snippet import Snippet
from mpsbridge.snippets.stations import ListStations

_SNIPPETS: tuple[type[Snippet], ...] = (
    *(Observe, Look, ListStations, ReadLogonMode, SetLogonMode),
    *(SendMessage, DisconnectSessions, LogOffSessions, ResetSessions),
    *(WriteLease, RegisterFailsafe, RemoveFailsafe, OrderPower, SwitchMode),
)
CATALOGUE = {each.name: each for each in _SNIPPETS}


def snippet(name: str) -> type[Snippet]:
    """The snippet of that name. Raises :class:`~mpsbridge.errors.RenderError` with the nearest name that exists."""
    if (found := CATALOGUE.get(name)) is not None:
        return found
    near = get_close_matches(name, CATALOGUE, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(CATALOGUE)}."
    raise RenderError(f"there is no snippet {name!r}", hint=hint)


def load_templates() -> None:
    """Have every template in memory, and every model built: what gives back what a run holds must not hang on a file
    that is still to be read.

    Raises :class:`~mpsbridge.errors.RenderError` where one is missing, and ``OSError``.
    """
    for name in CATALOGUE:
        published(name)
    build_models()
