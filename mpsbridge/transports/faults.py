"""What the faults of WinRM mean: one table of Windows' numbers, and how a fault is read.

Windows writes a fault's number in one of three places: in ``WSManFault/@Code``; where a plug-in found the fault, in a
``WSManFault`` inside of it, with the plug-in's own words; or in ``MSFT_WmiError/error_Code``, as it does for quotas
(PowerShell's own CIM client reads it there). Of several the first that is known here counts, from the outside inwards.
A fault without any number has its sub-code.

Rules: a row says where its number was seen; a fault proves that the host did not take a request only where its row, or
the sub-code, says so, and never once the request was accepted; the words of a row stand before the host's, which are
translated; a number that is not here is told in the host's own words, the plug-in's first.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from enum import Enum, auto
from typing import NamedTuple

from pypsrp.exceptions import WSManFaultError

_SOAP = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "f": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
}


class Means(Enum):
    """What a fault says of the request that it answers."""

    QUOTA = auto()
    """Not taken: too much is open there already."""
    DENIED = auto()
    """Not taken: this account may not do that."""
    REFUSED = auto()
    """Not taken, for another reason."""
    GONE = auto()
    """Not taken: the shell, or what it is about, is not there any more."""
    NO_ENDPOINT = auto()
    """Not taken: nothing has the name that was asked for."""
    LATE = auto()
    """Nothing came within the time that the request gave; it may have been taken."""
    UNKNOWN = auto()
    """It may have been taken, or not."""

    @property
    def proves_refusal(self) -> bool:
        """Whether the host did not take the request."""
        return self in {Means.QUOTA, Means.DENIED, Means.REFUSED, Means.GONE, Means.NO_ENDPOINT}


class Known(NamedTuple):
    """A number that is known: what it means, our words for it, where it was seen, and what helps beside the usual."""

    means: Means
    words: str
    seen: str
    hint: str | None = None


_WSMERROR = "wsmerror.h"
"""The header of the Windows SDK that defines them; not seen on a host by us."""
_MEMORY_HINT = (
    "PowerShell ran out of what it may use there: raise MaxMemoryPerShellMB (winrm get winrm/config/winrs, and the "
    "endpoint's own under WSMan:\\localhost\\Plugin), or look into the host's Application log for wsmprovhost.exe."
)
_ACCESS = "access is denied to this account"

KNOWN: dict[int, Known] = {
    5: Known(Means.DENIED, _ACCESS, "ERROR_ACCESS_DENIED; pypsrp's tests"),
    2147942405: Known(Means.DENIED, _ACCESS, "E_ACCESSDENIED (0x80070005); wazuh/wazuh-ansible#581"),
    995: Known(Means.UNKNOWN, "the host has given the operation up", "ERROR_OPERATION_ABORTED"),
    2150858752: Known(
        Means.NO_ENDPOINT,
        "no endpoint (session configuration) has that name",
        f"ERROR_WSMAN_RESOURCE_NOT_FOUND; {_WSMERROR}",
    ),
    2150858793: Known(
        Means.LATE, "nothing happened in time", "ERROR_WSMAN_OPERATION_TIMEDOUT; every client of WinRM handles it"
    ),
    2150858811: Known(
        Means.NO_ENDPOINT,
        "no endpoint (session configuration) has that name",
        f"ERROR_WSMAN_INVALID_RESOURCE_URI; {_WSMERROR}",
    ),
    2150858815: Known(Means.QUOTA, "a quota is used up", f"ERROR_WSMAN_QUOTA_LIMIT; {_WSMERROR}"),
    2150858843: Known(
        Means.GONE,
        "the shell, or the command in it, is not there; the WinRM service was probably restarted",
        "ERROR_WSMAN_UNEXPECTED_SELECTORS, also for a command's id; pypsrp's tests",
    ),
    2150859173: Known(
        Means.QUOTA, "too many shells of this account are open", "ERROR_WSMAN_QUOTA_MAX_SHELLS; jborean93/pypsrp#148"
    ),
    2150859174: Known(
        Means.QUOTA,
        "too many operations of this account are running",
        "ERROR_WSMAN_QUOTA_MAX_OPERATIONS; masterzen/winrm#129",
    ),
    2150859175: Known(Means.QUOTA, "a quota of this account is used up", f"ERROR_WSMAN_QUOTA_USER; {_WSMERROR}"),
    2150859176: Known(Means.QUOTA, "a quota of the host is used up", f"ERROR_WSMAN_QUOTA_SYSTEM; {_WSMERROR}"),
    2150859179: Known(
        Means.QUOTA, "too many accounts have shells open", f"ERROR_WSMAN_QUOTA_MAX_SHELLUSERS; {_WSMERROR}"
    ),
    2150859180: Known(
        Means.REFUSED, "remote shells are not allowed", f"ERROR_WSMAN_REMOTESHELLS_NOT_ALLOWED; {_WSMERROR}"
    ),
    2150859235: Known(
        Means.REFUSED, "remote connections are not allowed", f"ERROR_WSMAN_REMOTE_CONNECTION_NOT_ALLOWED; {_WSMERROR}"
    ),
    2150859236: Known(Means.QUOTA, "too many shells are open", f"ERROR_WSMAN_QUOTA_MAX_SHELLS_PPQ; {_WSMERROR}"),
    2150859237: Known(
        Means.QUOTA, "too many accounts use this endpoint", f"ERROR_WSMAN_QUOTA_MAX_USERS_PPQ; {_WSMERROR}"
    ),
    2150859238: Known(
        Means.QUOTA,
        "too many shells are open on this endpoint",
        f"ERROR_WSMAN_QUOTA_MAX_PLUGINSHELLS_PPQ; {_WSMERROR}",
    ),
    2150859239: Known(
        Means.QUOTA,
        "too many operations are running on this endpoint",
        f"ERROR_WSMAN_QUOTA_MAX_PLUGINOPERATIONS_PPQ; {_WSMERROR}",
    ),
    2150859240: Known(
        Means.QUOTA,
        "too many operations of this account are running on this endpoint",
        f"ERROR_WSMAN_QUOTA_MAX_OPERATIONS_USER_PPQ; {_WSMERROR}",
    ),
    2150859241: Known(
        Means.QUOTA,
        "too many commands are open in this shell",
        "ERROR_WSMAN_QUOTA_MAX_COMMANDS_PER_SHELL_PPQ; jborean93/pypsrp#148",
    ),
    2150859242: Known(
        Means.QUOTA,
        "the endpoint's quotas do not allow it",
        f"ERROR_WSMAN_QUOTA_MIN_REQUIREMENT_NOT_AVAILABLE_PPQ; {_WSMERROR}",
    ),
    3762507597: Known(
        Means.UNKNOWN,
        "PowerShell on the host was ended by an error of .NET",
        "0xE0434F4D, what .NET raises before version 4",
        _MEMORY_HINT,
    ),
    3762504530: Known(
        Means.UNKNOWN,
        "PowerShell on the host was ended by an error of .NET",
        "0xE0434352, what .NET raises from version 4 on",
        _MEMORY_HINT,
    ),
}
"""By Windows' number."""
_SUBCODES = {
    "QuotaLimit": Known(Means.QUOTA, "a quota is used up", "wsman:QuotaLimit of DSP0226"),
    "AccessDenied": Known(Means.DENIED, _ACCESS, "wsman:AccessDenied of DSP0226"),
    "TimedOut": Known(Means.LATE, "nothing happened in time", "wsman:TimedOut of DSP0226"),
}
"""By the sub-code of a fault that has no number; other sub-codes, ``InternalError`` before all, stand for anything."""


