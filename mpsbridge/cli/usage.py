"""Calls that the command line cannot understand: one sentence that names the word at fault and the nearest right one.

Rules: the words of the library that reads arguments are not shown; what it says is found out from it once, here. A word
that people know from elsewhere is answered from :mod:`mpsbridge.cli.synonyms`. Otherwise only what is really close is
suggested, and a command that acts on people only for what is all but the same word.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from mpsbridge.cli.synonyms import COMMANDS, OPTIONS
from mpsbridge.models.complaints import did_you_mean

ALL_BUT_THE_SAME, LONG = 0.82, 5
"""How much alike a command that acts must be, and how many letters such a word has: "send" is not a slip for "end"."""
_EXTRA = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)")


class Complaint(NamedTuple):
    """What is wrong with a call, and what helps where that is known."""

    text: str
    hint: str = ""


def understood(arguments: Sequence[str]) -> list[str]:
    """The arguments with what people type elsewhere put as it is here: ``help [COMMAND]``, ``version``."""
    first, *rest = arguments or [""]
    if (first, *rest) == ("help", "options"):
        return ["--options"]
    if first == "help":
        return [*rest[:1], "--help"]
    if first == "version" and not rest:
        return ["--version"]
    return list(arguments)


def complaint(said: str, *, commands: Mapping[str, bool], options: Iterable[str]) -> Complaint:
    """What is wrong with a call, from what the library says of it; of each command it is known whether it acts."""
    for pattern, words in _SENTENCES:
        if found := pattern.match(said):
            return words(found, commands, list(options))
    return Complaint(said[:1].lower() + said[1:].rstrip("."))


def _no_command(word: str, commands: Mapping[str, bool]) -> Complaint:
    said = f"there is no command {word!r}"
    if hint := COMMANDS.get(word.casefold()):
        return Complaint(said, hint)
    return Complaint(
        said + did_you_mean(word, [one for one, acts in commands.items() if not acts or _is_slip(word, one)])
    )


def _is_slip(word: str, act: str) -> bool:
    alike = difflib.SequenceMatcher(None, word, act).ratio()
    return len(word) >= LONG and word[0] == act[0] and alike >= ALL_BUT_THE_SAME


def _no_option(word: str, options: Sequence[str]) -> Complaint:
    said = f"there is no option {word}"
    if hint := OPTIONS.get(word.casefold()):
        return Complaint(said, hint)
    long = [option for option in options if option.startswith("--")]
    beginnings = [option for option in long if option.startswith(word)]
    return Complaint(said + (f"; did you mean {beginnings[0]}?" if len(beginnings) == 1 else did_you_mean(word, long)))


_SENTENCES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Mapping[str, bool], list[str]], Complaint]], ...] = (
    (re.compile(r"No such command '(.*?)'"), lambda found, commands, _: _no_command(found[1], commands)),
    (re.compile(r"No such option: (\S+)"), lambda found, _, options: _no_option(found[1], options)),
    (re.compile(r"Missing argument '(.*?)'"), lambda found, *_: Complaint(f"{found[1].rstrip('.')} is missing")),
    (re.compile(r"Missing option '(.*?)'"), lambda found, *_: Complaint(f"{found[1]} is missing")),
    (
        re.compile(r"Option '(.*?)' does not take a value"),
        lambda found, *_: Complaint(f"{found[1]} does not take a value"),
    ),
    (re.compile(r"Option '(.*?)' requires"), lambda found, *_: Complaint(f"{found[1]} needs a value")),
    (_EXTRA, lambda found, *_: Complaint(f"{found[1]!r} is more than the command takes")),
    (
        re.compile(r"Invalid value for '?(\S+?)'?: (.*)"),
        lambda found, *_: Complaint(f"{found[1]}: the value does not have the right form"),
    ),
)
"""What the library says, and what is said of it."""
