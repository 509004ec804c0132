from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.host_plans import EVERYONE, look, plan
from support.seen_sessions import ALICE, BOB, CAROL, NOW, session

from mpsbridge.models.sessions import LogonMode, State, Station, to_cim
from mpsbridge.models.then import Then
from mpsbridge.planning.lease import Lease
from mpsbridge.planning.policy import Closing, HostPlan, Policy
from mpsbridge.planning.selection import Selector


def decisions(found: HostPlan) -> dict[str, tuple[str, str | None]]:
    return {verdict.session.user: (verdict.decision, verdict.lifted_by) for verdict in found.verdicts}


def test_everybody_gets_a_verdict_with_a_reason() -> None:
    admin = session(5, "root", admin=True)
    console = session(6, "dave", session_name="console")
    own = session(7, "me", own=True)
    found = plan(look(ALICE, CAROL, admin, console, own))
    assert decisions(found) == {
        "alice": ("act", None),
        "carol": ("refuse", "--disconnected-ok"),
        "root": ("keep", "--include-admins"),
        "dave": ("keep", "--include-console"),
        "me": ("keep", None),
    }
    assert all(verdict.reason for verdict in found.verdicts if verdict.decision != "act")


def test_w10_who_may_be_an_administrator_is_said() -> None:
    maybe = session(2, "alice", admin=None)
    found = plan(look(maybe, BOB))
    assert decisions(found) == {"alice": ("keep", "--include-admins"), "bob": ("act", None)}
    assert any("session 2" in note and "--include-admins" in note for note in found.notes)
    assert decisions(plan(look(maybe), then=Then.RESTART)) == {"alice": ("refuse", "--include-admins")}
    for known in (
        plan(look(maybe), include_admins=True),
        plan(look(maybe), selector=Selector(users=("alice",))),
        plan(look(maybe), selector=Selector(session_ids=(2,)), closing=Closing.LEAVE),
    ):
        (verdict,) = known.verdicts
        assert (verdict.decision, verdict.reason) == ("act", "whether an administrator: unknown")
        assert not any("--include-admins" in note for note in known.notes)


def test_w30_in_a_constrained_language_even_an_empty_host_is_refused_with_the_way_out() -> None:
    empty = plan(look(constrained=True), then=Then.RESTART)
    (refusal,) = empty.refusals
    assert "mpsbridge jea" in refusal
    somebody = plan(look(session(2, "alice", guard=None), constrained=True))
    assert decisions(somebody) == {"alice": ("refuse", None)}
    assert all("mpsbridge jea" in refusal for refusal in somebody.refusals)


def test_w27_whoever_is_kept_refuses_a_restart() -> None:
    found = plan(look(ALICE, session(5, "root", admin=True)), then=Then.RESTART)
    assert decisions(found)["root"] == ("refuse", "--include-admins")
    assert "a restart ends it too" in found.refusals[0]
    assert plan(look(ALICE, session(5, "root", admin=True)), then=Then.RESTART, include_admins=True).refusals == ()
    chosen = plan(look(ALICE, BOB), then=Then.SHUTDOWN, selector=Selector(users=("alice",)))
    assert decisions(chosen)["bob"] == ("refuse", "--all")


def test_w06_keeping_is_loose_where_selecting_is_strict() -> None:
    cut = session(8, "averyveryverylongnam", cut=True)
    found = plan(look(ALICE, cut), keep_users=("averyveryverylongname",))
    assert decisions(found)["averyveryverylongnam"] == ("keep", None)


def test_w38_a_session_in_which_a_program_runs_is_kept() -> None:
    found = plan(look(ALICE, BOB, running=((3, "winword"),)), keep_running=("winword",))
    assert decisions(found) == {"alice": ("act", None), "bob": ("keep", None)}


def test_a_session_is_kept_by_host_and_id() -> None:
    found = plan(look(ALICE, BOB), keep_sessions=(("TS1", 2), ("ts2", 3)))
    assert decisions(found) == {"alice": ("keep", None), "bob": ("act", None)}


@pytest.mark.parametrize("named", [Selector(users=("carol",)), Selector(session_ids=(4,)), Selector(disconnected=True)])
def test_w02_disconnected_ones_are_ended_when_asked_for(named: Selector) -> None:
    assert decisions(plan(look(CAROL), selector=named))["carol"] == ("act", None)
    assert decisions(plan(look(CAROL), disconnected_ok=True))["carol"] == ("act", None)


def lease(run: str | None, *, expires: str | None = "20991231000000.000000+000") -> str:
    return Lease(run=run, owner="bob@box", reason="updates", since=to_cim(NOW), expires=expires).text()


@pytest.mark.parametrize(
    ("text", "held"), [(lease("r-2"), True), (lease(None, expires=None), True), ("{", True), (lease("r-1"), False)]
)
def test_w22_somebody_elses_lease_is_an_objection(text: str, *, held: bool) -> None:
    found = plan(look(ALICE, lease=text))
    assert bool(found.objections) is held
    assert plan(look(ALICE, lease=text), take_over=True).objections == ()


def test_a_lease_whose_time_is_over_is_none() -> None:
    assert plan(look(ALICE, lease=lease("r-2", expires="20200101000000.000000+000"))).objections == ()


def test_w13_leftovers_are_refused() -> None:
    assert plan(look(ALICE, leftovers=(9,))).objections[0].lifted_by == "--leftover-ok"
    assert plan(look(ALICE, leftovers=(9,)), leftover_ok=True).objections == ()


@pytest.mark.parametrize("elevated", [False, None])
def test_w14_without_an_administrator_the_procedure_is_refused(elevated: bool | None) -> None:
    assert "administrator" in plan(look(ALICE, elevated=elevated)).objections[0].reason


