"""The library's way to what a person would type: words and settings -> targets that a fleet can be made of."""

from __future__ import annotations

from pydantic import SecretStr

from mpsbridge.errors import InputError, SettingsError
from mpsbridge.inventory.passwords import Passwords
from mpsbridge.inventory.resolve import resolve
from mpsbridge.models.targets import Target
from mpsbridge.settings import load_settings


def find_targets(*words: str, **settings: object) -> list[Target]:
    """The hosts that HOST words and patterns mean, as the command line would reach them, in order and without doubles.

    ``settings`` are the command line's options with ``_`` for ``-`` (``inventory``, ``username``, ``ca_file``, ...) or
    ``password``; ``MPSBRIDGE_...`` variables, the settings file and the inventory add to them. Nothing is contacted and
    nobody is asked: raises ``SettingsError`` where a setting is wrong or a password is found nowhere, ``InputError``
    where a word means no host. ``-`` (standard input) is not understood here.
    """
    loaded = load_settings(settings)
    return Passwords(loaded, ask=_nobody).fill(resolve(words, loaded, read_stdin=_nothing))


def _nobody(username: str) -> SecretStr:
    raise SettingsError(f"no password for {username}", hint="Give password=..., or set MPSBRIDGE_PASSWORD.")


def _nothing() -> str:
    raise InputError("'-' is standard input, which belongs to the command line; give the words themselves")
