r"""Tables inside strings of JSON and other code: one in which ``\r\n`` stands for line ends, or a list of strings.

Rules: a string is taken apart only where it holds a header with more behind it; what stands around it is no line of any
table. A table that is given as one string and right after it as a list of its lines is one table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from mpsbridge.models.bounds import LINE_LIMIT
from mpsbridge.parsing.carriers import APART, Line, header_at
from mpsbridge.parsing.screen import plain_lines, with_blanks

CODE, STRING, LIST = "", "string", "list"
"""What a part of a line is: what stands around tables, one string of several lines, one string for each line."""
_LINE_END = re.compile(r"(?:\\++[rn]|_x000[DA]_|&#(?:x0?[DA]|1[03]);)++")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))")
_LETTER = re.compile(r"\\++u(00[a-fA-F][0-9a-fA-F]|(?:0[1-9a-cA-C]|[1-9a-cA-C][0-9a-fA-F])[0-9a-fA-F]{2})")
"""A letter outside ASCII, as JSON writes it."""
_PLAIN = {"t": "\t", '"': '"', "'": "'", "/": "/", "\\": "\\"}
_UNREADABLE = "\x00"
"""What makes a line unreadable: a byte of an unknown code page."""
_STRING = re.compile(r""""((?:[^"\\]++|\\.)*+)(?:"|$)|'((?:[^'\\]++|\\.)*+)(?:'|$)""")


def out_of_strings(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines, and in place of each that holds a table in a string the table's own lines."""
    taken: list[str] = []
    pending: list[Line] = []  # what repeats the table just taken out, as far as it does
    for line in map(_with_letters, lines):
        found = list(_parts(line.text)) if _may_hold(line.text) else []
        if any(form for form, _ in found):
            yield from pending
            pending = []
            for form, texts in found:
                repeats = form == LIST and _bare(texts) == taken
                if form:
                    taken = _bare(texts) if form == STRING else []
                for text in texts:
                    yield Line(line.number, text, line.carrier if form and not repeats else APART)
            continue
        yield from _unless_repeated(line, taken, pending)
    yield from pending


def _unless_repeated(line: Line, taken: list[str], pending: list[Line]) -> Iterator[Line]:
    """The line, or nothing as long as lines in quotes say again what was taken out of one string."""
    if not taken:
        yield line
        return
    pending.append(line)
    if _unquoted(line.text) != taken[len(pending) - 1]:
        yield from pending
        pending.clear()
    elif len(pending) == len(taken):
        yield from (each._replace(carrier=APART) for each in pending)
        pending.clear()
        taken.clear()


def _with_letters(line: Line) -> Line:
    """The line with the letters that JSON wrote as numbers."""
    if '"' not in line.text or "\\u" not in line.text:
        return line
    return line._replace(text=with_blanks(_LETTER.sub(lambda letter: chr(int(letter[1], 16)), line.text)))


def _may_hold(text: str) -> bool:
    return ("\\" in text or "_x000" in text or "&#" in text or '", "' in text or "', '" in text) and "  " in text


def _parts(text: str) -> Iterator[tuple[str, list[str]]]:
    """The text in order: the lines of each string that holds a table, and what stands around them."""
    pieces = _LINE_END.split(text)
    index = 0
    while index < len(pieces):
        piece = pieces[index]
        at = header_at(piece[-2 * LINE_LIMIT :])
        if at is None or index == len(pieces) - 1:
            yield from _lists(piece)
            index += 1
            continue
        at += max(0, len(piece) - 2 * LINE_LIMIT)
        before = piece[:at].rstrip(" ")
        quote = _quote_at_end(before)
        around = [before.removesuffix(quote)] if quote else []
        inside = [piece[len(before) :] if quote else piece]
        rest = ""
        for index in range(index + 1, len(pieces)):  # noqa: B020 - goes on where the string ends
            end = _closing(pieces[index], quote)
            inside.append(pieces[index][:end])
            if end is not None:
                rest = pieces[index][end + len(quote) :]
                break
        if len(_bare(inside)) > 1:
            yield CODE, around
            yield STRING, _shown(inside)
        else:
            yield CODE, ["\\n".join((*around, *inside))]
        pieces[index] = rest
        if not rest:
            index += 1


def _quote_at_end(before: str) -> str:
    """The quotation mark that opens a string, with the backslashes that it has inside another; empty without one."""
    if before[-1:] not in {'"', "'"}:
        return ""
    return before[len(before[:-1].rstrip("\\")) :]


def _closing(text: str, quote: str) -> int | None:
    """Where the string ends that was opened so."""
    end = text.find(quote) if quote else -1
    while end > 0 and text[end - 1] == "\\":
        end = text.find(quote, end + 1)
    return None if end < 0 else end


def _lists(text: str) -> Iterator[tuple[str, list[str]]]:
    """The lines of a list of strings that begins with a header; else the text as it is."""
    strings = list(_STRING.finditer(text))
    heads = [n for n, string in enumerate(strings[:-1]) if header_at(_content(string)) is not None]
    if not heads:
        yield CODE, [text]
        return
    end = 0
    for head in heads:
        run = [strings[head]]
        for following in strings[head + 1 :]:
            if text[run[-1].end() : following.start()].strip(" b") != ",":
                break
            run.append(following)
        if len(run) > 1:
            yield CODE, [text[end : run[0].start()]]
            yield LIST, _shown(map(_content, run))
            end = run[-1].end()
    yield CODE, [text[end:]]


def _content(string: re.Match[str]) -> str:
    return string[1] if string[1] is not None else str(string[2])


def _shown(texts: Iterable[str]) -> list[str]:
    """The lines that the texts are, once they are printed."""
    return [line for _, line in chain.from_iterable(plain_lines(_unescaped(text)) for text in texts)]


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(_character, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(escape: re.Match[str]) -> str:
    if escape[3]:
        return _PLAIN.get(escape[3], escape[0])
    number = int(escape[1] or escape[2], 16)
    return chr(number) if escape[1] or number < 0x80 else _UNREADABLE


def _unquoted(text: str) -> str | None:
    """What stands in quotes, if all of a line does."""
    inner = text.strip().rstrip(",")
    whole = len(inner) > 1 and inner[0] == inner[-1] and inner[0] in "\"'"
    return _unescaped(inner[1:-1]).rstrip() if whole else None


def _bare(texts: Sequence[str]) -> list[str]:
    return [text.rstrip() for text in texts if text.strip()]
