"""What one call of the command line printed, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Console:
    """What one call printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    def outcome(self, host: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.document["outcomes"] if each["host"] == host)
        return found


Command = Callable[..., Console]
"""Words of a command line -> what came of it."""
