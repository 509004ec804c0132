"""A table as lines that fit into a terminal. Pure.

Rules: host, id and user are never cut, at any width, because they say whom an act hits; text in sentences is never cut
either, it goes on in the next line, or stands below its row; a few long cells cost their own rows a line, and not
all of them a column; what is left out where a terminal is narrow is left out of every row alike, in the order of
:data:`NARROWER`; what is left of a time is never taken for another one. A table that fits stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from ipaddress import ip_address

RIGHT = frozenset({"ID", "IDLE", "PORT", "STATION", "AGE"})
"""Columns of numbers."""
SENTENCES = frozenset({"", "REASON", "RESULT", "HELD BY", "GROUPS", "HOSTS", "VALUE", "FROM"})
"""Columns of text that may go on in the next line."""
RARE = frozenset({"STATION", "AGE", ""})
"""Columns that are there only where one of their cells says something."""
GAP = "  "
LEAST = 20
"""Cells that such a column has at least, as long as it stands beside the others and has so long a text."""
FEW = 4
"""One of so many rows may have a cell that is longer than its column."""
INDENT = "    "
"""Before such text where it stands below its row."""

Cells = list[str]
Table = dict[str, Cells]
"""Columns by their names."""
Step = Callable[[str, Table, date], Cells | None]
"""What a column of a table is on that day where there is less room; ``None``: it stands below its row, or nowhere."""


def cell_len(text: str) -> int:
    """Columns that the text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len as wide  # noqa: PLC0415 - no plain text needs it

    return wide(text)


def _chopped(text: str, width: int) -> list[str]:
    from rich.cells import chop_cells  # noqa: PLC0415 - the same

    return chop_cells(text, width)


def table_lines(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, today: date = date.max
) -> list[list[str]]:
    """The lines of the heading and of each row: at most ``width`` cells, unless host, id and user alone need more.

    ``today`` tells a time of late from an old one, which needs its year.
    """
    table = {name: [row[place] for row in rows] for place, name in enumerate(columns)}
    table = {name: cells for name, cells in table.items() if name not in RARE or any(cells)}
    below: Table = {}
    ragged: set[str] = set()
    for name, step in NARROWER:
        if _least(table, ragged) <= width:
            break
        if name not in table or (step is _below and name == next(iter(table))):  # a row begins with its first column
            continue
        if step is _ragged:
            ragged.add(name)
        elif step is _below:
            below[name] = table.pop(name)
        elif (narrower := step(name, table, today)) is None:
            del table[name]
        else:
            table[name] = narrower
    heading, *lines = _beside(table, _widths(table, width, ragged))
    for at, block in enumerate(lines):
        if said := GAP.join(below[name][at] for name in columns if name in below and below[name][at]):
            block += [INDENT + part for part in _wrapped(said, max(1, width - len(INDENT)))]
    return [heading, *lines]


def _drop(_name: str, _table: Table, _today: date) -> None:
    return None


def _below(_name: str, _table: Table, _today: date) -> None:
    """It stands below its row."""


def _ragged(_name: str, _table: Table, _today: date) -> None:
    """Where one is longer than most, the rest of its row goes on in the next line."""


def _short_hosts(name: str, table: Table, _today: date) -> Cells:
    return without_shared_domain(table[name])


def without_shared_domain(hosts: Cells) -> Cells:
    """Names without the domain that all of them end in; addresses and lone labels stay as they are."""
    names = [host.split(".") for host in hosts]
    if not hosts or any(len(labels) < 2 for labels in names) or any(map(_is_address, hosts)):
        return hosts
    shared = 0
    while all(len(labels) > shared + 1 and labels[-1 - shared] == names[0][-1 - shared] for labels in names):
        shared += 1
    return [".".join(labels[: len(labels) - shared]) for labels in names]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return ":" in host
    return True


def _bare_names(name: str, table: Table, _today: date) -> Cells:
    users = table[name]
    return without_domain(users, table.get("HOST", [""] * len(users)))


def without_domain(users: Cells, hosts: Cells) -> Cells:
    r"""``alice`` of ``SCHOOL\alice``, but where two domains have a user of that name on one host."""
    bare = [(host, user.rpartition("\\")[2].casefold()) for host, user in zip(hosts, users, strict=True)]
    accounts: dict[tuple[str, str], set[str]] = {}
    for key, user in zip(bare, users, strict=True):
        accounts.setdefault(key, set()).add(user.casefold())
    return [
        user.rpartition("\\")[2] if len(accounts[key]) == 1 else user for key, user in zip(bare, users, strict=True)
    ]


_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2}) (\d{2}:\d{2})(?::\d{2})?", re.ASCII)
_OF_LATE = re.compile(r"(\d{2}-\d{2}) (\d{2}:\d{2})", re.ASCII)
_OLD = re.compile(r"(\d{4})-\d{2}-\d{2}", re.ASCII)
LATE_DAYS = 180
"""A time so many days ago, or less, is told from others without its year."""


