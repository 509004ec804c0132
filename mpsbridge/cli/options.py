"""The options that many commands share, written once, and how a function becomes a command.

A command is a function whose first parameter is its :class:`~mpsbridge.cli.call.Call`. Its other parameters are its own
arguments and options, but those named ``who`` and ``options``, which become groups of them. Rule: this file and the
list of commands import nothing that takes long to load, so that ``--help`` is there at once; a command's work is
imported when it is called.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_type_hints

import typer

from mpsbridge.cli.completion import offers_of
from mpsbridge.cli.helptext import COMMON
from mpsbridge.cli.leaving import Exit

_HOST_HELP = (
    "name, name:port, IPv4[:port], [IPv6]:port, local, @FILE or - (stdin); a group, 'ts[01:40]', 'ts*', "
    "'!not-this', '&only-in-this', 'several,in,!one': in single quotes, for the shell's sake."
)
Hosts = Annotated[list[str], typer.Argument(metavar="HOST...", help=_HOST_HELP)]
MaybeHosts = Annotated[
    list[str] | None,
    typer.Argument(metavar="[HOST...]", help=f"{_HOST_HELP} Without any: all hosts of the inventory."),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N", help="Take only the I-th of N parts of the hosts, divided by their names (for CI matrices)."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Skip the confirmation (required without a terminal).")]
NeedlessYes = Annotated[bool, typer.Option("--yes", "-y", help="Skip the confirmation: this command asks for none.")]

DisconnectedOk = Annotated[
    bool, typer.Option("--disconnected-ok", help="End disconnected sessions too that --all or --idle-over choose.")
]

IncludeAdmins = Annotated[
    bool,
    typer.Option("--include-admins", help="Include sessions of administrators, and those of which that is unknown."),
]
IncludeConsole = Annotated[bool, typer.Option("--include-console", help="Include the console session.")]


def _selector(
    session: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Choose the session with this id (repeatable; needs exactly one host)."),
    ] = None,
    user: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Choose the sessions of NAME or DOMAIN\\NAME (repeatable).")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Choose every user session.")] = False,
    active: Annotated[
        bool, typer.Option("--active", help="Choose sessions with a person in front of them (not disconnected).")
    ] = False,
    disconnected: Annotated[
        bool, typer.Option("--disconnected", help="Choose disconnected (suspended) sessions.")
    ] = False,
    disconnected_over: Annotated[
        str | None,
        typer.Option(metavar="2h", help="Choose sessions that are disconnected and idle for at least this long."),
    ] = None,
    idle_over: Annotated[
        str | None, typer.Option(metavar="2h", help="Choose sessions that are idle for at least this long.")
    ] = None,
) -> None:
    """Never called: its signature is the list of the selector's options."""


def _end_options(
    warn: Annotated[
        str | None,
        typer.Option(
            metavar="15m,5m,1m",
            help="Show notices this long before the end; the run waits as long as the first (default 15m,5m,1m).",
        ),
    ] = None,
    no_warning: Annotated[bool, typer.Option("--no-warning", help="Show no notice and do not wait.")] = False,
    reason: Annotated[str, typer.Option(help="Give the reason: people read it, and it stands in the record.")] = "",
    sender: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Sign notices with this name (default: your user name; 'your administrator' for root and services).",
        ),
    ] = "",
    then: Annotated[
        str,
        typer.Option(
            metavar="nothing|restart|shutdown|console-mode|station-mode", help="Do this when the sessions are gone."
        ),
    ] = "nothing",
    keep_user: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Keep the sessions of this user (repeatable).")
    ] = None,
    keep_session: Annotated[
        list[str] | None, typer.Option(metavar="HOST:ID", help="Keep this session (repeatable).")
    ] = None,
    keep_running: Annotated[
        list[str] | None, typer.Option(metavar="PROGRAM", help="Keep sessions in which this program runs (repeatable).")
    ] = None,
    include_admins: IncludeAdmins = False,
    include_console: IncludeConsole = False,
    disconnected_ok: DisconnectedOk = False,
    unwarned_ok: Annotated[
        bool, typer.Option("--unwarned-ok", help="End active sessions too in which no notice could be shown.")
    ] = False,
    leftover_ok: Annotated[
        bool,
        typer.Option(
            "--leftover-ok", help="Go on although the host has orphaned sessions (processes without a session row)."
        ),
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take over a host that another run or a person holds.")
    ] = False,
    logons: Annotated[
        str | None,
        typer.Option(
            metavar="drain|drain-until-restart|disabled|leave|local",
            help="Block new logons in this way meanwhile (default drain, drain-until-restart before a restart). leave "
            "does not block them; local blocks them on this host though a connection broker governs it.",
        ),
    ] = None,
    hold_logons: Annotated[
        bool, typer.Option("--hold-logons", help="Keep new logons blocked through the restart.")
    ] = False,
    no_failsafe: Annotated[
        bool,
        typer.Option(
            "--no-failsafe",
            help="Set no task on the host that would reopen logons if everything else fails (the failsafe).",
        ),
    ] = False,
    only_if_reboot_pending: Annotated[
        bool, typer.Option("--only-if-reboot-pending", help="Skip hosts without a pending restart.")
    ] = False,
    settle: Annotated[str, typer.Option(metavar="2m", help="Wait this long for slow log-offs.")] = "2m",
    force_after: Annotated[
        str | None,
        typer.Option(
            metavar="10m",
            help="Reset sessions that still hang this long after the log-off: unsaved data is lost (default: never).",
        ),
    ] = None,
    return_timeout: Annotated[
        str, typer.Option(metavar="60m", help="Wait this long for a host to come back after a restart.")
    ] = "60m",
    host_deadline: Annotated[
        str, typer.Option(metavar="3h", help="Limit the time for one host, from first to last.")
    ] = "3h",
) -> None:
    """Never called: its signature is the list of the options of ``end`` that make its policy."""


