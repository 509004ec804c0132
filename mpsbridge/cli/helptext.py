"""The help of commands: their own options first, then by name those that most commands share.

Rules: the name of an option or argument is never cut nor broken, at any width; a flag is shown without a value; the
shared options are explained in one place (``mpsbridge help options``), so that what a command itself takes is seen at
a glance.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

COMMON = "Common options"
"""The heading of what most commands share."""
MOST, LEAST = 100, 20
"""Columns of a help, whatever the terminal has."""
NAMES = 30
"""Columns for names, where the explanation stands beside them."""
BESIDE_FROM = 60
"""On a narrower terminal explanations stand below the names."""
INDENT = 6
EXIT_CODES = (
    ("0", "All is done."),
    ("1", "A host or session failed, or was refused while others were done; or the answer could not be written."),
    ("2", "The call or its settings are wrong; nothing was sent."),
    ("3", "All of it refused; nothing was sent."),
    ("4", "Something may have run, and its result is unknown."),
    ("130", "Interrupted."),
)


class Command(TyperCommand):
    """A command that explains itself."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of this command."""
        formatter.write(command_help(self, ctx, width=terminal_width()))


class Group(TyperGroup):
    """The list of commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        formatter.write(group_help(self, ctx, width=terminal_width()))


def terminal_width() -> int:
    """How many columns a help has."""
    return max(LEAST, min(MOST, shutil.get_terminal_size().columns))


def command_help(command: Any, ctx: Any, *, width: int) -> str:
    """The help of one command."""
    arguments, panels, common = parameters_of(command, ctx)
    words = [argument_name(one) for one in arguments]
    sections = [
        _wrapped(" ".join(["Usage:", ctx.command_path, *words, "[OPTIONS]"]), width),
        *(_wrapped(paragraph, width) for paragraph in (command.help or "").split("\n\n")),
        _section("Arguments", [(argument_name(one), explanation(one)) for one in arguments], width),
    ]
    sections += [
        _section(name, [(option_names(one), explanation(one)) for one in found], width)
        for name, found in panels.items()
    ]
    if common:
        named = [" ".join(filter(None, (one.opts[0], _value(one)))) for one in common]
        heading = _wrapped(f"{COMMON} ('mpsbridge help options' explains them):", width)
        sections.append(f"{heading}\n{_in_lines(named, width)}")
    sections.append("\n".join(line for line in (command.epilog or "").splitlines() if line))
    return "\n\n".join(filter(None, sections)) + "\n"


def parameters_of(command: Any, ctx: Any) -> tuple[list[Any], dict[str, list[Any]], list[Any]]:
    """The arguments of a command, its own options by their headings, and those that most commands share."""
    shown = [one for one in command.get_params(ctx) if not getattr(one, "hidden", False)]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    panels: dict[str, list[Any]] = {"Options": []}
    for one in shown:
        if one not in arguments:
            panels.setdefault(getattr(one, "rich_help_panel", None) or "Options", []).append(one)
    return arguments, panels, panels.pop(COMMON, [])


def common_help(options: Sequence[Any]) -> str:
    """The shared options with their explanations."""
    width = terminal_width()
    intro = "Most commands take these; each is also a variable (MPSBRIDGE_CA_FILE) and a key of the settings file."
    explained = _section(COMMON, [(option_names(one), explanation(one)) for one in options], width)
    return f"{_wrapped(intro, width)}\n\n{explained}\n"


def group_help(group: Any, ctx: Any, *, width: int) -> str:
    """The list of commands, by their headings."""
    commands = [(name, group.get_command(ctx, name)) for name in group.list_commands(ctx)]
    sections = [
        _wrapped(f"Usage: {ctx.command_path} COMMAND ...", width),
        _wrapped(group.help or "", width),
        *(_section(heading, found, width) for heading, found in by_heading(commands).items()),
        _section("Options", [(option_names(one), explanation(one)) for one in group.get_params(ctx)], width),
        _section("Exit codes", EXIT_CODES, width),
        _wrapped(
            "'mpsbridge help COMMAND' shows what a command takes, 'mpsbridge help options' what most take.", width
        ),
        _wrapped(group.epilog or "", width),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def by_heading(commands: Iterable[tuple[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """The names of commands and what each is for, by the headings of the list."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, command in commands:
        about = " ".join(str(command.help or "").partition("\n\n")[0].split())
        found.setdefault(command.rich_help_panel or "Commands", []).append((name, about))
    return found


def shared_options(commands: Iterable[Any]) -> list[Any]:
    """The options that most of the commands share, each once."""
    found: dict[str, Any] = {}
    for one in (parameter for command in commands for parameter in command.params):
        if getattr(one, "rich_help_panel", None) == COMMON and not one.hidden:
            found.setdefault(one.name, one)
    return list(found.values())


def argument_name(parameter: Any) -> str:
    """``HOST...``; in brackets where it may be left out."""
    name = (parameter.metavar or parameter.name.upper()).strip("[]")
    return name if parameter.required else f"[{name}]"


def option_names(parameter: Any) -> str:
    """``-o, --output FORM``: the short name first, as everywhere."""
    short = [name for name in parameter.opts if not name.startswith("--")]
    long = [name for name in parameter.opts if name.startswith("--")]
    return " ".join(filter(None, (", ".join([*short, *long]), _value(parameter))))


def _value(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False) or getattr(parameter, "count", False):
        return ""
    return str(parameter.metavar or "TEXT")


def explanation(parameter: Any) -> str:
    """What an option or argument is for, with its default."""
    said = str(parameter.help or "")
    if parameter.required and parameter.param_type_name == "option":
        said += " (required)"
    shows_default = _value(parameter) and parameter.default and parameter.param_type_name == "option"
    if shows_default and not callable(parameter.default) and "default" not in said:
        said = f"{said.rstrip('.')} (default {parameter.default})."
    return said


def _section(heading: str, rows: Sequence[tuple[str, str]], width: int) -> str:
    if not rows:
        return ""
    column = min(NAMES, max(len(name) for name, _ in rows) + 4)
    lines = [line for name, said in rows for line in _entry(name, said, width, column)]
    return "\n".join([f"{heading}:", *lines])


def _entry(name: str, said: str, width: int, column: int) -> Iterator[str]:
    is_beside = width >= BESIDE_FROM
    indent = column if is_beside else INDENT
    told = _wrapped(said, width - indent).splitlines()
    if is_beside and len(name) + 4 <= column:
        yield f"  {name:<{column - 2}}{told[0] if told else ''}".rstrip()
        told = told[1:]
    else:
        yield from (f"  {part}" for part in _broken_between(name, width - 2))
    yield from (" " * indent + line for line in told)


def _broken_between(name: str, width: int) -> Iterator[str]:
    """A name in lines of at most ``width``, broken between its choices and nowhere else."""
    line = ""
    for part in name.replace("|", "|\n").replace(" ", " \n").split("\n"):
        if line and len((line + part).rstrip()) > width:
            yield line.rstrip()
            line = "    "
        line += part
    yield line.rstrip()


def _in_lines(names: Sequence[str], width: int) -> str:
    """Names side by side, as many as a line holds."""
    lines = [""]
    for name in names:
        joined = f"{lines[-1]}  {name}"
        if len(joined) > width:
            lines += [f"  {part}" for part in _broken_between(name, width - 2)]
        else:
            lines[-1] = joined
    return "\n".join(filter(None, lines))


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False))
