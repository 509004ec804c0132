"""A PowerShell shell of WS-Management (MS-WSMV): the six messages that open it, run in it and end it.

One message, one answer, each by the ``send`` that was given; the elements, their order and their prefixes are those of
pypsrp, so what a host sees is what recorded Windows sessions saw. Rules: an answer is believed only if it names the
message that it answers; the ids that a host gives its shells and commands are the ones used from then on.
"""

from __future__ import annotations

import base64
import binascii
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from mpsbridge.transports.answers import BadAnswer, HttpStatus, WsmanFault

ENVELOPE_BYTES = 153_600
"""``MaxEnvelopeSize`` of hosts before Windows Server 2012, and so until a host says what it speaks."""
LARGE_ENVELOPE_BYTES = 512_000
"""The same since then (PSRP 2.2)."""
LOCALE = "en-US"
"""Windows takes it as the culture of the script's thread (W7), so it is always the same one."""

_NAMES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "wsa": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "wsman": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "wsmv": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "wst": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
    "fault": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
}
_ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
_ACTIONS = {
    "Create": f"{_NAMES['wst']}/Create",
    "Delete": f"{_NAMES['wst']}/Delete",
    **{step: f"{_NAMES['rsp']}/{step}" for step in ("Command", "Receive", "Send", "Signal")},
}
_CTRL_C = "powershell/signal/crtl_c"  # so it is spelt in MS-PSRP
_DONE = f"{_NAMES['rsp']}/CommandState/Done"
_OPEN = "<s:Envelope" + "".join(f' xmlns:{key}="{_NAMES[key]}"' for key in ("rsp", "s", "wsa", "wsman", "wsmv")) + ">"

Send = Callable[[bytes], tuple[int, bytes]]
"""Sends one SOAP message and brings the HTTP status and the SOAP message that answers it."""


class Received(NamedTuple):
    """What a Receive brought: PSRP fragments, and whether the command has ended."""

    data: bytes
    done: bool