def _shared(
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="table|json|jsonl|csv", help="Answer in this form (default table)."),
    ] = None,
    csv_raw: Annotated[bool | None, typer.Option("--csv-raw", help="CSV: leave out the ' before formulas.")] = None,
    inventory: Annotated[
        str | None, typer.Option(metavar="FILE", help="Read hosts from this file: TOML, a list, or Ansible's.")
    ] = None,
    username: Annotated[
        str | None,
        typer.Option("--username", "-u", metavar="NAME", help="Sign in as NAME, DOMAIN\\NAME or name@domain."),
    ] = None,
    auth: Annotated[
        str | None, typer.Option(metavar="negotiate|ntlm|kerberos|basic", help="Sign in this way (default negotiate).")
    ] = None,
    keytab: Annotated[
        str | None, typer.Option(metavar="FILE", help="Kerberos: sign in with this key table, without a password.")
    ] = None,
    spn: Annotated[
        str | None, typer.Option(metavar="host/NAME", help="Kerberos: ask for this name, where the address is another.")
    ] = None,
    port: Annotated[
        str | None, typer.Option(metavar="N", help="Connect to this port (default 5986, with --no-tls 5985).")
    ] = None,
    no_tls: Annotated[
        bool | None, typer.Option("--no-tls", help="Use HTTP with sealed messages instead of HTTPS.")
    ] = None,
    ca_file: Annotated[str | None, typer.Option(metavar="PEM", help="Trust only this CA (faster, too).")] = None,
    insecure_tls: Annotated[
        bool | None, typer.Option("--insecure-tls", help="Accept any certificate (unsafe).")
    ] = None,
    insecure_basic: Annotated[
        bool | None, typer.Option("--insecure-basic", help="Allow Basic over plain HTTP: readable on the wire.")
    ] = None,
    configuration: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Use this session configuration of the host (JEA) instead of PowerShell's."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="60s", help="Limit one command on one host (default 60s).")
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(metavar="10m", help="Limit the whole call (default none; for 'end' and 'maintain' 6h)."),
    ] = None,
    concurrency: Annotated[
        str | None,
        typer.Option(metavar="N", help="Ask this many hosts at the same time; silent ones do not count (default 32)."),
    ] = None,
    executor: Annotated[str | None, typer.Option(metavar="dask", help="Read by a Dask cluster.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Use this Dask cluster: tcp:// or tls://, or local:N for N processes here."
        ),
    ] = None,
    worker_password_variable: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take the password from this variable of the workers.")
    ] = None,
    journal: Annotated[
        str | None, typer.Option(metavar="FILE", help="Keep the record of all runs in this file.")
    ] = None,
    journal_shared: Annotated[
        bool | None, typer.Option("--journal-shared", help="Use a journal that other users may have written.")
    ] = None,
    dry_run: Annotated[bool | None, typer.Option("--dry-run", help="Look and plan, but change nothing.")] = None,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more on standard error.")] = 0,
    quiet: Annotated[
        bool | None, typer.Option("--quiet", "-q", help="Print only the answer, without a summary.")
    ] = None,
    no_color: Annotated[bool | None, typer.Option("--no-color", help="Do not use colours (also NO_COLOR).")] = None,
) -> None:
    """Never called: its signature is the list of shared options."""


_WITHOUT_HOSTS = {"output", "csv_raw", "verbose", "quiet", "no_color"}
"""The shared options of commands that contact no host."""


_OF_READING = frozenset({"executor", "scheduler", "worker_password_variable"})
"""What a command that acts refuses, wherever it is set."""
_OF_ACTING = frozenset({"journal", "journal_shared", "dry_run"})
"""What makes no difference to a command that only looks."""
_OF_CONTACT = frozenset({"timeout", "deadline", "concurrency"})


_GROUPS = {"options": (_end_options, None), "who": (_selector, "Session selection")}
"""Parameters of commands that stand for many options: their list, and the heading in the help."""


