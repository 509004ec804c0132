"""One call of the command line: its settings, its terminal, and its errors turned into exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpsbridge.cli.leaving import Surroundings
from mpsbridge.cli.repeating import Repeated
from mpsbridge.cli.terminal import Terminal
from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import InputError, MpsBridgeError
from mpsbridge.files import TEXT_LIMIT, names_read_by_others, written_by_others
from mpsbridge.inventory.finding import HostFinder
from mpsbridge.models.complaints import EMPTY
from mpsbridge.models.harmless import harmless
from mpsbridge.models.targets import Target
from mpsbridge.planning.options import selector
from mpsbridge.planning.selection import Selector
from mpsbridge.reports.annotations import annotation_of
from mpsbridge.settings import Output, Settings, load_settings, settings_path, unknown_variables

if TYPE_CHECKING:
    from mpsbridge.planning.end_options import EndOptions


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

    @property
    def finder(self) -> HostFinder:
        """What finds the hosts of this call, and says what is odd about them."""
        return HostFinder(
            self.settings,
            note=self.terminal.note,
            warn=self.terminal.warn,
            read_stdin=read_standard_input,
            ask=self.terminal.password,
        )

    def targets(self, words: Sequence[str], who: Selector | None = None, *, shard: str | None = None) -> list[Target]:
        """Resolve HOST words, asking for a password where one is needed and none is set.

        With ``who`` it also refuses an id that is looked for on more than one host. Of a ``shard`` there may be none.
        """
        self.typed_hosts = tuple(words)
        return self.finder.targets(words, shard=shard, is_one=who is not None and bool(who.session_ids))

    def look_at(self, what: str, path: Path) -> None:
        """Warn where others may write a file that says what this call does."""
        if said := written_by_others(what, path):
            self.terminal.warn(said)

    def look_at_output(self, what: str, path: Path | None) -> None:
        """Warn where others may read or write a file in which people's names will stand."""
        if path is not None and (said := names_read_by_others(what, path)):
            self.terminal.warn(said)


def read_standard_input() -> str:
    """All of it. Raises ``InputError`` where it is more than a list of hosts can be."""
    text = sys.stdin.read(TEXT_LIMIT + 1)
    if len(text) > TEXT_LIMIT:
        raise InputError(f"standard input holds more than {TEXT_LIMIT} characters: it is not a list of hosts")
    return text


def answer(
    function: Callable[..., int],
    name: str,
    *,
    flags: Mapping[str, Any],
    groups: Mapping[str, Mapping[str, Any]],
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
        terminal.repeated = Repeated.of(settings)
        _check_form(name, settings)
        log_to_stderr(settings.verbose)
        _warn(terminal, settings)
        call = Call(name, settings, terminal, surroundings.clock or SystemClock(), surroundings.typed)
        terminal.today = call.clock.now().astimezone().date()
        call.look_at("settings file", settings_path())
        _demand_names(values, surroundings.typed)
        for group, given in groups.items():
            values[group] = selector(**given) if group == "who" else _end_options(given)
        return function(call, **values)
    except MpsBridgeError as error:
        _name_the_option(error)
        if error.message.startswith("--output: ") and not error.hint:
            form = "--format for the form of a report" if name == "report" else "--output for the form of the answer"
            error.hint = f"Use {form}, and > FILE to write it into a file."
        terminal.annotate([annotation_of(name, error)])
        return terminal.error(error)


def _demand_names(values: Mapping[str, Any], typed: Sequence[str]) -> None:
    """Raise ``InputError`` where a file was to be named and was not: a path makes the folder at work of that."""
    is_empty = any(not word or (word.startswith("--") and word.endswith("=")) for word in typed)
    for name, value in values.items():
        if is_empty and value == Path():
            what = name.upper() if name in {"file", "folder"} else f"--{name.replace('_', '-')}"
            raise InputError(f"{what}: {EMPTY}")


def _end_options(given: Mapping[str, Any]) -> EndOptions:
    from mpsbridge.planning.end_options import end_options  # noqa: PLC0415 - only for the procedure

    return end_options(**given)


_OPTIONS = {
    **{field: f"--{field.replace('_', '-')}" for field in ("text", "reason", "sender", "keep_running")},
    "users": "--user",
    "keep_users": "--keep-user",
    "warn_s": "--warn",
}
"""Fields of operations whose rules stand there, and the options that they are given by."""


def _name_the_option(error: MpsBridgeError) -> None:
    """A value that the library refuses is told by the option, or by its own name; never by that of a class."""
    if isinstance(error, InputError) and error.field:
        error.message = f"{_OPTIONS.get(error.field, error.field)}: {error.complaint}"


def _output_of(flags: Mapping[str, Any]) -> Output:
    """How to print an error that stops the call before its settings are known."""
    try:
        return Output(flags["output"] or os.environ.get("MPSBRIDGE_OUTPUT") or "table")
    except ValueError:
        return Output.TABLE


_FORMS = {
    **dict.fromkeys(("render", "jea", "schema"), (Output.TABLE, Output.JSON)),
    **dict.fromkeys(("docs", "lab", "demo"), (Output.TABLE,)),
}
"""In which forms commands answer that have no rows."""


def _check_form(command: str, settings: Settings) -> None:
    """Refuse a form that was typed and that the command does not have; one that is set for all commands is passed over.

    Raises ``InputError``.
    """
    forms = _FORMS.get(command, tuple(Output))
    if settings.output not in forms and settings.place("output").startswith("--"):
        raise InputError(f"--output: '{command}' does not answer as {settings.output}, only as {' or '.join(forms)}")


def _warn(terminal: Terminal, settings: Settings) -> None:
    for variable in unknown_variables(os.environ):
        terminal.warn(f"{variable}, so it is ignored" if not variable.meant else str(variable))
    if {"MPSBRIDGE_PASSWORD", "MPSBRIDGE_PASSWORD_FILE"} <= os.environ.keys():
        terminal.warn("MPSBRIDGE_PASSWORD and MPSBRIDGE_PASSWORD_FILE are both set: the file is not read")
    if settings.insecure_tls:
        terminal.warn("--insecure-tls: certificates are NOT checked; anybody in between can read and act")
    if settings.insecure_basic:
        terminal.warn("--insecure-basic: password and answers are readable on the wire")


def log_to_stderr(verbose: int) -> None:
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
