"""WinRM against the lab: every way to sign in, every step that can fail, and what each costs.

The lab is not Windows; what these tests show is that both ends agree, and what the client makes of each answer.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import logging
import pickle
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import spnego
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from pydantic import SecretStr
from pypsrp.serializer import Serializer
from spnego._ntlm import _NTLMCredential
from support.certificates import self_signed
from support.lab_target import TestEngine, credentials, reach, script
from support.rude_host import RudeHost, request
from tblib import pickling_support

from mpsbridge.clock import HastyClock
from mpsbridge.errors import (
    AuthRefused,
    CertificateRefused,
    ConnectionLost,
    ConnectTimedOut,
    InputError,
    Interrupted,
    MpsBridgeError,
    NotSent,
    ShellRefused,
    TimedOut,
    TransportClosed,
    TransportMissing,
    Unreachable,
)
from mpsbridge.host import Host
from mpsbridge.lab.engines.contract import Terminating
from mpsbridge.lab.server import Lab
from mpsbridge.lab.wire.faults import Fault
from mpsbridge.lab.worldfile import load_world
from mpsbridge.models.credentials import Auth, KeyTable, Password
from mpsbridge.models.sessions import Result
from mpsbridge.models.targets import Target
from mpsbridge.transports import open_transport, winrm
from mpsbridge.transports.signin import negotiate, ntlm
from mpsbridge.transports.signin.bindings import channel_bindings

WAYS = [
    pytest.param("basic", False, Auth.BASIC, id="basic"),
    pytest.param("basic", True, Auth.BASIC, id="basic-tls"),
    pytest.param("ntlm", False, Auth.NTLM, id="ntlm"),
    pytest.param("ntlm", False, Auth.NEGOTIATE, id="negotiate"),
    pytest.param("ntlm", True, Auth.NTLM, id="ntlm-tls"),
    pytest.param("ntlm", True, Auth.NEGOTIATE, id="negotiate-tls"),
]
OPENING = ["create", "receive", "receive"]
COMMAND = ["command", "receive"]


def make_lab(
    *faults: Fault,
    auth: str = "basic",
    tls: bool = False,
    engine: TestEngine | None = None,
) -> Lab:
    world = load_world("small")
    world.hosts["alpha"].faults = faults
    return Lab(world, auth=auth, tls=tls, engine=engine or TestEngine())  # type: ignore[arg-type]  # checked by the lab


def signing_in(way: Auth) -> list[str]:
    """The requests that only sign in."""
    return [] if way is Auth.BASIC else ["auth"] * 2


def steps(lab: Lab) -> list[str]:
    return [each.step for each in lab.requests]


# What it costs.


@pytest.mark.parametrize(("auth", "tls", "way"), WAYS)
def test_the_price_of_a_script(auth: str, way: Auth, *, tls: bool) -> None:
    first = signing_in(way)
    with make_lab(auth=auth, tls=tls) as lab:
        transport = open_transport(reach(lab, auth=way))
        assert lab.requests == []
        assert transport.run(script(), timeout_s=10).output == ("done",)
        assert steps(lab) == [*first, *OPENING, *COMMAND]
        transport.run(script(), timeout_s=10)
        assert steps(lab) == [*first, *OPENING, *COMMAND, *COMMAND]
        transport.close()
        assert steps(lab)[-1] == "delete"
        transport.close()
        assert len(steps(lab)) == len(first) + 8
        assert len({each.connection for each in lab.requests}) == 1


def test_a_guarded_log_off_on_an_open_shell_takes_six_requests() -> None:
    """Look, end, look again: the script itself has looked once after the end (W9)."""
    clock = HastyClock(100)
    with Lab(load_world("small"), clock=clock) as lab:
        host = Host(reach(lab), clock=clock)
        host.observe()
        before = len(lab.requests)
        bob = next(session for session in host.look().sessions if session.user == "bob")
        (result,) = host.log_off([bob], run="r1")
        assert result.result is Result.ENDED
        assert steps(lab)[before:] == COMMAND * 3
        assert "bob" not in {session.user for session in host.look().sessions}
        host.close()


def test_w16_definitions_go_to_a_shell_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winrm, "COMMANDS_PER_SHELL", 3)
    engine = TestEngine()
    other = script(definitions="function Get-Other { }")
    with make_lab(engine=engine) as lab:
        transport = open_transport(reach(lab))
        for each in (script(), script(), other, script()):
            transport.run(each, timeout_s=10)
        transport.close()
        defined = ["function" in text for text in engine.texts]
        assert defined == [True, False, True, True], "the fourth has a new shell"
        assert engine.texts[1] == script().short
        assert steps(lab) == [*OPENING, *COMMAND * 3, "delete", *OPENING, *COMMAND, "delete"]


def test_w16_definitions_of_a_failed_script_are_sent_again() -> None:
    def fail(_: str) -> str:
        raise Terminating("no", error_id="No", reason="No")

    engine = TestEngine(fail)
    with make_lab(engine=engine) as lab:
        transport = open_transport(reach(lab))
        assert transport.run(script(), timeout_s=10).failed
        transport.run(script(), timeout_s=10)
        assert all("function" in text for text in engine.texts)
        transport.close()


def test_w33_the_shell_is_asked_to_end_by_itself() -> None:
    assert winrm.IDLE_TIMEOUT_S == 180
    seen: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        seen.append(request(connection))

    with RudeHost(behave) as host, pytest.raises(Unreachable):
        open_transport(host.target()).run(script(), timeout_s=5)
    assert b"PT180S" in seen[0]
    assert b"WINRS_NOPROFILE" in seen[0]
    assert b'xml:lang="en-US"' in seen[0]


def test_w34_a_restricted_endpoint_gets_a_command_and_no_script_text() -> None:
    engine = TestEngine()
    lab = make_lab(engine=engine)
    lab.world.hosts["alpha"].facts = dataclasses.replace(lab.world.hosts["alpha"].facts, jea=("mpsbridge-look",))
    with lab:
        transport = open_transport(reach(lab, configuration_name="mpsbridge-look"))
        transport.run(script(), timeout_s=10)
        transport.run(script(), timeout_s=10)
        transport.close()
    assert engine.texts == ["""Get-Thing {'TimeLimitSeconds': 20, 'Text': "it's"}"""] * 2


def test_an_endpoint_that_is_not_there() -> None:
    with make_lab() as lab, pytest.raises(ShellRefused, match="no endpoint"):
        open_transport(reach(lab, configuration_name="PowerShell.7")).run(script(), timeout_s=10)


# What comes home.


@pytest.mark.parametrize("text", ["", "Tür – 日本語 \U0001f600", "a\r\n\tb", "<&>'\"", "_x000D_", "x" * 600_000])
@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_a_string_comes_home_unchanged(text: str, auth: str) -> None:
    with make_lab(auth=auth, engine=TestEngine(lambda _: text)) as lab:
        transport = open_transport(reach(lab))
        raw = transport.run(script(), timeout_s=20)
        transport.close()
    assert raw.output == (text,)
    assert (raw.failed, raw.errors, raw.warnings) == (False, (), ())
    assert 0 < raw.elapsed_s < 20


def test_a_long_script_goes_in_pieces() -> None:
    engine = TestEngine(lambda text: str(len(text)))
    long = script(definitions="#" * 1_500_000)
    with make_lab(auth="ntlm", engine=engine) as lab:
        transport = open_transport(reach(lab))
        assert transport.run(long, timeout_s=30).output == (str(len(long.text)),)
        assert "send" in steps(lab)
        transport.close()


def test_a_terminating_error_is_an_answer() -> None:
    def fail(_: str) -> str:
        raise Terminating("the term is not known", error_id="CommandNotFoundException", reason="CommandNotFound")

    with make_lab(engine=TestEngine(fail)) as lab:
        transport = open_transport(reach(lab))
        raw = transport.run(script(), timeout_s=10)
        assert raw.failed
        assert raw.errors == ("the term is not known",)
        assert transport.run(script(), timeout_s=10).failed, "and the transport goes on"
        transport.close()


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        ("<S>a_x000A_b</S>", "a\nb"),
        ("<I32>5</I32>", "5"),
        ("<B>true</B>", "True"),
        ("<Nil/>", ""),
        ('<Obj RefId="0"><ToString>@{a=1}</ToString><MS><I32 N="a">1</I32></MS></Obj>', "@{a=1}"),
        ('<Obj RefId="0"><MS><I32 N="a">1</I32></MS></Obj>', ""),
    ],
)
def test_an_object_comes_home_as_its_text(xml: str, text: str) -> None:
    assert winrm._text(Serializer().deserialize(xml)) == text


# Signing in.


@pytest.mark.parametrize(("auth", "tls", "way"), WAYS)
def test_a_wrong_password_is_tried_once(auth: str, way: Auth, *, tls: bool) -> None:
    with make_lab(auth=auth, tls=tls) as lab:
        transport = open_transport(reach(lab, auth=way, password=SecretStr("wrong")))
        with pytest.raises(AuthRefused, match="refused the account or the password") as caught:
            transport.run(script(), timeout_s=10)
        transport.close()
        assert lab.refused == {"alpha": 1}
        assert steps(lab).count("create") <= (1 if way is Auth.BASIC else 0)
        assert caught.value.may_have_run is False


@pytest.mark.parametrize(
    ("username", "domain", "user"),
    [("alice", "", "alice"), ("CORP\\alice", "CORP", "alice"), ("alice@corp.example", "", "alice@corp.example")],
)
def test_ntlm_takes_every_kind_of_name(username: str, domain: str, user: str) -> None:
    tokens: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        with socket.create_connection((lab.hosts[0].address, lab.port), 5) as host:
            while asked := request(connection):
                tokens.append(base64.b64decode(asked.partition(b"Negotiate ")[2].split(b"\r\n")[0]))
                host.sendall(asked)
                connection.sendall(request(host))

    with make_lab(auth="ntlm") as lab, RudeHost(behave) as middle:
        target = reach(lab, address="127.0.0.1", port=middle.port, auth=Auth.NTLM, username=username)
        with pytest.raises(AuthRefused):
            open_transport(target).run(script(), timeout_s=10)
    assert len(tokens) == 2
    place = 28  # MS-NLMP 2.2.1.3: length, room and offset of the domain, then of the user
    for name in (domain, user):
        length, _, offset = struct.unpack_from("<HHI", tokens[1], place)
        assert tokens[1][offset : offset + length].decode("utf-16-le") == name
        place += 8


@pytest.mark.parametrize("password", ["swordfish", "Tür \U0001f600", "a" * 200, f"{'0' * 32}:{'1f' * 16}"])
def test_the_hash_of_a_password_is_pyspnegos(password: str) -> None:
    """The password that looks like two hashes is taken as such by pyspnego, and so by us."""
    ours = ntlm.ntlm_hash(Password("alice", password))
    assert ours.nt_hash is not None
    own = _NTLMCredential(spnego.Password("alice", password))
    assert bytes.fromhex(ours.nt_hash) == own.nt_hash


@pytest.mark.parametrize(
    ("auth", "username", "password", "address", "tried"),
    [
        (Auth.NTLM, "alice@corp.example", "swordfish", "ts1", False),
        (Auth.KERBEROS, "alice", "swordfish", "ts1", True),
        (Auth.NEGOTIATE, "alice@corp.example", "swordfish", "ts1", True),
        (Auth.NEGOTIATE, "alice@corp.example", "swordfish", "10.1.2.3", False),
        (Auth.NEGOTIATE, "alice@corp.example", "swordfish", "fe80::1%eth0", False),
        (Auth.NEGOTIATE, "CORP\\alice", "swordfish", "ts1", False),
        (Auth.NEGOTIATE, "alice", "swordfish", "ts1", False),
        (Auth.NEGOTIATE, "alice", None, "ts1", True),
        (Auth.NEGOTIATE, None, None, "ts1", True),
    ],
)
def test_when_kerberos_is_tried(
    monkeypatch: pytest.MonkeyPatch,
    auth: Auth,
    username: str | None,
    password: str | None,
    address: str,
    *,
    tried: bool,
) -> None:
    """A name without a realm may be a local account of the host: then no KDC is shown its password."""
    target = Target("a", address, auth=auth, credentials=credentials(username, password))
    monkeypatch.setattr(negotiate, "has_kerberos", lambda: True)
    assert negotiate.may_be_kerberos(target) is tried
    monkeypatch.setattr(negotiate, "has_kerberos", lambda: False)
    assert negotiate.may_be_kerberos(target) is (auth is Auth.KERBEROS or password is None)


def test_a_key_table_is_for_kerberos() -> None:
    assert negotiate.may_be_kerberos(Target("ts1", credentials=KeyTable("a.keytab", "alice")))


def test_no_user_is_named_and_no_ticket_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    with make_lab(auth="ntlm") as lab:
        with pytest.raises(InputError, match="no user name is given") as refused:
            open_transport(reach(lab, username=None, password=None))
        assert refused.value.hint.startswith("Use --username")
        with pytest.raises((AuthRefused, TransportMissing)) as caught:
            open_transport(reach(lab, username=None, password=None, spn="host/alpha")).run(script(), timeout_s=20)
        assert "--username" in caught.value.hint or "pip install" in caught.value.hint
        assert lab.refused == {}


def test_a_certificate_nobody_vouches_for() -> None:
    with make_lab(auth="ntlm", tls=True) as lab:
        with pytest.raises(CertificateRefused, match=r"self-signed certificate|unable to get local issuer"):
            open_transport(reach(lab, ca_file=None)).run(script(), timeout_s=10)
        assert steps(lab) == []


def test_a_certificate_of_another_host() -> None:
    def pass_on(connection: socket.socket) -> None:
        with socket.create_connection((lab.hosts[0].address, lab.port), 5) as host:
            ends = {connection: host, host: connection}
            while True:
                for end in select.select(list(ends), [], [], 5)[0]:
                    if not (data := end.recv(65536)):
                        return
                    ends[end].sendall(data)

    with make_lab(auth="ntlm", tls=True) as lab, RudeHost(pass_on, address="127.9.9.9") as other:
        with pytest.raises(CertificateRefused, match=r"not valid for '127.9.9.9'"):
            open_transport(reach(lab, address="127.9.9.9", port=other.port)).run(script(), timeout_s=10)
        assert lab.requests == []


def test_insecure_tls_takes_any_certificate() -> None:
    with make_lab(auth="ntlm", tls=True) as lab:
        transport = open_transport(reach(lab, ca_file=None, insecure_tls=True))
        assert transport.run(script(), timeout_s=10).output == ("done",)
        transport.close()


def test_over_tls_a_sign_in_cannot_be_passed_on(tmp_path: Path) -> None:
    """Whoever ends TLS in the middle (and is believed, under --insecure-tls) holds a certificate of its own, so the
    host refuses the sign-in that it passes on.
    """
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(self_signed(tmp_path))

    def behave(connection: socket.socket) -> None:
        with (
            socket.create_connection((lab.hosts[0].address, lab.port), 5) as wire,
            ours.wrap_socket(wire, server_hostname=lab.hosts[0].address) as host,
            theirs.wrap_socket(connection, server_side=True) as client,
        ):
            while asked := request(client):
                host.sendall(asked)
                client.sendall(request(host))

    with make_lab(auth="ntlm", tls=True) as lab, RudeHost(behave) as middle:
        ours.load_verify_locations(lab.ca_file)
        target = reach(lab, address="127.0.0.1", port=middle.port, insecure_tls=True)
        with pytest.raises(AuthRefused):
            open_transport(target).run(script(), timeout_s=10)
        assert lab.refused == {"alpha": 1}


@pytest.mark.parametrize(
    ("algorithm", "bound"),
    [
        (hashes.SHA256(), "sha256"),
        (hashes.SHA384(), "sha384"),
        (hashes.SHA512(), "sha512"),
        (None, "sha256"),
    ],
)
def test_the_binding_uses_the_hash_of_the_certificate(algorithm: hashes.HashAlgorithm | None, bound: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1()) if algorithm else ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=1))
    certificate = builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)  # type: ignore[arg-type]  # None goes with Ed25519
    expected = b"tls-server-end-point:" + hashlib.new(bound, certificate).digest()
    assert channel_bindings(certificate).application_data == expected


def test_the_binding_of_a_certificate_that_cannot_be_read() -> None:
    expected = b"tls-server-end-point:" + hashlib.sha256(b"odd").digest()
    assert channel_bindings(b"odd").application_data == expected


# What goes wrong, and when.


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
@pytest.mark.parametrize("do", ["close", "reset", "cut", "garble", "fault", "status"])
@pytest.mark.parametrize(
    ("step", "after", "unsent"),
    [
        ("create", 0, True),
        ("receive", 0, True),
        ("receive", 1, True),
        ("command", 0, False),
        ("receive", 2, False),
    ],
)
def test_each_failure_says_whether_the_script_may_have_run(
    step: str, after: int, do: str, auth: str, *, unsent: bool
) -> None:
    refused_for_certain = step == "command" and do == "fault"
    with make_lab(Fault(step, do, after=after), auth=auth) as lab:
        transport = open_transport(reach(lab))
        with pytest.raises(NotSent if unsent or refused_for_certain else Interrupted) as caught:
            transport.run(script(), timeout_s=10)
        error = caught.value
        assert type(error) not in {NotSent, Interrupted}, "the most specific class"
        assert error.may_have_run is not (unsent or refused_for_certain)
        assert "alpha" in str(error)
        assert (error.host, error.snippet) == ("alpha", "observe")
        assert "swordfish" not in repr(error)
        pickling_support.install()  # as Dask has it: an error takes along whatever lies behind it
        assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own bytes
        with pytest.raises(TransportClosed):
            transport.run(script(), timeout_s=10)
        transport.close()
        quota = do == "fault" and step != "create" and (unsent or refused_for_certain)
        assert steps(lab).count("create") == (2 if quota else 1), "a quota is answered by a new shell, once"
        assert steps(lab).count("command") <= (2 if quota else 1), "nothing else is repeated"


SHELL = [*OPENING, *COMMAND]


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
@pytest.mark.parametrize("code", [2150859174, 2150859241])
def test_a_quota_is_answered_by_closing_what_is_open_and_once_more(code: int, auth: str) -> None:
    engine = TestEngine()
    with make_lab(Fault("command", "fault", code=code, after=2, times=1), auth=auth, engine=engine) as lab:
        transport = open_transport(reach(lab))
        asked = [transport.run(script(), timeout_s=10).output for _ in range(4)]
        transport.close()
        taken = [step for step in steps(lab) if step != "auth"]
    assert asked == [("done",)] * 4
    assert len(engine.texts) == 4, "the refused one ran once"
    assert taken == [*SHELL, *COMMAND, "command", "delete", *SHELL, *COMMAND, "delete"]
    assert ["function" in text for text in engine.texts] == [True, False, True, False], "the new shell has none of them"


def test_a_quota_that_meets_the_opening_of_a_shell_closes_it() -> None:
    with make_lab(Fault("receive", "fault", after=1, times=1)) as lab:
        transport = open_transport(reach(lab))
        assert transport.run(script(), timeout_s=10).output == ("done",)
        transport.close()
        assert steps(lab) == [*OPENING, "delete", *SHELL, "delete"]


@pytest.mark.parametrize(
    ("fault", "taken"),
    [
        pytest.param(Fault("command", "fault"), [*OPENING, "command", "delete", *OPENING, "command"], id="again"),
        pytest.param(Fault("command", "fault", code=5), [*OPENING, "command"], id="no-quota"),
        pytest.param(Fault("create", "fault"), ["create"], id="nothing-of-ours-is-open"),
    ],
)
def test_a_quota_that_closing_does_not_help_is_an_outcome(fault: Fault, taken: list[str]) -> None:
    engine = TestEngine()
    with make_lab(fault, engine=engine) as lab:
        with pytest.raises(ShellRefused) as caught:
            open_transport(reach(lab)).run(script(), timeout_s=10)
        assert steps(lab) == taken
        assert not engine.texts
        assert not caught.value.may_have_run
        assert ("raise the quota" in caught.value.hint) == (fault.code is None)


@pytest.mark.parametrize(
    "fault", [Fault("receive", "fault", after=2), Fault("send", "fault")], ids=lambda fault: str(fault.step)
)
def test_a_quota_after_the_script_was_begun_repeats_nothing(fault: Fault) -> None:
    with make_lab(fault) as lab:
        with pytest.raises(Interrupted) as caught:
            open_transport(reach(lab)).run(script(definitions="#" * 600_000), timeout_s=10)
        assert caught.value.may_have_run
        assert steps(lab).count("command") == steps(lab).count("create") == 1


def test_a_shell_that_cannot_be_closed_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winrm, "CLOSE_LIMIT_S", 0.2)
    faults = (Fault("command", "fault", times=1), Fault("delete", "hang", times=1))
    with make_lab(*faults) as lab:
        transport = open_transport(reach(lab))
        assert transport.run(script(), timeout_s=10).output == ("done",)
        transport.close()
        assert steps(lab) == [*OPENING, "command", "delete", *SHELL, "delete"]


@pytest.mark.parametrize("acted", [False, True])
def test_a_lost_answer_is_unknown_whether_or_not_it_ran(*, acted: bool) -> None:
    engine = TestEngine()
    with make_lab(Fault("command", "close", acted=acted), engine=engine) as lab:
        with pytest.raises(ConnectionLost):
            open_transport(reach(lab)).run(script(), timeout_s=10)
        assert len(engine.texts) == acted


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (5, ShellRefused),
        (2150859173, ShellRefused),
        (2150859174, ShellRefused),
        (2150858843, ShellRefused),
        (2150859241, ShellRefused),
        (2150858793, TimedOut),
        (2150858770, ConnectionLost),
        (995, ConnectionLost),
    ],
)
def test_only_known_faults_prove_that_a_command_was_not_taken(code: int, kind: type[MpsBridgeError]) -> None:
    with make_lab(Fault("command", "fault", code=code)) as lab:
        with pytest.raises(kind) as caught:
            open_transport(reach(lab)).run(script(), timeout_s=10)
        assert str(code) in str(caught.value) or kind is TimedOut


@pytest.mark.parametrize(("code", "words"), [(5, "access is denied"), (2150859173, "too many shells")])
def test_a_shell_that_is_refused_says_why(code: int, words: str) -> None:
    with make_lab(Fault("create", "fault", code=code)) as lab, pytest.raises(ShellRefused, match=words):
        open_transport(reach(lab)).run(script(), timeout_s=10)


def test_a_sign_in_that_breaks_off() -> None:
    for after in (0, 1):
        with make_lab(Fault("auth", "close", after=after), auth="ntlm") as lab, pytest.raises(Unreachable):
            open_transport(reach(lab)).run(script(), timeout_s=10)


# Time.


@pytest.mark.xdist_group("timing")
@pytest.mark.parametrize(
    ("step", "do", "after", "kind"),
    [
        ("auth", "hang", 0, ConnectTimedOut),
        ("auth", "hang", 1, ConnectTimedOut),
        ("create", "hang", 0, ConnectTimedOut),
        ("create", "drip", 0, ConnectTimedOut),
        ("receive", "hang", 0, ConnectTimedOut),
        ("receive", "drip", 1, ConnectTimedOut),
        ("command", "hang", 0, TimedOut),
        ("command", "drip", 0, TimedOut),
        ("receive", "hang", 2, TimedOut),
        ("receive", "drip", 2, TimedOut),
    ],
)
def test_the_deadline_holds_at_every_step(step: str, do: str, after: int, kind: type[MpsBridgeError]) -> None:
    with make_lab(Fault(step, do, after=after, delay_s=0.2), auth="ntlm") as lab:
        transport = open_transport(reach(lab))
        started = time.monotonic()
        with pytest.raises(kind):
            transport.run(script(), timeout_s=0.6)
        assert time.monotonic() - started < 1.6
        transport.close()
        assert time.monotonic() - started < 1.7, "a connection that failed is not asked to delete anything"


@pytest.mark.xdist_group("timing")
def test_a_script_that_takes_too_long_is_asked_to_stop() -> None:
    with make_lab(engine=TestEngine(after_s=30)) as lab:
        transport = open_transport(reach(lab))
        started = time.monotonic()
        with pytest.raises(TimedOut) as caught:
            transport.run(script(), timeout_s=1.5)
        assert 1.2 < time.monotonic() - started < 2.5
        assert caught.value.may_have_run
        assert steps(lab)[-1] == "signal"


@pytest.mark.xdist_group("timing")
def test_a_slow_script_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winrm, "POLL_S", 0.2)
    with make_lab(engine=TestEngine(after_s=0.7)) as lab:
        transport = open_transport(reach(lab))
        assert transport.run(script(), timeout_s=10).output == ("done",)
        transport.close()
        assert steps(lab).count("receive") > 4, "the host said each time that nothing had come yet"


@pytest.mark.xdist_group("timing")
def test_a_slow_opening_is_waited_for() -> None:
    with make_lab(Fault("create", "delay", delay_s=0.5), Fault("receive", "delay", times=2, delay_s=0.5)) as lab:
        transport = open_transport(reach(lab))
        assert transport.run(script(), timeout_s=10).output == ("done",)
        transport.close()


@pytest.mark.xdist_group("timing")
def test_a_delete_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winrm, "CLOSE_LIMIT_S", 0.3)
    for do in ("hang", "drip"):
        with make_lab(Fault("delete", do)) as lab:
            transport = open_transport(reach(lab))
            transport.run(script(), timeout_s=10)
            started = time.monotonic()
            transport.close()
            assert time.monotonic() - started < 1


@pytest.mark.parametrize("do", ["close", "reset", "cut", "garble", "fault", "status"])
def test_close_never_raises(do: str) -> None:
    with make_lab(Fault("delete", do)) as lab:
        transport = open_transport(reach(lab))
        transport.run(script(), timeout_s=10)
        transport.close()
        transport.close()
        assert steps(lab)[-1] == "delete"


def test_a_host_that_went_away_is_not_signed_in_to_for_a_delete() -> None:
    with make_lab(auth="ntlm") as lab:
        transport = open_transport(reach(lab))
        transport.run(script(), timeout_s=10)
        _hang_up(lab)
        before = len(lab.requests)
        transport.close()
        assert len(lab.requests) == before


# Cancel.


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("auth", "hang", after=1), TransportClosed),
        (Fault("create", "hang"), TransportClosed),
        (Fault("command", "hang"), ConnectionLost),
        (Fault("receive", "hang", after=2), ConnectionLost),
    ],
)
def test_a_cancel_ends_a_run_and_says_what_may_have_run(fault: Fault, kind: type[MpsBridgeError]) -> None:
    fault = dataclasses.replace(fault, seen=0)
    with make_lab(fault, auth="ntlm") as lab:
        transport = open_transport(reach(lab))

        def cancel() -> None:
            for _ in range(500):
                if fault.seen > fault.after:
                    break
                time.sleep(0.01)  # the lab has no event for it
            transport.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        started = time.monotonic()
        with pytest.raises(kind, match="cancelled"):
            transport.run(script(), timeout_s=30)
        assert time.monotonic() - started < 6
        canceller.join()
        with pytest.raises(TransportClosed):
            transport.run(script(), timeout_s=30)
        transport.close()


# Idle connections.


@pytest.mark.parametrize(("auth", "tls", "way"), WAYS)
def test_a_connection_that_was_closed_while_idle_is_replaced_before_it_breaks(
    auth: str, way: Auth, *, tls: bool
) -> None:
    with make_lab(auth=auth, tls=tls) as lab:
        transport = open_transport(reach(lab, auth=way))
        transport.run(script(), timeout_s=10)
        before = len(lab.requests)
        _hang_up(lab)
        assert transport.run(script(), timeout_s=10).output == ("done",), "in the same shell"
        assert steps(lab)[before:] == [*signing_in(way), *COMMAND]
        transport.close()


# Someone in the middle of plain HTTP.


def _relay(lab: Lab, forge: Callable[[int, bytes], bytes]) -> Callable[[socket.socket], None]:
    """Pass requests on to the lab; the answer to number n is what ``forge`` makes of it."""

    def behave(connection: socket.socket) -> None:
        with socket.create_connection((lab.hosts[0].address, lab.port), 5) as host:
            number = 0
            while asked := request(connection):
                host.sendall(asked)
                answered = request(host)
                number += 1
                connection.sendall(forge(number, answered))

    return behave


QUOTA = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code><s:Value>s:Receiver'
    b'</s:Value></s:Code><s:Detail><f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"'
    b' Code="2150859174"/></s:Detail></s:Fault></s:Body></s:Envelope>'
)


def _clear(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/soap+xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize("status", ["200 OK", "500 Error", "401 Unauthorized"])
@pytest.mark.parametrize(("number", "unsent"), [(1, True), (4, False)])
def test_where_messages_are_sealed_nothing_in_clear_is_believed(status: str, number: int, *, unsent: bool) -> None:
    """Once signed in: Create, two Receives, Command. The forged fault would say that nothing ran."""
    number += len(signing_in(Auth.NTLM))

    def forge(this: int, answered: bytes) -> bytes:
        return _clear(status, QUOTA) if this == number else answered

    engine = TestEngine()
    with make_lab(auth="ntlm", engine=engine) as lab, RudeHost(_relay(lab, forge)) as middle:
        transport = open_transport(reach(lab, address="127.0.0.1", port=middle.port))
        with pytest.raises(NotSent if unsent else Interrupted) as caught:
            transport.run(script(), timeout_s=10)
        assert "2150859174" not in str(caught.value)
        assert len(engine.texts) == (0 if unsent else 1), "it did run"


@pytest.mark.parametrize(("number", "kind"), [(1, Unreachable), (4, ConnectionLost)])
def test_a_sealed_answer_that_was_tampered_with_is_refused(number: int, kind: type[MpsBridgeError]) -> None:
    number += len(signing_in(Auth.NTLM))

    def forge(this: int, answered: bytes) -> bytes:
        if this != number:
            return answered
        middle = answered.index(b"octet-stream") + 200
        return answered[:middle] + bytes([answered[middle] ^ 1]) + answered[middle + 1 :]

    with make_lab(auth="ntlm") as lab, RudeHost(_relay(lab, forge)) as middle:
        transport = open_transport(reach(lab, address="127.0.0.1", port=middle.port))
        with pytest.raises(kind, match="sealed answer cannot be opened"):
            transport.run(script(), timeout_s=10)


@pytest.mark.parametrize("status", ["200 OK", "500 Error"])
@pytest.mark.parametrize("body", [b"", b"--Encrypted Boundary"], ids=["empty", "only a boundary"])
def test_a_sealed_answer_of_no_parts_is_refused(status: str, body: bytes) -> None:
    """It needs no key to write, so it must not count as one that was opened."""
    number = 4 + len(signing_in(Auth.NTLM))
    head = (
        f'HTTP/1.1 {status}\r\nContent-Type: multipart/encrypted;boundary="Encrypted Boundary"\r\n'
        f"Content-Length: {len(body)}\r\n\r\n"
    )

    def forge(this: int, answered: bytes) -> bytes:
        return head.encode() + body if this == number else answered

    with make_lab(auth="ntlm") as lab, RudeHost(_relay(lab, forge)) as middle:
        transport = open_transport(reach(lab, address="127.0.0.1", port=middle.port))
        with pytest.raises(Interrupted, match=r"sealed answer (is empty|cannot be opened)") as caught:
            transport.run(script(), timeout_s=10)
        assert caught.value.may_have_run


def test_what_is_sealed_cannot_be_read_on_the_way() -> None:
    seen: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        with socket.create_connection((lab.hosts[0].address, lab.port), 5) as host:
            while asked := request(connection):
                host.sendall(asked)
                answered = request(host)
                seen.extend((asked, answered))
                connection.sendall(answered)

    with make_lab(auth="ntlm") as lab, RudeHost(behave) as middle:
        transport = open_transport(reach(lab, address="127.0.0.1", port=middle.port))
        assert transport.run(script(), timeout_s=10).output == ("done",)
        transport.close()
    assert b"multipart/encrypted" in b"".join(seen)
    assert not any(b"Envelope" in each or b"creationXml" in each for each in seen)


# Logs.


@pytest.fixture
def all_logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="mpsbridge"):
        yield caplog


@pytest.mark.parametrize("fault", [None, Fault("command", "status"), Fault("create", "garble")])
def test_no_log_holds_a_script_an_answer_or_a_token(fault: Fault | None, all_logs: pytest.LogCaptureFixture) -> None:
    with make_lab(*([fault] if fault else []), auth="ntlm", engine=TestEngine(lambda _: "catfish")) as lab:
        transport = open_transport(reach(lab))
        with contextlib.suppress(NotSent, Interrupted):
            transport.run(script(), timeout_s=10)
        transport.close()
    ours = [each for each in all_logs.records if each.name.startswith(("mpsbridge.transports", "pypsrp", "spnego"))]
    text = "\n".join(each.getMessage() for each in ours)
    assert "running observe (digest dddd" in text
    for secret in ("swordfish", "catfish", "Get-Thing", "Envelope", "TlRMTVNTUA"):
        assert secret not in text
        assert all(secret not in (each.exc_text or "") for each in ours)


def _hang_up(lab: Lab) -> None:
    """The hosts close their connections, as they do when nothing has come for some time."""
    closed = threading.Event()

    def close() -> None:
        for connection in list(lab._connections):
            connection.close()
        assert lab._loop is not None
        lab._loop.call_later(0.05, closed.set)

    assert lab._loop is not None
    lab._loop.call_soon_threadsafe(close)
    assert closed.wait(5)
