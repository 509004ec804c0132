"""Whether a session's user is an administrator of the host, from what the host tells without asking a domain. Pure.

The direct members of Administrators are known by SID, users and groups alike. Who is in such a group is read from the
user's side: Windows notes a user's groups in the registry whenever it applies Group Policy, which it does at each
logon. A list from before the session began may be of another membership, or of another computer, and counts for
nothing.

Rules: keeping is loose (W10): ``True`` needs one proof, ``False`` needs that nothing is left unread, everything else is
``None``, which is never taken for ``False``. Names prove nothing here but that an account is the host's own.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpsbridge.models.answers import MemberAnswer, OwnerAnswer

EVERYBODY = frozenset({"S-1-1-0", "S-1-5-4", "S-1-5-11"})
"""Everyone, Interactive, Authenticated Users: whoever has a session is in them."""
_OF_A_DOMAIN = ("S-1-5-21-", "S-1-12-1-")
"""SIDs of domain groups and of Entra ID's, which an account of the host itself cannot be in."""


def is_administrator(
    owner: OwnerAnswer | None,
    members: Sequence[MemberAnswer] | None,
    *,
    computer: str | None,
    born: str | None,
    multipoint: bool | None,
) -> bool | None:
    """Whether that is an administrator's session; ``None`` where the host cannot tell.

    ``members`` are the direct members of Administrators (``None``: not readable), ``born`` is when the session began (a
    CIM datetime), ``multipoint`` is what MultiPoint says of it.
    """
    if multipoint or _is_listed(owner, members):
        return True
    if owner is None or owner.sid is None or members is None:
        return multipoint
    is_fresh = owner.groups_at is not None and born is not None and owner.groups_at >= born
    noted = owner.groups if is_fresh else None
    if noted:
        return True
    if multipoint is False:
        return False
    sids = [member.sid for member in members]
    all_users = all(member.kind == "user" for member in members)
    no_group_holds_it = _is_local(owner, computer) and all(str(sid).startswith(_OF_A_DOMAIN) for sid in sids)
    return False if None not in sids and (noted is not None or all_users or no_group_holds_it) else None


def _is_listed(owner: OwnerAnswer | None, members: Sequence[MemberAnswer] | None) -> bool:
    sids = {member.sid for member in members or ()}
    return bool(sids & EVERYBODY) or (owner is not None and owner.sid is not None and owner.sid in sids)


def _is_local(owner: OwnerAnswer, computer: str | None) -> bool:
    domain, separator, _ = (owner.account or "").partition("\\")
    return bool(separator and computer) and domain.casefold() == str(computer).casefold()
