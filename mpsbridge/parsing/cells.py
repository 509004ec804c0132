"""Where text stands on the screen: Windows lays its tables out in display cells, and a wide character fills two.

A Chinese header is padded to cells, so its *character* columns lie left of those of the rows beneath (corpus 046).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import accumulate


def width(text: str) -> int:
    """The number of display cells of a text."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def offsets(text: str) -> Sequence[int]:
    """The cell at which each character begins, and last the cell behind the text."""
    if text.isascii():
        return range(len(text) + 1)
    return tuple(accumulate(map(_cells, text), initial=0))


def _cells(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
