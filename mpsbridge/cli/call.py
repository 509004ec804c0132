"""One call of the command line: its settings, its terminal, and its errors turned into exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpsbridge.cli.annotations import annotate_error
from mpsbridge.cli.leaving import Surroundings
from mpsbridge.cli.tables import listed
from mpsbridge.cli.terminal import Terminal
from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import InputError, MpsBridgeError
from mpsbridge.files import TEXT_LIMIT, others_read, who_else_writes
from mpsbridge.inventory.checks import check
from mpsbridge.inventory.passwords import Passwords
from mpsbridge.inventory.patterns import list_file
from mpsbridge.inventory.resolve import ResolvedHost, resolve
from mpsbridge.inventory.shard import parse_shard
from mpsbridge.models.counts import counted
from mpsbridge.models.credentials import NAME_THE_USER, KeyTable, Password
from mpsbridge.models.durations import parse_duration
from mpsbridge.models.harmless import harmless
from mpsbridge.models.targets import Target
from mpsbridge.planning.selection import Selector
from mpsbridge.settings import Output, Settings, load_settings, settings_path, unknown_variables


@dataclass
class Call:
    """What every command gets. ``typed`` are the arguments, so that a call can say how to repeat itself."""

    command: str
    settings: Settings
    terminal: Terminal
    clock: Clock
    typed: tuple[str, ...] = ()
    typed_hosts: tuple[str, ...] = ()
    """The HOST words among them."""

    def targets(self, words: Sequence[str], who: Selector | None = None, *, shard: str | None = None) -> list[Target]:
        """Resolve HOST words, asking for a password where one is needed and none is set.

        With ``who`` it also refuses an id that is looked for on more than one host. Of a ``shard`` there may be none.
        """
        self.typed_hosts = tuple(words)
        meant = self.meant(words, who, shard=shard)
        for path in {one.target.ca_file for one in meant if one.target.tls and one.target.ca_file}:
            self.look_at("CA file", path)
        if self.settings.worker_password_variable:
            return _without_passwords(meant)
        self._look_at_secrets(meant)
        return Passwords(self.settings, ask=self.terminal.password).fill(meant)

    def meant(
        self, words: Sequence[str], who: Selector | None = None, *, shard: str | None = None
    ) -> list[ResolvedHost]:
        """The hosts that the words mean, and of a ``shard`` those that fall into it; says what is odd about them."""
        part = parse_shard(shard) if shard is not None else None
        if self.settings.inventory:
            self.look_at("inventory", self.settings.inventory)
        for word in words:
            if (path := list_file(word)) is not None:
                self.look_at("list", path)
        meant = resolve(words, self.settings, read_stdin=read_standard_input)
        if who is not None and who.session_ids and len(meant) != 1:
            raise InputError("--session needs exactly one host: an id says nothing on another")
        if part is not None:
            every, meant = len(meant), [one for one in meant if part.holds(one.target.host)]
            if not meant:
                self.terminal.note(f"none of {counted(every, 'host')} falls into shard {part}: nothing to do")
        unchecked = [one.target.host for one in meant if one.target.tls and one.target.insecure_tls]
        if unchecked and not self.settings.insecure_tls:
            self.terminal.warn(
                f"the inventory says so: the certificates of {listed(unchecked)} are NOT checked; "
                "anybody in between can read and act"
            )
        return meant

    def look_at(self, what: str, path: Path) -> None:
        """Warn where others may write a file that says what this call does."""
        if why := who_else_writes(path):
            self.terminal.warn(f"the {what} {path} {why}, who can change by it what this call does (chmod go-w)")

    def look_at_output(self, what: str, path: Path | None) -> None:
        """Warn where others may read or write a file in which people's names will stand."""
        if path is None:
            return
        why = who_else_writes(path) or ("can be read by other users" if others_read(path) else "")
        if why:
            self.terminal.warn(f"{what}: {path} {why}, and people's names stand in it (chmod 600)")

    def _look_at_secrets(self, meant: Sequence[ResolvedHost]) -> None:
        places = (one.password.file for one in meant if one.password is not None)
        files = {self.settings.password_file, self.settings.keytab, *places}
        for path in sorted(path for path in files if path is not None):
            self.look_at("secret", path)
            if others_read(path):
                self.terminal.warn(f"the secret {path} can be read by other users (chmod 600)")


