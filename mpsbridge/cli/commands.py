"""The list of commands as a person sees them. What each does is imported when it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mpsbridge.cli.helptext import Command, Group
from mpsbridge.cli.options import (
    DisconnectedOk,
    Hosts,
    IncludeAdmins,
    IncludeConsole,
    MaybeHosts,
    NeedlessYes,
    Shard,
    Yes,
    acting,
    command,
    looking,
    looking_back,
    naming,
    on_hosts,
)

if TYPE_CHECKING:
    from mpsbridge.cli.call import Call
    from mpsbridge.planning.end_options import EndOptions
    from mpsbridge.planning.selection import Selector

app = typer.Typer(
    name="mpsbridge",
    cls=Group,
    help="See the user sessions of Windows MultiPoint Services and Remote Desktop hosts, show messages, and end them.",
    epilog="Passwords: MPSBRIDGE_PASSWORD, MPSBRIDGE_PASSWORD_FILE, a key store, or a prompt; never an option.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
SEE, ACT, LOOK_BACK, OFFLINE = "See", "Act", "Look back", "Without a host"


def listed(panel: str, *examples: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Put a command into the list, under this heading and with one or two examples."""
    epilog = "\n".join(["Examples:", *(f"  {example}" for example in examples)])

    def add(function: Callable[..., None]) -> Callable[..., None]:
        return app.command(cls=Command, rich_help_panel=panel, epilog=epilog)(function)

    return add


@listed(SEE, "mpsbridge sessions ts1 ts2", "mpsbridge sessions 'ts[01:40]' --idle-over 2h --watch 10s")
@looking
def sessions(
    call: Call,
    hosts: Hosts,
    who: Selector | None,
    watch: Annotated[
        str | None,
        typer.Option(
            metavar="5s", help="Look again this long after each host's answer, at least 1s (default: look once)."
        ),
    ] = None,
    shard: Shard = None,
) -> int:
    """List the user sessions of all hosts at once.

    IDLE is '-' for less than a minute and '?' where the host does not tell (the console, stations). The last column
    says what is special: the station, the client ("from"), an administrator, the session of this very call.
    """
    from mpsbridge.cli import reading

    return reading.sessions(call, hosts, who, watch, shard)


@listed(SEE, "mpsbridge stations library-1")
@looking
def stations(call: Call, hosts: Hosts, shard: Shard = None) -> int:
    """List MultiPoint stations and their users."""
    from mpsbridge.cli import reading

    return reading.stations(call, hosts, shard)


@listed(SEE, "mpsbridge logons ts1 ts2", "mpsbridge logons ts1 --set drain")
@command
def logons(
    call: Call,
    hosts: Hosts,
    mode: Annotated[
        str | None,
        typer.Option(
            "--set",
            metavar="enabled|drain|drain-until-restart|disabled",
            help="Set the logon mode: drain refuses new logons and allows reconnects; drain-until-restart does so "
            "until the host restarts; disabled refuses every logon from a client; enabled opens the host.",
        ),
    ] = None,
    yes: Yes = False,
    shard: Shard = None,
) -> int:
    """Show the logon mode of each host, or set it."""
    from mpsbridge.cli import reading

    return reading.logons(call, hosts, mode, shard, yes=yes)


@listed(SEE, "mpsbridge doctor ts1 --username 'SCHOOL\\admin'")
@looking
def doctor(
    call: Call,
    hosts: Hosts,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the hosts' answers to this new file, with other names in them; it can be given away.",
        ),
    ] = None,
    shard: Shard = None,
    yes: Yes = False,
) -> int:
    """Check the way to each host, the rights there and what can be seen, with a remedy for each fault."""
    from mpsbridge.cli import doctor as work

    return work.doctor(call, hosts, save, shard, yes=yes)


@listed(ACT, "mpsbridge message ts1 --all --text 'Restart at noon: please save your work.'")
@acting
def message(
    call: Call,
    hosts: Hosts,
    text: Annotated[str, typer.Option(help="Show this text: one line of at most 255 characters.")],
    who: Selector | None,
) -> int:
    """Show a message in user sessions. 'shown' means that the session was in use before and after."""
    from mpsbridge.cli import acting

    return acting.message(call, hosts, text, who)