def known(error: Exception) -> Known | None:
    """The row of a fault; ``None`` where it is another error, or a fault of which nothing is known."""
    if not isinstance(error, WSManFaultError):
        return None
    if isinstance(error.code, int):
        return KNOWN.get(error.code)
    return _SUBCODES.get(str(error.code or "").rpartition(":")[2])


def means(error: Exception) -> Means | None:
    """What a fault says of its request; ``None`` for another error."""
    if not isinstance(error, WSManFaultError):
        return None
    row = known(error)
    return Means.UNKNOWN if row is None else row.means


def in_words(error: WSManFaultError) -> str:
    """What a fault says, on one line: our words where its number is known, else the plug-in's own, else the host's."""
    row = known(error)
    said = row.words if row else (error.provider_fault or error.reason or "a fault without a reason")
    return " ".join(str(said).split())


def read_fault(text: str) -> WSManFaultError:
    """What a fault says. Raises ``xml.etree.ElementTree.ParseError`` where the text is not XML."""
    return fault_in(ET.fromstring(text))  # noqa: S314 - looked at before by whoever received it


def fault_in(answer: ET.Element) -> WSManFaultError:
    """The fault in an envelope; one that says nothing where there is none."""
    fault = answer.find("s:Body/s:Fault", _SOAP)
    if fault is None:
        return WSManFaultError(None, None, None, None, None, None)
    subcode = fault.findtext("s:Code/s:Subcode/s:Value", None, _SOAP) or fault.findtext("s:Code/s:Value", None, _SOAP)
    reason = fault.findtext("s:Reason/s:Text", None, _SOAP)
    details = fault.find("s:Detail", _SOAP)
    if details is not None and (detail := details.find("f:WSManFault", _SOAP)) is not None:
        return _of_wsman(details, detail, subcode, reason)
    if details is not None and (wmi := _named(details, "MSFT_WmiError")) is not None:
        number = _number(_text_of(wmi, "error_Code"))
        return WSManFaultError(
            subcode if number is None else number, None, _text_of(wmi, "Message") or _words(reason), None, None, None
        )
    return WSManFaultError(_words(subcode), None, _words(reason), None, None, None)