class Shell:
    """One shell. ``to`` is the URL, ``configuration`` the endpoint; ``envelope_bytes`` bounds each message."""

    def __init__(self, send: Send, *, to: str, configuration: str) -> None:
        self.envelope_bytes = ENVELOPE_BYTES
        self._send_message = send
        self._resource = f"http://schemas.microsoft.com/powershell/{configuration}"
        self._id = ""
        locale = f's:mustUnderstand="false" xml:lang="{LOCALE}"'
        self._head = f"</wsa:Action><wsmv:DataLocale {locale} /><wsman:Locale {locale} />"
        self._middle = (
            f'<wsa:ReplyTo><wsa:Address s:mustUnderstand="true">{_ANONYMOUS}</wsa:Address></wsa:ReplyTo>'
            f'<wsman:ResourceURI s:mustUnderstand="true">{escape(self._resource)}</wsman:ResourceURI>'
            f'<wsmv:SessionId s:mustUnderstand="false">uuid:{_new_id()}</wsmv:SessionId><wsa:To>{escape(to)}</wsa:To>'
        )

    @property
    def payload_bytes(self) -> int:
        """How much data fits into one message as base64."""
        return (self.envelope_bytes - 4096) // 4 * 3

    def create(self, pool: uuid.UUID, opening: bytes, *, idle_timeout_s: int, timeout_s: float) -> None:
        """Open it, with the messages that open the runspace pool."""
        asked = _shown(pool)
        body = (
            f'<rsp:Shell ShellId="{asked}"><rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout'
            f"</rsp:OutputStreams><rsp:IdleTimeOut>PT{idle_timeout_s}S</rsp:IdleTimeOut><creationXml "
            f'xmlns="http://schemas.microsoft.com/powershell">{_base64(opening)}</creationXml></rsp:Shell>'
        )
        options = (
            '<wsman:Option MustComply="true" Name="protocolversion">2.3</wsman:Option>'
            '<wsman:Option MustComply="true" Name="WINRS_NOPROFILE">TRUE</wsman:Option>'
        )
        answer = self._ask("Create", body, options=options, timeout_s=timeout_s)
        given = answer.findtext(".//wsman:SelectorSet/wsman:Selector[@Name='ShellId']", None, _NAMES)
        self._id = given or answer.findtext("rsp:Shell/rsp:ShellId", None, _NAMES) or asked

    def command(self, pipeline: uuid.UUID, data: bytes, *, timeout_s: float) -> str:
        """Begin a pipeline with its first fragment; the host's id for it."""
        asked = _shown(pipeline)
        body = (
            f'<rsp:CommandLine CommandId="{asked}"><rsp:Command /><rsp:Arguments>{_base64(data)}</rsp:Arguments>'
            "</rsp:CommandLine>"
        )
        options = '<wsman:Option Name="WINRS_SKIP_CMD_SHELL">False</wsman:Option>'
        answer = self._ask("Command", body, options=options, timeout_s=timeout_s)
        return answer.findtext("rsp:CommandResponse/rsp:CommandId", None, _NAMES) or asked

    def send(self, command: str, data: bytes, *, timeout_s: float) -> None:
        """One more fragment of a pipeline."""
        stream = f'<rsp:Stream Name="stdin" CommandId={quoteattr(command)}>{_base64(data)}</rsp:Stream>'
        self._ask("Send", f"<rsp:Send>{stream}</rsp:Send>", timeout_s=timeout_s)

    def receive(self, command: str | None, *, timeout_s: float) -> Received:
        """What the pool (``None``) or a command has to say; the host holds the request until there is something.

        Raises ``WsmanFault`` with the code of the operation timeout where nothing came within ``timeout_s``.
        """
        named = f" CommandId={quoteattr(command)}" if command is not None else ""
        body = f"<rsp:Receive><rsp:DesiredStream{named}>stdout</rsp:DesiredStream></rsp:Receive>"
        options = '<wsman:Option Name="WSMAN_CMDSHELL_OPTION_KEEPALIVE">True</wsman:Option>'
        answer = self._ask("Receive", body, options=options, timeout_s=timeout_s)
        state = answer.find("rsp:ReceiveResponse/rsp:CommandState", _NAMES)
        try:
            data = b"".join(
                base64.b64decode(stream.text or "")
                for stream in answer.iterfind("rsp:ReceiveResponse/rsp:Stream", _NAMES)
            )
        except binascii.Error as error:
            raise BadAnswer(f"the host's output is not base64: {error}") from error
        return Received(data, state is not None and state.get("State") == _DONE)

    def stop(self, command: str, *, timeout_s: float) -> None:
        """Ctrl+C for a command."""
        body = f"<rsp:Signal CommandId={quoteattr(command)}><rsp:Code>{_CTRL_C}</rsp:Code></rsp:Signal>"
        self._ask("Signal", body, timeout_s=timeout_s)

    def delete(self, *, timeout_s: float) -> None:
        """End it, and whatever runs in it."""
        self._ask("Delete", "", timeout_s=timeout_s)

    def _ask(self, step: str, body: str, *, options: str = "", timeout_s: float) -> ET.Element:
        """Send one message; the body of the answer. Raises ``BadAnswer`` in all its kinds, and ``ET.ParseError``."""
        message_id = f"uuid:{_new_id()}"
        status, answer = self._send_message(self._message(step, body, options, timeout_s, message_id))
        if status != 200:
            raise _fault(answer) or HttpStatus(status)
        envelope = ET.fromstring(answer)  # noqa: S314 - from a host that we signed in to, and bounded
        content = envelope.find("s:Body", _NAMES)
        if content is None or envelope.findtext("s:Header/wsa:RelatesTo", None, _NAMES) != message_id:
            raise BadAnswer("the host answers something that was not asked")
        return content

    def _message(self, step: str, body: str, options: str, timeout_s: float, message_id: str) -> bytes:
        understand = 's:mustUnderstand="true"'
        chosen = f"<wsman:OptionSet {understand}>{options}</wsman:OptionSet>" if options else ""
        if self._id:
            selector = f'<wsman:Selector Name="ShellId">{escape(self._id)}</wsman:Selector>'
            chosen += f"<wsman:SelectorSet>{selector}</wsman:SelectorSet>"
        content = f"<s:Body>{body}</s:Body>" if body else "<s:Body />"
        return (
            f"{_OPEN}<s:Header><wsa:Action {understand}>{_ACTIONS[step]}{self._head}<wsman:MaxEnvelopeSize "
            f"{understand}>{self.envelope_bytes}</wsman:MaxEnvelopeSize><wsa:MessageID>{message_id}</wsa:MessageID>"
            f"<wsman:OperationTimeout>PT{round(timeout_s, 3):g}S</wsman:OperationTimeout>{self._middle}{chosen}"
            f"</s:Header>{content}</s:Envelope>"
        ).encode()


def _fault(answer: bytes) -> WsmanFault | None:
    """The fault in an answer, or ``None`` where it holds none."""
    try:
        fault = ET.fromstring(answer).find("s:Body/s:Fault", _NAMES)  # noqa: S314 - as above
    except ET.ParseError:
        return None
    if fault is None:
        return None
    code: int | str | None = fault.findtext("s:Code/s:Subcode/s:Value", None, _NAMES)
    reason = fault.findtext("s:Reason/s:Text", None, _NAMES)
    detail = fault.find("s:Detail/fault:WSManFault", _NAMES)
    if detail is not None:
        number = detail.get("Code", "")
        code = int(number) if number.isascii() and number.isdigit() else code
        message = detail.find("fault:Message", _NAMES)
        reason = ("".join(message.itertext()).strip() if message is not None else "") or reason
    return WsmanFault(code, reason.strip() if reason else None)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _new_id() -> str:
    return _shown(uuid.uuid4())


def _shown(number: uuid.UUID) -> str:
    return str(number).upper()