@listed(ACT, "mpsbridge disconnect ts1 --user alice")
@acting
def disconnect(
    call: Call,
    hosts: Hosts,
    who: Selector | None,
    include_admins: IncludeAdmins = False,
    include_console: IncludeConsole = False,
    yes: Yes = False,
) -> int:
    """Disconnect (suspend) sessions immediately, without a warning. Their programs keep running."""
    from mpsbridge.cli import acting
    from mpsbridge.planning.selection import Allowed

    allowed = Allowed(include_admins=include_admins, include_console=include_console)
    return acting.disconnect(call, hosts, who, allowed, yes=yes)


@listed(ACT, "mpsbridge logoff ts1 ts2 --user alice", "mpsbridge logoff ts1 --session 3 --dry-run")
@acting
def logoff(
    call: Call,
    hosts: Hosts,
    who: Selector | None,
    include_admins: IncludeAdmins = False,
    include_console: IncludeConsole = False,
    disconnected_ok: DisconnectedOk = False,
    yes: Yes = False,
) -> int:
    """Log off sessions immediately, without a warning, and wait until they are gone. Unsaved work is lost."""
    from mpsbridge.cli import acting
    from mpsbridge.planning.selection import Allowed

    allowed = Allowed(include_admins=include_admins, include_console=include_console, disconnected_ok=disconnected_ok)
    return acting.logoff(call, hosts, who, allowed, yes=yes)


@listed(ACT, "mpsbridge reset ts1 --session 7")
@acting
def reset(
    call: Call,
    hosts: Hosts,
    session: Annotated[
        list[str],
        typer.Option("--session", metavar="ID", help="Reset the orphaned session with this id (repeatable; one host)."),
    ],
    yes: Yes = False,
) -> int:
    """Reset orphaned sessions (processes without a session row). Unsaved data is lost."""
    from mpsbridge.cli import acting

    return acting.reset(call, hosts, session, yes=yes)


@listed(LOOK_BACK, "mpsbridge history", "mpsbridge history 20261130-0300")
@looking_back
def history(
    call: Call,
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Show this run: its id, or the beginning of it (default: list all runs)."),
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show what was done to this user's sessions, one line a session.")
    ] = None,
    host: Annotated[str | None, typer.Option(metavar="HOST", help="Show what was done on this host.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Show runs that ended within this time, e.g. 7d.")
    ] = None,
) -> int:
    """List all runs, everything that one run did, or who logged a user off and why."""
    from mpsbridge.cli import history as work

    return work.history(call, run, user=user, host=host, since=since)


@listed(
    LOOK_BACK, "mpsbridge report --format html > run.html", "mpsbridge report 20261130-0300 --format junit > run.xml"
)
@looking_back
def report(
    call: Call,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Report this run: its id, or the beginning of it (default: the newest that ended sessions).",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="html|json|junit|markdown|text",
            help="Write the report in this form (default text on a terminal, otherwise markdown; with -o json: json).",
        ),
    ] = None,
) -> int:
    """Write what a run did: text, an HTML page, JUnit XML, Markdown or JSON."""
    from mpsbridge.cli import reporting

    return reporting.report(call, run, form)


@listed(
    ACT,
    "mpsbridge end ts1 --all --reason 'Windows updates' --then restart --dry-run",
    "mpsbridge end ts1 --idle-over 4h --warn 10m,1m --yes",
)
@acting
def end(
    call: Call,
    hosts: Hosts,
    who: Selector | None,
    options: EndOptions,
    notice_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Take the notice's text from this file: {left} {minutes} {time} {reason} {sender} are filled in.",
        ),
    ] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append what happens to this file, as JSON lines.")
    ] = None,
    yes: Yes = False,
) -> int:
    """End sessions safely: warn, wait, log off, then optionally restart. Everything changed on the host is restored."""
    from mpsbridge.cli import ending

    return ending.end(call, hosts, who, options, notice_file=notice_file, events=events, yes=yes)