def _of_wsman(details: ET.Element, detail: ET.Element, subcode: str | None, reason: str | None) -> WSManFaultError:
    """A ``WSManFault``: its number, or the one that says more, and the plug-in's own words beside the general ones."""
    number, machine = _telling_number(details), detail.get("Machine")
    message = detail.find("f:Message", _SOAP)
    reason = (message.text if message is not None and message.text and message.text.strip() else None) or reason
    by = None if message is None else message.find("f:ProviderFault", _SOAP)
    provider = path = own = None
    if by is not None:
        provider, path = by.get("provider"), by.get("path")
        own = _words("".join(by.itertext()))
    return WSManFaultError(subcode if number is None else number, machine, _words(reason), provider, path, own)


def _telling_number(details: ET.Element) -> int | None:
    """The first number that is known here, from the outside inwards, else the first of all.

    A plug-in's fault stands inside of one with a general number, or with one of the plug-in's own, and an error of WMI
    beside one without any.
    """
    found: list[int | None] = [_number(each.get("Code")) for each in details.iter(f"{{{_SOAP['f']}}}WSManFault")]
    found += [_number(_text_of(each, "error_Code")) for each in details if each.tag.endswith("}MSFT_WmiError")]
    numbers = [each for each in found if each is not None]
    return next((each for each in numbers if each in KNOWN), numbers[0] if numbers else None)


def _named(parent: ET.Element, name: str) -> ET.Element | None:
    """The child of that name in whatever namespace: Windows has several for the same error."""
    return next((child for child in parent if child.tag.rpartition("}")[2] == name), None)


def _text_of(parent: ET.Element, name: str) -> str | None:
    child = _named(parent, name)
    return None if child is None else _words(child.text)


def _number(text: str | None) -> int | None:
    """A number as Windows writes it: at most 32 bits, in decimal."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= len("4294967295") else None


def _words(text: str | None) -> str | None:
    """Text without the blanks around it; ``None`` where there is nothing else."""
    return (text or "").strip() or None
