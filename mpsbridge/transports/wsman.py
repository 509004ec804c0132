"""WS-Management as a remote shell needs it: six requests, and what their answers say (MS-WSMV).

A request is an envelope around a body; the envelope says who asks, for what, how long the host may take, and which
shell is meant. It is written as text, because it is the same but for a few values; a test holds each request to what
pypsrp writes, element for element. pypsrp's own client would do as well, but loads an HTTP client that nothing here
uses, which takes a fifth of the time in which one host is listed.

Rules: a value enters a request by :func:`_text` or :func:`_value` only; an answer that belongs to another request is
refused; what XML an answer holds was looked at before (:mod:`mpsbridge.transports.strict_xml`).
"""

from __future__ import annotations

import base64
import uuid
import xml.etree.ElementTree as ET
from typing import Protocol

from pypsrp.exceptions import WinRMError, WinRMTransportError

from mpsbridge.transports.faults import fault_in, read_fault

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "wsa": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "wsman": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "wsmv": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
    "wst": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
}
_ANONYMOUS = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
_TRANSFER = NAMESPACES["wst"]
_SHELL = NAMESPACES["rsp"]
OLD_ENVELOPE_BYTES = 150 * 1024
"""What every Windows takes (MaxEnvelopeSizekb of Windows Server 2008 R2)."""
ENVELOPE_BYTES = 512_000
"""What a host with PSRP 2.2 takes."""
_SPARE_BYTES = 256
STOP = "powershell/signal/ctrl_c"


class Post(Protocol):
    """What carries an envelope to the host: :class:`~mpsbridge.transports.http.HttpTransport`."""

    @property
    def endpoint(self) -> str:
        """The URL."""
        ...

    def send(self, message: bytes) -> bytes:
        """POST one envelope and return the one that answers it. Raises ``WinRMTransportError`` for a fault."""
        ...


