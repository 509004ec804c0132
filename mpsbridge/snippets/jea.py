r"""The snippets as a JEA module: an endpoint on which nothing but these functions can be called (W34).

JEA is Windows' own way to let people act without making them administrators: a session configuration says who has
which role, a role says which functions can be seen, and those run as a local administrator that exists for one session
only. :func:`export` writes all of it from the very templates that are sent elsewhere, so both do the same.

Rules of this file: pure, text in and text out; what a role may call is listed here by hand, so that a new snippet gives
nobody a new right; a name that an administrator gives enters as a literal; only functions become visible, never a
cmdlet, a program, a provider or a variable.

Three facts of PowerShell shape the files (``InitialSessionStateProvider.cs`` of its open source). Where visibility is
restricted modules are not loaded by themselves, hence ``RequiredModules``. Role capabilities are looked for in
``MODULE\RoleCapabilities`` and not in a folder of the version. A name given as ``MODULE\FUNCTION`` loads the module and
means no function of another. Windows PowerShell reads a file without a byte order mark in the ANSI code page, so
whoever writes these texts puts one in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from mpsbridge.errors import InputError
from mpsbridge.models.harmless import harmless
from mpsbridge.snippets.literals import literal
from mpsbridge.snippets.logons import ReadLogonMode, SetLogonMode
from mpsbridge.snippets.observe import Look, Observe
from mpsbridge.snippets.render import published
from mpsbridge.snippets.sessions import DisconnectSessions, LogOffSessions, ResetSessions, SendMessage
from mpsbridge.snippets.snippet import Snippet
from mpsbridge.snippets.stations import ListStations
from mpsbridge.version import __version__

MODULE = "Mpsbridge"
CONFIGURATION = f"{MODULE}.pssc"
TRANSCRIPTS = "C:\\ProgramData\\mpsbridge\\transcripts"
_GUID = "6d5b0f0e-3d8c-4a53-9a4e-6f5d2f1c7b10"
_REQUIRED = ["Microsoft.PowerShell.Management", "Microsoft.PowerShell.Utility", "CimCmdlets"]
_ACCOUNT = re.compile(r"[^\\/\x00-\x1f\x7f]+\\[^\\/\x00-\x1f\x7f]+")
_PIECE = re.compile(r"\n\n(?=# )")
"""Between two functions of a template: each begins with its comment, at the left margin."""


class Role(StrEnum):
    """What an account may do. Each role may do what the one before it may."""

    LOOK = "look"
    NOTIFY = "notify"
    END = "end"

    @property
    def capability(self) -> str:
        """The name of its role capability file, without the extension."""
        return f"{MODULE}{self.title()}"


_Snippets = tuple[type[Snippet], ...]
_LOOK: _Snippets = (Observe, Look, ListStations, ReadLogonMode)
_NOTIFY: _Snippets = (*_LOOK, SendMessage)
_END: _Snippets = (*_NOTIFY, DisconnectSessions, LogOffSessions, ResetSessions, SetLogonMode)
SNIPPETS = {Role.LOOK: _LOOK, Role.NOTIFY: _NOTIFY, Role.END: _END}

_MEANING = {
    Role.LOOK: "Reads sessions, stations and the logon mode",
    Role.NOTIFY: "Reads, and shows messages",
    Role.END: "Reads, shows messages, disconnects, logs off and resets sessions, and sets the logon mode",
}


def export(groups: Mapping[Role, Iterable[str]], *, transcripts: str = TRANSCRIPTS) -> dict[str, str]:
    r"""All files of the export: their paths, with ``/``, below a folder of their own, and their text.

    ``groups`` are the Windows groups (``DOMAIN\NAME``; of a workgroup, ``COMPUTER\NAME``) that get each role; a group
    named for several gets the widest. Where no group is named at all, each role gets a placeholder that means
    nobody. ``transcripts`` is the folder on the host where Windows records each session.

    Raises :class:`~mpsbridge.errors.InputError` for a group without a domain and for a folder without a drive.
    """
    if not re.fullmatch(r"[A-Za-z]:\\[^\x00-\x1f\x7f\"<>|?*]*", transcripts):
        raise InputError(
            f"{harmless(transcripts)!r} is not a folder of Windows; write it with its drive, as {TRANSCRIPTS}"
        )
    files = {
        f"{MODULE}/{MODULE}.psm1": _module(),
        f"{MODULE}/{MODULE}.psd1": _manifest(),
        CONFIGURATION: _configuration(_granted(groups), transcripts),
    }
    return files | {f"{MODULE}/RoleCapabilities/{role.capability}.psrc": _capability(role) for role in Role}


def in_some_role(snippet: str) -> bool:
    """Whether a role may call the snippet of that name; what only the whole procedure needs is in none."""
    return any(each.name == snippet for each in SNIPPETS[Role.END])


def functions(role: Role) -> list[str]:
    """The functions that a role may call."""
    return [published(snippet.name)[1] for snippet in SNIPPETS[role]]


_NOTICE = "[ValidatePattern('\\A[0-9a-z-]{0,40}\\z')][string]$Notice"
_NO_NOTICE = "[ValidatePattern('\\A\\z')][string]$Notice"
"""A notice is marked in a run's lease, which no role can take: so none may mark that of a run of somebody else."""


