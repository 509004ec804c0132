"""One of several equal parts of the hosts, for jobs that run beside each other. Pure.

Rule: where a host belongs depends on its name and on the number of parts alone, so another host more or less moves
nobody.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from mpsbridge.errors import InputError


class Shard(NamedTuple):
    """The part ``number`` (from 1) of ``parts``."""

    number: int
    parts: int

    def holds(self, host: str) -> bool:
        """Whether a host belongs to it; case does not count."""
        digest = hashlib.sha256(host.casefold().encode()).digest()
        return int.from_bytes(digest[:8]) % self.parts == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.parts}"


def parse_shard(text: str) -> Shard:
    """``2/8``. Raises ``InputError``."""
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"--shard: {text!r} is not I/N with I from 1 to N, such as 2/8")
    return Shard(int(found[1]), int(found[2]))
