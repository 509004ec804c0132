from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.seen_sessions import ALICE, BOB, CAROL, seen, session

from mpsbridge.errors import InputError
from mpsbridge.models.sessions import Row, Session, State, Station
from mpsbridge.planning.selection import Act, Allowed, Plan, Selector, make_plan, matching


def ids(plan: Plan) -> list[int]:
    return [found.id for found in plan.acts]


def logoff(*sessions: Session, **selector: object) -> Plan:
    return make_plan(seen(*sessions), Selector.model_validate(selector), Act.LOGOFF)


@pytest.mark.parametrize(
    "selector",
    [
        {},
        {"everyone": True, "users": ("alice",)},
        {"everyone": True, "idle_over_s": 5},
        {"session_ids": (0,)},
        {"session_ids": (-1,)},
        {"session_ids": (65536,)},
        {"users": (" ",)},
        {"users": ("DOM\\",)},
    ],
)
def test_a_selector_that_says_nothing_sensible_is_refused(selector: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Selector.model_validate(selector)


def test_several_names_are_or_and_different_conditions_are_and() -> None:
    assert ids(logoff(ALICE, BOB, CAROL, users=("alice", "bob"))) == [2, 3]
    assert ids(logoff(ALICE, BOB, CAROL, session_ids=(2, 3), users=("bob",))) == [3]
    assert ids(logoff(ALICE, BOB, CAROL, users=("alice", "bob"), idle_over_s=7200)) == [3]
    assert ids(logoff(ALICE, BOB, CAROL, disconnected=True, idle_over_s=9001)) == []
    assert ids(logoff(ALICE, BOB, CAROL, disconnected_over_s=9000)) == [4]


def test_w01_unknown_idle_is_never_selected() -> None:
    assert ids(logoff(ALICE, idle_over_s=0)) == []


def test_w02_disconnected_sessions_are_refused_unless_asked_for() -> None:
    plan = logoff(ALICE, CAROL, everyone=True)
    assert [(verdict.session.id, verdict.lifted_by) for verdict in plan.refusals] == [(4, "--disconnected-ok")]
    allowed = make_plan(seen(ALICE, CAROL), Selector(everyone=True), Act.LOGOFF, Allowed(disconnected_ok=True))
    assert ids(allowed) == [2, 4]
    for asked in ({"users": ("carol",)}, {"session_ids": (4,)}, {"disconnected": True}, {"disconnected_over_s": 1}):
        assert ids(logoff(ALICE, CAROL, **asked)) == [4]


def test_w02_nobody_sees_a_message_in_a_disconnected_session() -> None:
    plan = make_plan(seen(ALICE, CAROL), Selector(everyone=True), Act.MESSAGE)
    assert (ids(plan), plan.refusals) == ([2], ())
    named = make_plan(seen(ALICE, CAROL), Selector(users=("carol",)), Act.MESSAGE)
    assert [verdict.reason for verdict in named.refusals] == ["disconnected: nobody would see it"]


def test_a_disconnected_session_is_not_disconnected_again() -> None:
    plan = make_plan(seen(CAROL), Selector(users=("carol",)), Act.DISCONNECT)
    assert (ids(plan), plan.refusals) == ([], ())


def test_names_are_compared_whole_and_without_case() -> None:
    al = session(7, "al")
    assert ids(logoff(ALICE, al, users=("AL",))) == [7]
    assert logoff(ALICE, al, users=("ali",)).missing == ("user ali",)


def test_w06_an_account_decides_before_the_row() -> None:
    local, domain = session(5, "dave", account="TS1\\dave"), session(6, "dave", account="CORP\\dave")
    assert ids(logoff(local, domain, users=("corp\\DAVE",))) == [6]
    plan = logoff(local, domain, users=("dave",))
    assert ids(plan) == []
    assert all("CORP\\dave, TS1\\dave" in verdict.reason for verdict in plan.refusals)
    assert len(plan.refusals) == 2


@pytest.mark.parametrize("other", [session(6, "Dave"), session(6, "dave", account="CORP\\dave")])
def test_w06_a_name_in_two_spellings_or_with_one_known_account_may_be_two_people(other: Session) -> None:
    plan = logoff(session(5, "dave"), other, users=("dave",))
    assert ids(plan) == []
    assert len(plan.refusals) == 2


def test_two_sessions_of_one_name_are_both_meant() -> None:
    assert ids(logoff(session(5, "dave"), session(6, "dave"), users=("DAVE",))) == [5, 6]


@pytest.mark.parametrize(
    ("shown", "cut", "wanted"),
    [
        ("averyveryverylongnam", True, "averyveryverylongname"),
        ("averyveryverylongnam", True, "averyveryverylongnam"),
        ("m?ller", False, "müller"),
        ("dave", False, "CORP\\dave"),
    ],
)
def test_w06_a_name_that_only_may_be_meant_is_refused(shown: str, *, cut: bool, wanted: str) -> None:
    plan = logoff(session(9, shown, cut=cut), ALICE, users=(wanted,))
    assert ids(plan) == []
    assert [verdict.session.id for verdict in plan.refusals] == [9]
    assert "--session 9" in plan.refusals[0].reason
    assert [found.id for found in matching(seen(session(9, shown, cut=cut)), Selector(users=(wanted,)))] == [9]


def test_w06_a_cut_name_with_a_readable_account_is_no_doubt() -> None:
    whole = session(9, "averyveryverylongnam", cut=True, account="CORP\\averyveryverylongname")
    assert ids(logoff(whole, users=("averyveryverylongname",))) == [9]


def test_the_own_session_is_never_acted_on() -> None:
    own = session(2, "alice", own=True)
    assert ids(logoff(own, BOB, everyone=True)) == [3]
    assert logoff(own, BOB, everyone=True).refusals == ()
    assert [verdict.session.id for verdict in logoff(own, session_ids=(2,)).refusals] == [2]


def test_w30_where_the_language_is_constrained_a_refusal_names_the_way_out() -> None:
    observation = seen(session(2, "alice", guard=None)).model_copy(update={"constrained": True})
    for act in Act:
        (verdict,) = make_plan(observation, Selector(everyone=True), act).verdicts
        assert verdict.decision == "refuse"
        assert "mpsbridge jea" in verdict.reason


def test_a_session_that_cannot_be_recognised_again_is_refused() -> None:
    plan = logoff(session(2, "alice", guard=None), BOB, everyone=True)
    assert [verdict.session.id for verdict in plan.refusals] == [2]


def test_ids_of_listeners_and_strangers_are_missing_by_name() -> None:
    console = Row(username=None, sessionname="console", id=1, state_raw="Conn", state=State.CONNECTED)
    plan = make_plan(seen(ALICE, rows=(console,)), Selector(session_ids=(1, 77)), Act.LOGOFF)
    assert plan.missing == ("session 1 (console, Conn: nobody's)", "session 77")
    assert logoff(ALICE, BOB, session_ids=(2,), users=("bob",)).missing == ("session 2 of bob",)


NAMES = st.sampled_from(["alice", "bob", "bo", "b?b", "averyveryverylongnam"])
SESSIONS = st.lists(
    st.builds(
        lambda id, user, state, idle, own: session(id, user, state, idle_s=idle, own=own, cut=len(user) >= 20),
        st.integers(1, 9),
        NAMES,
        st.sampled_from([State.ACTIVE, State.DISCONNECTED]),
        st.none() | st.integers(0, 10_000),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda found: found.id,
)


@given(SESSIONS, NAMES, st.sampled_from(list(Act)), st.none() | st.integers(0, 9000))
def test_whoever_is_acted_on_was_named_whole_and_is_nobody_else(
    sessions: list[Session], user: str, act: Act, idle_over_s: int | None
) -> None:
    plan = make_plan(seen(*sessions), Selector(users=(user,), idle_over_s=idle_over_s), act)
    for found in plan.acts:
        assert found.user.casefold() == user.casefold()
        assert not found.own
        assert not found.cut
        assert idle_over_s is None or (found.idle_s or -1) >= idle_over_s
    judged = [verdict.session.id for verdict in plan.verdicts]
    assert len(judged) == len(set(judged))


@given(SESSIONS, st.sampled_from(list(Act)), st.booleans())
def test_all_gives_every_session_exactly_one_verdict(sessions: list[Session], act: Act, ok: bool) -> None:
    plan = make_plan(seen(*sessions), Selector(everyone=True), act, Allowed(disconnected_ok=ok))
    assert [verdict.session.id for verdict in plan.verdicts] == [found.id for found in sessions]
    assert not any(found.own for found in plan.acts)


def test_the_active_are_those_with_somebody_in_front() -> None:
    assert ids(logoff(ALICE, BOB, CAROL, active=True)) == [2, 3]
    assert ids(logoff(ALICE, BOB, CAROL, active=True, idle_over_s=7200)) == [3]
    assert matching(seen(ALICE, CAROL), Selector(active=True)) == (ALICE,)
    with pytest.raises(InputError, match="active and disconnected"):
        Selector(active=True, disconnected=True)


def test_a_refusal_of_everybody_names_the_way_out() -> None:
    (refusal,) = logoff(ALICE, CAROL, everyone=True).refusals
    assert (refusal.lifted_by, "--active" in refusal.reason) == ("--disconnected-ok", True)


@pytest.mark.parametrize("act", [Act.LOGOFF, Act.DISCONNECT])
def test_w10_administrators_and_the_console_are_spared_unless_named_or_included(act: Act) -> None:
    admin, maybe = session(5, "root", admin=True), session(6, "erin", admin=None)
    console = session(7, "dave", session_name="console")
    look = seen(ALICE, admin, maybe, console)
    plan = make_plan(look, Selector(everyone=True), act)
    assert ids(plan) == [2]
    told = {verdict.session.user: verdict.as_planned for verdict in plan.verdicts}
    assert {user for user, result in told.items() if result.result == "kept"} == {"root", "erin", "dave"}
    assert "--include-admins" in told["root"].text
    assert "unknown" in told["erin"].text
    assert "--include-console" in told["dave"].text
    assert ids(make_plan(look, Selector(everyone=True), act, Allowed(include_admins=True))) == [2, 5, 6]
    assert ids(make_plan(look, Selector(everyone=True), act, Allowed(include_console=True))) == [2, 7]
    assert ids(make_plan(look, Selector(users=("root", "erin")), act)) == [5, 6]
    assert ids(make_plan(look, Selector(session_ids=(7,)), act)) == [7]
    assert ids(make_plan(look, Selector(everyone=True), Act.MESSAGE)) == [2, 5, 6, 7]


def test_w02_a_message_to_the_disconnected_reaches_nobody_and_is_refused() -> None:
    plan = make_plan(seen(ALICE, CAROL), Selector(disconnected=True), Act.MESSAGE)
    assert [verdict.session.user for verdict in plan.refusals] == ["carol"]


def test_w01_whom_idle_over_cannot_judge_is_said() -> None:
    look = seen(ALICE, BOB)
    (note,) = make_plan(look, Selector(idle_over_s=60), Act.LOGOFF).notes
    assert "session 2:" in note
    assert make_plan(look, Selector(everyone=True), Act.LOGOFF).notes == ()
    assert make_plan(seen(BOB), Selector(idle_over_s=60), Act.LOGOFF).notes == ()


def test_w08_a_log_off_says_which_station_logs_on_again() -> None:
    look = seen(ALICE, BOB).model_copy(update={"stations": (Station(id=9, session_id=2, auto_logon=True),)})
    (note,) = make_plan(look, Selector(everyone=True), Act.LOGOFF).notes
    assert "station 9" in note
    assert make_plan(look, Selector(everyone=True), Act.DISCONNECT).notes == ()
    assert make_plan(look, Selector(users=("bob",)), Act.LOGOFF).notes == ()