def _module() -> str:
    """Every function of the published snippets, once: shared ones stand in several templates."""
    texts = {snippet.name: published(snippet.name)[0] for snippet in SNIPPETS[Role.END]}
    texts[SendMessage.name] = texts[SendMessage.name].replace(_NOTICE, _NO_NOTICE)
    pieces = [piece for text in texts.values() for piece in _PIECE.split(text)]
    return "\n\n".join([_title("its functions"), *dict.fromkeys(pieces)]) + "\n"


def _manifest() -> str:
    return _data_file(
        "the module's manifest",
        RootModule=f"{MODULE}.psm1",
        ModuleVersion=__version__,
        GUID=_GUID,
        Description="Looks after user sessions: the functions of mpsbridge.",
        PowerShellVersion="5.1",
        RequiredModules=_REQUIRED,
        FunctionsToExport=functions(Role.END),
        CmdletsToExport=(),
        VariablesToExport=(),
        AliasesToExport=(),
    )


def _capability(role: Role) -> str:
    return _data_file(
        f"the role '{role}'",
        Description=_MEANING[role],
        ModulesToImport=(MODULE,),
        VisibleFunctions=[f"{MODULE}\\{function}" for function in functions(role)],
    )


def _configuration(granted: Mapping[str, Role], transcripts: str) -> str:
    roles = [f"        {literal(group)} = @{{ RoleCapabilities = '{granted[group].capability}' }}" for group in granted]
    text = _data_file(
        "the session configuration; groups can be added to its RoleDefinitions",
        SchemaVersion="2.0.0.0",
        Description="Looks after user sessions: mpsbridge.",
        SessionType="RestrictedRemoteServer",
        LanguageMode="NoLanguage",
        ExecutionPolicy="RemoteSigned",  # what Windows has by itself since 2012 R2; before, no module would load
        RunAsVirtualAccount=True,
        TranscriptDirectory=transcripts,
    )
    return text.removesuffix("}\n") + "\n".join(["    RoleDefinitions = @{", *roles, "    }", "}", ""])


def _granted(groups: Mapping[Role, Iterable[str]]) -> dict[str, Role]:
    """Each group with the widest role it was named for. Windows compares names without case."""
    named = [(group, role) for role in Role for group in groups.get(role, ())]
    spelled: dict[str, str] = {}
    granted: dict[str, Role] = {}
    for group, role in named or [(f"DOMAIN\\mpsbridge-{role}", role) for role in Role]:
        if not _ACCOUNT.fullmatch(group):
            raise InputError(f"{harmless(group)!r} is not a group; write DOMAIN\\NAME or COMPUTER\\NAME")
        granted[spelled.setdefault(group.lower(), group)] = role
    return granted


def _title(what: str) -> str:
    return f"# Written by mpsbridge {__version__}: {what}."


def _data_file(what: str, **keys: object) -> str:
    """A table of constants, which is all that such a file may hold."""
    width = max(map(len, keys))
    lines = [f"    {key:<{width}} = {_value(value)}" for key, value in keys.items()]
    return "\n".join([_title(what), "@{", *lines, "}", ""])


def _value(value: object) -> str:
    """A constant; a list with one entry a line, for whoever reads it before registering it."""
    if not isinstance(value, list):
        return literal(value)
    return "@(\n" + ",\n".join(f"        {literal(each)}" for each in value) + "\n    )"
