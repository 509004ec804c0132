"""``docs --man``: the commands as pages for ``man``, made from the same words as their help.

Rules: a page is roff of the ``man`` macros alone; a text enters it by :func:`_text`, so that nothing in it is read as a
request. ``man`` finds the pages in a folder ``man1`` of its path, such as ``~/.local/share/man/man1``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from mpsbridge.cli.helptext import (
    COMMON,
    EXIT_CODES,
    argument_name,
    by_heading,
    explanation,
    option_names,
    parameters_of,
    shared_options,
)
from mpsbridge.errors import InputError
from mpsbridge.version import __version__

NAME = "mpsbridge"


def write_pages(group: Any, folder: Path) -> list[Path]:
    """Write a page for each command, and one for all, into the folder, which is made. Raises ``InputError``."""
    ctx = group.make_context(NAME, [], resilient_parsing=True)
    commands = {name: group.get_command(ctx, name) for name in group.list_commands(ctx)}
    pages = {NAME: overview(group, commands)}
    pages |= {f"{NAME}-{name}": command_page(name, command, ctx) for name, command in commands.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, page in pages.items():
            (folder / f"{name}.1").write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from None
    return [folder / f"{name}.1" for name in pages]


def overview(group: Any, commands: dict[str, Any]) -> str:
    """The page of all commands."""
    panels = by_heading((f"{NAME} {name}", command) for name, command in commands.items())
    lines = [
        *_head(NAME, str(group.help), f"{NAME} COMMAND ..."),
        *(line for heading, entries in panels.items() for line in _list(heading, entries)),
        *_list(COMMON, [(option_names(one), explanation(one)) for one in shared_options(commands.values())]),
        *_list("Exit status", EXIT_CODES),
        *_section("Credentials", [str(group.epilog)]),
        *_section("See also", [", ".join(f"{NAME}-{name}(1)" for name in commands)]),
    ]
    return "\n".join(lines) + "\n"


def command_page(name: str, command: Any, ctx: Any) -> str:
    """The page of one command."""
    arguments, panels, common = parameters_of(command, ctx)
    words = [argument_name(one) for one in arguments]
    first, *more = _paragraphs(command)
    lines = [
        *_head(f"{NAME}-{name}", first, " ".join([NAME, name, *words, "[OPTIONS]"])),
        *_section("Description", [first, *more]),
        *_list("Arguments", [(argument_name(one), explanation(one)) for one in arguments]),
        *(
            line
            for heading, found in panels.items()
            for line in _list(heading, [(option_names(one), explanation(one)) for one in found])
        ),
        *_section(COMMON, [", ".join(str(one.opts[0]) for one in common) + f": see {NAME}(1)."] if common else []),
        *_examples(str(command.epilog or "")),
        *_section("See also", [f"{NAME}(1)"]),
    ]
    return "\n".join(lines) + "\n"


def _paragraphs(command: TyperCommand) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in str(command.help).split("\n\n")]


def _head(name: str, about: str, usage: str) -> list[str]:
    title = f'.TH "{_text(name.upper())}" 1 "" "{NAME} {__version__}"'
    return [title, ".SH NAME", f"{_text(name)} \\- {_text(about.rstrip('.'))}", *_section("Synopsis", [usage])]


def _section(heading: str, paragraphs: list[str]) -> Iterator[str]:
    if paragraphs:
        yield f".SH {_text(heading.upper())}"
    for number, paragraph in enumerate(paragraphs):
        yield from [".PP"] if number else []
        yield _text(paragraph)


def _list(heading: str, entries: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> Iterator[str]:
    if entries:
        yield f".SH {_text(heading.upper())}"
    for name, said in entries:
        yield from (".TP", f"\\fB{_text(name)}\\fR", _text(said))


def _examples(epilog: str) -> Iterator[str]:
    heading, *calls = [line.strip() for line in epilog.splitlines() if line.strip()]
    yield from (f".SH {_text(heading.rstrip(':').upper())}", ".nf", *map(_text, calls), ".fi")


def _text(text: str) -> str:
    """A text as roff shows it: a backslash and a hyphen for themselves, and no line that begins with a request."""
    told = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{told}" if told.startswith(".") else told
