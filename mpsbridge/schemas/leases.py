"""The answers of ``leases``, ``hold`` and ``release``."""

from __future__ import annotations

from mpsbridge.models.sessions import LogonMode
from mpsbridge.schemas.published import Value


class LeaseValue(Value):
    """Who holds one host, all null where nobody does.

    ``since`` and ``expires`` are CIM datetimes in UTC. ``found`` is the logon mode before the run, ``set`` the one that
    it set, ``logons`` the one now. A lease that is not ``readable`` holds the host all the same; ``digest`` is of its
    text.
    """

    run: str | None
    owner: str | None
    reason: str | None
    since: str | None
    expires: str | None
    found: LogonMode | None
    set: LogonMode | None
    logons: LogonMode | None
    readable: bool
    digest: str | None
    text: str