def _short_times(name: str, table: Table, today: date) -> Cells:
    """``11-28 12:02`` of late, ``2015-08-05`` of an old time."""
    return [_short_time(text, today) for text in table[name]]


def _short_time(text: str, today: date) -> str:
    if (found := _TIME.fullmatch(text)) is None:
        return text
    year, month, day, hour = found.groups()
    try:
        is_old = (today - date(int(year), int(month), int(day))).days > LATE_DAYS
    except ValueError:
        return text
    return f"{year}-{month}-{day}" if is_old else f"{month}-{day} {hour}"


def _shorter_times(name: str, table: Table, today: date) -> Cells:
    """Of short times: ``12:02`` of today, ``11-28`` of late, ``2015`` of an old one."""
    return [
        _OLD.sub(r"\1", _OF_LATE.sub(r"\2" if text.startswith(f"{today:%m-%d} ") else r"\1", text))
        for text in table[name]
    ]


_SHORT_STATES = {"disconnected": "disc", "connected": "conn", "connect query": "connq"}
"""As Windows' own tools cut them."""


def _short_states(name: str, table: Table, _today: date) -> Cells:
    return [_SHORT_STATES.get(text, text) for text in table[name]]


NARROWER: tuple[tuple[str, Step], ...] = (
    ("HOST", _short_hosts),
    ("SESSION", _drop),
    ("LOGON", _short_times),
    ("LOGON", _shorter_times),
    ("USER", _bare_names),
    ("TOOK", _drop),
    ("STARTED", _short_times),
    ("WHEN", _short_times),
    ("REASON", _below),
    ("BY", _below),
    ("RUN", _below),
    ("AUTH", _drop),
    ("TLS", _drop),
    ("STATE", _short_states),
    ("USER", _ragged),
    ("LOGON", _drop),
    ("", _below),
    ("STARTED", _drop),
    ("HELD BY", _below),
    ("GROUPS", _below),
    ("FROM", _below),
    ("VALUE", _below),
    ("IDLE", _drop),
    ("KIND", _drop),
    ("PORT", _drop),
    ("AGE", _drop),
    ("HOSTS", _below),
    ("RESULT", _below),
    ("STATE", _drop),
)
"""What is shortened, put below its row or left out, in this order, until a table fits."""


def _natural(name: str, cells: Cells) -> int:
    return max(map(cell_len, (name, *cells)))


def _least(table: Table, ragged: set[str]) -> int:
    """The width below which the columns do not stand side by side."""
    return sum(_floor(name, cells, ragged) for name, cells in table.items()) + _gaps(table)


def _floor(name: str, cells: Cells, ragged: set[str]) -> int:
    """How narrow a column may be: as most of its cells, and where it is of sentences no more than it must."""
    if name not in SENTENCES and name not in ragged:
        return _natural(name, cells)
    lengths = sorted(map(cell_len, cells))
    most = max(cell_len(name), lengths[(len(lengths) * (FEW - 1) - 1) // FEW] if lengths else 0)
    if name in ragged:
        return most
    words = max((cell_len(word) for cell in cells for word in cell.split()), default=0)
    return min(max(most, words), LEAST, _natural(name, cells))


def _gaps(table: Table) -> int:
    return len(GAP) * (len(table) - 1)


def _widths(table: Table, width: int, ragged: set[str]) -> dict[str, int]:
    """Each column as wide as it is; where that is too much, text in sentences shares what the others leave."""
    least = {name: _floor(name, cells, ragged) for name, cells in table.items()}
    widths = {name: least[name] if name in ragged else _natural(name, cells) for name, cells in table.items()}
    over = sum(widths.values()) + _gaps(table) - width
    for name in sorted(SENTENCES & widths.keys(), key=widths.__getitem__, reverse=True):
        given = min(max(over, 0), widths[name] - least[name])
        widths[name] -= given
        over -= given
    return widths


def _beside(table: Table, widths: dict[str, int]) -> list[list[str]]:
    lines = [[_line({name: name for name in table}, widths)]]
    for row in zip(*table.values(), strict=True):
        cells: dict[str, Cells] = {}
        before = 0
        for name, cell in zip(table, row, strict=True):
            is_long = name not in SENTENCES and cell_len(cell) > widths[name]
            parts = [cell] if is_long else _wrapped(cell, widths[name])
            cells[name] = [*[""] * before, *parts]
            before += is_long
        lines.append(
            [
                _line({name: parts[at] if at < len(parts) else "" for name, parts in cells.items()}, widths)
                for at in range(max(map(len, cells.values())))
            ]
        )
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most ``width`` cells, between words where that can be."""
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines += _chopped(word, max(width, 2))
    return [line for line in lines if line]


def _line(cells: dict[str, str], widths: dict[str, int]) -> str:
    """One line; widths count what stands on a screen, where some characters take two places."""
    parts = []
    for name, cell in cells.items():
        blank = " " * (widths[name] - cell_len(cell))
        parts.append(blank + cell if name in RIGHT else cell + blank)
    return GAP.join(parts).rstrip()
