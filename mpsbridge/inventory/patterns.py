"""HOST words -> the names that they mean. Pure but for the lists that a word names (``@FILE``, ``-``).

All words of a call are one list of terms: those that name hosts add up in their order (where there is no such word, it
is all of them), then each ``&term`` keeps only what it names too, then each ``!term`` takes out what it names. A term
is a name, a range (``ts[01:40]``), a glob (``ts*``), a group, ``all``, or a list (``@FILE``, ``-``); ``:`` and ``,``
separate terms within a word, as in Ansible.

Rules: a name that an inventory does not know, a glob that matches nothing and a list that does not exist are errors,
not fewer hosts: behind a mistyped ``!term`` would stand a host that somebody wanted left alone. Only a glob behind
``!`` may match nothing. A list that turns out to name nobody never means all. What Ansible would read in another way
and would mean other hosts is an error too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from mpsbridge import files
from mpsbridge.errors import InputError
from mpsbridge.inventory.entries import EVERY, LOCAL, Inventory
from mpsbridge.inventory.names import bare, expand, has_range, is_address, quoted, split

NEEDS_INVENTORY = "Name one with --inventory FILE."
_GLOB = re.compile(r"[*?\[\]]")
_PIECE = re.compile(r"(?:\[[^\[\]]*\]|[^:,\[\]])+|[:,\[\]]")
_PLACES = re.compile(r"(.+)\[(-?\d+)(?::(\d+))?\]")


class Term(NamedTuple):
    """One term: its sign (``""``, ``&`` or ``!``) and what it names, for a list one after another."""

    sign: str
    items: tuple[str, ...]


def choose(words: Iterable[str], inventory: Inventory | None, *, read_stdin: Callable[[], str]) -> list[str]:
    """The names that the words mean, in order and without doubles, as the person or the inventory spells them.

    Raises :class:`~mpsbridge.errors.InputError`, also where nothing is left.
    """
    words = list(words)
    terms = [term for word in words for term in _terms(word, inventory, read_stdin)]
    naming = [term for term in terms if not term.sign]
    if not naming and (lists := [word for word in words if _is_list(word.strip())]):
        raise InputError(f"{lists[0]!r} names no host")
    if terms and not naming:
        naming = [Term("", (EVERY,))]
    chosen: dict[str, str] = {}
    for term in naming:
        for name in _names(term, inventory):
            chosen.setdefault(name.casefold(), name)
    bare_keys = {key: bare(key) for key in chosen}  # !ts1 takes out ts1:5985, too
    for term in (term for term in terms if term.sign == "&"):
        named = {name.casefold() for name in _names(term, inventory)}
        chosen = {key: name for key, name in chosen.items() if not named.isdisjoint((key, bare_keys[key]))}
    known = {*bare_keys, *bare_keys.values(), LOCAL}
    taken = {key for term in terms if term.sign == "!" for key in _taken_out(term, inventory, known)}
    chosen = {key: name for key, name in chosen.items() if taken.isdisjoint((key, bare_keys[key]))}
    if not chosen:
        raise InputError(f"{quoted(*words)} leaves no host" if terms else "no host named")
    return list(chosen.values())


def lines_of(text: str) -> list[tuple[int, str]]:
    """The lines of a list that hold something, with their numbers; ``#`` begins a comment."""
    lines = ((number, line.split("#", 1)[0].strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [(number, line) for number, line in lines if line]


def read_text(path: Path) -> str:
    """A file's text. Raises ``InputError``."""
    try:
        return files.read_text(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{path} cannot be read: {reason}") from error


def _terms(word: str, inventory: Inventory | None, read_stdin: Callable[[], str]) -> Iterator[Term]:
    sign, rest = _sign(word.strip())
    if _is_list(rest):
        path = list_file(word)
        text = read_stdin() if path is None else read_text(path)
        terms = [term for _, line in lines_of(text) for term in _pieces(line, inventory)]
        if not sign:
            yield from terms
        elif any(term.sign for term in terms):
            raise InputError(f"{quoted(word)}: a list behind {sign} holds names only, without ! and &")
        else:
            yield Term(sign, tuple(item for term in terms for item in term.items))
    else:
        yield from _pieces(word.strip(), inventory)


def list_file(word: str) -> Path | None:
    """The file that a HOST word names as a list of others (``@FILE``, also behind ``!`` or ``&``), if it does."""
    _, rest = _sign(word.strip())
    return Path(rest[1:]) if rest.startswith("@") else None


def _is_list(word: str) -> bool:
    return word == "-" or word.startswith("@")


def _sign(text: str) -> tuple[str, str]:
    return (text[0], text[1:].strip()) if text[:1] in {"!", "&"} else ("", text)


def _pieces(word: str, inventory: Inventory | None) -> Iterator[Term]:
    """The terms of one word. A number behind ``:`` is a port; other words there must be known, for a mistyped port
    would be a host.
    """
    if re.search(r"[\[\]]", re.sub(r"\[[^\[\]]*\]", "", word)):
        raise InputError(f"{quoted(word)}: a bracket has no other; write IPv6 as [address] or [address]:port")
    for part in _split_at(",", word):
        texts: list[str] = []
        for text in [part] if _is_whole(part, inventory) else _split_at(":", part):
            if texts and text.isdigit():
                texts[-1] += f":{text}"
            else:
                texts.append(text)
        for place, text in enumerate(texts):
            sign, item = _sign(text)
            if not item or item[0] in "!&~" or _is_list(item):
                raise InputError(_odd(word, item))
            if place and not sign and not _GLOB.search(item) and not _is_known(item, inventory):
                raise InputError(f"{quoted(word)}: {quoted(item)} is neither a port nor a name of an inventory")
            yield Term(sign, (item,))


def _odd(word: str, item: str) -> str:
    if not item and word:
        return f"{quoted(word)}: a port or a name is missing beside a colon or a comma"
    if item.startswith("~"):
        return f"{quoted(word)}: regular expressions are not understood; use ts*, ts[01:40] or a group"
    if _is_list(item):
        return f"{quoted(word)}: a list (@FILE or -) is a word of its own, and is not named in a list"
    return f"{quoted(word)} is not a host name: write name, name:port, IPv4[:port] or [IPv6]:port"


def _split_at(separator: str, text: str) -> list[str]:
    """Split, but not within brackets."""
    parts = [""]
    for piece in _PIECE.findall(text):
        if piece == separator:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]


def _is_whole(part: str, inventory: Inventory | None) -> bool:
    """Whether its colons separate nothing: an IPv6 address, or a name that the inventory writes with one."""
    return is_address(_sign(part)[1]) or _is_known(_sign(part)[1], inventory)


def _is_known(item: str, inventory: Inventory | None) -> bool:
    key = item.casefold()
    return inventory is not None and (key == EVERY or key in inventory.host_names or key in inventory.group_names)


def _names(term: Term, inventory: Inventory | None) -> Iterator[str]:
    for item in term.items:
        names = list(_meant(item, inventory, may_be_none=term.sign == "!"))
        _refuse_places(item, names, inventory)
        yield from names


def _taken_out(term: Term, inventory: Inventory | None, known: Container[str]) -> Iterator[str]:
    """The keys of a term behind ``!``: hosts of the inventory, or among ``known``, which other words name."""
    for name in _names(term, inventory):
        key = name.casefold()
        if key not in known and (inventory is None or key not in inventory.host_names):
            raise InputError(f"{quoted('!' + name)} takes out a host that no other word names")
        yield key


def _meant(item: str, inventory: Inventory | None, *, may_be_none: bool) -> Iterator[str]:
    in_brackets = item[1:].partition("]")[0] if item.startswith("[") else ""
    if _is_known(item, inventory) or not _GLOB.search(item) or is_address(in_brackets):
        yield from _named(item, inventory)
    elif has_range(item):
        for name in expand(item):
            yield from _named(name, inventory)
    else:
        yield from _matching(item, inventory, may_be_none=may_be_none)


def _named(item: str, inventory: Inventory | None) -> list[str]:
    """What a word without wildcards names: a host, the hosts of a group, or an address that is spelled out."""
    key = item.casefold()
    if key == LOCAL:
        return [item]
    if inventory is None:
        if key == EVERY:
            raise InputError(f"{quoted(item)} needs an inventory", hint=NEEDS_INVENTORY)
        split(item)
        return [item]
    if key == EVERY:
        return list(inventory.hosts)
    is_host = key in inventory.host_names
    if key in inventory.group_names:
        members = list(inventory.groups[inventory.group_names[key]])
        if is_host and [name.casefold() for name in members] != [key]:
            raise InputError(
                f"{quoted(item)} is a host and a group of other hosts in {inventory.path}",
                hint=f"Write {item}:PORT for the host, or rename one of them.",
            )
        return [item] if is_host else members
    if not is_host:
        name, port = split(item)
        if port is None and not is_address(name):
            raise inventory.unknown(item)
        key = name.casefold()
        if key not in inventory.host_names and (key == EVERY or key in inventory.group_names):
            raise InputError(f"{quoted(item)}: a group has no port of its own", hint="Use --port, or the inventory.")
    return [item]


def _matching(item: str, inventory: Inventory | None, *, may_be_none: bool) -> list[str]:
    """Hosts of the groups, and hosts, that a glob matches; the groups ``all`` and ``ungrouped`` are matched by none."""
    glob = item.casefold()
    for found in re.findall(r"\[([^\[\]]*)\]", glob):
        if "," in found or re.search(r"\d\d-\d|\d-\d\d", found):
            raise InputError(f"{quoted(item)}: write a range as [1:40], and single characters as [123]")
    if inventory is None:
        raise InputError(f"{quoted(item)} needs an inventory", hint=NEEDS_INVENTORY)
    groups = [
        name
        for key, name in inventory.group_names.items()
        if key not in {EVERY, "ungrouped"} and fnmatchcase(key, glob)
    ]
    names = [host for group in groups for host in inventory.groups[group]]
    names += [name for key, name in inventory.host_names.items() if fnmatchcase(key, glob)]
    if not names and not groups and not may_be_none:
        raise InputError(f"{quoted(item)} matches no host or group of {inventory.path}")
    return list(dict.fromkeys(names))


def _refuse_places(item: str, names: list[str], inventory: Inventory | None) -> None:
    """In Ansible ``group[0:2]`` means the first three hosts of a group: refuse where that would be others."""
    found = _PLACES.fullmatch(item)
    group = inventory.group_names.get(found[1].casefold()) if inventory and found else None
    if inventory is None or found is None or group is None or not inventory.by_place:
        return
    first = int(found[2])
    last = first + 1 if found[3] is None else int(found[3]) + 1
    members = inventory.groups[group][first : last or None]
    if [name.casefold() for name in members] != [name.casefold() for name in names]:
        raise InputError(
            f"{quoted(item)} means names here, and places in the group {group} in Ansible: other hosts",
            hint=f"Name the hosts in a way that is the same in both, such as '{found[1]}*'.",
        )
