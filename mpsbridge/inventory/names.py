"""What a host may be called, and ranges of names: ``ts[01:40]``, ``lab-[a:f]``, ``ts[1:9:2]``. Pure.

Rule: a range means names, never places in a list: whoever adds a host does not change what another's command means.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from mpsbridge.errors import InputError

MOST_NAMES = 100_000
"""Names that one word may stand for."""

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?\.?")
_RANGE = re.compile(r"\[([^\[\]]*:[^\[\]]*)\]")


def quoted(*words: str) -> str:
    """HOST words as a message shows them: what somebody wrote before an ``@`` may be a password."""
    parts = [word.rpartition("@") for word in words]
    return repr(" ".join(f"***@{host}" if before else at + host for before, at, host in parts))


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_name(text: str) -> bool:
    """Whether it is an IP address, or may be the name of a computer."""
    return is_address(text) or (_NAME.fullmatch(text) is not None and not re.fullmatch(r"[\d.]+", text))


def split(word: str) -> tuple[str, int | None]:
    """Name or address, and port, of ``name``, ``name:port``, ``IPv4[:port]``, ``[IPv6]:port`` or ``IPv6``.

    Raises :class:`~mpsbridge.errors.InputError` for anything else.
    """
    host, port = word, ""
    if word.startswith("["):
        host, closed, rest = word[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or not is_address(host):
            raise InputError(f"{quoted(word)} is not a host name; write IPv6 as [address] or [address]:port")
        port = rest[1:]
        if rest and not port:
            raise InputError(f"{quoted(word)}: the port is missing")
    elif word.count(":") == 1:
        host, _, port = word.partition(":")
        if not port:
            raise InputError(f"{quoted(word)}: the port is missing")
    elif ":" in word and is_address(word):
        return word, None
    if not is_name(host):
        raise InputError(f"{quoted(word)} is not a host name: write name, name:port, IPv4[:port] or [IPv6]:port")
    if not port:
        return host, None
    if not (re.fullmatch(r"[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
        raise InputError(f"{quoted(word)}: what stands behind the colon is not a port (1 to 65535)")
    return host, int(port)


def bare(word: str) -> str:
    """The word without its port, in one spelling: an address as it is written shortest, a name without its last dot."""
    name = word if is_address(word) else re.sub(r":[0-9]+$", "", word)
    plain = name[1:-1] if name.startswith("[") else name
    return str(ipaddress.ip_address(plain)) if is_address(plain) else name.removesuffix(".")


def has_range(word: str) -> bool:
    """Whether a part in brackets is a range; the brackets around an IPv6 address are none."""
    return any(not is_address(found[1]) for found in _RANGE.finditer(word))


def expand(word: str) -> list[str]:
    """The names that a word with any number of ranges stands for, in order; a word without one stands for itself.

    Raises :class:`~mpsbridge.errors.InputError` for a range that is none, or that is too long.
    """
    names = [""]
    end = 0
    for found in _RANGE.finditer(word):
        if is_address(found[1]):
            continue
        before = word[end : found.start()]
        steps = _steps(found[1], word)
        if len(names) * len(steps) > MOST_NAMES:
            raise InputError(f"{quoted(word)} stands for more than {MOST_NAMES} names")
        names = [name + before + step for name in names for step in steps]
        end = found.end()
    return [name + word[end:] for name in names]


def _steps(text: str, word: str) -> list[str]:
    first, last, *rest = text.split(":")
    step = rest[0] if rest else "1"
    if len(rest) > 1 or not (re.fullmatch(r"[0-9]{1,9}", step) and int(step) > 0):
        raise InputError(f"{quoted(word)}: write a range as [first:last] or [first:last:step]")
    if re.fullmatch(r"[0-9]{1,9}", first) and re.fullmatch(r"[0-9]{1,9}", last):
        padded = any(len(end) > 1 and end.startswith("0") for end in (first, last))
        if padded and len(first) != len(last):
            raise InputError(f"{quoted(word)}: with leading zeros both ends of a range have the same number of digits")
        low, high = int(first), int(last)
        shape: Callable[[int], str] = f"{{:0{len(first)}}}".format
    elif re.fullmatch(r"[a-z]:[a-z]|[A-Z]:[A-Z]", f"{first}:{last}"):
        low, high, shape = ord(first), ord(last), chr
    else:
        raise InputError(f"{quoted(word)}: a range goes from number to number, or from letter to letter")
    if low > high:
        raise InputError(f"{quoted(word)}: the range ends before it begins")
    if high - low > MOST_NAMES * int(step):
        raise InputError(f"{quoted(word)} stands for more than {MOST_NAMES} names")
    return [shape(number) for number in range(low, high + 1, int(step))]
