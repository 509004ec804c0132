"""Other names for people, computers and domains: of the same width, consistently, and made by chance. Pure.

Rules: all names are known before the first is replaced, so that no made-up name is a real one; each character becomes
one of its kind (small, capital, digit, the same script), as wide on the screen and as long in every code page that
counts, so that tables keep their columns; a name is the same name however it is capitalised. Nothing leads back: what
a name becomes is drawn, and kept nowhere.
"""

from __future__ import annotations

import ipaddress
import random
import re
import string
from collections.abc import Iterable, Sequence
from functools import cache

from mpsbridge.parsing.cells import width
from mpsbridge.parsing.guard import USER_COLUMN
from mpsbridge.parsing.vocabulary import NEGATIONS, PEOPLE, known_words

SHORTEST = 3
"""Characters of a name that is looked for in running text; a shorter one might be any word, or a number."""
TRIES = 500
_BLOCK = 128
"""Code points that are searched for a letter of the same kind."""
_WORDS = (
    "access|account|active|administrator|administrators|broker|builtin|cmdlet|command|computer|console|denied|desktop|"
    "disabled|domain|drain|enabled|error|everyone|exe|exists|false|file|for|function|guest|host|idle|local|logon|logons|"
    "microsoft|module|multipoint|name|network|none|null|powershell|program|qwinsta|quser|rdp-tcp|remote|script|server|"
    "service|services|session|sessions|standard|system|system32|term|the|time|true|users|value|windows|winrm|workgroup"
)
_WINDOWS_WORDS = frozenset(_WORDS.split("|"))
_SENTENCES = frozenset(f"{PEOPLE}|{NEGATIONS}".split("|"))
_ACCOUNTS = "administrator|administrateur|administrador|amministratore|администратор|guest|gast|system|builtin"
WELL_KNOWN = frozenset(_ACCOUNTS.split("|"))
"""Accounts that every Windows has: they tell nobody apart, and stay as they are."""
_SID = re.compile(r"S-1-5-21(?:-\d{1,10}){3}(?!\d)|S-1-12-1(?:-\d{1,10}){4}(?!\d)|S-1-11-96(?:-\d{1,10})+")
"""That of a computer or a domain, as far as it has one; that of a user of Entra ID, and of a Microsoft account."""
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\w)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")


def is_word_of_windows(name: str) -> bool:
    """Whether a name is also a word of Windows' own, so that it can only be told by its place."""
    low = name.casefold()
    return known_words(name) > 0 or low in _WINDOWS_WORDS or low in _SENTENCES


class Pseudonyms:
    """What each of the ``names`` becomes; ``pages`` are Python's names of the code pages that have to fit."""

    def __init__(self, names: Iterable[str], *, pages: Sequence[str] = (), chance: random.Random | None = None) -> None:
        self._chance = chance or random.SystemRandom()
        self._pages = ("utf-8", *sorted(set(pages) - {"utf-8"}))
        self._names = {_small(name): name for name in names if _letters(name) and not is_well_known(name)}
        self._made: dict[str, str] = {}
        self._numbers: dict[str, str] = {}
        told_apart = (low for low in self._names if len(low) >= SHORTEST and any(map(str.isalpha, low)))
        longest_first = sorted(told_apart, key=len, reverse=True)
        self._any = longest_first
        self._in_text = [low for low in longest_first if not is_word_of_windows(low)]
        for name in sorted(self._names.values(), key=len, reverse=True):
            self._make(name)

    def of(self, name: str) -> str:
        """What a whole name becomes, capitalised as it is; one that is not known, or well known, stays."""
        made = self._made.get(_small(name))
        return name if made is None else "".join(map(_cased, name, made))

    def within(self, text: str) -> str:
        """A text with each name in it replaced, and SIDs and addresses that tell a computer or a person."""
        pieces, done = [], 0
        for start, end in _places(text, self._in_text):
            pieces += [text[done:start], self.of(text[start:end])]
            done = end
        text = "".join([*pieces, text[done:]])
        text = _SID.sub(self._sid, text)
        return _IPV6.sub(self._address, _IPV4.sub(self._address, text))

    @property
    def table(self) -> list[tuple[str, str]]:
        """Each name and what it becomes, for the person who has the names anyway."""
        return sorted((name, self.of(name)) for name in self._names.values())

    def _make(self, name: str) -> None:
        """Draw another name; what is the beginning of a longer one, cut at a column's end, is so afterwards, too."""
        low = _small(name)
        if USER_COLUMN - 1 <= width(name) <= USER_COLUMN:
            longer = next((each for each in self._made if len(each) > len(low) and each.startswith(low)), None)
            if longer is not None:
                self._made[low] = self._made[longer][: len(name)]
                return
        taken = {each.casefold() for each in (*self._names, *self._made.values())}
        drawn = name
        for _ in range(TRIES):
            drawn = "".join(map(self._draw, name))
            is_free = drawn.casefold() not in taken and not is_word_of_windows(drawn)
            if is_free and not _places(drawn, self._any):
                break
        self._made[low] = drawn

    def _draw(self, character: str) -> str:
        """Another character of the same kind, small where there are capitals."""
        if character in string.digits:
            return self._chance.choice(string.digits)
        small = character.lower() if len(character.lower()) == 1 else character
        return self._chance.choice(_alike(small, self._pages)) if small.isalpha() else character

    def _sid(self, found: re.Match[str]) -> str:
        """A SID with other numbers of the same length; what follows the computer's or domain's own stays."""
        kinds = {"S-1-12": 4, "S-1-11": found[0].count("-") - 3}
        head, *numbers = found[0].rsplit("-", kinds.get(found[0][:6], 3))
        return "-".join([head, *map(self._number, numbers)])

    def _number(self, digits: str) -> str:
        if digits not in self._numbers:
            first = self._chance.choice("123" if len(digits) > 1 else string.digits)
            self._numbers[digits] = first + "".join(self._chance.choices(string.digits, k=len(digits) - 1))
        return self._numbers[digits]

    def _address(self, found: re.Match[str]) -> str:
        """An address with other digits; loopback and "any" stay, and what is no address at all."""
        text = found[0]
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return text
        if address.is_loopback or address.is_unspecified:
            return text
        if text not in self._numbers:
            choices = "1" if address.version == 4 else "123456789abcdef"
            self._numbers[text] = _other_digits(text, choices, self._chance)
        return self._numbers[text]