class Connection:
    """One shell of a host: opened by :meth:`create`, and meant by all that follows.

    ``operation_timeout`` is what the host may take for a request, in seconds. Each method raises ``WSManFaultError``
    for a fault, ``WinRMError`` for an answer that is not one, ``xml.etree.ElementTree.ParseError``, and what
    :meth:`Post.send` raises.
    """

    def __init__(self, post: Post, resource: str, *, locale: str) -> None:
        self._post = post
        self._resource = resource
        self._locale = locale
        self._session = str(uuid.uuid4()).upper()
        self._selectors = ""
        self.operation_timeout: float = 20
        self.envelope_bytes = OLD_ENVELOPE_BYTES
        self.is_open = False

    @property
    def payload_bytes(self) -> int:
        """How many bytes fit into one request, as base64."""
        sample = str(uuid.UUID(int=0))
        selectors = _set("SelectorSet", "Selector", (("ShellId", sample, ""),))
        empty = self._envelope(f"{_SHELL}/Send", sample, _stream("", sample), selectors=selectors)
        return (self.envelope_bytes - len(empty) - _SPARE_BYTES) // 4 * 3

    def create(self, shell_id: str, fragments: bytes, *, protocol: str, idle_timeout_s: int) -> None:
        """Open the shell with the messages that begin PSRP."""
        must = ' MustComply="true"'
        options = (("protocolversion", protocol, must), ("WINRS_NOPROFILE", "TRUE", must))
        body = (
            f"<rsp:Shell ShellId={_value(shell_id)}><rsp:InputStreams>stdin pr</rsp:InputStreams>"
            f"<rsp:OutputStreams>stdout</rsp:OutputStreams><rsp:IdleTimeOut>PT{idle_timeout_s}S</rsp:IdleTimeOut>"
            f'<creationXml xmlns="http://schemas.microsoft.com/powershell">{_base64(fragments)}</creationXml></rsp:Shell>'
        )
        answer = self._ask(f"{_TRANSFER}/Create", body, options=options)
        resource = answer.find("rsp:Shell/rsp:ResourceUri", NAMESPACES)
        if resource is not None and resource.text:
            self._resource = resource.text
        created = answer.find("wst:ResourceCreated/wsa:ReferenceParameters/wsman:SelectorSet", NAMESPACES)
        if created is not None:
            named = [(each.attrib.get("Name", ""), each.text or "", "") for each in created]
            self._selectors = _set("SelectorSet", "Selector", named)
        self.is_open = True

    def command(self, command_id: str, fragment: bytes) -> str:
        """Create a pipeline by its first fragment; the id by which the host knows it."""
        body = (
            f"<rsp:CommandLine CommandId={_value(command_id)}><rsp:Command />"
            f"<rsp:Arguments>{_base64(fragment)}</rsp:Arguments></rsp:CommandLine>"
        )
        answer = self._ask(f"{_SHELL}/Command", body, options=(("WINRS_SKIP_CMD_SHELL", "False", ""),))
        named = answer.find("rsp:CommandResponse/rsp:CommandId", NAMESPACES)
        return command_id if named is None or not named.text else named.text

    def send(self, command_id: str, fragment: bytes) -> None:
        """Send a further fragment of a pipeline."""
        self._ask(f"{_SHELL}/Send", _stream(_base64(fragment), command_id))

    def receive(self, command_id: str | None, *, timeout_s: float | None = None) -> bytes:
        """The fragments that the shell, or a pipeline of it, has sent; waits for some."""
        of = "" if command_id is None else f" CommandId={_value(command_id)}"
        body = f"<rsp:Receive><rsp:DesiredStream{of}>stdout</rsp:DesiredStream></rsp:Receive>"
        options = (("WSMAN_CMDSHELL_OPTION_KEEPALIVE", "True", ""),)
        answer = self._ask(f"{_SHELL}/Receive", body, options=options, timeout_s=timeout_s)
        found = bytearray()
        for stream in answer.findall("rsp:ReceiveResponse/rsp:Stream", NAMESPACES):
            if stream.text is not None:
                if stream.attrib.get("Name") != "stdout":
                    raise WinRMError("the answer holds a stream that was not asked for")
                found += base64.b64decode(stream.text)
        return bytes(found)

    def stop(self, command_id: str) -> None:
        """Ask a pipeline to stop."""
        self._ask(
            f"{_SHELL}/Signal", f"<rsp:Signal CommandId={_value(command_id)}><rsp:Code>{STOP}</rsp:Code></rsp:Signal>"
        )

    def delete(self) -> None:
        """Delete the shell, where it is open."""
        if self.is_open:
            self._ask(f"{_TRANSFER}/Delete", "")
            self.is_open = False

    def _ask(
        self,
        action: str,
        body: str,
        *,
        options: tuple[tuple[str, str, str], ...] = (),
        timeout_s: float | None = None,
    ) -> ET.Element:
        """Send one request; the body of its answer."""
        message = str(uuid.uuid4()).upper()
        envelope = self._envelope(action, message, body, options=options, timeout_s=timeout_s)
        try:
            answer = ET.fromstring(self._post.send(envelope))  # noqa: S314 - see the rules
        except WinRMTransportError as error:
            try:
                fault = read_fault(error.response_text)
            except ET.ParseError:
                raise error from None
            raise fault from error
        related = answer.findtext("s:Header/wsa:RelatesTo", "", NAMESPACES)
        if related != f"uuid:{message}":
            raise WinRMError("the answer belongs to another request")
        if (found := answer.find("s:Body", NAMESPACES)) is None:
            raise WinRMError("the answer has no body")
        if found.find("s:Fault", NAMESPACES) is not None:
            raise fault_in(answer)
        return found

    def _envelope(
        self,
        action: str,
        message: str,
        body: str,
        *,
        options: tuple[tuple[str, str, str], ...] = (),
        timeout_s: float | None = None,
        selectors: str | None = None,
    ) -> bytes:
        must, may = 's:mustUnderstand="true"', 's:mustUnderstand="false"'
        language = f"{may} xml:lang={_value(self._locale)}"
        declared = "".join(f' xmlns:{name}="{NAMESPACES[name]}"' for name in ("s", "wsa", "wsman", "wsmv", "rsp"))
        option_set = _set(f"OptionSet {must}", "Option", options) if options else ""
        return (
            f"<s:Envelope{declared}><s:Header><wsa:Action {must}>{action}</wsa:Action>"
            f"<wsmv:DataLocale {language} /><wsman:Locale {language} />"
            f"<wsman:MaxEnvelopeSize {must}>{self.envelope_bytes}</wsman:MaxEnvelopeSize>"
            f"<wsa:MessageID>uuid:{message}</wsa:MessageID>"
            f"<wsman:OperationTimeout>PT{timeout_s or self.operation_timeout}S</wsman:OperationTimeout>"
            f"<wsa:ReplyTo><wsa:Address {must}>{_ANONYMOUS}</wsa:Address></wsa:ReplyTo>"
            f"<wsman:ResourceURI {must}>{_text(self._resource)}</wsman:ResourceURI>"
            f"<wsmv:SessionId {may}>uuid:{self._session}</wsmv:SessionId><wsa:To>{_text(self._post.endpoint)}</wsa:To>"
            f"{option_set}{self._selectors if selectors is None else selectors}"
            f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
        ).encode()


def _stream(content: str, command_id: str) -> str:
    return f'<rsp:Send><rsp:Stream Name="stdin" CommandId={_value(command_id)}>{content}</rsp:Stream></rsp:Send>'


def _set(name: str, entry: str, values: tuple[tuple[str, str, str], ...] | list[tuple[str, str, str]]) -> str:
    inner = "".join(
        f"<wsman:{entry} Name={_value(key)}{more}>{_text(value)}</wsman:{entry}>" for key, value, more in values
    )
    return f"<wsman:{name}>{inner}</wsman:{name.partition(' ')[0]}>"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _text(value: str) -> str:
    """A value as the text of an element."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _value(value: str) -> str:
    """A value as an attribute's, with its quotes."""
    quoted = _text(value).replace('"', "&quot;")
    return '"' + quoted.replace("\r", "&#13;").replace("\n", "&#10;").replace("\t", "&#09;") + '"'