_NAMES = ("__module__", "__name__", "__qualname__", "__doc__")


class WithOptions:
    """A function ``(call, ...) -> exit code`` as typer runs it, with the shared options added.

    Its arguments and options are made when typer asks for its signature: all commands have some 500, and a call needs
    those of one. ``journal``: whether a command that contacts no host reads the record of runs. ``contacts``: that it
    contacts hosts though it has no argument of that name. ``hides``: shared options that are not in its help.
    """

    def __init__(
        self,
        function: Callable[..., int],
        *,
        journal: bool = False,
        contacts: bool = False,
        hides: frozenset[str] = frozenset(),
    ) -> None:
        functools.update_wrapper(self, function, assigned=_NAMES, updated=())
        del self.__dict__["__wrapped__"]  # typer would follow it
        self.__annotations__: dict[str, Any] = {}  # all are in the signature
        self._function = function
        self._journal = journal
        self._contacts = contacts
        self._hides = hides

    def __call__(self, **values: Any) -> None:
        """Answer the call, and leave with its exit code."""
        from mpsbridge.cli.call import answer

        flags = {key: values.pop(key) for key in self._shared}
        given = {name: {key: values.pop(key) for key in group} for name, group in self._groups.items()}
        context = values.pop("context")
        name = self._function.__name__.replace("_", "-")
        code = answer(self._function, name, flags=flags, groups=given, values=values, surroundings=context.obj)
        raise Exit(code)

    @property
    def acts(self) -> bool:
        """Whether the command acts on hosts, whatever its options say."""
        return self._hides >= _OF_READING and not _OF_CONTACT & self._hides

    @functools.cached_property
    def __signature__(self) -> inspect.Signature:
        keyword = inspect.Parameter.KEYWORD_ONLY
        own = {name: {name: entry} for name, entry in self._own.items()} | self._groups
        who = own.pop("who", {})
        parameters = [
            inspect.Parameter("context", keyword, annotation=typer.Context),
            *(entry.replace(kind=keyword) for group in (*own.values(), who, self._shared) for entry in group.values()),
        ]
        return inspect.Signature(parameters)

    @functools.cached_property
    def _own(self) -> dict[str, inspect.Parameter]:
        return {name: entry for name, entry in _parameters(self._function).items() if name != "call"}

    @functools.cached_property
    def _groups(self) -> dict[str, dict[str, inspect.Parameter]]:
        return {name: _parameters(lists, panel=panel) for name, (lists, panel) in _GROUPS.items() if name in self._own}

    @functools.cached_property
    def _shared(self) -> dict[str, inspect.Parameter]:
        always = _WITHOUT_HOSTS | ({"journal", "journal_shared"} if self._journal else set())
        return {
            key: _hidden(entry) if key in self._hides else entry
            for key, entry in _parameters(_shared, panel=COMMON).items()
            if self._contacts or "hosts" in self._own or key in always
        }


def without_options(command: Callable[..., None]) -> Callable[..., None]:
    """The same to look at, for the list of commands."""

    def listed() -> None:
        """Never called."""

    functools.update_wrapper(listed, command, assigned=_NAMES, updated=())
    del listed.__dict__["__wrapped__"]  # typer would follow it
    return listed


command = WithOptions
"""For a command that contacts no host."""
looking_back = functools.partial(WithOptions, journal=True)
"""The same, for a command that needs the record of runs and no host."""
acting = functools.partial(WithOptions, hides=_OF_READING)
"""The same, for a command that acts on hosts."""
looking = functools.partial(WithOptions, hides=_OF_ACTING)
"""The same, for a command that only looks at hosts."""
naming = functools.partial(WithOptions, hides=_OF_READING | _OF_ACTING | _OF_CONTACT)
"""The same, for a command that knows hosts by name and contacts none."""
on_hosts = functools.partial(WithOptions, contacts=True, hides=_OF_READING)
"""The same, for a command that acts on hosts which stand in a file."""


def _hidden(entry: inspect.Parameter) -> inspect.Parameter:
    kind, option = get_args(entry.annotation)
    option = copy.copy(option)
    option.hidden = True
    return entry.replace(annotation=Annotated[kind, option])


@functools.cache
def _parameters(function: Callable[..., Any], *, panel: str | None = None) -> dict[str, inspect.Parameter]:
    """A function's parameters with their annotations evaluated; what loads slowly is named, not imported.

    With ``panel`` the help lists them under that heading. A shell is told what each value may be.
    """
    types = get_type_hints(
        function, localns=dict.fromkeys(("Call", "EndOptions", "Selector"), object), include_extras=True
    )
    entries = inspect.signature(function).parameters
    for name in entries if panel else ():
        (option,) = types[name].__metadata__
        option.rich_help_panel = panel
    for name in entries:
        for option in getattr(types[name], "__metadata__", ()):
            option.autocompletion = offers_of(option.metavar)
    return {name: entry.replace(annotation=types[name]) for name, entry in entries.items()}
