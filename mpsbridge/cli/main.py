"""From arguments to an exit code.

0 all done; 1 some host failed; 2 usage or settings; 3 refused, nothing was sent; 4 something may have run and its
result is unknown; 130 interrupted.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.main import get_command_name

from mpsbridge.cli.commands import app
from mpsbridge.cli.leaving import INTERRUPTED, WORDS, Exit

if TYPE_CHECKING:
    from mpsbridge.clock import Clock


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from mpsbridge.cli.terminal import show_version

        raise Exit(show_version())


def run(arguments: Sequence[str], *, clock: Clock | None = None) -> int:
    """Run one call, living by ``clock`` where one is given; the exit code."""
    WORDS.set(tuple(arguments))
    if clock is not None:
        from mpsbridge.cli.call import CLOCK

        before = CLOCK.set(clock)
        try:
            return run(arguments)
        finally:
            CLOCK.reset(before)
    try:
        code: Any = app_for(arguments)(args=list(arguments), prog_name="mpsbridge", standalone_mode=False)
    except Exit as leaving:
        return leaving.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        explain = getattr(error, "format_message", None)  # typer's usage errors; their class moved between versions
        if explain is None:
            raise
        from mpsbridge.cli.terminal import usage_error

        return usage_error(explain(), arguments, getattr(getattr(error, "ctx", None), "command_path", "mpsbridge"))
    return int(code or 0)


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """What runs this call: the named command alone, or all of them where the first word is none.

    Typer makes the options of every command that it is given anew for each call, some 500.
    """
    named = [
        entry
        for entry in app.registered_commands
        if arguments and entry.callback and get_command_name(entry.name or entry.callback.__name__) == arguments[0]
    ]
    if not named:
        return app
    alone = copy.copy(app)
    alone.registered_commands = named
    return alone
