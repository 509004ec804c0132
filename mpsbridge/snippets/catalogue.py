"""All snippets, by name."""

from __future__ import annotations

from difflib import get_close_matches

from mpsbridge.errors import RenderError
from mpsbridge.models.frozen import build_models
from mpsbridge.snippets import evidence, failsafe, lease, logons, observe, power, sessions, stations
from mpsbridge.snippets.render import published
from mpsbridge.snippets.snippet import Snippet

_SUBJECTS = (observe, evidence, stations, logons, sessions, lease, failsafe, power)
CATALOGUE: dict[str, type[Snippet]] = {
    each.name: each
    for subject in _SUBJECTS
    for each in vars(subject).values()
    if isinstance(each, type) and issubclass(each, Snippet) and "name" in vars(each)  # others are what some share
}


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
