"""A time zone of one offset, as the file that .NET reads where ``TZ`` names it: a host's clock is its own."""

from __future__ import annotations

import struct
from pathlib import Path


def write_zone(path: Path, offset_min: int) -> Path:
    """Write a zone of so many minutes east of UTC (RFC 8536, version 1: one type, no transitions)."""
    name = b"LAB\0"
    counts = struct.pack(">6I", 0, 0, 0, 0, 1, len(name))
    path.write_bytes(b"TZif\0" + bytes(15) + counts + struct.pack(">iBB", offset_min * 60, 0, 0) + name)
    return path