@listed(ACT, "mpsbridge maintain --example > night.toml", "mpsbridge maintain night.toml --dry-run")
@on_hosts
def maintain(
    call: Call,
    file: Annotated[
        Path | None, typer.Argument(metavar="[PLAN.toml]", help="The plan; --example prints one with every key.")
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print a plan with every key, explained, and do nothing else.")
    ] = False,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append what happens to this file, as JSON lines.")
    ] = None,
    failed_to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the hosts that failed to this file, as a plan to run again."),
    ] = None,
    shard: Shard = None,
    yes: Yes = False,
) -> int:
    """End sessions as a plan file says, for CI: many hosts, in waves."""
    from mpsbridge.cli import maintain as work

    if example:
        return work.example(call)
    return work.maintain(call, file, shard, events=events, failed_to=failed_to, yes=yes)


@listed(ACT, "mpsbridge resume --dry-run", "mpsbridge resume 20261130-0300 ts1")
@acting
def resume(
    call: Call,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="Go on with this run: its id, or the beginning of it (default: the open one)."
        ),
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[HOST...]", help="Go on with these hosts only (default: all of the run)."),
    ] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append what happens to this file, as JSON lines.")
    ] = None,
    yes: Yes = False,
) -> int:
    """Go on with an interrupted run: look first, and repeat nothing that may have happened."""
    from mpsbridge.cli import ending

    return ending.resume(call, run, hosts or (), events=events, yes=yes)


@listed(ACT, "mpsbridge leases ts1 ts2")
@looking
def leases(call: Call, hosts: Hosts, shard: Shard = None) -> int:
    """Show which run or person holds each host."""
    from mpsbridge.cli import leases as work

    return work.leases(call, hosts, shard)


@listed(ACT, "mpsbridge hold ts1 --reason 'examination until noon'")
@acting
def hold(
    call: Call,
    hosts: Hosts,
    reason: Annotated[str, typer.Option(help="Give the reason: it is shown where the hold stops a run.")],
    yes: NeedlessYes = False,  # noqa: ARG001 - accepted, so that a script can say it to every act
) -> int:
    """Keep every run away from these hosts until they are released. It blocks no logons: 'logons --set' does."""
    from mpsbridge.cli import leases as work

    return work.hold(call, hosts, reason)


@listed(ACT, "mpsbridge release ts1")
@acting
def release(
    call: Call,
    hosts: Hosts,
    yes: Yes = False,
) -> int:
    """Give back what an interrupted run or a person holds: closed logons, and the mark that a run works there."""
    from mpsbridge.cli import leases as work

    return work.release(call, hosts, yes=yes)


@listed(OFFLINE, "mpsbridge hosts 'school:!ts07' --inventory hosts.toml")
@naming
def hosts(call: Call, hosts: MaybeHosts = None, shard: Shard = None) -> int:
    """List the hosts that words and patterns mean, with the settings of each. Nothing is contacted."""
    from mpsbridge.cli import hosts as work

    return work.hosts(call, hosts or (), shard)


@listed(OFFLINE, "quser | mpsbridge parse", "mpsbridge parse saved.txt --encoding cp850")
@command
def parse(
    call: Call,
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="Read this file; - is standard input.")] = "-",
    encoding: Annotated[
        str | None,
        typer.Option(metavar="E", help="Decode the file from this encoding, such as cp850 (default: detected)."),
    ] = None,
) -> int:
    """Read the saved output of 'query user' or 'query session', in any language."""
    from mpsbridge.cli import offline

    return offline.parse(call, file, encoding)


@listed(OFFLINE, "mpsbridge render observe")
@command
def render(
    call: Call,
    snippet: Annotated[
        str,
        typer.Argument(
            metavar="SNIPPET", help="The question or act whose script is printed: observe, message, logoff, ..."
        ),
    ],
    params: Annotated[str, typer.Option(metavar="JSON|@FILE", help="Fill in these parameters.")] = "{}",
) -> int:
    """Print the script that a host would get. Nothing is sent."""
    from mpsbridge.cli import offline

    return offline.render(call, snippet, params)


