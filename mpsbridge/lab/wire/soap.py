"""SOAP envelopes of WS-Management: bytes to a request, and what Windows' WinRM answers, without any I/O.

Names and shapes are those of MS-WSMV; the order of elements and the prefixes are those of recorded Windows sessions,
not that a client should care.
"""

from __future__ import annotations

import hashlib
import re
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
    "f": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
    "cfg": "http://schemas.microsoft.com/wbem/wsman/1/config",
    "ps": "http://schemas.microsoft.com/powershell",
}
SHELL = NAMESPACES["rsp"]
POWERSHELL = "http://schemas.microsoft.com/powershell/"
TRANSFER = NAMESPACES["x"]
STEPS = {
    f"{TRANSFER}/Create": "create",
    f"{TRANSFER}/Delete": "delete",
    f"{TRANSFER}/Get": "get",
    f"{SHELL}/Command": "command",
    f"{SHELL}/Receive": "receive",
    f"{SHELL}/Send": "send",
    f"{SHELL}/Signal": "signal",
}
"""The actions that are served, and the step that each is called in records and fault rules."""

ACCESS_DENIED = 5
INVALID_PARAMETER = 87
INVALID_TIMEOUT = 2150858767
INVALID_RESOURCE = 2150858811
OPERATION_TIMEOUT = 2150858793
SHELL_NOT_FOUND = 2150858843
SHELL_QUOTA = 2150859174
COMMAND_QUOTA = 2150859241
_QUOTAS = frozenset({2150859173, SHELL_QUOTA, COMMAND_QUOTA})

_CIM_BINDING = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
_WMI_ERROR = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"
_IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
_DURATION = re.compile(r"(-?)P(?:(-?\d+)D)?T?(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?[\d.]+)S)?")


class Malformed(ValueError):
    """The body is no WS-Management request."""


@dataclass(slots=True)
class Request:
    """One request, as far as a host needs it; ``connection`` is the number of the one over which it came."""

    action: str
    step: str
    message_id: str
    resource: str
    shell_id: str | None
    timeout_s: float
    max_envelope: int
    culture: str
    body: ET.Element
    connection: int = 0

    @property
    def digest(self) -> bytes:
        """The same for the same message, and for no other."""
        parts = (self.message_id, self.action, self.resource, self.shell_id or "")
        return hashlib.sha256("\0".join(parts).encode() + ET.tostring(self.body)).digest()

    def find(self, path: str) -> ET.Element | None:
        """An element of the body by a path with this module's prefixes."""
        return self.body.find(path, NAMESPACES)


class WsmanFault(Exception):
    """A fault that the host answers. ``code`` is Windows' number; some faults carry none, as on Windows.

    ``whose`` says which side did wrong, and ``plugin`` which part of the service says so. Some of Windows' faults have
    their number in an ``MSFT_WmiError`` (``of_wmi``) instead of a ``WSManFault``.
    """

    def __init__(
        self,
        text: str,
        *,
        code: int | None,
        subcode: str = "w:InternalError",
        whose: str = "s:Receiver",
        plugin: str = "",
        of_wmi: bool = False,
    ) -> None:
        super().__init__(text)
        self.of_wmi = of_wmi
        self.whose = whose
        self.plugin = plugin
        self.text = text
        self.code = code
        self.subcode = subcode


def read(data: bytes) -> Request:
    """Parse a request; one NUL behind it is none of it, as real PowerShell sends one. Raises ``Malformed``."""
    try:
        root = ET.fromstring(data.removesuffix(b"\0"))  # noqa: S314 - only the loopback's own clients, and expat bounds entities
    except ET.ParseError as error:
        raise Malformed(str(error)) from error
    header, body = root.find("s:Header", NAMESPACES), root.find("s:Body", NAMESPACES)
    if header is None or body is None:
        raise Malformed("no SOAP envelope")
    action = "identify" if body.find(f"{{{_IDENTITY}}}Identify") is not None else _text(header, "a:Action")
    shell_id = next(
        (each.text for each in header.findall("w:SelectorSet/w:Selector", NAMESPACES) if each.get("Name") == "ShellId"),
        None,
    )
    return Request(
        action=action,
        step=STEPS.get(action, action.rsplit("/", 1)[-1].lower() or "any"),
        message_id=_text(header, "a:MessageID"),
        resource=_text(header, "w:ResourceURI"),
        shell_id=shell_id,
        timeout_s=seconds(_text(header, "w:OperationTimeout"), 60.0),
        max_envelope=int(_text(header, "w:MaxEnvelopeSize") or 512000),
        culture=_culture(header),
        body=body,
    )


def _text(header: ET.Element, path: str) -> str:
    return (header.findtext(path, "", NAMESPACES) or "").strip()


def _culture(header: ET.Element) -> str:
    """The client's culture: Windows makes it the culture of the thread that runs its scripts."""
    locale = header.find("w:Locale", NAMESPACES)
    return (locale.get("{http://www.w3.org/XML/1998/namespace}lang") or "") if locale is not None else ""


