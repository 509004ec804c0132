"""The commands that ask before they act."""

from __future__ import annotations

ASKING = {"disconnect", "logoff", "reset", "end", "maintain", "resume", "release", "logons"}
