"""Kerberos against a real KDC (MIT's krb5kdc, a child of the tests) and the lab's acceptor, on the loopback.

What these tests show is that both ends agree; neither Windows nor Active Directory was ever asked.
"""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import kdc
import lab_client
import pytest
from conftest import ROOT, missing
from console import Command
from fake_clock import FakeClock
from lab_target import TestEngine, reach, script
from pydantic import SecretStr

from mpsbridge.ending.plan import Selector
from mpsbridge.ending.policy import Policy
from mpsbridge.ending.run import EndValue, end_sessions
from mpsbridge.ending.scene import Scene
from mpsbridge.errors import (
    AuthRefused,
    ClockSkewed,
    InputError,
    KdcUnreachable,
    MpsBridgeError,
    NotInRealm,
    NotSent,
    SettingsError,
    TicketExpired,
    TicketMissing,
)
from mpsbridge.host import Host
from mpsbridge.journal import Journal
from mpsbridge.lab.server import Lab
from mpsbridge.lab.world import LabHost
from mpsbridge.lab.worldfile import build_world, load_world
from mpsbridge.models.targets import Auth, Target
from mpsbridge.transports import http, open_transport
from mpsbridge.transports.winrm import WinrmTransport

pytestmark = pytest.mark.xdist_group("kerberos")  # one realm for all of them

OPENING = ["create", "receive", "receive"]
COMMAND = ["command", "receive"]
PEOPLE = {"alice": kdc.PASSWORD, "bob": kdc.PASSWORD, "brief": kdc.PASSWORD}
SPN = "host/alpha.lab.test"


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kdc.Realm]:
    if importlib.util.find_spec("gssapi") is None:
        missing("the extra 'kerberos' (pip install -e '.[kerberos]')")
    if kdc.program("krb5kdc") is None or kdc.program("kinit") is None:
        missing("MIT's KDC (apt-get install krb5-kdc krb5-admin-server krb5-user)")
    services = [f"host/{name}.lab.test" for name in load_world("small").hosts]
    with kdc.running(tmp_path_factory.mktemp("realm"), PEOPLE, services) as running:
        running.admin(f"ktadd -q -norandkey -k {running.folder}/alice.keytab alice")
        running.admin("modprinc -maxlife 2s brief", f"ktadd -q -norandkey -k {running.folder}/brief.keytab brief")
        yield running


