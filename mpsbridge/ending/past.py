"""What earlier lives of a run have left on one host, by its record: a life is one process of the run.

Rule: a notice warns of the end that it named and of no other (W41). So an announced end stands only as long as nothing
was given back since; whether its time has passed is asked by the host's clock, and whether the lease is still there, of
the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from pydantic import JsonValue

from mpsbridge.ending.lease import Lease, holder, is_of_run, read_lease
from mpsbridge.ending.record import Told, logged_off, notices_told
from mpsbridge.errors import JournalError
from mpsbridge.journal import Entry
from mpsbridge.models.sessions import Observation, Session

GIVING_BACK = "restore"
"""The phase in which a life gives back what it holds."""


class Past(NamedTuple):
    """See the module; without any of it, the run is in its first life there."""

    told: Mapping[Told, bool] = MappingProxyType({})
    """Notices that were sent, or may have been; true for those that were shown."""
    logged_off: tuple[Session, ...] = ()
    """Sessions that were ordered to log off."""
    announced: datetime | None = None
    """The end that people were told last, where nothing was given back since; by the host's clock."""
    held_until: datetime | None = None
    """When the lease runs out that was taken and not given back; by the host's clock."""
    lost: bool = False
    """Whether the lease was gone, by somebody else's doing, when a life came to give it back."""
    boot: datetime | None = None
    """The host's boot identity at the last look."""


def past_of(entries: Sequence[Entry]) -> Past:
    """Read it from the entries of one host, in their order. Raises ``JournalError`` where they do not tell it."""
    try:
        return _past_of(entries)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise JournalError(
            f"the record of run {entries[0].run} about {entries[0].host} is damaged, so it cannot go on there",
            hint="Look at the host: 'mpsbridge leases' shows what is held there, 'mpsbridge release' gives it back.",
        ) from error


def _past_of(entries: Sequence[Entry]) -> Past:
    announced: datetime | None = None
    held_until: datetime | None = None
    boot: datetime | None = None
    lost = False
    for entry in entries:
        detail = entry.detail
        if detail.get("phase") == GIVING_BACK:
            announced = held_until = None
        elif entry.step == "announced":
            announced = moment_of(detail.get("ends"))
        elif entry.step == "leased":
            held_until = moment_of(detail.get("expires"))
        lost |= entry.step == "lost"
        if entry.step == "look":
            boot = moment_of(detail.get("boot")) or boot
    return Past(notices_told(entries), logged_off(entries), announced, held_until, lost, boot)


def left_by(past: Past, seen: Observation, run: str, now: datetime) -> str:
    """Why the host has left this run, because somebody else has ended its lease; empty where it has not.

    It is neither there, nor given back by this run, nor over at ``now`` (by the host's clock): then a person has
    released the host, or another run has it by now. Disk protection drops a lease, too, but only at a restart (W23).
    """
    lease = read_lease(seen.lease)
    was_dropped = seen.discards_changes and seen.boot != past.boot
    is_held = past.held_until is not None and now <= past.held_until
    if is_of_run(seen.lease, run) or not (past.lost or (is_held and not was_dropped)):
        return ""
    if isinstance(lease, Lease):
        return f"the host is held by {holder(lease)} now, so it has left this run"
    return "" if lease else "a person has released the host, so it has left this run"


def moment_of(text: JsonValue) -> datetime | None:
    """A time of the record, with its zone; ``None`` where it is none."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
