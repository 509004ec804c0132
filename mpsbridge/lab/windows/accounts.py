"""Who asks, and who is an administrator.

Who asks makes a difference, as on Windows: only an elevated caller reads when a process began and whose it is, and an
account without rights sees no table of sessions at all.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.sessions import LabSession, sid_of

NO_GROUP = "The group name could not be found."
DOMAIN_ADMINS = sid_of("a domain", "Domain Admins")
"""The group of the domain's administrators, which stands in Administrators of each computer that joins."""


def sees(host: LabHost) -> bool:
    """Whether the caller may see other people's sessions."""
    return host.facts.rights != "user"


def elevated(host: LabHost) -> bool:
    """Whether the caller is an elevated administrator."""
    return host.facts.rights == "admin"


def caller(host: LabHost) -> dict[str, Any]:
    """Whoever signs in to the lab is the administrator of a host, or an operator, as the host's ``rights`` say."""
    name = "Administrator" if elevated(host) else "operator"
    return {
        "account": host.facts.account or f"{host.facts.computer}\\{name}",
        "sid": host.facts.account_sid or sid_of(host.name, name),
        "elevated": elevated(host),
        "session_id": host.facts.caller_session,
    }


def administrators(host: LabHost) -> list[tuple[str, str | None, str]]:
    """Name, SID (null where it cannot be read) and class of each member of Administrators.

    The built-in account, whoever is one in the world by name, and the group of the domain's administrators.
    """
    if host.facts.members is not None:
        return [(f"member {number}", *member) for number, member in enumerate(host.facts.members, 1)]
    by_name = {each.user: each.sid for each in host.sessions if each.admin and not each.admin_by_group}
    found: list[tuple[str, str | None, str]] = [("Administrator", sid_of(host.name, "Administrator"), "User")]
    found += [(name, sid, "User") for name, sid in sorted(by_name.items())]
    if host.facts.administrators != "users":
        found.append(("Domain Admins", DOMAIN_ADMINS, "Group"))
    if host.facts.administrators == "broken":
        found.append(("gone", None, "User"))
    return found


def noted_at(session: LabSession) -> datetime:
    """When it noted them."""
    return session.groups_at or session.born


def noted_groups(host: LabHost, session: LabSession) -> list[str] | None:
    """The groups that Windows has noted as a user's at its logon; null where it noted none."""
    if session.groups is not None:
        return list(session.groups)
    if host.facts.administrators in {"users", "unnoted"}:
        return None
    groups = ["S-1-1-0", "S-1-5-32-545", *(["S-1-5-32-544"] if session.admin else [])]
    return groups + [DOMAIN_ADMINS] * session.admin_by_group
