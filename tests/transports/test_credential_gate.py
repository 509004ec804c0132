"""A credential is shown to one host first: a mistyped password locks nobody, and one bad host holds up no other."""

from __future__ import annotations

import functools
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import SecretStr
from support.console import Command
from support.fake_clock import FakeClock
from support.impostor import Proxy, answer, challenge
from support.lab_target import TestEngine, reach, script
from support.rude_host import RudeHost, request

from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import AuthRefused, ConnectionLost, InputError, MpsBridgeError, NotTried, TransportClosed
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.lab import Lab, build_world
from mpsbridge.models.credentials import Auth, KeyTable, Password, Ticket
from mpsbridge.models.outcomes import Done, Failed, Outcome
from mpsbridge.models.targets import Target
from mpsbridge.transports import open_transport
from mpsbridge.transports.http import HttpTransport
from mpsbridge.transports.limit import Limit
from mpsbridge.transports.signin import gate
from mpsbridge.transports.signin.gate import PAUSE_S, Gate, Showing, credential_of

HOSTS = 26
NAMES = [f"room{number:02}" for number in range(1, HOSTS + 1)]
WRONG = SecretStr("not the password")


def make_lab(names: Sequence[str] = NAMES, *, auth: str = "ntlm", facts: dict[str, Any] | None = None) -> Lab:
    hosts = [{"name": name, **(facts or {}).get(name, {})} for name in names]
    return Lab(build_world({"hosts": hosts}), auth=auth)  # type: ignore[arg-type]  # checked by the lab


def kinds(outcomes: Sequence[Outcome[Any]]) -> Counter[str]:
    return Counter(each.failure.kind if isinstance(each, Failed) else each.status for each in outcomes)


def ask_all(targets: Sequence[Target], *, timeout_s: float = 30.0, slots: int = 32) -> list[Outcome[Any]]:
    with Fleet(targets, connect=functools.partial(Host, timeout_s=timeout_s), concurrency=slots, keep=False) as fleet:
        return fleet.run(Host.observe)


# Over the wire.


@pytest.mark.parametrize(("auth", "way"), [("ntlm", Auth.NTLM), ("ntlm", Auth.NEGOTIATE), ("basic", Auth.BASIC)])
@pytest.mark.parametrize("slots", [1, 4, 32])
def test_w43_a_mistyped_password_is_seen_by_one_host_of_many(auth: str, way: Auth, slots: int) -> None:
    with make_lab(auth=auth) as lab:
        outcomes = ask_all([reach(lab, name, auth=way, password=WRONG) for name in NAMES], slots=slots)
        assert sum(lab.refused.values()) == 1
        (refused,) = lab.refused
    assert kinds(outcomes) == {"auth": 1, "not-tried": HOSTS - 1}
    for outcome in outcomes:
        assert isinstance(outcome, Failed)
        assert outcome.failure.may_have_run is False
        assert outcome.failure.hint
        if outcome.failure.kind == "not-tried":
            assert outcome.failure.message == f"{outcome.host}: not tried: {refused} refused {lab.user}"


