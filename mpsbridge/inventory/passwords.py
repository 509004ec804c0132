"""Where each host's password is, and the password itself: looked for once for all hosts of a call, before any thread.

An inventory may say where (a variable, a file, the key store). Where it does not: ``MPSBRIDGE_PASSWORD``, else
``MPSBRIDGE_PASSWORD_FILE``, else the key store under the user's name, else a question, one for each user's name; with
``--keytab`` none is looked for, and for ``--auth kerberos`` nobody is asked.

An empty password is never used, wherever it is found: it is a secret that is missing. An empty ``MPSBRIDGE_PASSWORD``
leaves the word to ``MPSBRIDGE_PASSWORD_FILE``; without that it is an error.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import SecretStr

from mpsbridge.errors import InputError, SettingsError
from mpsbridge.inventory.checks import check
from mpsbridge.inventory.entries import PasswordPlace
from mpsbridge.inventory.resolve import ResolvedHost
from mpsbridge.models.credentials import NAME_THE_USER, Auth, KeyTable, Password
from mpsbridge.models.targets import Target
from mpsbridge.settings import Settings

SERVICE = "mpsbridge"
"""The key store's name for what is ours."""
PASSWORD_FILE_LIMIT = 64 * 1024
"""Bytes; the password is the first line."""


class Passwords:
    """Finds passwords; ``ask`` puts a question to a person and raises ``SettingsError`` where nobody is."""

    def __init__(self, settings: Settings, *, ask: Callable[[str], SecretStr]) -> None:
        self._settings = settings
        self._ask = ask
        self._found: dict[tuple[PasswordPlace | None, str | None, bool], SecretStr | None] = {}

    def fill(self, hosts: Iterable[ResolvedHost]) -> list[Target]:
        """The targets with their passwords, checked. Raises ``SettingsError`` for one that is not where it should be,
        and what :func:`~mpsbridge.inventory.checks.check` raises.
        """
        targets = [self._filled(one) for one in hosts]
        check(targets)
        return targets

    def _filled(self, one: ResolvedHost) -> Target:
        target = one.target
        if target.kind == "local" or (secret := self._of(one)) is None:
            return target
        if target.username is None:
            raise InputError(f"{target.host}: there is a password, but no user name", hint=NAME_THE_USER)
        return target.model_copy(update={"credentials": Password(target.username, secret)})

    def _of(self, one: ResolvedHost) -> SecretStr | None:
        target = one.target
        if _signs_in_without(one, self._settings):
            return None
        needed = target.auth is not Auth.KERBEROS  # else the ticket that is there will do
        key = one.password, target.username, needed
        if key not in self._found:
            at = one.password
            self._found[key] = self._at(at, target.username) if at else self._ours(target.username, needed=needed)
        return self._found[key]

    def _at(self, place: PasswordPlace, username: str | None) -> SecretStr:
        if place.clear is not None:
            return _filled(place.clear, "the password in the inventory")
        if place.file is not None:
            return SecretStr(_first_line(place.file))
        if place.env is not None:
            words = f"the variable {place.env}, where the inventory says the password is,"
            if (value := os.environ.get(place.env)) is None:
                raise SettingsError(f"{words} is not set")
            return _filled(SecretStr(value), words)
        if username is None:
            raise SettingsError("the inventory says that the password is in the key store, and names no user")
        if (stored := _stored(username)) is None:
            raise SettingsError(
                f"the key store has no password for {username}",
                hint="Store it: keyring set mpsbridge USER (pip install 'mpsbridge[keyring]').",
            )
        return _filled(SecretStr(stored), f"the key store's password for {username}")

    def _ours(self, username: str | None, *, needed: bool) -> SecretStr | None:
        own = self._settings.password
        if self._settings.password_file is not None and not own:
            return SecretStr(_first_line(self._settings.password_file))
        if own is not None:
            return _filled(own, self._settings.place("password"))
        if username is None:
            return None
        stored = _stored(username)
        if stored is None and not needed:
            return None
        if stored is not None:
            return _filled(SecretStr(stored), f"the key store's password for {username}")
        return _filled(self._ask(username), f"the password given for {username}")


def _filled(password: SecretStr, subject: str) -> SecretStr:
    """The password itself. Raises ``SettingsError`` where it is empty; ``subject`` names it in the message."""
    if not password:
        raise SettingsError(
            f"{subject} is empty",
            hint="Set it to the password, or remove it: a secret that is missing in CI looks like this.",
        )
    return password


def _signs_in_without(one: ResolvedHost, settings: Settings) -> bool:
    """Whether a key table stands in for the password; one that is typed counts more than what the inventory says."""
    typed = settings.place("keytab").startswith("--")
    return isinstance(one.target.credentials, KeyTable) and (typed or one.password is None)


def where(one: ResolvedHost, settings: Settings) -> str:
    """Where the password of a host will be looked for, in words; nothing is read but whether variables are set."""
    place = one.password
    if _signs_in_without(one, settings):
        return ""
    if place is None:
        if settings.password is not None or settings.password_file is not None:
            name = "password_file" if settings.password_file is not None and not settings.password else "password"
            empty = ", which is empty" if name == "password" and not settings.password else ""
            return settings.place(name) + empty
        otherwise = "the ticket that is there" if one.target.auth is Auth.KERBEROS else "a question"
        return f"key store, or {otherwise}" if one.target.username else ""
    if place.env is not None:
        value = os.environ.get(place.env)
        return place.env + (", which is not set" if value is None else "" if value else ", which is empty")
    return str(place.file) if place.file else "in clear" if place.clear else "key store"


def _stored(username: str) -> str | None:
    """From the desktop's key store, where the extra ``keyring`` is installed."""
    try:
        import keyring  # noqa: PLC0415 - an optional extra
        import keyring.errors  # noqa: PLC0415 - the same
    except ImportError:
        return None
    try:
        stored: str | None = keyring.get_password(SERVICE, username)
    except keyring.errors.KeyringError:
        return None
    return stored


def _first_line(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise SettingsError(f"the password file {path} is not a file")
        with path.open("rb") as file:
            content = file.read(PASSWORD_FILE_LIMIT + 1)
        if len(content) > PASSWORD_FILE_LIMIT:
            raise SettingsError(f"the password file {path} has more than {PASSWORD_FILE_LIMIT} bytes")
        password = content.decode("utf-8-sig").partition("\n")[0].removesuffix("\r")
    except OSError as error:
        raise SettingsError(f"the password file {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise SettingsError(f"the password file {path} is not UTF-8 text") from None
    if not password:
        raise SettingsError(f"the password file {path} is empty")
    return password
