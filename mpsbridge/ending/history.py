"""What became of a run's hosts so far, by its record: how one that died goes on, and what one that ends leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import JsonValue

from mpsbridge.ending.down import WENT_QUIET
from mpsbridge.ending.past import moment_of
from mpsbridge.errors import HostReleased, JournalError, NotBegun, Refused
from mpsbridge.journal import Entry, Journal


def unfinished(journal: Journal, run: str, hosts: Sequence[str]) -> list[str]:
    """The hosts with which a run has not come to an end, those first on which it had begun something."""
    begun: list[str] = []
    untouched: list[str] = []
    for host in hosts:
        try:
            entries = journal.entries(run, host=host)
        except JournalError:  # nobody knows what was done there, so it is looked at
            begun.append(host)
            continue
        last = _last_word(entries)
        acted = _acted(entries)
        if _has_left(last) or (last and last.step == "finished"):
            continue
        if last and not acted and last.detail.get("error") == Refused.kind:
            continue
        (begun if acted else untouched).append(host)
    return [*begun, *untouched]


def serves(journal: Journal, run: str, host: str) -> bool:
    """Whether a host serves people, as far as its run's record tells."""
    try:
        entries = journal.entries(run, host=host)
    except JournalError:
        return False
    last = _last_word(entries)
    if last is None:
        return not _acted(entries)
    if _has_left(last):
        return True
    if last.step == "finished":
        return last.detail.get("text") != WENT_QUIET
    return not _acted(entries) and last.detail.get("error") in {Refused.kind, NotBegun.kind}


def is_held(journal: Journal, run: str, host: str) -> bool:
    """Whether a host on which the run failed still holds something of it, or a step there has no answer."""
    entries = journal.entries(run, host=host)
    if _has_left(_last_word(entries)):
        return False
    lease = [entry.step for entry in entries if entry.step in {"leased", "released"}]
    return lease[-1:] == ["leased"] or bool(journal.unanswered(run, host=host))


def _last_word(entries: Sequence[Entry]) -> Entry | None:
    """What became of the host, if the run came so far there."""
    return next((entry for entry in reversed(entries) if entry.step in {"finished", "stopped"}), None)


def _has_left(last: Entry | None) -> bool:
    """Whether the host has left the run for good: a person released it, or another run has it."""
    return last is not None and last.detail.get("error") == HostReleased.kind


def _acted(entries: Sequence[Entry]) -> bool:
    return any(entry.kind == "intent" for entry in entries)


def boot_of_the_order(entries: Sequence[Entry]) -> datetime | None:
    """The boot identity that the host had when this run told it to go down, if it did."""
    boot: JsonValue = None
    for entry in entries:
        if entry.step == "look" and entry.detail.get("boot"):
            boot = entry.detail["boot"]
        if entry.kind == "intent" and entry.step in {"power", "mode"}:
            return moment_of(boot)
    return None
