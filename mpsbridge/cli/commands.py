"""The list of commands as a person sees them. What each does is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mpsbridge.cli.options import (
    DisconnectedOk,
    Hosts,
    IncludeAdmins,
    IncludeConsole,
    Shard,
    Yes,
    command,
    looking_back,
    on_hosts,
)

if TYPE_CHECKING:
    from mpsbridge.cli.call import Call
    from mpsbridge.ending.plan import Selector

app = typer.Typer(
    name="mpsbridge",
    help="See who is on at Windows MultiPoint Services and Remote Desktop hosts, tell them, and end their sessions.",
    epilog="Passwords: MPSBRIDGE_PASSWORD, MPSBRIDGE_PASSWORD_FILE, a key store, or a question; never an option.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
SEE, ACT, LOOK_BACK, OFFLINE = "See", "Act", "Look back", "Without a host"


@app.command(rich_help_panel=SEE)
@command
def sessions(
    call: Call,
    hosts: Hosts,
    who: Selector | None,
    watch: Annotated[str | None, typer.Option(metavar="5s", help="Look again and again, this far apart.")] = None,
    shard: Shard = None,
) -> int:
    """Show who is on, everywhere at once."""
    from mpsbridge.cli import reading

    return reading.sessions(call, hosts, who, watch, shard)


@app.command(rich_help_panel=SEE)
@command
def stations(call: Call, hosts: Hosts, shard: Shard = None) -> int:
    """Show MultiPoint stations and who sits there."""
    from mpsbridge.cli import reading

    return reading.stations(call, hosts, shard)


@app.command(rich_help_panel=SEE)
@command
def logons(
    call: Call,
    hosts: Hosts,
    mode: Annotated[
        str | None,
        typer.Option(
            "--set",
            metavar="enabled|drain|drain-until-restart|disabled",
            help="Set it ('drain' lets people reconnect).",
        ),
    ] = None,
    yes: Yes = False,
    shard: Shard = None,
) -> int:
    """Show whether new logons are let in, or set it."""
    from mpsbridge.cli import reading

    return reading.logons(call, hosts, mode, shard, yes=yes)


@app.command(rich_help_panel=SEE)
@command
def doctor(
    call: Call,
    hosts: Hosts,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record the raw answers (they hold user names) as JSON.")
    ] = None,
    shard: Shard = None,
) -> int:
    """Check name, port, TLS, sign-in, PowerShell, rights, sight and MultiPoint, and say what to do."""
    from mpsbridge.cli import doctor as work

    return work.doctor(call, hosts, save, shard)


@app.command(rich_help_panel=ACT)
@command
def message(
    call: Call,
    hosts: Hosts,
    text: Annotated[str, typer.Option(help="What to say: one line, at most 255 characters.")],
    who: Selector | None,
) -> int:
    """Show a message to people. 'shown' means that the session was in use before and after."""
    from mpsbridge.cli import acting

    return acting.message(call, hosts, text, who)


@app.command(rich_help_panel=ACT)
@command
def disconnect(
    call: Call,
    hosts: Hosts,
    who: Selector | None,
    include_admins: IncludeAdmins = False,
    include_console: IncludeConsole = False,
    yes: Yes = False,
) -> int:
    """Disconnect (suspend) sessions now, without a warning. What runs in them goes on."""
    from mpsbridge.cli import acting
    from mpsbridge.ending.plan import Allowed

    allowed = Allowed(include_admins=include_admins, include_console=include_console)
    return acting.disconnect(call, hosts, who, allowed, yes=yes)


@app.command(rich_help_panel=ACT)
@command
def logoff(
    call: Call,
    hosts: Hosts,
    who: Selector | None,
    include_admins: IncludeAdmins = False,
    include_console: IncludeConsole = False,
    disconnected_ok: DisconnectedOk = False,
    yes: Yes = False,
) -> int:
    """Log sessions off now, without a warning, and look until they are gone. Unsaved work is lost."""
    from mpsbridge.cli import acting
    from mpsbridge.ending.plan import Allowed

    allowed = Allowed(include_admins=include_admins, include_console=include_console, disconnected_ok=disconnected_ok)
    return acting.logoff(call, hosts, who, allowed, yes=yes)


@app.command(rich_help_panel=ACT)
@command
def reset(
    call: Call,
    hosts: Hosts,
    session: Annotated[list[int], typer.Option("--session", metavar="ID", help="The orphaned session with this id.")],
    yes: Yes = False,
) -> int:
    """Reset orphaned sessions (processes without a session row). Unsaved data is lost."""
    from mpsbridge.cli import acting

    return acting.reset(call, hosts, session, yes=yes)


@app.command(rich_help_panel=LOOK_BACK)
@looking_back
def history(
    call: Call,
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="Its id, or how that begins.")] = None,
) -> int:
    """Show all runs, or all that one did."""
    from mpsbridge.cli import reporting

    return reporting.history(call, run)


@app.command(rich_help_panel=LOOK_BACK)
@looking_back
def report(
    call: Call,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Its id, or how that begins; the newest if not given.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="html|json|junit|markdown", help="Markdown, or with -o json: json."),
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema instead.")] = False,
) -> int:
    """Tell what a run did: a page, JUnit XML for a CI server, Markdown for its summary, or JSON."""
    from mpsbridge.cli import reporting

    return reporting.report(call, run, form, schema=schema)


@app.command(rich_help_panel=ACT)
@command
def end(
    call: Call,
    hosts: Hosts,
    who: Selector | None,
    warn: Annotated[
        str | None,
        typer.Option(
            metavar="15m,5m,1m",
            help="When people are told, before the end; the first is the wait. Default 15m,5m,1m.",
        ),
    ] = None,
    no_warning: Annotated[bool, typer.Option("--no-warning", help="Tell nobody and do not wait.")] = False,
    reason: Annotated[str, typer.Option(help="Why: for the people, the lease and the record.")] = "",
    sender: Annotated[str, typer.Option(metavar="NAME", help="Who tells people; your user name if not given.")] = "",
    notice_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own text: {left} {minutes} {time} {reason} {sender}.")
    ] = None,
    then: Annotated[
        str, typer.Option(metavar="nothing|restart|shutdown|console-mode|station-mode", help="What follows.")
    ] = "nothing",
    keep_user: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Keep this user's sessions.")] = None,
    keep_session: Annotated[list[str] | None, typer.Option(metavar="HOST:ID", help="Keep this session.")] = None,
    keep_running: Annotated[
        list[str] | None, typer.Option(metavar="PROGRAM", help="Keep sessions in which it runs.")
    ] = None,
    include_admins: IncludeAdmins = False,
    include_console: IncludeConsole = False,
    disconnected_ok: DisconnectedOk = False,
    unwarned_ok: Annotated[
        bool, typer.Option("--unwarned-ok", help="End those too who could not be shown a notice.")
    ] = False,
    leftover_ok: Annotated[
        bool, typer.Option("--leftover-ok", help="Go on although orphaned sessions are there.")
    ] = False,
    take_over: Annotated[bool, typer.Option("--take-over", help="Take somebody else's lease over.")] = False,
    logons: Annotated[
        str | None,
        typer.Option(
            metavar="drain|drain-until-restart|disabled|leave|local", help="How new people are kept out meanwhile."
        ),
    ] = None,
    hold_logons: Annotated[bool, typer.Option("--hold-logons", help="Keep them out through the restart.")] = False,
    no_failsafe: Annotated[
        bool, typer.Option("--no-failsafe", help="Block logons without the task that opens them again.")
    ] = False,
    only_if_reboot_pending: Annotated[
        bool, typer.Option("--only-if-reboot-pending", help="Leave hosts alone that wait for no restart.")
    ] = False,
    settle: Annotated[str, typer.Option(metavar="2m", help="Time for slow log-offs.")] = "2m",
    force_after: Annotated[
        str | None, typer.Option(metavar="10m", help="Reset whoever hangs so long after the log-off (may lose data).")
    ] = None,
    return_timeout: Annotated[str, typer.Option(metavar="60m", help="Time for a host to come back.")] = "60m",
    host_deadline: Annotated[str, typer.Option(metavar="3h", help="For one host, from first to last.")] = "3h",
    events: Annotated[Path | None, typer.Option(metavar="FILE", help="What happens, as JSON lines.")] = None,
    yes: Yes = False,
) -> int:
    """End sessions so that it can be trusted: warn, wait, end, and what follows; restore what was changed meanwhile."""
    from mpsbridge.cli import ending

    options = ending.Options(
        warn=ending.notices(warn, no_warning=no_warning),
        reason=reason,
        sender=sender,
        then=then,
        keep_user=tuple(keep_user or ()),
        keep_session=tuple(keep_session or ()),
        keep_running=tuple(keep_running or ()),
        include_admins=include_admins,
        include_console=include_console,
        disconnected_ok=disconnected_ok,
        unwarned_ok=unwarned_ok,
        leftover_ok=leftover_ok,
        take_over=take_over,
        logons=logons or "default",
        hold_logons=hold_logons,
        failsafe=not no_failsafe,
        only_if_reboot_pending=only_if_reboot_pending,
        settle=settle,
        force_after=force_after,
        return_timeout=return_timeout,
        host_deadline=host_deadline,
    )
    return ending.end(call, hosts, who, options, notice_file=notice_file, events=events, yes=yes)


@app.command(rich_help_panel=ACT)
@on_hosts
def maintain(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="Hosts, reason, policy, notices, waves.")],
    events: Annotated[Path | None, typer.Option(metavar="FILE", help="What happens, as JSON lines.")] = None,
    failed_to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the hosts that failed there, as a plan to run again.")
    ] = None,
    shard: Shard = None,
    yes: Yes = False,
) -> int:
    """The same from a file, for CI: many hosts, in waves."""
    from mpsbridge.cli import maintain as work

    return work.maintain(call, file, shard, events=events, failed_to=failed_to, yes=yes)


@app.command(rich_help_panel=ACT)
@command
def resume(
    call: Call,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Its id, or how that begins.")] = None,
    hosts: Annotated[
        list[str] | None, typer.Argument(metavar="[HOST...]", help="Only these hosts; all of the run if not given.")
    ] = None,
    events: Annotated[Path | None, typer.Option(metavar="FILE", help="What happens, as JSON lines.")] = None,
    yes: Yes = False,
) -> int:
    """Go on with a run that died: look first, and repeat nothing that may have happened."""
    from mpsbridge.cli import ending

    return ending.resume(call, run, hosts or (), events=events, yes=yes)


@app.command(rich_help_panel=ACT)
@command
def leases(call: Call, hosts: Hosts, shard: Shard = None) -> int:
    """Show which run, or which person, holds each host."""
    from mpsbridge.cli import leases as work

    return work.leases(call, hosts, shard)


@app.command(rich_help_panel=ACT)
@command
def hold(
    call: Call,
    hosts: Hosts,
    reason: Annotated[str, typer.Option(help="Why nobody may touch these hosts.")],
) -> int:
    """Keep every run away from these hosts until somebody releases them."""
    from mpsbridge.cli import leases as work

    return work.hold(call, hosts, reason)


@app.command(rich_help_panel=ACT)
@command
def release(
    call: Call,
    hosts: Hosts,
    yes: Yes = False,
) -> int:
    """Give back what an interrupted run, or a person, holds: logons, failsafe, lease."""
    from mpsbridge.cli import leases as work

    return work.release(call, hosts, yes=yes)


@app.command(rich_help_panel=OFFLINE)
@command
def hosts(call: Call, hosts: Hosts, shard: Shard = None) -> int:
    """Show which hosts are meant, and which settings apply to each, from where. Nothing is contacted."""
    from mpsbridge.cli import hosts as work

    return work.hosts(call, hosts, shard)


@app.command(rich_help_panel=OFFLINE)
@command
def parse(
    call: Call,
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="Saved output; - is standard input.")] = "-",
    encoding: Annotated[
        str | None, typer.Option(metavar="E", help="cp850, utf-8, ...; found out from the text where not given.")
    ] = None,
) -> int:
    """Read the saved output of 'query user' or 'query session', in any language."""
    from mpsbridge.cli import offline

    return offline.parse(call, file, encoding)


@app.command(rich_help_panel=OFFLINE)
@command
def render(
    call: Call,
    snippet: Annotated[str, typer.Argument(metavar="SNIPPET", help="observe, message, end, ...")],
    params: Annotated[str, typer.Option(metavar="JSON|@FILE", help="The snippet's parameters.")] = "{}",
) -> int:
    """Print the very script that a host would get. Nothing is sent."""
    from mpsbridge.cli import offline

    return offline.render(call, snippet, params)


Groups = Annotated[list[str] | None, typer.Option(metavar="DOMAIN\\GROUP", help="Who gets this role; can be repeated.")]


@app.command(rich_help_panel=OFFLINE)
@command
def jea(
    call: Call,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet.")],
    look: Groups = None,
    notify: Groups = None,
    end: Groups = None,
    transcripts: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Where the host records sessions; under C:\\ProgramData if not given."),
    ] = None,
) -> int:
    """Write a JEA module: an endpoint for people who are no administrators, with nothing but mpsbridge's functions."""
    from mpsbridge.cli import offline

    return offline.jea(call, folder, look=look, notify=notify, end=end, transcripts=transcripts)


