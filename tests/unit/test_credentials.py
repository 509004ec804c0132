"""What a credential goes with is said by itself, before anything is sent; a target needs no more than a name."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from support.console import Command

from mpsbridge import KeyTable, Password, Target, Ticket
from mpsbridge.errors import InputError, SettingsError
from mpsbridge.inventory import checks
from mpsbridge.models.credentials import Auth, Credentials
from mpsbridge.transports import open_transport

PASSWORD = Password("alice", "swordfish")
TABLE = KeyTable("/etc/alice.keytab", "alice@example.org")


@pytest.mark.parametrize(
    ("facts", "address", "port"),
    [
        ({}, "ts1", 5986),
        ({"tls": False}, "ts1", 5985),
        ({"tls": False, "port": 8080}, "ts1", 8080),
        ({"address": "10.1.2.3"}, "10.1.2.3", 5986),
    ],
)
def test_address_and_port_follow_from_host_and_tls(facts: dict[str, Any], address: str, port: int) -> None:
    target = Target("ts1", **facts)
    assert (target.host, target.address, target.port) == ("ts1", address, port)
    assert target.credentials == Ticket()


@pytest.mark.parametrize(
    "facts",
    [{"port": 0}, {"port": 70000}, {"username": "alice"}, {"spn": "no name"}, {"credentials": "swordfish"}],
    ids=str,
)
def test_a_target_that_is_none_is_an_input_error_and_no_foreign_one(facts: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"^{next(iter(facts))}: ") as caught:
        Target("ts1", **facts)
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize("username", ["", None])
def test_a_password_without_a_user_name_is_none(username: Any) -> None:
    with pytest.raises(InputError, match="no user name"):
        Password(username, "swordfish")


@pytest.mark.parametrize(
    ("auth", "given", "address", "wrong"),
    [
        (Auth.NEGOTIATE, PASSWORD, "ts1", ""),
        (Auth.NTLM, PASSWORD, "10.1.2.3", ""),
        (Auth.BASIC, PASSWORD, "ts1", ""),
        (Auth.KERBEROS, Password("alice@example.org", "x"), "ts1", ""),
        (Auth.KERBEROS, Password("LAB\\alice", "x"), "ts1", r"LAB\\alice is not a Kerberos name"),
        (Auth.KERBEROS, PASSWORD, "10.1.2.3", r"Kerberos needs a name, but 10\.1\.2\.3 is an address"),
        (Auth.NEGOTIATE, Ticket(), "ts1", ""),
        (Auth.NEGOTIATE, Ticket(), "10.1.2.3", "no user name is given, and a Kerberos ticket is for a name"),
        (Auth.NEGOTIATE, Ticket("alice"), "10.1.2.3", "Kerberos needs a name"),
        (Auth.NTLM, Ticket("alice"), "ts1", "--auth ntlm needs a user name and a password"),
        (Auth.BASIC, Ticket(), "ts1", "--auth basic needs a user name and a password"),
        (Auth.NEGOTIATE, TABLE, "ts1", ""),
        (Auth.KERBEROS, TABLE, "::1", "Kerberos needs a name"),
        (Auth.NEGOTIATE, KeyTable("a", "LAB\\alice"), "ts1", r"LAB\\alice is not a Kerberos name"),
        (Auth.NTLM, TABLE, "ts1", "a key table is for Kerberos"),
        (Auth.BASIC, TABLE, "ts1", "a key table is for Kerberos"),
        (Auth.NEGOTIATE, PASSWORD, "a" * 70, "is not a host name"),
    ],
)
def test_a_credential_says_what_it_goes_with(auth: Auth, given: Credentials, address: str, wrong: str) -> None:
    target = Target("room", address, auth=auth, credentials=given)
    if not wrong:
        target.check()
        return
    for check in (target.check, lambda: open_transport(target), lambda: checks.check([target])):
        with pytest.raises(InputError, match=f"^room: .*{wrong}") as caught:
            check()
        assert (caught.value.host, caught.value.may_have_run) == ("room", False)
        assert caught.value.hint or "host name" in wrong


def test_basic_needs_tls_or_a_loud_word() -> None:
    target = Target("ts1", tls=False, auth=Auth.BASIC, credentials=PASSWORD)
    with pytest.raises(InputError, match="Basic over plain HTTP"):
        open_transport(target)
    target.model_copy(update={"insecure_basic": True}).check()


def test_this_machine_itself_is_not_signed_in_to() -> None:
    Target("local", "localhost", kind="local", auth=Auth.BASIC).check()


@pytest.mark.parametrize("given", [PASSWORD, Ticket("alice"), TABLE])
def test_a_target_travels_with_its_credentials_and_hides_the_secret(given: Credentials) -> None:
    target = Target("ts1", credentials=given)
    assert pickle.loads(pickle.dumps(target)) == target  # noqa: S301 - its own
    shown = f"{target!r} {target} {target.model_dump()} {target.model_dump_json()} {target.check!r}"
    assert "swordfish" not in shown


@pytest.mark.parametrize(
    ("auth", "given", "words"),
    [
        (Auth.KERBEROS, PASSWORD, "--auth kerberos: the library"),
        (Auth.NEGOTIATE, Ticket(), "ts1: no user name is given, and the library for a Kerberos ticket"),
        (Auth.NEGOTIATE, TABLE, "--keytab: the library"),
        (Auth.NEGOTIATE, PASSWORD, ""),
        (Auth.NTLM, PASSWORD, ""),
    ],
)
def test_a_missing_library_is_said_once_before_any_host(
    monkeypatch: pytest.MonkeyPatch, auth: Auth, given: Credentials, words: str
) -> None:
    monkeypatch.setattr(checks, "has_kerberos", lambda: False)
    targets = [Target(host, auth=auth, credentials=given) for host in ("ts1", "ts2")]
    if not words:
        checks.check(targets)
        return
    with pytest.raises(SettingsError, match=f"^{words}.* is not installed$") as caught:
        checks.check(targets)
    assert "pip install 'mpsbridge[kerberos]'" in caught.value.hint


def test_nothing_given_at_all_says_what_to_give(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "has_kerberos", lambda: False)
    found = mpsbridge("sessions", "ts1.invalid", "ts2.invalid")
    assert (found.code, found.out, found.err.count("no user name")) == (2, "", 1)
    assert "Use --username" in found.err


def test_a_key_table_that_cannot_be_read_is_said_before_any_host(tmp_path: Path, mpsbridge: Command) -> None:
    found = mpsbridge("sessions", "ts1.invalid", "--keytab", str(tmp_path / "none"))
    assert found.code == 2
    assert "cannot be read" in found.err or "not installed" in found.err
