"""``docs``: the documentation that ships in the package, page by page, and the commands as pages for ``man``.

Rules: a page is a Markdown file that begins with ``# Title`` and a sentence on what it tells; pages link to each other
by their file's name. In a pipe a page is the text of its file; on a terminal it is rendered, and shown by a pager.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from mpsbridge.cli.call import Call
from mpsbridge.cli.manpages import write_pages
from mpsbridge.cli.output import standard
from mpsbridge.errors import InputError
from mpsbridge.models.complaints import did_you_mean
from mpsbridge.models.counts import counted
from mpsbridge.processes import environment_of_children, find_program

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderResult

FOLDER = Path(__file__).resolve().parent.parent / "docs"
"""Where the pages lie."""
PAGES = (
    *("start", "tasks", "hosts-and-inventories", "signing-in", "commands", "ending", "plans", "ci", "fleets", "jea"),
    *("library", "lab", "evidence", "events-and-json", "security", "reliability", "windows", "architecture"),
    *("contributing", "glossary", "changes"),
)
"""In the order in which they are listed."""
WIDEST = 100
"""Columns of a rendered page, whatever the terminal has."""
CODE = "cyan"
"""How code looks on a terminal with colours."""
_LINK = re.compile(r"\[([^\[\]]+)\]\(([a-z-]+)\.md(?:#[\w-]*)?\)")
_WORD = re.compile(r"[\w-]+")


def docs(call: Call, name: str | None) -> int:
    """``docs``: the list of pages, or one of them."""
    if name is None:
        call.terminal.raw(contents())
        return 0
    text = page(name)
    if not standard().out.isatty() or os.environ.get("TERM") in {"dumb", "unknown"}:
        call.terminal.raw(text)
        return 0
    color = not (call.settings.no_color or os.environ.get("NO_COLOR"))
    text = rendered(text, color=color)
    words = pager()
    if words is None or not _paged(words, text):
        call.terminal.raw(text)
    return 0


def man(call: Call, name: str | None, folder: Path, commands: Any) -> int:
    """``docs --man``: a page for ``man`` of each command."""
    if name is not None:
        raise InputError("--man writes the pages of all commands: no PAGE can be given beside it")
    written = write_pages(commands, folder)
    call.terminal.note(f"{counted(len(written), 'page')} written to {folder}")
    return 0


def contents() -> str:
    """Each page with the sentence on what it tells."""
    column = max(map(len, PAGES)) + 2
    rows = [f"  {name:<{column}}{about(name)}\n" for name in PAGES]
    return "".join(["'mpsbridge docs PAGE' shows a page:\n\n", *rows])


def about(name: str) -> str:
    """What the page tells, from its own second paragraph."""
    return _text(name).split("\n\n", 2)[1].replace("`", "").removesuffix(".")


def page(name: str) -> str:
    """The text of the page. Raises ``InputError`` that names the nearest page."""
    wanted = name.casefold().removesuffix(".md")
    if wanted in PAGES:
        return _text(wanted)
    said = f"there is no page {name!r}{did_you_mean(wanted, PAGES)}"
    times = {each: sum(word.startswith(wanted) for word in _WORD.findall(_text(each).casefold())) for each in PAGES}
    most = max(PAGES[:-1], key=times.__getitem__)  # the changes have a word on everything
    if "did you mean" in said or not times[most]:
        raise InputError(said, hint="Use 'mpsbridge docs' to list the pages.")
    raise InputError(said, hint=f"Use 'mpsbridge docs {most}': it says most about that word.")


def rendered(text: str, *, color: bool = True, width: int | None = None) -> str:
    """A page as a terminal shows it; links to other pages as the call that shows those."""
    from rich.color import ColorSystem  # noqa: PLC0415 - only for a page on a terminal
    from rich.console import Console  # noqa: PLC0415
    from rich.markdown import CodeBlock, Markdown  # noqa: PLC0415
    from rich.segment import Segment  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Code(CodeBlock):
        """Lines as they are, of any length, so that they can be copied."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            yield Text(str(self.text).rstrip("\n"), style=CODE, no_wrap=True, overflow="ignore")

    class Page(Markdown):
        elements: ClassVar = {**Markdown.elements, "fence": Code, "code_block": Code}

    console = Console(force_terminal=True)
    options = console.options.update_width(min(width or console.width, WIDEST))
    source = _LINK.sub(r"\1: `mpsbridge docs \2`", text)
    lines = Segment.split_lines(console.render(Page(source, hyperlinks=False), options))

    def shown(part: Segment) -> str:
        style = part.style if color or part.style is None else part.style.without_color
        return style.render(part.text, color_system=ColorSystem.STANDARD) if style else part.text

    return "".join("".join(map(shown, line)) + "\n" for line in lines)


def _text(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def pager() -> list[str] | None:
    """The program that shows long text: ``PAGER``, or what is installed; ``None`` without one."""
    try:
        named = shlex.split(os.environ.get("PAGER", ""))
    except ValueError:  # a quote is not closed
        named = []
    for words in (named, ["less"], ["more"]):
        if words and (program := find_program(words[0])):
            return [program, *words[1:]]
    return None


def _paged(words: Sequence[str], text: str) -> bool:
    """Whether the pager has shown the text; it ends by itself where the text is no longer than the screen."""
    environment = environment_of_children(LESS=os.environ.get("LESS", "-FRX"), LESSCHARSET="utf-8")
    try:
        shown = subprocess.Popen(words, stdin=subprocess.PIPE, env=environment, encoding="utf-8")
    except OSError:
        return False
    while True:
        try:
            shown.communicate(text)
        except KeyboardInterrupt:  # it is the pager's: what it does with the key is its own affair
            continue
        return True
