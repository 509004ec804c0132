"""What several snippets carry, each with the rule that its value must keep.

Rule: what a host could take for something else (an option of a program, a line of its own) is refused here, with the
reason.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field

from mpsbridge.models.harmless import harmless
from mpsbridge.models.sessions import AllowedSession, SessionGuard

TEXT_LIMIT = 255
"""Characters of a message, as Windows counts them (UTF-16). The cap of Ansible's ``win_msg``; Microsoft's page on
``msg`` gives none."""

LEASE_LIMIT = 250_000
"""Characters of a lease, mostly the marks of its notices: about two thousand of them."""

S = TypeVar("S", SessionGuard, AllowedSession)

_PROGRAM = re.compile(r"[\w][\w .+-]{0,63}")
_RUN = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")


def _message_text(text: str) -> str:
    """The text of a message, or ``ValueError`` with the reason why ``msg.exe`` must not get it (W32)."""
    if not text.strip():
        raise ValueError("the text is empty")
    if (length := len(text.encode("utf-16-le", "surrogatepass")) // 2) > TEXT_LIMIT:
        raise ValueError(f"the text has {length} characters; at most {TEXT_LIMIT} are sent")
    if text[0] in "/-@":
        raise ValueError(f"the text begins with {text[0]!r}, which msg.exe would take for an option or a file")
    for character in text:
        if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0:
            raise ValueError(f"the text holds the control character U+{ord(character):04X}; write it on one line")
        if 0xD800 <= ord(character) <= 0xDFFF:
            raise ValueError("the text holds half a surrogate pair, so it is not valid Unicode")
    return text


def _run_id(text: str) -> str:
    if not _RUN.fullmatch(text):
        raise ValueError("a run id is 1 to 64 letters, digits and hyphens")
    return text


def _program_name(text: str) -> str:
    name = text.lower().removesuffix(".exe")
    if not _PROGRAM.fullmatch(name):
        raise ValueError(f"{text!r} is not a program name; write it like winword or winword.exe")
    return name


def _one_line(text: str) -> str:
    if found := re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", text):
        if found[0] >= "\ud800":
            raise ValueError("the text is not valid Unicode: a byte of it is not UTF-8")
        raise ValueError(f"the text holds U+{ord(found[0]):04X}; write it on one line")
    return text


def _account_name(text: str) -> str:
    r"""A user's name, ``DOMAIN\user`` or ``user@domain``, or ``ValueError``: what no account of Windows can be called.

    The characters are those that Microsoft's page on ``sAMAccountName`` forbids, without ``+``, which a UPN may hold,
    and ``?``, which stands in tables for what a code page could not write.
    """
    name = text.strip().rpartition("\\")[2]
    if not name:
        raise ValueError("the name is empty")
    if found := re.search(r'["/\[\]:;|=,*<>\x00-\x1f]', name):
        why = {
            ",": "name each user with an option of its own",
            "*": "it names one user, and patterns are not known here",
            "/": "write a user as DOMAIN\\user or user@domain",
        }.get(found[0], "no account of Windows has it in its name")
        raise ValueError(f"{harmless(text, limit=60)!r} has {harmless(found[0])!r} in it: {why}")
    return text


def _distinct(sessions: tuple[S, ...]) -> tuple[S, ...]:
    ids = [session.id for session in sessions]
    if len(set(ids)) != len(ids):
        raise ValueError("a session id is named twice")
    return sessions


OneLine = Annotated[str, AfterValidator(_one_line)]


def _says_something(text: str) -> str:
    if text and not text.strip():
        raise ValueError("it is blank: say why, or leave it out")
    return text


Reason = Annotated[OneLine, AfterValidator(_says_something), Field(max_length=300)]
"""Why people are asked to go, in a person's own words: it stands in notices, in the lease and in Windows' event log."""
AccountName = Annotated[str, AfterValidator(_account_name)]
ProgramName = Annotated[str, AfterValidator(_program_name)]
MessageText = Annotated[str, AfterValidator(_message_text)]
RunId = Annotated[str, AfterValidator(_run_id)]
Sessions = Annotated[tuple[SessionGuard, ...], AfterValidator(_distinct), Field(min_length=1, max_length=1000)]
AllowedSessions = Annotated[tuple[AllowedSession, ...], AfterValidator(_distinct), Field(max_length=1000)]
LeaseDemand = Literal["free", "held"]
"""What a script demands of the lease before each act: nobody else holds the host (``free``), or this very run does
(``held``), so that nothing of a run comes late when it, or somebody for it, has let go of the host (W19).
"""
