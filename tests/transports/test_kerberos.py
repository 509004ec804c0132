"""Kerberos against a real KDC (MIT's krb5kdc, a child of the tests) and the lab's acceptor, on the loopback.

What these tests show is that both ends agree; neither Windows nor Active Directory was ever asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from support import kdc, lab_client
from support.console import Command
from support.kerberos_lab import COMMAND, OPENING, SPN, fails, make_lab, ntlm_lab, steps, to
from support.lab_target import TestEngine, reach, script

from mpsbridge.cli.docs import page
from mpsbridge.errors import (
    AuthRefused,
    InputError,
    SettingsError,
)
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import load_world
from mpsbridge.models.credentials import Auth
from mpsbridge.transports import http, open_transport
from mpsbridge.transports.signin.bindings import channel_bindings

pytestmark = [pytest.mark.xdist_group("kerberos"), pytest.mark.usefixtures("own_realm")]


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


def test_w36_a_key_table_made_as_the_page_says(realm: kdc.Realm, tmp_path: Path) -> None:
    recipe = "addent -password -p {} -k 1 -f"
    assert recipe.format("admin@EXAMPLE.ORG") in page("signing-in")
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
        for binding in (None, channel_bindings(b"another certificate")):
            monkeypatch.setattr(http, "channel_bindings", lambda _, binding=binding: binding)
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


# Negotiate.


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
        ({"username": "LAB\\alice"}, "is not a Kerberos name"),
        ({"password": SecretStr("x")}, "no user name"),
    ],
)
def test_what_could_never_work(realm: kdc.Realm, changes: dict[str, Any], words: str) -> None:
    with make_lab(realm) as lab, pytest.raises(InputError, match=words):
        open_transport(to(lab, **changes))
