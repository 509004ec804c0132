"""What a program said in place of a table, told by numbers and shape and never by a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from mpsbridge.parsing.vocabulary import says_none


class Trouble(StrEnum):
    """Why there is no table, or none with rows."""

    NOBODY_OR_NOT_PERMITTED = "nobody-or-not-permitted"
    """``No User exists for *``: Windows says the same of an empty host and to a caller who may not look."""
    HEADER_ONLY = "header-only"
    DENIED = "denied"
    RPC_UNAVAILABLE = "rpc-unavailable"
    SECURITY_PACKAGE = "security-package"
    USAGE = "usage"
    OTHER = "other"
    """Another error number."""


_BY_NUMBER = {
    5: Trouble.DENIED,  # ERROR_ACCESS_DENIED
    1722: Trouble.RPC_UNAVAILABLE,  # RPC_S_SERVER_UNAVAILABLE
    1825: Trouble.SECURITY_PACKAGE,  # RPC_S_SEC_PKG_ERROR
    7022: Trouble.NOBODY_OR_NOT_PERMITTED,  # ERROR_CTX_WINSTATION_NOT_FOUND
    7045: Trouble.DENIED,  # ERROR_CTX_WINSTATION_ACCESS_DENIED
}

_HRESULT_OF_WIN32 = 0x8007

_WORD = r"[^\W\d_]+"
_ERROR = (
    "(?:error|fehler|erreur|errore|erro|fout|fel|fejl|feil|virhe|błąd|chyba|hiba|hata|ошибка|错误|錯誤|エラー|오류)"
)
_START = r"^(?:[^ ]{1,20} ?: )?\W*"  # PowerShell puts "quser : " before the first line of standard error
_NUMBERS = (
    re.compile(
        rf"{_START}(?:{_WORD} |{_ERROR})\[(?P<decimal>\d{{1,9}})\] ?[:：]", re.IGNORECASE
    ),  # Error [5]:Access ...
    re.compile(rf"{_START}{_WORD} 0x(?P<hex>[0-9a-f]{{8}})(?!\w)", re.IGNORECASE),  # Error 0x000006BA enumerating ...
    re.compile(rf"{_START}{_ERROR} (?P<decimal>\d{{1,5}}) {_WORD}", re.IGNORECASE),  # Error 5 getting session names
    re.compile(rf"\({_ERROR} (?P<decimal>\d{{1,5}})\)", re.IGNORECASE),  # can't load QUERY commands ... (error 1)
)
_USAGE = re.compile(r"\[/SERVER:", re.IGNORECASE)
_NOBODY = re.compile(r"\s*[^\W\d_][^\d*|<>/\\{}=;]{3,80} \*[.。]?")
_BOUNDS = re.compile(r"[\d\"`|<>{}()\[\]]|(?<!\w)'|'(?!\w)|[:：;]|\\\\?[nr]")
"""What ends a sentence inside a line: what a log, a program or JSON puts around it."""
_NEAR = 80
_LONGEST = 300
_LONGEST_SENTENCE = 4000


def read_trouble(lines: Iterable[str]) -> tuple[Trouble, int | None] | None:
    """What the lines say went wrong, and the Windows error number where there is one; ``None`` where they say nothing.

    A number outweighs everything else. ``No User exists for *`` is told, in any language, by its lone final asterisk,
    and in a known one by its words around a lone asterisk, whatever stands around the sentence.
    """
    found: Trouble | None = None
    for line in lines:
        text = line.rstrip()[:_LONGEST]
        for pattern in _NUMBERS:
            if match := pattern.search(text):
                groups = match.groupdict()
                number = int(groups["hex"], 16) if groups.get("hex") else int(groups["decimal"])
                if number >> 16 == _HRESULT_OF_WIN32:
                    number &= 0xFFFF
                return _BY_NUMBER.get(number, Trouble.OTHER), number
        if found is None and _USAGE.search(text):
            found = Trouble.USAGE
        elif found is None and (_is_sentence(text) or _says_nobody(line)):
            found = Trouble.NOBODY_OR_NOT_PERMITTED
    return None if found is None else (found, None)


def _is_sentence(text: str) -> bool:
    """Whether that is one sentence that ends in the asterisk; commands begin in lower case."""
    begin = text.strip().partition(" : ")[2] or text.strip()
    return "  " not in text.strip() and not begin[:1].islower() and _NOBODY.fullmatch(text) is not None


def _says_nobody(line: str) -> bool:
    """Whether the words around the line's one asterisk say that there is no user or session."""
    before, asterisk, after = line[:_LONGEST_SENTENCE].partition("*")
    if not asterisk or "*" in after:
        return False
    before = _BOUNDS.split(before[-_NEAR:])[-1]
    after = _BOUNDS.split(after[:_NEAR])[0]
    sentence = f"{before}*{after}".strip()
    return "  " not in sentence and says_none(sentence)
