"""Calls that the command line cannot understand: one sentence that names the word at fault and the nearest right one.

Rule: the words of the library that reads arguments are not shown; what it says is found out from it once, here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence

LIKE = 0.6
_EXTRA = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)")


def understood(arguments: Sequence[str]) -> list[str]:
    """The arguments with what people type elsewhere put as it is here: ``help [COMMAND]``, ``version``."""
    first, *rest = arguments or [""]
    if first == "help":
        return [*rest[:1], "--help"]
    if first == "version" and not rest:
        return ["--version"]
    return list(arguments)


def sentence(said: str, *, commands: Iterable[str], options: Iterable[str]) -> str:
    """What is wrong with a call, from what the library says of it."""
    for pattern, words in _SENTENCES:
        if found := pattern.match(said):
            return words(found, list(commands), list(options))
    return said[:1].lower() + said[1:].rstrip(".")


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about a word that is not known."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=LIKE)
    return f"; did you mean {near[0]}?" if near else ""


def _nearest_option(word: str, options: Sequence[str]) -> str:
    long = [option for option in options if option.startswith("--")]
    beginnings = [option for option in long if option.startswith(word)]
    return f"; did you mean {beginnings[0]}?" if len(beginnings) == 1 else nearest(word, long)


_SENTENCES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], list[str], list[str]], str]], ...] = (
    (
        re.compile(r"No such command '(.*?)'"),
        lambda found, commands, _: f"there is no command {found[1]!r}{nearest(found[1], commands)}",
    ),
    (
        re.compile(r"No such option: (\S+)"),
        lambda found, _, options: f"there is no option {found[1]}{_nearest_option(found[1], options)}",
    ),
    (re.compile(r"Missing argument '(.*?)'"), lambda found, *_: f"{found[1].rstrip('.')} is missing"),
    (re.compile(r"Missing option '(.*?)'"), lambda found, *_: f"{found[1]} is missing"),
    (re.compile(r"Option '(.*?)' does not take a value"), lambda found, *_: f"{found[1]} does not take a value"),
    (re.compile(r"Option '(.*?)' requires"), lambda found, *_: f"{found[1]} needs a value"),
    (_EXTRA, lambda found, *_: f"{found[1]!r} is more than the command takes"),
    (
        re.compile(r"Invalid value for '?(\S+?)'?: (.*)"),
        lambda found, *_: f"{found[1]}: the value does not have the right form",
    ),
)
"""What the library says, and the sentence for it."""