def _role(says: str) -> Any:
    return typer.Option(metavar="DOMAIN\\GROUP", help=f"Let this group {says} (repeatable).")


@listed(OFFLINE, "mpsbridge jea export --look 'SCHOOL\\Teachers' --end 'SCHOOL\\Helpdesk'")
@command
def jea(
    call: Call,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to create; it must not exist yet.")],
    look: Annotated[list[str] | None, _role("see sessions, stations and logon modes")] = None,
    notify: Annotated[list[str] | None, _role("do that and show messages")] = None,
    end: Annotated[
        list[str] | None, _role("do all that, disconnect, log off and reset sessions, and set logon modes")
    ] = None,
    transcripts: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Record sessions in this folder of the host (default: under C:\\ProgramData)."
        ),
    ] = None,
) -> int:
    """Write a JEA module: an endpoint with only mpsbridge's functions, for users who are not administrators."""
    from mpsbridge.cli import offline

    return offline.jea(call, folder, look=look, notify=notify, end=end, transcripts=transcripts)


@listed(OFFLINE, "mpsbridge schema", "mpsbridge schema sessions > sessions.schema.json")
@command
def schema(
    call: Call,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[SCHEMA]", help="A command, or events, plan, error (default: list the names)."),
    ] = None,
) -> int:
    """Print the JSON Schema of a command's JSON output, of events or of plan files."""
    from mpsbridge.cli import offline

    return offline.schema(call, name)


@listed(OFFLINE, "mpsbridge docs tasks", "mpsbridge docs --man ~/.local/share/man/man1")
@command
def docs(
    call: Call,
    page: Annotated[
        str | None, typer.Argument(metavar="[PAGE]", help="Show this page (default: list the pages).")
    ] = None,
    man: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a page for 'man' of each command into this folder instead."),
    ] = None,
) -> int:
    """Show the documentation: tasks, every command, plan files, CI, and the rules behind it."""
    from mpsbridge.cli import docs as work

    return work.docs(call, page) if man is None else work.man(call, page, man, typer.main.get_command(app))


@listed(OFFLINE, "mpsbridge lab --world hosts.toml --ready-file ready.json")
@command
def lab(
    call: Call,
    world: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Play the hosts of this TOML or JSON file (default: those of the demo)."),
    ] = None,
    evidence: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Play the hosts of this file of 'doctor --save'; may be repeated."),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="scripted|powershell", help="Answer scripts by this engine.")
    ] = "scripted",
    auth: Annotated[str, typer.Option(metavar="ntlm|basic|kerberos", help="Let clients sign in this way.")] = "ntlm",
    keytab: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Kerberos: take the keys of host/NAME from this key table.")
    ] = None,
    port: Annotated[str, typer.Option(metavar="N", help="Listen on this port; 0 takes a free one.")] = "0",
    tls: Annotated[bool, typer.Option("--tls", help="Use HTTPS, with a CA made for this run.")] = False,
    ready_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write port, password, inventory, ... to this file when all hosts listen."),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a JSON line to this file for each request and each change."),
    ] = None,
) -> int:
    """Run make-believe hosts on the loopback until interrupted."""
    from mpsbridge.cli import rehearsal

    return rehearsal.lab(
        call,
        world=world,
        evidence=evidence or (),
        engine=engine,
        auth=auth,
        keytab=keytab,
        port=port,
        tls=tls,
        ready_file=ready_file,
        record=record,
    )


@listed(OFFLINE, "mpsbridge demo")
@command
def demo(
    call: Call,
    report: Annotated[Path, typer.Option(metavar="FILE", help="Write the HTML report of the run to this file.")] = Path(
        "mpsbridge-demo.html"
    ),
) -> int:
    """Show the main job on make-believe hosts with real captured tables, over real WinRM."""
    from mpsbridge.cli import rehearsal

    return rehearsal.demo(call, report)
