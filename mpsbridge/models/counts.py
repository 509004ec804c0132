"""Counting and naming things in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """``1 session``, ``2 sessions``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def counted_on(count: int, noun: str, hosts: int) -> str:
    """``2 sessions on 1 host``."""
    return f"{counted(count, noun)} on {counted(hosts, 'host')}"


def listed(words: Sequence[str], *, most: int = 8, between: str = ", ") -> str:
    """``a, b and 3 more``."""
    shown = between.join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"
