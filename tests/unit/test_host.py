from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from support.fake_clock import FakeClock
from support.make_believe import Hands, acted, envelope, observation, row

from mpsbridge.errors import AuthRefused, ConnectionLost, Interrupted, ParseError, RemoteError
from mpsbridge.models.presence import NO_WINLOGON
from mpsbridge.models.scripts import Script
from mpsbridge.models.sessions import LogonMode, Result

ALICE, BOB = row("alice", 2), row("bob", 3)


def looks(*tables: list[str]) -> Callable[[Script], str]:
    """Each observation shows the next table; the last one stays."""
    rest: Iterator[list[str]] = iter(tables)
    current: list[str] = []

    def answer(_script: Script) -> str:
        nonlocal current
        current = next(rest, current)
        return envelope("observe", observation(current))

    return answer


def test_an_observation_names_the_people() -> None:
    host = Hands({"observe": looks([ALICE, BOB])}).host()
    assert [(found.id, found.user, found.own) for found in host.observe().sessions] == [
        (2, "alice", False),
        (3, "bob", False),
    ]


def test_only_the_chosen_session_is_sent_with_its_guard() -> None:
    sent: list[Script] = []

    def log_off(script: Script) -> str:
        sent.append(script)
        return acted("logoff", s3="ended")(script)

    hands = Hands({"observe": looks([ALICE, BOB], [ALICE]), "logoff": log_off})
    host = hands.host(clock=FakeClock())
    seen = host.observe()
    (result,) = host.log_off([seen.sessions[1]], run="r1")
    assert result.result is Result.ENDED
    (guard,) = json.loads(str(sent[0].parameters["Sessions"]))["sessions"]
    assert (guard["id"], guard["user"], guard["born"]) == (3, "bob", "20261125090003.000000+000")


def test_w04_the_act_carries_the_hosts_own_time_limit() -> None:
    sent: list[Script] = []

    def log_off(script: Script) -> str:
        sent.append(script)
        return acted("logoff", s2="gone")(script)

    clock = FakeClock()
    host = Hands({"observe": looks([ALICE]), "logoff": log_off}).host(clock=clock, timeout_s=30)
    seen = host.observe()
    clock.wait(40)
    host.log_off(seen.sessions, run="r1")
    assert sent[0].parameters["NotAfter"] == "20261125120110.000000+000"


def test_w09_gone_is_believed_only_after_two_looks_some_seconds_apart() -> None:
    clock = FakeClock()
    hands = Hands({"observe": looks([ALICE], []), "logoff": acted("logoff", s2="begun")})
    host = hands.host(clock=clock)
    (result,) = host.log_off(host.observe().sessions, run="r1")
    assert result.result is Result.ENDED
    assert hands.calls == ["observe", "logoff", "observe", "observe"]
    assert clock.waits == [0, 2]


def test_w09_what_the_script_saw_go_needs_one_look_more() -> None:
    clock = FakeClock()
    hands = Hands({"observe": looks([ALICE, BOB], []), "logoff": acted("logoff", s2="ended", s3="ended")})
    host = hands.host(clock=clock)
    results = host.log_off(host.observe().sessions, run="r1")
    assert [result.result for result in results] == [Result.ENDED, Result.ENDED]
    assert hands.calls == ["observe", "logoff", "observe"]
    assert clock.waits == [2]


def test_w09_a_look_that_fails_is_made_up_for_later() -> None:
    clock = FakeClock()

    def observe(script: Script) -> str | ConnectionLost:
        match hands.calls.count("observe"):
            case 1:
                return looks([ALICE])(script)
            case 2:
                return ConnectionLost("the link broke")
        return envelope("observe", observation([]))

    hands = Hands({"observe": observe, "logoff": acted("logoff", s2="ended")})
    host = hands.host(clock=clock)
    (result,) = host.log_off(host.observe().sessions, run="r1")
    assert result.result is Result.ENDED
    assert clock.waits == [2, 1]


def test_w09_a_session_that_stays_is_unknown_after_the_last_look() -> None:
    clock = FakeClock()
    hands = Hands({"observe": looks([ALICE]), "logoff": acted("logoff", s2="begun")})
    host = hands.host(clock=clock)
    (result,) = host.log_off(host.observe().sessions, run="r1")
    assert (result.result, result.text) == (Result.UNKNOWN, "the log-off has begun; the session is still listed")
    assert result.begun
    assert clock.waits == [0, 1, 2, 4, 5]


