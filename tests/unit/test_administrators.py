"""Who is an administrator, who is not, and of whom the host cannot tell it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.models.answers import MemberAnswer, OwnerAnswer
from mpsbridge.parsing.administrators import EVERYBODY, is_administrator

SID, BORN, LATER, EARLIER = (
    "S-1-5-21-1-2-3-1001",
    "20261125080000.000000+000",
    "20261125080020.000000+000",
    "20261124080000.000000+000",
)
ADMINISTRATOR = MemberAnswer(sid="S-1-5-21-1-2-3-500", kind="user")
DOMAIN_ADMINS = MemberAnswer(sid="S-1-5-21-9-9-9-512", kind="group")
NOT_READ = MemberAnswer()
SERVICES = MemberAnswer(sid="S-1-5-6", kind="group")


def owner(account: str = "CORP\\alice", **more: object) -> OwnerAnswer:
    return OwnerAnswer.model_validate({"id": 2, "account": account, "sid": SID, **more})


def judged(
    who: OwnerAnswer | None, members: Sequence[MemberAnswer] | None, *, multipoint: bool | None = None
) -> bool | None:
    return is_administrator(who, members, computer="TS1", born=BORN, multipoint=multipoint)


NOTED = owner(groups=("S-1-5-21-9-9-9-512",), groups_at=LATER)
NONE_NOTED = owner(groups=(), groups_at=LATER)
LOCAL = owner("ts1\\alice")


@pytest.mark.parametrize(
    ("who", "members", "admin"),
    [
        pytest.param(owner(), [ADMINISTRATOR, MemberAnswer(sid=SID)], True, id="by-name"),
        pytest.param(owner(), [NOT_READ, MemberAnswer(sid=SID)], True, id="by-name-beside-one-unread"),
        pytest.param(owner(), [MemberAnswer(sid="S-1-1-0", kind="group")], True, id="everyone-is-one"),
        pytest.param(NOTED, [ADMINISTRATOR, DOMAIN_ADMINS], True, id="by-a-group"),
        pytest.param(NONE_NOTED, [ADMINISTRATOR, DOMAIN_ADMINS], False, id="in-none-of-the-groups"),
        pytest.param(owner(), [ADMINISTRATOR], False, id="only-users-and-not-among-them"),
        pytest.param(owner(), [], False, id="no-members"),
        pytest.param(LOCAL, [ADMINISTRATOR, DOMAIN_ADMINS], False, id="a-local-account-is-in-no-domain-group"),
        pytest.param(LOCAL, [ADMINISTRATOR, SERVICES], None, id="a-local-account-may-be-in-a-windows-group"),
        pytest.param(owner(), [ADMINISTRATOR, DOMAIN_ADMINS], None, id="nothing-noted"),
        pytest.param(owner(groups=(), groups_at=EARLIER), [DOMAIN_ADMINS], None, id="noted-before-the-session-began"),
        pytest.param(owner(groups=()), [DOMAIN_ADMINS], None, id="noted-nobody-knows-when"),
        pytest.param(NONE_NOTED, [ADMINISTRATOR, NOT_READ], None, id="one-unread"),
        pytest.param(LOCAL, [ADMINISTRATOR, NOT_READ], None, id="local-and-one-unread"),
        pytest.param(owner(), None, None, id="the-group-unread"),
        pytest.param(OwnerAnswer(id=2), [ADMINISTRATOR], None, id="whose-it-is-unread"),
        pytest.param(None, [ADMINISTRATOR], None, id="nothing-known-of-the-owner"),
    ],
)
def test_w10_who_is_an_administrator(
    who: OwnerAnswer | None, members: Sequence[MemberAnswer] | None, admin: bool | None
) -> None:
    assert judged(who, members) is admin


SIDS = st.sampled_from([None, SID, "S-1-5-21-9-9-9-512", "S-1-5-6", *EVERYBODY])
MEMBERS = st.none() | st.lists(
    st.builds(MemberAnswer, sid=SIDS, kind=st.sampled_from(["user", "group", "unknown"])), max_size=4
)
OWNERS = st.none() | st.builds(
    OwnerAnswer,
    id=st.just(2),
    account=st.sampled_from([None, "CORP\\alice", "TS1\\alice"]),
    sid=st.sampled_from([None, SID]),
    groups=st.sampled_from([None, (), ("S-1-5-32-544",)]),
    groups_at=st.sampled_from([None, EARLIER, LATER]),
)


@given(OWNERS, MEMBERS, st.sampled_from([None, True, False]))
def test_w10_nobody_is_none_while_a_member_is_unread_and_multipoint_is_believed(
    who: OwnerAnswer | None, members: list[MemberAnswer] | None, multipoint: bool | None
) -> None:
    admin = judged(who, members, multipoint=multipoint)
    if admin is False and multipoint is None:
        assert who is not None
        assert who.sid is not None
        assert members is not None
        assert all(member.sid is not None for member in members)
        assert not {SID, *EVERYBODY} & {member.sid for member in members}
    if multipoint is not None:
        assert admin is multipoint or admin is True
