"""What can go wrong with Kerberos: each its own outcome, and nothing was sent to the host."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from support import kdc
from support.kerberos_lab import fails, make_lab, steps, to
from support.lab_target import TestEngine, script

from mpsbridge.errors import (
    AuthRefused,
    ClockSkewed,
    KdcUnreachable,
    MpsBridgeError,
    NotInRealm,
    NotTried,
    TicketExpired,
    TicketMissing,
)
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import load_world
from mpsbridge.models.credentials import Auth
from mpsbridge.transports import http, open_transport

pytestmark = [pytest.mark.xdist_group("kerberos"), pytest.mark.usefixtures("own_realm")]


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
        for kind, words in ((AuthRefused, "the KDC refused the password"), (NotTried, "the KDC refused bob@LAB.TEST")):
            error = fails(to(lab, **wrong))
            assert type(error) is kind
            assert words in str(error)
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
        (14, AuthRefused, "no encryption type in common"),
        (12, AuthRefused, "a policy of the domain"),
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