@pytest.fixture(autouse=True)
def _ours(realm: kdc.Realm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This realm and an empty ticket cache; nothing that an earlier test signed in by."""
    from mpsbridge.transports import kerberos  # noqa: PLC0415 - needs the extra

    for name, value in realm.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", f"{tmp_path}/none.keytab")
    monkeypatch.setenv("KRB5RCACHENAME", f"file2:{tmp_path}/replays")
    monkeypatch.setattr(kerberos, "_tickets", kerberos._Tickets())


@pytest.fixture
def ticket(realm: kdc.Realm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Alice has signed in."""
    cache = tmp_path / "alice"
    monkeypatch.setenv("KRB5CCNAME", realm.kinit("alice", cache))
    return cache


def make_lab(realm: kdc.Realm, *, tls: bool = False, engine: TestEngine | None = None) -> Lab:
    world = load_world("small")
    return Lab(world, auth="kerberos", keytab=realm.keytab, tls=tls, engine=engine or TestEngine())


def to(lab: Lab, **changes: Any) -> Target:
    facts: dict[str, Any] = {"auth": Auth.KERBEROS, "spn": SPN, "username": None, "password": None}
    return reach(lab, **facts | changes)


def steps(lab: Lab) -> list[str]:
    return [each.step for each in lab.requests]


def fails(target: Target) -> MpsBridgeError:
    with pytest.raises(NotSent) as caught:
        open_transport(target).run(script(), timeout_s=20)
    error = caught.value
    assert error.may_have_run is False
    assert error.hint
    assert "alpha" in str(error)
    return error


# What it costs, and by what one signs in.


@pytest.mark.parametrize("auth", [Auth.KERBEROS, Auth.NEGOTIATE])
@pytest.mark.parametrize("tls", [False, True])
def test_the_price_of_a_script(realm: kdc.Realm, ticket: Path, auth: Auth, *, tls: bool) -> None:
    """One request to sign in, sealed or not: the host proves itself with its answer to the first token."""
    with make_lab(realm, tls=tls) as lab:
        transport = open_transport(to(lab, auth=auth))
        raw = transport.run(script(), timeout_s=20)
        assert (raw.output, raw.signed_in) == (("done",), "kerberos")
        transport.run(script(), timeout_s=20)
        transport.close()
        assert steps(lab) == ["auth", *OPENING, *COMMAND, *COMMAND, "delete"]
        assert len({each.connection for each in lab.requests}) == 1
        assert lab.refused == {}


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("text", ["Tür – 日本語", "x" * 600_000])
def test_a_string_comes_home_unchanged(realm: kdc.Realm, ticket: Path, text: str, *, tls: bool) -> None:
    with make_lab(realm, tls=tls, engine=TestEngine(lambda _: text)) as lab:
        transport = open_transport(to(lab))
        assert transport.run(script(definitions="#" * 700_000), timeout_s=20).output == (text,)
        transport.close()


@pytest.mark.parametrize("username", ["alice", "alice@LAB.TEST", "alice@lab.test"])
def test_a_password(realm: kdc.Realm, username: str) -> None:
    with make_lab(realm) as lab:
        transport = open_transport(to(lab, username=username, password=SecretStr(kdc.PASSWORD)))
        assert transport.run(script(), timeout_s=20).signed_in == "kerberos"
        transport.close()


@pytest.mark.parametrize("username", [None, "alice", "alice@LAB.TEST"])
def test_w36_a_key_table(realm: kdc.Realm, username: str | None) -> None:
    with make_lab(realm) as lab:
        target = to(lab, keytab=realm.folder / "alice.keytab", username=username)
        transport = open_transport(target)
        assert transport.run(script(), timeout_s=20).signed_in == "kerberos"
        transport.close()


def test_w36_a_key_table_made_as_the_readme_says(realm: kdc.Realm, tmp_path: Path) -> None:
    recipe = "addent -password -p {} -k 1 -f"
    assert recipe.format("admin@EXAMPLE.ORG") in (ROOT / "README.md").read_text(encoding="utf-8")
    table = tmp_path / "alice.keytab"
    realm.run("ktutil", said=f"{recipe.format('alice@LAB.TEST')}\n{kdc.PASSWORD}\nwkt {table}\nquit\n")
    with make_lab(realm) as lab:
        transport = open_transport(to(lab, keytab=table))
        assert transport.run(script(), timeout_s=20).signed_in == "kerberos"
        transport.close()


def test_the_client_key_table_of_the_library(realm: kdc.Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", f"{realm.folder}/alice.keytab")
    with make_lab(realm) as lab:
        transport = open_transport(to(lab))
        assert transport.run(script(), timeout_s=20).signed_in == "kerberos"
        transport.close()


def test_the_spn_may_name_its_realm(realm: kdc.Realm, ticket: Path) -> None:
    with make_lab(realm) as lab:
        transport = open_transport(to(lab, spn=f"{SPN}@{kdc.REALM}"))
        assert transport.run(script(), timeout_s=20).output == ("done",)
        transport.close()


def test_pypsrps_own_client_signs_in_to_the_lab(realm: kdc.Realm, ticket: Path) -> None:
    """So the lab's half is not only our own half turned round."""
    for tls in (False, True):
        with make_lab(realm, tls=tls) as lab:
            for auth in ("kerberos", "negotiate"):
                there: dict[str, Any] = {"auth": auth, "username": None, "password": None}
                with lab_client.pool(lab, negotiate_hostname_override="alpha.lab.test", **there) as runspaces:
                    assert lab_client.run(runspaces, "Get-Thing").output == ["done"]


def test_over_tls_a_sign_in_without_the_channel_is_refused(
    realm: kdc.Realm, ticket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_lab(realm, tls=True) as lab:
        for binding in (None, http._channel_bindings(b"another certificate")):
            monkeypatch.setattr(http, "_channel_bindings", lambda _, binding=binding: binding)
            assert type(fails(to(lab))) is AuthRefused
        assert lab.refused == {"alpha": 2}


@pytest.mark.parametrize("tls", [False, True])
def test_a_host_that_wants_kerberos_lets_no_ntlm_in(realm: kdc.Realm, *, tls: bool) -> None:
    """As for Protected Users: raw, and in SPNEGO."""
    with make_lab(realm, tls=tls) as lab:
        for auth in (Auth.NTLM, Auth.NEGOTIATE):
            error = fails(to(lab, auth=auth, username=lab.user, password=SecretStr(lab.password)))
            assert type(error) is AuthRefused
        assert lab.refused == {"alpha": 2}


# Failures: each its own outcome, and nothing was sent.


def test_no_ticket(realm: kdc.Realm) -> None:
    with make_lab(realm) as lab:
        error = fails(to(lab))
        assert type(error) is TicketMissing
        assert "kinit" in error.hint
        assert type(fails(to(lab, username="bob"))) is TicketMissing
        assert type(fails(to(lab, auth=Auth.NEGOTIATE))) is TicketMissing
        assert steps(lab) == []


def test_somebody_elses_ticket(realm: kdc.Realm, ticket: Path) -> None:
    with make_lab(realm) as lab:
        assert type(fails(to(lab, username="bob"))) is TicketMissing


def test_an_expired_ticket(realm: kdc.Realm, ticket: Path) -> None:
    kdc.let_expire(ticket)
    with make_lab(realm) as lab:
        error = fails(to(lab))
        assert type(error) is TicketExpired
        assert error.kind == "expired"
        assert "kinit" in error.hint
        assert steps(lab) == []


@pytest.mark.parametrize("auth", [Auth.KERBEROS, Auth.NEGOTIATE])
def test_a_wrong_password_is_tried_once_for_all_hosts(realm: kdc.Realm, auth: Auth) -> None:
    """Also by ``negotiate``, which must not try it again as NTLM."""
    before = realm.log.count("PREAUTH_FAILED")
    with make_lab(realm) as lab:
        wrong = {"username": "bob@LAB.TEST", "password": SecretStr(f"wrong-{auth}"), "auth": auth}
        for _ in range(2):
            error = fails(to(lab, **wrong))
            assert type(error) is AuthRefused
            assert "the KDC refused the password" in str(error)
        threads = [threading.Thread(target=fails, args=(to(lab, **wrong),)) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert steps(lab) == []
    assert realm.log.count("PREAUTH_FAILED") - before == 1


def test_one_password_is_shown_to_the_kdc_once_for_all_hosts(realm: kdc.Realm) -> None:
    before = realm.log.count("ISSUE: "), realm.log.count(f"for krbtgt/{kdc.REALM}@{kdc.REALM}")
    with make_lab(realm) as lab:
        for name in ("alpha", "beta", "alpha"):
            host = to(lab, name=name, spn=f"host/{name}.lab.test", username="bob", password=SecretStr(kdc.PASSWORD))
            transport = open_transport(host)
            transport.run(script(), timeout_s=20)
            transport.close()
    tickets = realm.log.count("ISSUE: ") - before[0]
    assert tickets == 3, "one for bob, one for each host"


@pytest.mark.parametrize(("username", "words"), [("zoe", "does not know the user"), ("zoe@LAB.TEST", "zoe@LAB.TEST")])
def test_an_unknown_user(realm: kdc.Realm, username: str, words: str) -> None:
    with make_lab(realm) as lab:
        error = fails(to(lab, username=username, password=SecretStr("x")))
        assert type(error) is AuthRefused
        assert words in str(error)


def test_a_host_that_the_realm_does_not_know(realm: kdc.Realm, ticket: Path) -> None:
    with make_lab(realm) as lab:
        error = fails(to(lab, spn="host/nobody.lab.test"))
        assert type(error) is NotInRealm
        assert "host/nobody.lab.test" in str(error)
        assert "--spn" in error.hint


def test_a_ticket_for_another_computer(realm: kdc.Realm, ticket: Path, tmp_path: Path) -> None:
    """Its key is not the host's, as after a computer account was reset."""
    other = tmp_path / "other.keytab"
    realm.admin("addprinc -randkey host/alpha.other.test", f"ktadd -q -k {other} host/alpha.other.test")
    world = load_world("small")
    world.hosts = {"alpha": world.hosts["alpha"]}
    with Lab(world, auth="kerberos", keytab=other, engine=TestEngine()) as lab:
        error = fails(to(lab))
        assert type(error) is AuthRefused
        assert "refused the ticket" in str(error)
        assert lab.refused == {"alpha": 1}


@pytest.mark.parametrize("realm_name", ["OTHER.TEST", "SILENT.TEST"])
def test_no_kdc(realm: kdc.Realm, realm_name: str) -> None:
    """One realm that nobody knows, one whose KDC does not answer."""
    with make_lab(realm) as lab:
        error = fails(to(lab, username=f"alice@{realm_name}", password=SecretStr("x")))
        assert type(error) is KdcUnreachable
        assert realm_name in str(error)
        assert "krb5.conf" in error.hint


def test_no_krb5_conf(realm: kdc.Realm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with make_lab(realm) as lab:
        monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "none.conf"))
        error = fails(to(lab, username="alice", password=SecretStr("y")))
        assert type(error) is KdcUnreachable
        assert "krb5.conf" in error.hint


def test_a_silent_kdc_is_not_waited_for_for_long(realm: kdc.Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "KDC_LIMIT_S", 0.3)
    with _answering(realm, lambda _: b"") as named, make_lab(realm) as lab:
        error = fails(to(lab, username=f"alice@{named}", password=SecretStr("z")))
        assert type(error) is KdcUnreachable


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (37, ClockSkewed, "skew"),
        (18, AuthRefused, "disabled or locked"),
        (23, AuthRefused, "password has expired"),
        (1, AuthRefused, "account has expired"),
        (24, AuthRefused, "refused the password"),
        (6, AuthRefused, "does not know the user"),
        (60, AuthRefused, "signing in failed"),
    ],
)
def test_what_a_kdc_may_say(realm: kdc.Realm, code: int, kind: type[MpsBridgeError], words: str) -> None:
    """RFC 4120, 7.5.9."""
    with _answering(realm, lambda _: kdc.error_message(code, "FAKE.TEST")) as named, make_lab(realm) as lab:
        error = fails(to(lab, username=f"alice@{named}", password=SecretStr(f"code {code}")))
        assert type(error) is kind
        assert words in str(error).lower()
        assert "\n" not in str(error)


@contextmanager
def _answering(realm: kdc.Realm, answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """The name of a realm whose KDC answers every datagram so; an empty answer is none."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as here, pytest.MonkeyPatch.context() as patched:
        here.bind(("127.0.0.1", 0))
        conf = realm.folder / "fake.conf"
        port = here.getsockname()[1]
        conf.write_text(
            f"[libdefaults]\n dns_lookup_kdc = false\n[realms]\n FAKE.TEST = {{\n  kdc = 127.0.0.1:{port}\n }}\n"
        )
        patched.setenv("KRB5_CONFIG", f"{conf}:{realm.conf}")

        def serve() -> None:
            while True:
                try:
                    asked, peer = here.recvfrom(65536)
                    if not asked:
                        return
                    if said := answer(asked):
                        here.sendto(said, peer)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield "FAKE.TEST"
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as last:
            last.sendto(b"", ("127.0.0.1", port))
        thread.join(5)


@pytest.mark.parametrize(("username", "path"), [("bob", "alice.keytab"), (None, "rubbish"), (None, "none")])
def test_a_key_table_without_the_key(realm: kdc.Realm, username: str | None, path: str) -> None:
    (realm.folder / "rubbish").write_bytes(b"rubbish")
    with make_lab(realm) as lab:
        error = fails(to(lab, keytab=realm.folder / path, username=username))
        assert type(error) is TicketMissing
        assert "klist -k" in error.hint


def test_a_key_that_was_changed(realm: kdc.Realm) -> None:
    realm.admin("addprinc -pw x carol", f"ktadd -q -norandkey -k {realm.folder}/carol.keytab carol", "cpw -pw y carol")
    with make_lab(realm) as lab:
        error = fails(to(lab, keytab=realm.folder / "carol.keytab"))
        assert type(error) is AuthRefused
        assert "the password or the key" in str(error)


# Negotiate.


def ntlm_lab() -> Lab:
    return Lab(load_world("small"), auth="ntlm", engine=TestEngine())


@pytest.mark.parametrize(
    "changes",
    [
        {"spn": "host/nobody.lab.test"},
        {"username": "alice@OTHER.TEST"},
        {"username": "zoe@LAB.TEST"},
    ],
    ids=["unknown host", "unknown realm", "unknown user"],
)
def test_negotiate_takes_ntlm_where_kerberos_cannot_be_had(realm: kdc.Realm, changes: dict[str, Any]) -> None:
    with ntlm_lab() as lab:
        who = changes.get("username", "alice@LAB.TEST")
        lab.account = type(lab.account)(who, kdc.PASSWORD)
        facts = {"auth": Auth.NEGOTIATE, "username": who, "password": SecretStr(kdc.PASSWORD)}
        transport = open_transport(to(lab, **facts | changes))
        assert transport.run(script(), timeout_s=20).signed_in == "ntlm"
        transport.close()


def test_where_ntlm_took_kerberos_place_and_is_refused_the_reason_is_told(realm: kdc.Realm) -> None:
    with ntlm_lab() as lab:
        error = fails(to(lab, auth=Auth.NEGOTIATE, username="alice@OTHER.TEST", password=SecretStr("wrong")))
        assert type(error) is AuthRefused
        assert "it was NTLM, for Kerberos could not be had: Cannot find KDC" in str(error)
        assert lab.refused == {"alpha": 1}


def test_doctor_says_that_kerberos_was_not_tried(realm: kdc.Realm, mpsbridge: Command, tmp_path: Path) -> None:
    with make_lab(realm) as lab:
        place = lab.hosts[0]
        words = ["doctor", f"{place.address}:{lab.port}", "--no-tls", "--username", "alice"]
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("MPSBRIDGE_PASSWORD", "x")
            told = mpsbridge(*words)
    assert told.code == 1
    assert "Kerberos was not tried" in told.out


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
def test_a_bare_name_is_ntlm_and_no_kdc_is_asked(realm: kdc.Realm, ticket: Path, auth: Auth) -> None:
    before = realm.log
    with ntlm_lab() as lab:
        transport = open_transport(reach(lab, auth=auth, spn=SPN))
        assert transport.run(script(), timeout_s=20).signed_in == "ntlm"
        transport.close()
    assert realm.log == before


# Long runs (W33).


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
        scene = Scene(host, run="r-1", policy=policy, owner="admin@box", journal=journal, clock=clock)
        try:
            found: EndValue | MpsBridgeError = end_sessions(scene)
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
    assert host.failsafe is not None
    assert host.lease is not None
    assert host.logon_mode != "enabled"


def test_w33_a_run_goes_on_with_a_new_ticket(realm: kdc.Realm, short: Path, tmp_path: Path) -> None:
    found, host, acts = end_all(realm, Meanwhile(short, lambda: realm.kinit("alice", short)), tmp_path)
    assert isinstance(found, EndValue)
    assert found.outcome == "done"
    assert acts.count("logoff") == 1
    assert (host.failsafe, host.lease, host.logon_mode) == (None, None, "enabled")


def test_w36_a_run_goes_on_with_a_key_table(
    realm: kdc.Realm, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", f"{realm.folder}/alice.keytab")
    found, host, acts = end_all(realm, Meanwhile(short), tmp_path)
    assert isinstance(found, EndValue)
    assert acts.count("logoff") == 1
    assert host.lease is None


# The command line.


def test_sessions_and_doctor(
    realm: kdc.Realm, ticket: Path, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Lab(load_world("small"), auth="kerberos", keytab=realm.keytab) as lab:
        there = ["--inventory", str(lab.inventory)]
        assert mpsbridge("sessions", "alpha", "beta", *there).code == 0
        told = mpsbridge("doctor", "alpha", *there)
        assert "by kerberos" in told.out
        assert "alice@LAB.TEST" in told.out
        assert SPN in told.out
        kdc.let_expire(ticket)
        told = mpsbridge("doctor", "alpha", *there)
        assert told.code == 1
        assert "FAILED" in told.out
        assert "expired" in told.out.lower()
        assert "kinit" in told.out
        outcome = mpsbridge("sessions", "alpha", *there, "--output", "json").outcome("alpha")
        assert outcome["failure"]["kind"] == "expired"


def test_a_key_table_on_the_command_line(realm: kdc.Realm, mpsbridge: Command) -> None:
    with Lab(load_world("small"), auth="kerberos", keytab=realm.keytab) as lab:
        there = ["--inventory", str(lab.inventory), "--username", "alice@LAB.TEST"]
        assert mpsbridge("sessions", "alpha", *there, "--keytab", f"{realm.folder}/alice.keytab").code == 0
        told = mpsbridge("sessions", "alpha", *there, "--keytab", f"{realm.folder}/none.keytab")
        assert told.code == 2
        assert "--keytab" in told.err
        assert mpsbridge("sessions", "alpha", *there).code == 1, "nobody is asked for a password"


def test_the_ready_file_of_a_lab(realm: kdc.Realm, tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    with pytest.raises(SettingsError, match="go together"):
        Lab(load_world("small"), auth="kerberos")
    with pytest.raises(SettingsError, match="no key of host/"):
        Lab(load_world("small"), auth="kerberos", keytab=realm.folder / "alice.keytab")
    with make_lab(realm) as lab:
        lab.write_ready_file(ready)
        facts = json.loads(ready.read_text())["kerberos"]
        assert facts["service_names"]["alpha"] == f"{SPN}@{kdc.REALM}"
        assert (facts["krb5_conf"], facts["keytab"]) == (str(realm.conf), str(realm.keytab))


def test_a_lab_is_a_process_that_another_one_lists(
    realm: kdc.Realm, ticket: Path, tmp_path: Path, mpsbridge: Command
) -> None:
    ready = tmp_path / "ready.json"
    words = ["lab", "--world", "small", "--auth", "kerberos", "--keytab", str(realm.keytab), "--ready-file", str(ready)]
    with subprocess.Popen([sys.executable, "-m", "mpsbridge", *words], stdout=subprocess.PIPE, text=True) as running:
        try:
            until = time.monotonic() + 60
            while not ready.exists() and running.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            inventory = json.loads(ready.read_text())["inventory"]
            assert mpsbridge("sessions", "alpha", "--inventory", inventory).code == 0
        finally:
            running.terminate()
            told = running.communicate(timeout=30)[0]
    assert "MPSBRIDGE_AUTH=kerberos" in told
    assert "PASSWORD" not in told
    assert running.returncode == 0


def test_hosts_shows_what_kerberos_goes_by(realm: kdc.Realm, mpsbridge: Command) -> None:
    with make_lab(realm) as lab:
        words = ["hosts", "alpha", "--inventory", str(lab.inventory), "--keytab", f"{realm.folder}/alice.keytab"]
        told = mpsbridge(*words).out
        assert f"{SPN}@{kdc.REALM}" in told
        assert "alice.keytab" in told
        assert "password" not in told
        assert "the ticket that is there" in mpsbridge(*words[:-2], "--username", "alice").out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spn": None}, "is an address"),
        ({"username": "LAB\\alice"}, "no name in Kerberos"),
        ({"password": SecretStr("x")}, "no --username"),
    ],
)
def test_what_could_never_work(realm: kdc.Realm, changes: dict[str, Any], words: str) -> None:
    with make_lab(realm) as lab, pytest.raises(InputError, match=words):
        open_transport(to(lab, **changes))