@pytest.mark.parametrize(("said", "expected"), [("begun", Result.ENDED), ("unknown", Result.GONE)])
def test_whoever_goes_was_ended_only_if_the_log_off_had_begun(said: str, expected: Result) -> None:
    hands = Hands({"observe": looks([ALICE], []), "logoff": acted("logoff", s2=said)})
    host = hands.host(clock=FakeClock())
    (result,) = host.log_off(host.observe().sessions, run="r1")
    assert result.result is expected


def test_whose_log_off_did_not_begin_is_not_told_to_be_logging_off() -> None:
    hands = Hands({"observe": looks([ALICE]), "logoff": acted("logoff", s2="unknown")})
    host = hands.host(clock=FakeClock())
    (result,) = host.log_off(host.observe().sessions, run="r1")
    assert (result.result, result.text, result.begun) == (Result.UNKNOWN, "the session is still listed", False)


def test_w09_a_row_that_comes_back_starts_the_count_anew() -> None:
    hands = Hands({"observe": looks([ALICE], [], [ALICE], [], []), "logoff": acted("logoff", s2="begun")})
    host = hands.host(clock=FakeClock())
    (result,) = host.log_off(host.observe().sessions, run="r1")
    assert result.result is Result.ENDED
    assert hands.calls.count("observe") == 5


def test_w09_processes_without_a_row_are_not_gone() -> None:
    def observe(_script: Script) -> str:
        table = [ALICE] if hands.calls.count("observe") == 1 else []
        more = {} if table else {"witness": {"before": [2], "after": [2]}}
        return envelope("observe", observation(table, **more))

    hands = Hands({"observe": observe, "logoff": acted("logoff", s2="ended")})
    host = hands.host(clock=FakeClock())
    (result,) = host.log_off(host.observe().sessions, run="r1")
    assert (result.result, result.text) == (Result.UNKNOWN, NO_WINLOGON)


def test_another_birth_on_the_same_id_means_the_first_is_gone() -> None:
    def observe(_script: Script) -> str:
        more = {} if hands.calls.count("observe") == 1 else {"births": [{"id": 2, "born": "20261125115959.000000+000"}]}
        return envelope("observe", observation([ALICE], **more))

    hands = Hands({"observe": observe, "logoff": acted("logoff", s2="ended")})
    host = hands.host(clock=FakeClock())
    (result,) = host.log_off(host.observe().sessions, run="r1")
    assert result.result is Result.ENDED


def test_w05_without_births_other_text_on_the_id_is_unknown() -> None:
    def observe(_script: Script) -> str:
        table = [ALICE] if hands.calls.count("observe") == 1 else [row("zoe", 2)]
        return envelope("observe", observation(table, births=[]))

    hands = Hands({"observe": observe, "logoff": acted("logoff", s2="ended")})
    host = hands.host(clock=FakeClock())
    (result,) = host.log_off(host.observe().sessions, run="r1")
    assert result.result is Result.UNKNOWN


def test_a_look_that_fails_proves_nothing() -> None:
    def observe(script: Script) -> str | ConnectionLost:
        return looks([ALICE])(script) if hands.calls.count("observe") == 1 else ConnectionLost("the link broke")

    hands = Hands({"observe": observe, "logoff": acted("logoff", s2="ended")})
    host = hands.host(clock=FakeClock())
    (result,) = host.log_off(host.observe().sessions, run="r1")
    assert (result.result, result.text) == (Result.UNKNOWN, "could not look: the link broke")


def test_a_look_that_sees_nobody_any_more_proves_nothing_to_an_account_without_rights() -> None:
    def observe(_script: Script) -> str:
        rows = [ALICE] if hands.calls.count("observe") == 1 else []
        caller = {"account": "TS1\\helper", "elevated": False, "session_id": 0}
        return envelope("observe", observation(rows, births=[], caller=caller))

    hands = Hands({"observe": observe, "logoff": acted("logoff", s2="ended")})
    host = hands.host(clock=FakeClock())
    (result,) = host.log_off(host.observe().sessions, run="r1")
    assert result.result is Result.UNKNOWN
    assert result.text == "alice is no longer listed, and this account cannot tell an empty host from a hidden one"


