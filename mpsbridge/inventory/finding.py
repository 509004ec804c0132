"""From what a person types to targets: for a command, with what is odd about hosts and files, and for the library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from mpsbridge.errors import InputError, SettingsError
from mpsbridge.files import others_read, written_by_others
from mpsbridge.inventory.checks import check
from mpsbridge.inventory.passwords import Passwords
from mpsbridge.inventory.patterns import list_file
from mpsbridge.inventory.resolve import ResolvedHost, resolve
from mpsbridge.inventory.shard import parse_shard
from mpsbridge.models.counts import counted, listed
from mpsbridge.models.credentials import NAME_THE_USER, KeyTable, Password
from mpsbridge.models.targets import Target
from mpsbridge.settings import Settings, load_settings


def find_targets(*words: str, **settings: object) -> list[Target]:
    """The hosts that HOST words and patterns mean, as the command line would reach them, in order and without doubles.

    ``settings`` are the command line's options with ``_`` for ``-`` (``inventory``, ``username``, ``ca_file``, ...) or
    ``password``; ``MPSBRIDGE_...`` variables, the settings file and the inventory add to them. Nothing is contacted and
    nobody is asked: raises ``SettingsError`` where a setting is wrong or a password is found nowhere, ``InputError``
    where a word means no host. ``-`` (standard input) is not understood here.
    """
    for word in words:
        if not isinstance(word, str):
            raise InputError(
                f"{word!r:.60} is not a text", hint='Write find_targets("ts1", "ts2"), or find_targets(*names).'
            )
    loaded = load_settings(settings)
    return Passwords(loaded, ask=_nobody).fill(resolve(words, loaded, read_stdin=_nothing))


def known_hosts(settings: Settings, named: Iterable[str], targets: Sequence[Target]) -> tuple[str, ...]:
    """All hosts of the inventory, where one is named that is not among the targets; else none (15 ms to read)."""
    others = {host.casefold() for host in named} - {target.host.casefold() for target in targets}
    if not others or not settings.inventory:
        return ()
    from mpsbridge.inventory.reading import read_inventory  # noqa: PLC0415 - only for a host that is not asked

    return tuple(read_inventory(settings.inventory).hosts)


def _nobody(username: str) -> SecretStr:
    raise SettingsError(f"no password for {username}", hint="Give password=..., or set MPSBRIDGE_PASSWORD.")


def _nothing() -> str:
    raise InputError("'-' is standard input, which belongs to the command line; give the words themselves")


@dataclass(frozen=True)
class HostFinder:
    """Finds the hosts of one call, and says what is odd about them and about the files that name them.

    ``ask`` puts the question for a password of this user to a person; ``read_stdin`` is what ``-`` means.
    """

    settings: Settings
    note: Callable[[str], None]
    warn: Callable[[str], None]
    read_stdin: Callable[[], str]
    ask: Callable[[str], SecretStr]

    def targets(self, words: Sequence[str], *, shard: str | None = None, is_one: bool = False) -> list[Target]:
        """The targets with their passwords. Raises ``InputError``, also where one host is needed and there are more."""
        meant = self.resolved(words, shard=shard, is_one=is_one)
        for path in {one.target.ca_file for one in meant if one.target.tls and one.target.ca_file}:
            self._look_at("CA file", path)
        if self.settings.worker_password_variable:
            return _without_passwords(meant)
        self._look_at_secrets(meant)
        return Passwords(self.settings, ask=self.ask).fill(meant)

    def resolved(self, words: Sequence[str], *, shard: str | None = None, is_one: bool = False) -> list[ResolvedHost]:
        """The hosts that the words mean, and of a ``shard`` those that fall into it: there may be none."""
        part = parse_shard(shard) if shard is not None else None
        if self.settings.inventory:
            self._look_at("inventory", self.settings.inventory)
        for word in words:
            if (path := list_file(word)) is not None:
                self._look_at("list", path)
        meant = resolve(words, self.settings, read_stdin=self.read_stdin)
        if is_one and len(meant) != 1:
            raise InputError("--session needs exactly one host: an id says nothing on another")
        if part is not None:
            every, meant = len(meant), [one for one in meant if part.holds(one.target.host)]
            if not meant:
                self.note(f"none of {counted(every, 'host')} falls into shard {part}: nothing to do")
        unchecked = [one.target.host for one in meant if one.target.tls and one.target.insecure_tls]
        if unchecked and not self.settings.insecure_tls:
            self.warn(
                f"the inventory says so: the certificates of {listed(unchecked)} are NOT checked; "
                "anybody in between can read and act"
            )
        return meant

    def _look_at(self, what: str, path: Path) -> None:
        if said := written_by_others(what, path):
            self.warn(said)

    def _look_at_secrets(self, meant: Sequence[ResolvedHost]) -> None:
        places = (one.password.file for one in meant if one.password is not None)
        files = {self.settings.password_file, self.settings.keytab, *places}
        for path in sorted(path for path in files if path is not None):
            self._look_at("key table" if path == self.settings.keytab else "password file", path)
            if others_read(path):
                what = "key table" if path == self.settings.keytab else "password file"
                self.warn(f"the {what} {path} can be read by other users (chmod 600)")


def _without_passwords(meant: Sequence[ResolvedHost]) -> list[Target]:
    """The targets as they travel to workers who know the password, which is one for all."""
    needs = {(one.target.username, one.password) for one in meant if one.target.kind != "local"}
    if len(needs) > 1:
        words = f"--worker-password-variable names one password, and these hosts need {len(needs)}"
        raise InputError(words, hint="Read the hosts of each account in a call of their own.")
    targets = [one.target for one in meant]
    check([_as_the_workers_sign_in(target) for target in targets])
    return targets


def _as_the_workers_sign_in(target: Target) -> Target:
    """The target with a password in the place of the one that is not known here, to see what that would go with."""
    if target.kind == "local" or isinstance(target.credentials, KeyTable):
        return target
    if target.username is None:
        raise InputError(f"{target.host}: the workers have a password, but no user name is given", hint=NAME_THE_USER)
    return target.model_copy(update={"credentials": Password(target.username, "unknown here")})