def test_w21_a_broker_is_an_objection() -> None:
    assert "broker" in plan(look(ALICE, broker=True)).objections[0].reason
    for closing in (Closing.LOCAL, Closing.LEAVE):
        assert plan(look(ALICE, broker=True), closing=closing).objections == ()
    assert plan(look(ALICE, broker=True), selector=Selector(users=("alice",))).objections == ()


@pytest.mark.parametrize(
    ("agents", "name"),
    [
        ((), "Remote Desktop connection broker"),
        (("RDAgentBootLoader",), "Azure Virtual Desktop (service RDAgentBootLoader)"),
        (("BrokerAgent",), "Citrix"),
        (("WSNM", "Other"), "Horizon (service WSNM) and a desktop broker (service Other)"),
    ],
)
def test_w21_the_broker_is_named(agents: tuple[str, ...], name: str) -> None:
    (objection,) = plan(look(ALICE, broker=True, agents=agents)).objections
    assert name in objection.reason


def test_a_mode_is_switched_only_where_there_is_multipoint() -> None:
    assert plan(look(ALICE), then=Then.CONSOLE_MODE).objections
    assert plan(look(ALICE, multipoint="2016"), then=Then.CONSOLE_MODE).objections == ()


def test_w08_an_auto_logon_station_is_named() -> None:
    station = Station(id=3, session_id=2, auto_logon=True)
    assert any("station 3" in note for note in plan(look(ALICE, stations=(station,))).notes)


def test_w23_what_disk_protection_undoes_is_said() -> None:
    assert any("disk protection" in note for note in plan(look(ALICE, discards_changes=True), then=Then.RESTART).notes)


@pytest.mark.parametrize(
    ("found", "policy", "set_to"),
    [
        (LogonMode.ENABLED, {}, LogonMode.DRAIN),
        (LogonMode.ENABLED, {"then": Then.RESTART}, LogonMode.DRAIN_UNTIL_RESTART),
        (LogonMode.ENABLED, {"then": Then.RESTART, "hold_logons": True}, LogonMode.DRAIN),
        (LogonMode.ENABLED, {"closing": Closing.DISABLED}, LogonMode.DISABLED),
        (LogonMode.ENABLED, {"closing": Closing.LEAVE}, None),
        (LogonMode.DRAIN, {"then": Then.RESTART}, None),
        (LogonMode.DISABLED, {}, None),
        (LogonMode.DRAIN_UNTIL_RESTART, {"then": Then.RESTART}, None),
        (LogonMode.ENABLED, {"selector": Selector(users=("alice",))}, None),
        (LogonMode.ENABLED, {"selector": Selector(session_ids=(2,))}, None),
        (LogonMode.ENABLED, {"selector": Selector(idle_over_s=60)}, None),
        (LogonMode.ENABLED, {"selector": Selector(users=("alice",)), "closing": Closing.DRAIN}, LogonMode.DRAIN),
        (LogonMode.ENABLED, {"selector": Selector(users=("alice",)), "closing": Closing.LOCAL}, LogonMode.DRAIN),
        (
            LogonMode.ENABLED,
            {"selector": Selector(users=("alice",)), "then": Then.RESTART},
            LogonMode.DRAIN_UNTIL_RESTART,
        ),
    ],
)
def test_w18_which_mode_is_set(found: LogonMode, policy: dict[str, Any], set_to: LogonMode | None) -> None:
    assert Policy(**{"selector": EVERYONE, **policy}).mode_to_set(found) is set_to


@given(
    st.lists(st.sampled_from([State.ACTIVE, State.DISCONNECTED]), max_size=5),
    st.sampled_from(list(Then)),
    st.booleans(),
    st.booleans(),
)
def test_nobody_is_without_a_verdict_and_nobody_excluded_is_touched(
    states: list[State],
    then: Then,
    ok: bool,
    keep: bool,
) -> None:
    sessions = [session(number, f"user{number}", state) for number, state in enumerate(states, 2)]
    found = plan(
        look(*sessions, multipoint="2016"), then=then, disconnected_ok=ok, keep_users=("user2",) if keep else ()
    )
    assert [verdict.session for verdict in found.verdicts] == sessions
    for verdict in found.verdicts:
        if keep and verdict.session.user == "user2":
            assert verdict.decision == ("refuse" if then is not Then.NOTHING else "keep")
        if verdict.decision == "keep":
            assert then is Then.NOTHING


def test_w20_whom_drain_does_not_keep_out_is_said() -> None:
    opened = look(ALICE, logon_mode=LogonMode.ENABLED)
    assert any("mstsc /admin" in note for note in plan(opened).notes)
    assert not any("mstsc /admin" in note for note in plan(opened, closing=Closing.LEAVE).notes)


def test_w06_a_name_that_only_may_be_meant_refuses_the_host() -> None:
    cut = session(8, "averyveryverylongnam", cut=True)
    found = plan(look(ALICE, cut), selector=Selector(users=("averyveryverylongname",)))
    assert decisions(found)["averyveryverylongnam"] == ("refuse", None)
    assert plan(look(ALICE), selector=Selector(users=("zoe",))).missing == ("user zoe",)


def test_w20_where_logons_cannot_be_set_only_who_leaves_them_open_may_begin() -> None:
    seen = look(ALICE, sets_logons=False, logon_mode=LogonMode.ENABLED)
    (objection,) = plan(seen).objections
    assert objection.lifted_by == "--logons leave"
    assert plan(seen, closing=Closing.LEAVE).objections == ()
    assert plan(seen, selector=Selector(users=("alice",))).objections == ()
    assert plan(look(ALICE, sets_logons=False, logon_mode=LogonMode.DRAIN)).objections == ()
    assert plan(look(ALICE, sets_logons=None, logon_mode=LogonMode.ENABLED)).objections == ()
