"""The options that many commands share, written once, and how a function becomes a command.

A command is a function whose first parameter is its :class:`~mpsbridge.cli.call.Call`. Its other parameters are its own
arguments and options, but one named ``who``: that one becomes the selector's options. Rule: this file and the list of
commands import nothing that takes long to load, so that ``--help`` is there at once; a command's work is imported when
it is called.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from mpsbridge.cli.leaving import Exit

Hosts = Annotated[
    list[str],
    typer.Argument(
        metavar="HOST...",
        help="name, name:port, IPv4[:port], [IPv6]:port, local, @FILE or - (stdin); a group, 'ts[01:40]', 'ts*', "
        "'!not-this', '&only-in-this', 'several,in,!one': in single quotes, for the shell's sake.",
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(metavar="I/N", help="Only the I-th of N parts of the hosts, told by their names: for CI matrices."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Needed where nobody can be asked.")]

DisconnectedOk = Annotated[
    bool, typer.Option("--disconnected-ok", help="Let --all and --idle-over end disconnected sessions too.")
]

IncludeAdmins = Annotated[
    bool,
    typer.Option("--include-admins", help="Administrators too, and sessions of which that is unknown."),
]
IncludeConsole = Annotated[bool, typer.Option("--include-console", help="The console session too.")]


def _selector(
    session: Annotated[list[int] | None, typer.Option(metavar="ID", help="The session with this id.")] = None,
    user: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Sessions of NAME or DOMAIN\\NAME.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every user session.")] = False,
    active: Annotated[bool, typer.Option("--active", help="Those with somebody in front of them.")] = False,
    disconnected: Annotated[bool, typer.Option("--disconnected", help="Disconnected (suspended) ones.")] = False,
    disconnected_over: Annotated[
        str | None, typer.Option(metavar="2h", help="Disconnected, and idle for at least this long.")
    ] = None,
    idle_over: Annotated[str | None, typer.Option(metavar="2h", help="Idle for at least this long.")] = None,
) -> None:
    """Never called: its signature is the list of the selector's options."""


def _shared(
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="table|json|jsonl|csv")] = None,
    csv_raw: Annotated[bool | None, typer.Option("--csv-raw", help="CSV: no ' before a formula.")] = None,
    inventory: Annotated[str | None, typer.Option(metavar="FILE", help="TOML, a list of names, or Ansible's.")] = None,
    username: Annotated[str | None, typer.Option("--username", "-u", help="NAME, DOMAIN\\NAME or name@domain.")] = None,
    auth: Annotated[str | None, typer.Option(metavar="negotiate|ntlm|kerberos|basic")] = None,
    keytab: Annotated[
        str | None, typer.Option(metavar="FILE", help="Kerberos: sign in from this key table, without a password.")
    ] = None,
    spn: Annotated[
        str | None, typer.Option(metavar="host/NAME", help="Kerberos: the host's name, where its address is another.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Default 5986, with --no-tls 5985.")] = None,
    no_tls: Annotated[bool | None, typer.Option("--no-tls", help="HTTP with sealed messages instead of HTTPS.")] = None,
    ca_file: Annotated[str | None, typer.Option(metavar="PEM", help="Trust only this CA (faster, too).")] = None,
    insecure_tls: Annotated[bool | None, typer.Option("--insecure-tls", help="Accept any certificate.")] = None,
    insecure_basic: Annotated[
        bool | None, typer.Option("--insecure-basic", help="Allow Basic over plain HTTP: readable on the wire.")
    ] = None,
    configuration: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A session configuration on the host (JEA), not PowerShell's own."),
    ] = None,
    timeout: Annotated[str | None, typer.Option(metavar="60s", help="For one command on one host.")] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="10m", help="For the whole call; 'end' and 'maintain' have 6h.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Hosts that answer at the same time; silent ones do not count. Default 32.")
    ] = None,
    executor: Annotated[str | None, typer.Option(metavar="dask", help="Read by a cluster; acts never do.")] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The Dask cluster: tcp:// or tls://, or local:N for N processes here."),
    ] = None,
    worker_password_variable: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where the workers' own environment holds the password.")
    ] = None,
    journal: Annotated[str | None, typer.Option(metavar="FILE", help="The record of all runs.")] = None,
    journal_shared: Annotated[
        bool | None, typer.Option("--journal-shared", help="Use a journal that other users may have written.")
    ] = None,
    dry_run: Annotated[bool | None, typer.Option("--dry-run", help="Look and plan, change nothing.")] = None,
    verbose: Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more on standard error.")] = 0,
    quiet: Annotated[bool | None, typer.Option("--quiet", "-q", help="Only the answer, no summary.")] = None,
    no_color: Annotated[bool | None, typer.Option("--no-color", help="No colours (also NO_COLOR).")] = None,
) -> None:
    """Never called: its signature is the list of shared options."""


_WITHOUT_HOSTS = {"output", "csv_raw", "verbose", "quiet", "no_color"}
"""The shared options of commands that contact no host."""


def command(function: Callable[..., int], *, journal: bool = False, contacts: bool = False) -> Callable[..., None]:
    """Make ``function(call, ...) -> exit code`` something that typer can run, with the shared options added.

    ``journal``: whether a command that contacts no host reads the record of runs. ``contacts``: that it contacts hosts
    though it has no argument of that name.
    """
    own = {name: entry for name, entry in _parameters(function).items() if name != "call"}
    who = _parameters(_selector, panel="Whom") if own.pop("who", None) else {}
    shared = {
        key: entry
        for key, entry in _parameters(_shared, panel="Of every command").items()
        if contacts or "hosts" in own or key in _WITHOUT_HOSTS or (journal and key in {"journal", "journal_shared"})
    }

    @functools.wraps(function)
    def wrapper(**values: Any) -> None:
        from mpsbridge.cli.call import answer

        flags = {key: values.pop(key) for key in shared}
        selection = {key: values.pop(key) for key in who}
        name = function.__name__.replace("_", "-")
        raise Exit(answer(function, name, flags=flags, selection=selection, values=values))

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [*own.values(), *(entry.replace(kind=keyword) for entry in {**who, **shared}.values())]
    wrapper.__dict__["__signature__"] = inspect.Signature(parameters)
    wrapper.__annotations__ = {entry.name: entry.annotation for entry in parameters}
    del wrapper.__dict__["__wrapped__"]  # typer would follow it
    return wrapper


looking_back = functools.partial(command, journal=True)
"""The same, for a command that needs the record of runs and no host."""
on_hosts = functools.partial(command, contacts=True)
"""The same, for a command whose hosts stand in a file."""


@functools.cache
def _parameters(function: Callable[..., Any], *, panel: str | None = None) -> dict[str, inspect.Parameter]:
    """A function's parameters with their annotations evaluated; what loads slowly is named, not imported.

    With ``panel`` the help lists them under that heading.
    """
    types = get_type_hints(function, localns={"Call": object, "Selector": object}, include_extras=True)
    entries = inspect.signature(function).parameters
    for name in entries if panel else ():
        (option,) = types[name].__metadata__
        option.rich_help_panel = panel
    return {name: entry.replace(annotation=types[name]) for name, entry in entries.items()}