def seconds(duration: str, default: float) -> float:
    """The seconds of an XML duration such as ``PT20S`` or ``PT20.000S``."""
    found = _DURATION.fullmatch(duration)
    if found is None or not any(found.groups()[1:]):
        return default
    sign, *parts = found.groups()
    days, hours, minutes, rest = (float(part or 0) for part in parts)
    return (((days * 24 + hours) * 60 + minutes) * 60 + rest) * (-1 if sign else 1)


_HEAD = "".join(f' xmlns:{prefix}="{NAMESPACES[prefix]}"' for prefix in ("s", "a", "x", "w", "rsp", "p"))


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    return (
        f'<s:Envelope xml:lang="en-US"{_HEAD}><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
        "<a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>"
        f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def response(request: Request, body: str) -> bytes:
    """The answer to a request: its action with ``Response`` behind it."""
    return _envelope(f"{request.action}Response", request.message_id, body)


def fault(relates_to: str, error: WsmanFault, machine: str) -> bytes:
    """A fault, with the detail that Windows sends."""
    body = (
        f"<s:Fault><s:Code><s:Value>{error.whose}</s:Value><s:Subcode><s:Value>{error.subcode}</s:Value></s:Subcode>"
        f'</s:Code><s:Reason><s:Text xml:lang="en-US">{escape(error.text)} </s:Text></s:Reason><s:Detail>'
        f"{_wmi_error(error) if error.of_wmi else _wsman_fault(error, machine)}</s:Detail></s:Fault>"
    )
    return _envelope("http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", relates_to, body)


def _wsman_fault(error: WsmanFault, machine: str) -> str:
    code = "" if error.code is None else f' Code="{error.code}"'
    message = escape(error.text)
    if error.plugin:
        told = f"<f:WSManFault{code} Machine={quoteattr(machine)}><f:Message>{message} </f:Message></f:WSManFault>"
        message = f'<f:ProviderFault provider="{error.plugin}">{told}</f:ProviderFault>'
    return (
        f'<f:WSManFault xmlns:f="{NAMESPACES["f"]}"{code} Machine={quoteattr(machine)}>'
        f"<f:Message>{message} </f:Message></f:WSManFault>"
    )


def _wmi_error(error: WsmanFault) -> str:
    """The properties that say something; Windows sends a dozen empty ones beside them."""
    properties = {
        "CIMStatusCode": 27,
        "Message": escape(f"{error.text} "),
        "MessageID": f"HRESULT {error.code or 0:#x}",
        "error_Category": 30,
        "error_Code": error.code,
        "error_Type": "HRESULT",
    }
    told = "".join(f"<p:{name}>{value}</p:{name}>" for name, value in properties.items())
    names = f'xmlns:b="{_CIM_BINDING}" xmlns:p="{_WMI_ERROR}"'
    return f'<p:MSFT_WmiError b:IsCIM_Error="true" {names}>{told}</p:MSFT_WmiError>'


def refusal(code: int, form: str) -> WsmanFault:
    """A fault that a world file asked for, in one of :data:`mpsbridge.lab.wire.faults.FORMS`."""
    text = f"The make-believe host refuses with code {code}."
    if form == "bare":
        return WsmanFault(text, code=None, subcode="w:QuotaLimit" if code in _QUOTAS else "w:InternalError")
    return WsmanFault(text, code=code, plugin="microsoft.powershell" if form == "plugin" else "", of_wmi=form == "wmi")


def operation_timeout() -> WsmanFault:
    """Nothing came within the operation timeout; a client asks again."""
    return WsmanFault(
        "Nothing happened within the OperationTimeout of this request.",
        code=OPERATION_TIMEOUT,
        subcode="w:TimedOut",
    )


def shell_not_found(shell_id: str | None) -> WsmanFault:
    """The shell is not (or no longer) there."""
    return WsmanFault(
        f"There is no shell with the ShellId {shell_id}.",
        code=SHELL_NOT_FOUND,
        subcode="w:InvalidSelectors",
    )


def no_such_command(command: str | None) -> WsmanFault:
    """The command is not (or no longer) there."""
    return WsmanFault(
        f"There is no command {command} in this shell.",
        code=SHELL_NOT_FOUND,
        subcode="w:InvalidSelectors",
        whose="s:Sender",
    )


def no_command_named() -> WsmanFault:
    """A command shell has output of commands only."""
    return WsmanFault("The parameter is incorrect.", code=INVALID_PARAMETER, plugin="Shell cmd plugin")


def identity() -> bytes:
    """What the service says of itself to who has not asked for anything else (``winrm id``)."""
    names = {
        "ProtocolVersion": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
        "ProductVendor": "Microsoft Corporation",
        "ProductVersion": "OS: 10.0.14393 SP: 0.0 Stack: 3.0",
    }
    told = "".join(f"<wsmid:{name}>{value}</wsmid:{name}>" for name, value in names.items())
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{NAMESPACES["s"]}"><s:Header/><s:Body>'
        f'<wsmid:IdentifyResponse xmlns:wsmid="{_IDENTITY}">{told}</wsmid:IdentifyResponse></s:Body></s:Envelope>'
    ).encode()
