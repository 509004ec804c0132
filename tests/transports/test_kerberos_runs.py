"""W33: runs that outlive their ticket."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support import kdc
from support.fake_clock import FakeClock
from support.kerberos_lab import COMMAND, OPENING, make_lab, steps, to
from support.lab_target import TestEngine, script
from support.reserved import lease_of, task_of

from mpsbridge.errors import (
    MpsBridgeError,
    TicketExpired,
)
from mpsbridge.host import Host
from mpsbridge.lab.server import Lab
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.worldfile import build_world, load_world
from mpsbridge.planning.policy import Policy
from mpsbridge.planning.selection import Selector
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.procedure.procedure import end_sessions
from mpsbridge.runs.ended import EndValue
from mpsbridge.runs.journal import Journal
from mpsbridge.transports.winrm import WinrmTransport

pytestmark = [pytest.mark.xdist_group("kerberos"), pytest.mark.usefixtures("own_realm")]


def test_w33_a_connection_is_replaced_when_its_ticket_ends(
    realm: kdc.Realm, ticket: Path, fake_clock: FakeClock
) -> None:
    """Before the next message, not by its failure."""
    with make_lab(realm) as lab:
        transport = WinrmTransport(to(lab), clock=fake_clock)
        transport.run(script(), timeout_s=20)
        fake_clock.wait(9 * 3600)
        transport.run(script(), timeout_s=20)
        assert steps(lab) == ["auth", *OPENING, *COMMAND, *COMMAND]
        fake_clock.wait(2 * 3600)
        transport.run(script(), timeout_s=20)
        assert steps(lab)[-3:] == ["auth", *COMMAND], "the shell is still there"
        transport.close()


def test_w33_a_ticket_that_has_run_out_meanwhile_is_an_outcome_and_sends_nothing(
    realm: kdc.Realm, ticket: Path, fake_clock: FakeClock
) -> None:
    engine = TestEngine()
    with make_lab(realm, engine=engine) as lab:
        transport = WinrmTransport(to(lab), clock=fake_clock)
        transport.run(script(), timeout_s=20)
        kdc.let_expire(ticket)
        fake_clock.wait(11 * 3600)
        with pytest.raises(TicketExpired) as caught:
            transport.run(script(), timeout_s=20)
        assert caught.value.may_have_run is False
        assert len(engine.texts) == 1


@pytest.mark.parametrize("how", ["kinit", "key table"])
def test_w33_after_a_long_wait_a_host_is_reached_with_what_is_there_then(
    realm: kdc.Realm, ticket: Path, fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    with Lab(load_world("small"), auth="kerberos", keytab=realm.keytab) as lab:
        host = Host(to(lab), clock=fake_clock)
        host.look()
        kdc.let_expire(ticket)
        fake_clock.wait(11 * 3600)
        with pytest.raises(TicketExpired):
            host.look()
        if how == "kinit":
            realm.kinit("alice", ticket)
        else:
            monkeypatch.setenv("KRB5_CLIENT_KTNAME", f"{realm.folder}/alice.keytab")
        assert host.look().sessions
        host.close()


def test_w33_tickets_of_two_seconds_do_for_a_run_of_any_length(realm: kdc.Realm, fake_clock: FakeClock) -> None:
    """With a key table each connection gets the ticket that it needs."""
    with make_lab(realm) as lab:
        transport = WinrmTransport(to(lab, keytab=realm.folder / "brief.keytab"), clock=fake_clock)
        for _ in range(3):
            assert transport.run(script(), timeout_s=20).output == ("done",)
            fake_clock.wait(5)
        transport.close()
        assert steps(lab).count("auth") == 3


class Meanwhile(FakeClock):
    """After five minutes every ticket there is has ended; ``then`` is what somebody does about it."""

    def __init__(self, cache: Path, then: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._cache: Path | None = cache
        self._then = then

    def wait(self, seconds: float, stop: threading.Event | None = None) -> bool:
        if self._cache is not None and self.ticks > 300:
            kdc.let_expire(self._cache)
            self._cache = None
            self._then()
        return super().wait(seconds, stop)


@pytest.fixture
def short(realm: kdc.Realm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Alice has signed in for six minutes."""
    monkeypatch.setenv("KRB5CCNAME", realm.kinit("alice", tmp_path / "short", "-l", "6m"))
    return tmp_path / "short"


def end_all(realm: kdc.Realm, clock: Meanwhile, folder: Path) -> tuple[EndValue | MpsBridgeError, LabHost, list[str]]:
    """Warn, wait for a quarter of an hour, end: what came of it, the host, and what happened there."""
    session = {"id": 2, "user": "carol", "session_name": "rdp-tcp#1", "logon": "2h"}
    world = build_world({"hosts": [{"name": "alpha", "sessions": [session]}]}, clock)
    policy = Policy(selector=Selector(everyone=True), reason="updates", warn_s=(900, 300))
    with (
        Lab(world, auth="kerberos", keytab=realm.keytab, clock=clock) as lab,
        Journal(folder / "run.sqlite", clock=clock) as journal,
    ):
        host = Host(to(lab), clock=clock, connect=lambda target: WinrmTransport(target, clock=clock))
        journal.begin("r-1", command="end", reason="updates", options={})
        context = ProcedureContext(host, run="r-1", policy=policy, owner="admin@box", journal=journal, clock=clock)
        try:
            found: EndValue | MpsBridgeError = end_sessions(context)
        except MpsBridgeError as error:
            found = error
        finally:
            host.close()
        assert journal.unanswered("r-1") == []
        return found, world.hosts["alpha"], [change.act for change in lab.changes]


def test_w33_a_run_whose_ticket_ends_leaves_the_host_to_its_failsafe(
    realm: kdc.Realm, short: Path, tmp_path: Path
) -> None:
    found, host, acts = end_all(realm, Meanwhile(short), tmp_path)
    assert type(found) is TicketExpired
    assert "logoff" not in acts
    assert task_of(host) is not None
    assert lease_of(host) is not None
    assert host.logon_mode != "enabled"


def test_w33_a_run_goes_on_with_a_new_ticket(realm: kdc.Realm, short: Path, tmp_path: Path) -> None:
    found, host, acts = end_all(realm, Meanwhile(short, lambda: realm.kinit("alice", short)), tmp_path)
    assert isinstance(found, EndValue)
    assert found.outcome == "done"
    assert acts.count("logoff") == 1
    assert (task_of(host), lease_of(host), host.logon_mode) == (None, None, "enabled")


def test_w36_a_run_goes_on_with_a_key_table(
    realm: kdc.Realm, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", f"{realm.folder}/alice.keytab")
    found, host, acts = end_all(realm, Meanwhile(short), tmp_path)
    assert isinstance(found, EndValue)
    assert acts.count("logoff") == 1
    assert lease_of(host) is None