def _other_digits(text: str, choices: str, chance: random.Random) -> str:
    """Each group with other digits, as many: of an octet of three the first is 1, so that it stays one."""
    separator = "." if "." in text and ":" not in text else ":"
    groups = []
    for group in text.split(separator):
        if separator == "." and len(group) == 3:
            groups.append(choices + "".join(chance.choices(string.digits, k=2)))
        else:
            digits = string.digits if separator == "." else choices
            groups.append("".join(chance.choice(digits.lstrip("0") or digits) for _ in group))
    return separator.join(groups)


def is_well_known(name: str) -> bool:
    """Whether it is an account that every Windows has."""
    return name.casefold() in WELL_KNOWN


def _cased(character: str, drawn: str) -> str:
    return drawn.upper() if character != character.lower() and len(drawn.upper()) == 1 else drawn


def _letters(name: str) -> bool:
    return any(map(str.isalnum, name))


def _small(text: str) -> str:
    """The text in small letters, each character at its place."""
    return "".join(each.lower() if len(each.lower()) == 1 else each for each in text)


def _places(text: str, names: Sequence[str]) -> list[tuple[int, int]]:
    """Where one of the names stands as whole words, in order; of two that overlap the first of ``names``."""
    small, taken = _small(text), list[tuple[int, int]]()
    for name in names:
        start = small.find(name)
        while start >= 0:
            end = start + len(name)
            alone = not (_is_word(small[start - 1 : start]) or _is_word(small[end : end + 1]))
            if alone and all(end <= other or start >= after for other, after in taken):
                taken.append((start, end))
            start = small.find(name, start + 1)
    return sorted(taken)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


@cache
def _alike(small: str, pages: tuple[str, ...]) -> str:
    """The small letters of the same script that are as wide, and in each of the pages as long; never none."""
    if small.isascii():
        return string.ascii_lowercase
    first = ord(small) - ord(small) % _BLOCK
    found = [chr(code) for code in range(first, first + _BLOCK) if _fits(chr(code), small, pages)]
    return "".join(found) or small


def _fits(other: str, small: str, pages: tuple[str, ...]) -> bool:
    if other == small or other.isascii() or not other.isalpha() or other != other.lower():
        return False
    if not _as_long(other, small, pages):
        return False
    capital, others = small.upper(), other.upper()
    if len(capital) != 1:
        return others == other
    has_one_too = len(others) == 1 and others.lower() == other and (others == other) is (capital == small)
    return has_one_too and _as_long(others, capital, pages)


def _as_long(other: str, one: str, pages: tuple[str, ...]) -> bool:
    return width(other) == width(one) and all(_length(other, page) == _length(one, page) for page in pages)


def _length(text: str, page: str) -> int | None:
    """Bytes in a code page; null where it has no such character."""
    try:
        return len(text.encode(page))
    except (UnicodeEncodeError, LookupError):
        return None
