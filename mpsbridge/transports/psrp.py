"""PowerShell remoting (MS-PSRP), the client's half as far as running scripts takes it: bytes in, bytes out, no I/O.

A shell on a host is one :class:`Pool`. Each script is one pipeline, without input, host or history, its records without
the lines of script around them. What goes out is, byte for byte, what pypsrp would send (a test holds the two
together); of what comes in, only what a script emits, its errors and warnings, and states are read.

Rules: a script's text is serialised once for all hosts; messages of unknown kinds are passed over, malformed ones are
errors.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from mpsbridge.once import once
from mpsbridge.transports import clixml
from mpsbridge.transports.answers import BadAnswer, ShellBroken

SESSION_CAPABILITY = 0x00010002
INIT_RUNSPACEPOOL = 0x00010004
RUNSPACEPOOL_STATE = 0x00021005
CREATE_PIPELINE = 0x00021006
PIPELINE_OUTPUT = 0x00041004
ERROR_RECORD = 0x00041005
PIPELINE_STATE = 0x00041006
WARNING_RECORD = 0x00041009

PROTOCOL = "2.3"
POOL_OPENED = 2
COMPLETED, FAILED = 4, 5
"""States of a pipeline that has ended (MS-PSRP 2.2.3.5); 3 is stopped."""
_ENDED = frozenset({3, COMPLETED, FAILED})

_FRAGMENT = struct.Struct(">QQBI")
_MESSAGE = struct.Struct("<II16s16s")
_TO_SERVER = 2
_START, _END = 1, 2


@dataclass
class Pipeline:
    """What one script has said so far."""

    id: uuid.UUID = field(default_factory=uuid.uuid4)
    output: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    state: int | None = None
    """How it ended; ``None`` while it runs."""
    error_id: str = ""
    """The ``FullyQualifiedErrorId`` of what ended it."""


class Pool:
    """A runspace pool with one runspace."""

    def __init__(self) -> None:
        self.id = uuid.uuid4()
        self.protocol = ""
        """What the host says it speaks: 2.2 since PowerShell 3.0, 2.3 since 5.0."""
        self.opened = False
        self._sent = 0
        self._parts: dict[int, tuple[int, bytes]] = {}

    def opening(self) -> bytes:
        """The two messages that open it."""
        return b"".join(
            fragment
            for kind, text in ((SESSION_CAPABILITY, _CAPABILITY), (INIT_RUNSPACEPOOL, _INIT))
            for fragment in self._fragments(kind, None, text.encode("ascii"), limit=32768)
        )

    def script(self, pipeline: Pipeline, text: str, *, limit: int) -> list[bytes]:
        """The fragments, of at most ``limit`` bytes, that run a script in the pool's own scope."""
        return self._fragments(CREATE_PIPELINE, pipeline.id, _script(text, self._merged), limit)

    def command(self, pipeline: Pipeline, name: str, parameters: Mapping[str, JsonValue], *, limit: int) -> list[bytes]:
        """The same for one command with named parameters."""
        arguments = "".join(
            f'<Obj RefId="{number}"><MS><S N="N">{clixml.escape(parameter)}</S>{clixml.scalar(value, "V")}</MS></Obj>'
            for number, (parameter, value) in enumerate(parameters.items(), start=11)
        )
        text = _CREATE.format(
            command=clixml.escape(name),
            is_script="false",
            scope='<Nil N="UseLocalScope" />',
            arguments=f"<LST>{arguments}</LST>" if arguments else "<LST />",
            merges=_merges(self._merged, first=11 + len(parameters)),
        )
        return self._fragments(CREATE_PIPELINE, pipeline.id, text.encode(), limit)

    def receive(self, data: bytes, pipeline: Pipeline | None = None) -> None:
        """Take in fragments of the pool, or of one pipeline. Raises ``BadAnswer`` and ``ET.ParseError``."""
        place = 0
        while place < len(data):
            if len(data) - place < _FRAGMENT.size:
                raise BadAnswer("a fragment of PowerShell's remoting protocol is cut off")
            number, part, flags, length = _FRAGMENT.unpack_from(data, place)
            place += _FRAGMENT.size
            body = data[place : place + length]
            place += length
            expected, before = self._parts.pop(number, (0, b""))
            if len(body) != length or part != expected or (part == 0) != bool(flags & _START):
                raise BadAnswer("fragments of PowerShell's remoting protocol are missing")
            if flags & _END:
                self._take(before + body, pipeline)
            else:
                self._parts[number] = (part + 1, before + body)

    def _take(self, message: bytes, pipeline: Pipeline | None) -> None:
        """One whole message."""
        if len(message) < _MESSAGE.size:
            raise BadAnswer("a message of PowerShell's remoting protocol is cut off")
        _, kind, _, _ = _MESSAGE.unpack_from(message)
        body = message[_MESSAGE.size :].removeprefix(b"\xef\xbb\xbf")
        try:
            if kind == SESSION_CAPABILITY:
                self.protocol = clixml.text_of(clixml.member(clixml.read(body), "protocolversion"))
            elif kind == RUNSPACEPOOL_STATE:
                self._change(body)
            elif pipeline is not None:
                _tell(pipeline, kind, body)
        except ValueError as error:
            raise BadAnswer(f"a message of PowerShell's remoting protocol cannot be read: {error}") from error

    def _change(self, body: bytes) -> None:
        told = clixml.read(body)
        self.opened = clixml.text_of(clixml.member(told, "RunspaceState")) == str(POOL_OPENED)
        if not self.opened:
            why = clixml.text_of(clixml.member(told, "ExceptionAsErrorRecord"))
            raise ShellBroken(why or "PowerShell did not say why")

    def speaks(self, *version: int) -> bool:
        """Whether the host has said that it speaks this version of the protocol, or a later one."""
        return tuple(int(part) for part in self.protocol.split(".")[:2] if part.isdigit()) >= version

    @property
    def _merged(self) -> tuple[str, ...]:
        """The streams for which a command says where they go: a host knows those of its own version."""
        return (_STREAMS_2_2 if self.speaks(2, 2) else ()) + (_STREAMS_2_3 if self.speaks(2, 3) else ())

    def _fragments(self, kind: int, pipeline: uuid.UUID | None, body: bytes, limit: int) -> list[bytes]:
        self._sent += 1
        named = pipeline.bytes_le if pipeline is not None else bytes(16)
        message = _MESSAGE.pack(_TO_SERVER, kind, self.id.bytes_le, named) + body
        size = limit - _FRAGMENT.size
        starts = range(0, len(message), size)
        return [
            _FRAGMENT.pack(
                self._sent,
                part,
                (_START if part == 0 else 0) | (_END if part == len(starts) - 1 else 0),
                min(size, len(message) - start),
            )
            + message[start : start + size]
            for part, start in enumerate(starts)
        ]