@app.command(rich_help_panel=OFFLINE)
@command
def lab(
    call: Call,
    world: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The hosts, as TOML or JSON. Without it: the demo's.")
    ] = None,
    engine: Annotated[str, typer.Option(metavar="scripted|powershell", help="How scripts are answered.")] = "scripted",
    auth: Annotated[str, typer.Option(metavar="ntlm|basic|kerberos", help="How clients sign in.")] = "ntlm",
    keytab: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Kerberos: the keys of host/NAME for each host.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    tls: Annotated[bool, typer.Option("--tls", help="HTTPS, with a CA made for this run.")] = False,
    ready_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Written when all hosts listen: port, password, inventory, ...")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="One JSON line for each request and each change.")
    ] = None,
) -> int:
    """Run make-believe hosts on the loopback until interrupted."""
    from mpsbridge.cli import rehearsal

    return rehearsal.lab(
        call,
        world=world,
        engine=engine,
        auth=auth,
        keytab=keytab,
        port=port,
        tls=tls,
        ready_file=ready_file,
        record=record,
    )


@app.command(rich_help_panel=OFFLINE)
@command
def demo(
    call: Call,
    report: Annotated[Path, typer.Option(metavar="FILE", help="Where its report goes (HTML).")] = Path(
        "mpsbridge-demo.html"
    ),
) -> int:
    """See the main job done on make-believe hosts that show real captured tables, over real WinRM."""
    from mpsbridge.cli import rehearsal

    return rehearsal.demo(call, report)