def test_the_command_line_tells_who_refused_and_asks_no_other(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_lab() as lab:
        addresses = [f"{host.address}:{lab.port}" for host in lab.hosts]
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", "mistyped")
        found = mpsbridge("sessions", *addresses, "--no-tls", "--username", lab.user)
        assert found.code == 1
        assert sum(lab.refused.values()) == 1
        assert f"not-tried: {HOSTS - 1} hosts" in found.err
        acted = mpsbridge("end", *addresses, "--all", "--no-warning", "--yes", "--no-tls", "--username", lab.user)
        assert acted.code == 1
        assert sum(lab.refused.values()) == 1, "the same process, the same credential"


def test_doctor_says_nothing_of_hosts_that_were_not_asked(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_lab() as lab:
        addresses = [f"{host.address}:{lab.port}" for host in lab.hosts]
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", "mistyped")
        found = mpsbridge("doctor", *addresses, "--no-tls", "--username", lab.user, "-o", "json")
    assert found.code == 1
    signed_in = []
    for outcome in found.document["outcomes"]:
        checks = {check["step"]: check for check in outcome["value"]["checks"]}
        signed_in.append(checks["sign-in"]["ok"])
        if checks["sign-in"]["ok"] is None:
            assert "not tried: " in checks["sign-in"]["text"]
            assert {checks[step]["ok"] for step in ("port", "tls", "powershell")} == {None}
    assert sorted(signed_in, key=str) == [False, *[None] * (HOSTS - 1)]


@pytest.mark.parametrize(("auth", "way"), [("ntlm", Auth.NEGOTIATE), ("basic", Auth.BASIC)])
def test_the_right_password_opens_the_way_for_all(auth: str, way: Auth) -> None:
    with make_lab(auth=auth) as lab:
        outcomes = ask_all([reach(lab, name, auth=way) for name in NAMES])
        assert kinds(outcomes) == {"done": HOSTS}
        assert lab.refused == {}


@pytest.mark.parametrize(
    "fault",
    [
        {"step": "connect", "do": "hang"},
        {"step": "auth", "do": "hang"},
        {"step": "auth", "do": "close"},
        {"step": "auth", "do": "refuse"},
        {"step": "auth", "do": "status", "code": 503},
        {"step": "auth", "do": "hang", "after": 1},
        {"step": "auth", "do": "close", "after": 1},
        {"step": "auth", "do": "status", "code": 503, "after": 1},
        {"step": "create", "do": "refuse"},
        {"step": "create", "do": "hang"},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_a_first_host_that_neither_accepts_nor_refuses_holds_up_no_other(fault: dict[str, Any]) -> None:
    """Silent, closing, busy, before or after it was shown the credential; it has the first slots."""
    bad, good = NAMES[:3], NAMES[3:9]
    with make_lab(NAMES[:9], facts={name: {"faults": [fault]} for name in bad}) as lab:
        targets = [reach(lab, name) for name in NAMES[:9]]
        with Fleet(targets, connect=functools.partial(Host, timeout_s=4.0), concurrency=3, keep=False) as fleet:
            told = {}
            for place, outcome in fleet.stream(Host.observe):
                told[place] = outcome
                if sum(isinstance(each, Done) for each in told.values()) == len(good):
                    fleet.cancel()
    assert {targets[place].host for place, outcome in told.items() if isinstance(outcome, Done)} == set(good)
    assert "not-tried" not in kinds(list(told.values()))


def test_hosts_that_are_down_leave_the_first_word_to_another() -> None:
    with make_lab(NAMES[:6], facts={name: {"down": True} for name in NAMES[:2]}) as lab:
        outcomes = ask_all([reach(lab, name) for name in NAMES[:6]], slots=1)
    assert kinds(outcomes) == {"unreachable": 2, "done": 4}


def test_different_credentials_do_not_wait_for_each_other() -> None:
    with make_lab(NAMES[:6]) as lab:
        wrong = [
            reach(lab, "room01", password=WRONG),
            reach(lab, "room02", password=SecretStr("another")),
            reach(lab, "room03", username="bob"),
            reach(lab, "room04", auth=Auth.NTLM, password=WRONG),
        ]
        outcomes = ask_all([*wrong, reach(lab, "room05"), reach(lab, "room06")])
        assert kinds(outcomes) == {"auth": 4, "done": 2}
        assert lab.refused == {"room01": 1, "room02": 1, "room03": 1, "room04": 1}


def test_a_host_that_has_accepted_keeps_working_after_another_refused() -> None:
    """The one that refuses has another password for that account; a third one is not shown it any more."""
    with make_lab(["room01"]) as lab, make_lab(["room02", "room03"]) as others:
        good = reach(lab, "room01")
        strange = [reach(others, name, username=lab.user, password=lab.password) for name in ("room02", "room03")]
        transport = open_transport(good)
        transport.run(script(), timeout_s=10)
        with pytest.raises(AuthRefused):
            open_transport(strange[0]).run(script(), timeout_s=10)
        with pytest.raises(NotTried, match="room03: not tried: room02 refused"):
            open_transport(strange[1]).run(script(), timeout_s=10)
        assert others.refused == {"room02": 1}
        transport.run(script(), timeout_s=10)
        transport.close()
        anew = open_transport(good)
        anew.run(script(), timeout_s=10)
        anew.close()


def test_access_denied_at_the_shell_is_an_account_that_was_accepted() -> None:
    denied = {"faults": [{"step": "create", "do": "refuse"}]}
    with make_lab(NAMES[:3], facts={"room01": denied}) as lab:
        outcomes = ask_all([reach(lab, name) for name in NAMES[:3]], slots=1)
    assert kinds(outcomes) == {"shell": 1, "done": 2}


def test_a_tampered_sign_in_is_no_refusal() -> None:
    """Somebody between us and one host must not be able to shut us out of the others by a weak challenge."""

    def behave(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(answer("401 Unauthorized", challenge(0x10, within=True)))

    with make_lab(["room01"]) as lab, RudeHost(behave) as weak:
        with pytest.raises(AuthRefused, match="weaker protection"):
            open_transport(reach(lab, "room01", address="127.0.0.1", port=weak.port)).run(script(), timeout_s=10)
        transport = open_transport(reach(lab, "room01"))
        transport.run(script(), timeout_s=10)
        transport.close()


def test_a_cancel_ends_the_wait() -> None:
    asked, released = threading.Event(), threading.Event()

    def up(number: int, data: bytes) -> bytes:
        if number == 2:
            asked.set()
            released.wait(20)
        return data

    with make_lab(["room01", "room02"]) as lab, RudeHost(Proxy(lab, up=up).behave) as slow:
        first = open_transport(reach(lab, "room01", address="127.0.0.1", port=slow.port))
        thread = threading.Thread(target=lambda: first.run(script(), timeout_s=20))
        thread.start()
        assert asked.wait(5)
        second = open_transport(reach(lab, "room02"))
        threading.Timer(0.1, second.cancel).start()
        with pytest.raises(TransportClosed):
            second.run(script(), timeout_s=20)
        assert {each.host for each in lab.requests} <= {"room01", "room02"}
        released.set()
        thread.join()
        first.close()


def test_no_time_is_left_while_the_first_host_is_asked() -> None:
    """The outcome says for whom it waited, not that this host is silent."""
    silent = {"faults": [{"step": "auth", "do": "hang", "after": 1}]}
    with make_lab(["room01", "room02"], facts={"room01": silent}) as lab:
        targets = [reach(lab, "room01"), reach(lab, "room02")]
        first = open_transport(targets[0])

        def fail() -> None:
            with pytest.raises(MpsBridgeError):
                first.run(script(), timeout_s=10)

        thread = threading.Thread(target=fail)
        thread.start()
        while len(lab.requests) < 2:
            time.sleep(0.01)
        with pytest.raises(NotTried, match="room01 did not say in time whether it accepts"):
            open_transport(targets[1]).run(script(), timeout_s=0.5)
        first.cancel()
        thread.join()


def test_what_goes_wrong_at_a_new_sign_in_after_the_script_was_sent_is_not_called_unsent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that the host closed is made anew in the middle of a script, which may be running."""
    with Lab(build_world({"hosts": [{"name": "alpha"}]}), auth="ntlm", engine=TestEngine()) as lab:
        transport = open_transport(reach(lab))
        transport.run(script(), timeout_s=10)
        post, sent = HttpTransport._post_message, []

        def close_after(self: HttpTransport, body: bytes, kind: str) -> Any:
            found = post(self, body, kind)
            sent.append(body)
            self.close()
            gate.process_gate._standings.clear()
            gate.process_gate.showing(self._target, self._limit).refused(by="room07")
            return found

        monkeypatch.setattr(HttpTransport, "_post_message", close_after)
        with pytest.raises(ConnectionLost, match="room07 refused") as caught:
            transport.run(script(), timeout_s=10)
        assert caught.value.may_have_run
        assert len(sent) == 1


# By itself.


def showing(of: Gate, name: str, *, timeout_s: float = 10.0, clock: Clock | None = None, **changes: Any) -> Showing:
    facts = {"credentials": Password("alice", "secret"), **changes}
    limit = Limit(clock or SystemClock())
    limit.start(timeout_s)
    return of.showing(Target(host=name, address=name, **facts), limit)


def test_a_ticket_needs_no_gate_and_a_key_table_does() -> None:
    own = Gate()
    for _ in range(2):
        with showing(own, "a", credentials=Ticket("alice"), auth=Auth.KERBEROS) as ticket:
            ticket.begin()
            ticket.refused()
    assert not ticket.begun
    target = Target("a", auth=Auth.KERBEROS, credentials=KeyTable("/etc/a.keytab"))
    assert credential_of(target) == (Auth.KERBEROS, "", "/etc/a.keytab")
    assert "swordfish" not in repr(credential_of(Target("a", credentials=Password("alice", "swordfish"))))


def test_names_that_windows_takes_for_one_are_one() -> None:
    own = Gate()
    with showing(own, "a") as first:
        first.begin()
        first.refused()
    with pytest.raises(NotTried):
        showing(own, "b", credentials=Password("ALICE", "secret")).begin()


def test_a_password_that_was_changed_meanwhile_is_refused_twice_at_most() -> None:
    """Hosts that accepted it go on being shown it, until a second one of them refuses."""
    own = Gate()
    for name in "abcd":
        with showing(own, name) as each:
            each.begin()
            each.accepted()
    for name in "ab":
        with showing(own, name) as each:
            each.begin()
            each.refused()
    for name in "abcd":
        with pytest.raises(NotTried, match="a refused alice"):
            showing(own, name).begin()


def test_one_host_that_changes_its_mind_does_not_shut_out_those_that_accept() -> None:
    own = Gate()
    for name in "abc":
        with showing(own, name) as each:
            each.begin()
            each.accepted()
    with showing(own, "a") as each:
        each.begin()
        each.refused()
    for name in "bcb":
        with showing(own, name) as each:
            each.begin()
            each.accepted()
    with showing(own, "a") as again:  # once more, for what it holds must be given back
        again.begin()
        again.refused()
    with pytest.raises(NotTried):
        showing(own, "a").begin()
    with showing(own, "b") as each:
        each.begin()
        each.accepted()


def test_a_host_that_has_accepted_it_is_asked_again_after_a_pause() -> None:
    """It has just started and cannot ask its domain yet: a run that waits for it must be able to see it again."""
    own, clock = Gate(), FakeClock()

    def settle(name: str, *, accepted: bool) -> None:
        with showing(own, name, clock=clock) as each:
            each.begin()
            each.accepted() if accepted else each.refused()

    for name in "abc":
        settle(name, accepted=True)
    settle("a", accepted=False)
    settle("b", accepted=False)
    for name in "abc":  # two in a row: nobody is asked
        with pytest.raises(NotTried):
            showing(own, name, clock=clock).begin()
    clock.wait(PAUSE_S)
    with pytest.raises(NotTried, match="a refused alice"):
        showing(own, "new", clock=clock).begin()
    for name in "abc":
        settle(name, accepted=True)


def test_a_silent_host_loses_its_turn_and_may_still_accept() -> None:
    own = Gate()
    with showing(own, "silent", timeout_s=0.4) as silent, showing(own, "next") as after:
        silent.begin()
        started = time.monotonic()
        after.begin()
        assert 0.05 < time.monotonic() - started < 3
        silent.accepted()
        showing(own, "third").begin()


def test_whatever_the_threads_do_one_host_is_shown_it_at_a_time_until_one_accepts() -> None:
    own, lock, shown, most = Gate(), threading.Lock(), [0], [0]
    settled = threading.Event()

    def sign_in(number: int) -> None:
        with showing(own, f"host{number}") as each:
            each.begin()
            with lock:
                shown[0] += 1
                if not settled.is_set():
                    most[0] = max(most[0], shown[0])
            if number == 40:
                settled.set()
                each.accepted()
            with lock:
                shown[0] -= 1

    threads = [threading.Thread(target=sign_in, args=(number,)) for number in range(80)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert most == [1]


# Empty ones.


@pytest.mark.parametrize("secret", ["", SecretStr("")])
def test_an_empty_password_is_an_input_error(secret: str | SecretStr) -> None:
    with pytest.raises(InputError, match=r"^the password is empty$"):
        Password("alice", secret)