def _tell(pipeline: Pipeline, kind: int, body: bytes) -> None:
    """One message about a pipeline."""
    if kind == PIPELINE_OUTPUT:
        pipeline.output.append(clixml.text_of(clixml.read(body)))
    elif kind == ERROR_RECORD:
        pipeline.errors.append(clixml.text_of(clixml.read(body)))
    elif kind == WARNING_RECORD:
        warning = clixml.member(clixml.read(body), "InformationalRecord_Message")
        pipeline.warnings.append(clixml.text_of(warning))
    elif kind == PIPELINE_STATE:
        _end(pipeline, body)


def _end(pipeline: Pipeline, body: bytes) -> None:
    told = clixml.read(body)
    state = int(clixml.text_of(clixml.member(told, "PipelineState")))
    if state in _ENDED:
        pipeline.state = state
    if (record := clixml.member(told, "ExceptionAsErrorRecord")) is not None and record.tag != "Nil":
        pipeline.errors.append(clixml.text_of(record))
        pipeline.error_id = clixml.text_of(clixml.member(record, "FullyQualifiedErrorId"))


@once
def _script(text: str, merged: tuple[str, ...]) -> bytes:
    """Most hosts of a fleet get the same text."""
    return _CREATE.format(
        command=clixml.escape(text),
        is_script="true",
        scope='<B N="UseLocalScope">false</B>',
        arguments="<LST />",
        merges=_merges(merged, first=11),
    ).encode()


