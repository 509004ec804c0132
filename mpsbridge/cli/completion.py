"""What a shell offers for the value of an argument or option: by its metavar, the one word that says what it takes.

Rules: nothing is contacted, nobody is asked and no program is run, because a key was pressed and nothing else; what
cannot be read offers nothing, silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from mpsbridge.errors import MpsBridgeError

Offers = Callable[[Any, str], list[str]]
"""From a command's context and what is typed so far to the words that may be meant."""


def offers_of(metavar: str | None) -> Offers | None:
    """What is offered for a parameter with this metavar; ``None`` where it takes anything, or a file."""
    words = (metavar or "").strip("[]").removesuffix("...")
    if words in _BY_WORD:
        return _offering(_BY_WORD[words])
    choices = words.split("|")
    if len(choices) > 1 and all(choice.replace("-", "").islower() for choice in choices):
        return _offering(lambda _: choices)
    return None


def _offering(words: Callable[[Any], Iterable[str]]) -> Offers:
    # Named parameters: typer tells them apart by their names.
    def offer(ctx: Any, incomplete: str) -> list[str]:
        with suppress(MpsBridgeError, OSError, ValueError):
            return [word for word in words(ctx) if word.startswith(incomplete)]
        return []

    offer.__annotations__ = {"incomplete": str}
    return offer


def _hosts(ctx: Any) -> Sequence[str]:
    """The hosts and groups of the inventory: one that says itself what is in it, and not by running a program."""
    from mpsbridge.inventory.reading import read_inventory  # noqa: PLC0415 - when a key is pressed

    settings = _settings(ctx)
    if settings.inventory is None:
        return ()
    inventory = read_inventory(settings.inventory, runs_programs=False)
    return *inventory.hosts, *inventory.groups


def _runs(ctx: Any) -> list[str]:
    from mpsbridge.runs.journal import Journal, journal_path  # noqa: PLC0415 - when a key is pressed

    settings = _settings(ctx)
    path = settings.journal or journal_path()
    if not path.is_file():  # a journal is made where there is none
        return []
    with Journal(path, shared=settings.journal_shared) as journal:
        return [run.id for run in journal.runs()]


def _settings(ctx: Any) -> Any:
    from mpsbridge.settings import load_settings  # noqa: PLC0415 - when a key is pressed

    names = ("inventory", "journal", "journal_shared")
    return load_settings({name: value for name in names if (value := ctx.params.get(name)) is not None})


def _snippets(_ctx: Any) -> Iterable[str]:
    from mpsbridge.operations.offline import snippet_names  # noqa: PLC0415 - when a key is pressed

    return snippet_names()


def _pages(_ctx: Any) -> Iterable[str]:
    from mpsbridge.cli.docs import PAGES  # noqa: PLC0415 - when a key is pressed

    return PAGES


def _schemas(_ctx: Any) -> Iterable[str]:
    from mpsbridge.schemas.catalogue import NAMES  # noqa: PLC0415 - when a key is pressed

    return NAMES


_BY_WORD: dict[str, Callable[[Any], Iterable[str]]] = {
    "HOST": _hosts,
    "RUN": _runs,
    "SNIPPET": _snippets,
    "PAGE": _pages,
    "SCHEMA": _schemas,
}
