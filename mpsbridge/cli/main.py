"""From arguments to an exit code.

0 all done; 1 some host failed, or the answer could not be written; 2 usage or settings; 3 refused, nothing was sent;
4 something may have run and its result is unknown; 130 interrupted. What becomes of a code where output is lost is
:mod:`mpsbridge.cli.output`'s matter.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.main
from typer.main import get_command_name
from typer.models import CommandInfo

from mpsbridge.cli.commands import app
from mpsbridge.cli.helptext import common_help, shared_options
from mpsbridge.cli.leaving import INTERRUPTION, Exit, Surroundings
from mpsbridge.cli.options import without_options
from mpsbridge.cli.output import INTERRUPTED, code_after, guarded_streams, standard
from mpsbridge.cli.usage import complaint, understood

if TYPE_CHECKING:
    from mpsbridge.clock import Clock


@app.callback(invoke_without_command=True)
def _top(
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
    options: Annotated[bool, typer.Option("--options", help="Explain the options that most commands share.")] = False,
) -> None:
    if options:
        commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group
        standard().out.write(common_help(shared_options(commands.values())))
        raise Exit(0)
    if version:
        from mpsbridge.cli.terminal import show_version

        raise Exit(show_version())


def run(arguments: Sequence[str], *, clock: Clock | None = None) -> int:
    """Run one call, living by ``clock`` where one is given; the exit code. Nothing is raised but by a signal."""
    if INTERRUPTION.came:  # during an earlier call of this process
        return INTERRUPTED
    held_back = INTERRUPTION.is_held_back
    raised = False
    with guarded_streams() as streams:
        try:
            code = _run(arguments, Surroundings(tuple(arguments), clock))
        except KeyboardInterrupt:
            code, raised = INTERRUPTED, True
        streams.out.flush()
    INTERRUPTION.is_held_back = held_back
    return code_after(code, streams.out, was_interrupted=raised or INTERRUPTION.came)


def _run(given: Sequence[str], surroundings: Surroundings) -> int:
    if len(given) > 2 and given[0] == "help":
        first = _run(given[:2], surroundings)
        standard().out.write("\n")
        return max(first, _run(["help", *given[2:]], surroundings))
    arguments = understood(given)
    try:
        words = list(arguments) or ["--help"]
        code: Any = app_for(arguments)(args=words, prog_name="mpsbridge", standalone_mode=False, obj=surroundings)
    except Exit as leaving:
        return leaving.code
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, whatever it is
        explain = getattr(error, "format_message", None)  # typer's usage errors; their class moved between versions
        from mpsbridge.cli import terminal

        if explain is None:
            return terminal.fault(error, arguments, may_have_run=INTERRUPTION.is_held_back)
        context = getattr(error, "ctx", None)
        parameters = getattr(getattr(context, "command", None), "params", ())
        commands = {_name(entry): getattr(entry.callback, "acts", False) for entry in app.registered_commands}
        said, hint = complaint(
            explain(), commands=commands, options=[option for parameter in parameters for option in parameter.opts]
        )
        path = getattr(context, "command_path", "mpsbridge")
        if " " not in path and arguments[:1] and arguments[0] in commands:  # some complaints name no command
            path = f"{path} {arguments[0]}"
        return terminal.usage_error(said, arguments, path, hint=hint)
    return int(code or 0) if arguments else 2


def _name(entry: CommandInfo) -> str:
    return get_command_name(str(entry.name or getattr(entry.callback, "__name__", "")))


_COMPLETION = "_MPSBRIDGE_COMPLETE"
"""The variable by which a shell asks how a line may go on."""
_OF_ALL = frozenset({"--help", "-h", "--version", "-V"})


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """What runs this call: the named command alone, or all of them where the first word is none.

    Typer makes the options of every command that it is given again for each call, some 500; the list of commands shows
    none of them.
    """
    chosen = [entry for entry in app.registered_commands if arguments and _name(entry) == arguments[0]]
    if not chosen and _OF_ALL.issuperset(arguments) and _COMPLETION not in os.environ:
        chosen = [_listed(entry) for entry in app.registered_commands]
    if not chosen:
        return app
    part = copy.copy(app)
    part.registered_commands = chosen
    return part


def _listed(entry: CommandInfo) -> CommandInfo:
    listed = copy.copy(entry)
    listed.callback = without_options(entry.callback) if entry.callback else None
    return listed