_AUTOMATION = "System.Management.Automation"
_CAPABILITY = (
    f'<Obj RefId="0"><MS><Version N="protocolversion">{PROTOCOL}</Version><Version N="PSVersion">2.0</Version>'
    '<Version N="SerializationVersion">1.1.0.1</Version></MS></Obj>'
)


def _enum(reference: int, name: str, types: str, word: str, value: int) -> str:
    shown = f"<ToString>{word}</ToString>" if word else "<ToString />"
    return f'<Obj RefId="{reference}" N="{name}">{types}{shown}<I32>{value}</I32></Obj>'


def _types(reference: int, name: str) -> str:
    bases = "<T>System.Enum</T><T>System.ValueType</T><T>System.Object</T>"
    return f'<TN RefId="{reference}"><T>{_AUTOMATION}.Runspaces.{name}</T>{bases}</TN>'


_NO_HOST = (
    '<Obj RefId="3" N="HostInfo"><MS><B N="_isHostNull">true</B><B N="_isHostUINull">true</B>'
    '<B N="_isHostRawUINull">true</B><B N="_useRunspaceHost">true</B></MS></Obj>'
)
_INIT = (
    '<Obj RefId="0"><MS><I32 N="MinRunspaces">1</I32><I32 N="MaxRunspaces">1</I32>'
    + _enum(1, "PSThreadOptions", _types(0, "PSThreadOptions"), "Default", 0)
    + _enum(2, "ApartmentState", _types(1, "ApartmentState"), "UNKNOWN", 2)
    + f'{_NO_HOST}<Nil N="ApplicationArguments" /></MS></Obj>'
)
_LIST = (
    f'<TN RefId="2"><T>System.Collections.Generic.List`1[[{_AUTOMATION}.PSObject, {_AUTOMATION}, Version=1.0.0.0, '
    "Culture=neutral, PublicKeyToken=31bf3856ad364e35]]</T><T>System.Object</T></TN>"
)
_MERGE_AGAIN = '<TNRef RefId="3" />'
_STREAMS_2_2, _STREAMS_2_3 = ("MergeError", "MergeWarning", "MergeVerbose", "MergeDebug"), ("MergeInformation",)


def _merges(names: tuple[str, ...], *, first: int) -> str:
    return "".join(_enum(number, name, _MERGE_AGAIN, "None", 0) for number, name in enumerate(names, start=first))


_CREATE = (
    '<Obj RefId="0"><MS><B N="NoInput">true</B>'
    + _enum(1, "ApartmentState", _types(0, "ApartmentState"), "UNKNOWN", 2)
    + _enum(2, "RemoteStreamOptions", _types(1, "RemoteStreamOptions"), "", 0)
    + f'<B N="AddToHistory">false</B>{_NO_HOST}<Obj RefId="4" N="PowerShell"><MS><B N="IsNested">false</B>'
    + f'<Nil N="ExtraCmds" /><Obj RefId="5" N="Cmds">{_LIST}<LST><Obj RefId="6"><MS>'
    + '<S N="Cmd">{command}</S><B N="IsScript">{is_script}</B>{scope}'
    + _enum(7, "MergeMyResult", _types(3, "PipelineResultTypes"), "None", 0)
    + _enum(8, "MergeToResult", _MERGE_AGAIN, "None", 0)
    + _enum(9, "MergePreviousResults", _MERGE_AGAIN, "None", 0)
    + '<Obj RefId="10" N="Args"><TNRef RefId="2" />{arguments}</Obj>{merges}</MS></Obj></LST></Obj>'
    + '<Nil N="History" /><B N="RedirectShellErrorOutputPipe">false</B></MS></Obj><B N="IsNested">false</B></MS></Obj>'
)