def read_standard_input() -> str:
    """All of it. Raises ``InputError`` where it is more than a list of hosts can be."""
    text = sys.stdin.read(TEXT_LIMIT + 1)
    if len(text) > TEXT_LIMIT:
        raise InputError(f"standard input holds more than {TEXT_LIMIT} characters: it is not a list of hosts")
    return text


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


def answer(
    function: Callable[..., int],
    name: str,
    *,
    flags: Mapping[str, Any],
    selection: Mapping[str, Any],
    values: dict[str, Any],
    surroundings: Surroundings,
) -> int:
    """Run one command; the exit code."""
    terminal = Terminal(command=name, output=_output_of(flags), color=not flags["no_color"])
    try:
        settings = load_settings({**flags, "verbose": flags["verbose"] or None})
        terminal = Terminal(
            command=name,
            output=settings.output,
            color=not settings.no_color,
            quiet=settings.quiet,
            csv_raw=settings.csv_raw,
        )
        _log_to_stderr(settings.verbose)
        _warn(terminal, settings)
        call = Call(name, settings, terminal, surroundings.clock or SystemClock(), surroundings.typed)
        call.look_at("settings file", settings_path())
        if selection:
            values["who"] = selector(**selection)
        return function(call, **values)
    except MpsBridgeError as error:
        _name_the_option(error)
        annotate_error(terminal, error)
        return terminal.error(error)


_OPTIONS = {"text": "--text", "sender": "--sender", "keep_running": "--keep-running"}
"""Fields of operations whose rules stand there, and the options that they are given by."""


def _name_the_option(error: MpsBridgeError) -> None:
    if isinstance(error, InputError) and (option := _OPTIONS.get(error.field)):
        error.message = f"{option}: {error.complaint}"


def _output_of(flags: Mapping[str, Any]) -> Output:
    """How to print an error that stops the call before its settings are known."""
    try:
        return Output(flags["output"] or os.environ.get("MPSBRIDGE_OUTPUT") or "table")
    except ValueError:
        return Output.TABLE


def _warn(terminal: Terminal, settings: Settings) -> None:
    for sentence in unknown_variables(os.environ):
        terminal.warn(sentence)
    if settings.insecure_tls:
        terminal.warn("--insecure-tls: certificates are NOT checked; anybody in between can read and act")
    if settings.insecure_basic:
        terminal.warn("--insecure-basic: password and answers are readable on the wire")


def _log_to_stderr(verbose: int) -> None:
    """With ``-v`` what mpsbridge says of its own work, with ``-vv`` also the details; never script text."""
    if verbose:
        logging.basicConfig(stream=sys.stderr)
        for handler in logging.getLogger().handlers:
            handler.setFormatter(_HarmlessFormatter("%(levelname)s %(name)s: %(message)s"))
        logging.getLogger("mpsbridge").setLevel(logging.INFO if verbose == 1 else logging.DEBUG)


class _HarmlessFormatter(logging.Formatter):
    """What is logged may hold text of a host."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(harmless, super().format(record).split("\n")))


def duration(option: str, text: str | None) -> int | None:
    """Seconds of an option's value; an input error that names the option."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from error


def several(text: str) -> list[str]:
    """The names of an option that takes several: no account of Windows has a comma in its name."""
    return [name.strip() for name in text.split(",")]


def _session_ids(text: str) -> list[int]:
    for word in several(text):
        if not (word.isascii() and word.isdigit()):
            raise InputError(f"--session: {word!r} is not the id of a session", hint="Name each one: --session 2,3,4")
    return [int(word) for word in several(text)]


def selector(
    *,
    session: Sequence[str] | None = None,
    user: Sequence[str] | None = None,
    everyone: bool = False,
    active: bool = False,
    disconnected: bool = False,
    disconnected_over: str | None = None,
    idle_over: str | None = None,
) -> Selector | None:
    """The selector that the options describe, ``None`` where none is given. Raises ``InputError``."""
    if not any([session, user, everyone, active, disconnected, disconnected_over, idle_over]):
        return None
    return Selector(
        session_ids=tuple(number for text in session or () for number in _session_ids(text)),
        users=tuple(name for text in user or () for name in several(text)),
        everyone=everyone,
        active=active,
        disconnected=disconnected,
        disconnected_over_s=duration("--disconnected-over", disconnected_over),
        idle_over_s=duration("--idle-over", idle_over),
    )