def test_a_session_that_the_host_says_nothing_of_is_unknown() -> None:
    hands = Hands({"observe": looks([ALICE, BOB]), "message": acted("message", s2="shown")})
    host = hands.host()
    results = host.message(host.observe().sessions, "hello", run="r1")
    assert [(result.result, result.text) for result in results] == [
        (Result.SHOWN, ""),
        (Result.UNKNOWN, "the host did not say"),
    ]


def test_an_act_that_cannot_look_first_has_not_begun() -> None:
    hands = Hands({"observe": lambda _: envelope("observe", {"kind": "remote", "message": "no"}, ok=False)})
    with pytest.raises(RemoteError) as caught:
        hands.host().set_logons(LogonMode.DRAIN, expected=None, run="r1")
    assert not caught.value.may_have_run
    assert hands.calls == ["observe"]


def test_w03_an_interrupted_act_is_not_repeated() -> None:
    hands = Hands({"observe": looks([ALICE]), "disconnect": lambda _script: ConnectionLost("the link broke")})
    host = hands.host()
    seen = host.observe()
    with pytest.raises(ConnectionLost) as caught:
        host.disconnect(seen.sessions, run="r1")
    assert (caught.value.host, caught.value.snippet, caught.value.may_have_run) == ("ts1", "disconnect", True)
    assert hands.calls == ["observe", "disconnect"]


@pytest.mark.parametrize("answer", ["", "{", "[]", '{"mpsbridge": 2}', envelope("logoff", {"now": 1})])
def test_an_unreadable_answer_names_host_and_snippet(answer: str) -> None:
    host = Hands({"observe": looks([ALICE]), "logoff": lambda _script: answer}).host()
    seen = host.observe()
    with pytest.raises(ParseError) as caught:
        host.log_off(seen.sessions, run="r1")
    assert (caught.value.host, caught.value.snippet, caught.value.may_have_run) == ("ts1", "logoff", True)


def test_a_refusal_of_the_host_is_a_remote_error() -> None:
    host = Hands({"logons": lambda _: envelope("logons", {"kind": "remote", "message": "no"}, ok=False)}).host()
    with pytest.raises(RemoteError, match="no"):
        host.logons()


def test_after_an_error_the_next_command_makes_a_new_connection() -> None:
    hands = Hands({"observe": lambda _script: AuthRefused("wrong password")})
    host = hands.host()
    for _ in range(2):
        with pytest.raises(AuthRefused):
            host.observe()
    assert hands.connections == 2


def test_w33_a_connection_that_was_idle_for_long_is_replaced() -> None:
    clock = FakeClock()
    hands = Hands({"observe": looks([ALICE])})
    host = hands.host(clock=clock)
    host.observe()
    clock.wait(59)
    host.observe()
    assert hands.connections == 1
    clock.wait(61)
    host.observe()
    assert hands.connections == 2


def test_after_a_cancel_nothing_more_is_sent() -> None:
    hands = Hands({"observe": looks([ALICE]), "logoff": acted("logoff", s2="ended")})
    host = hands.host()
    seen = host.observe()
    canceller = Thread(target=host.cancel)
    canceller.start()
    canceller.join()
    with pytest.raises(Interrupted) as caught:
        host.log_off(seen.sessions, run="r1")
    assert caught.value.may_have_run is False
    assert hands.calls == ["observe"]


def test_w17_setting_logons_compares_first() -> None:
    sent: list[Script] = []

    def set_logons(script: Script) -> str:
        sent.append(script)
        return envelope("logons-set", {"mode": "drain", "was": "enabled", "changed": True})

    host = Hands({"observe": looks([ALICE]), "logons-set": set_logons}).host()
    found = host.set_logons(LogonMode.DRAIN, expected=LogonMode.ENABLED, run="r1")
    assert (found.mode, found.was) == (LogonMode.DRAIN, LogonMode.ENABLED)
    assert (sent[0].parameters["Mode"], sent[0].parameters["Expected"]) == ("drain", "enabled")
