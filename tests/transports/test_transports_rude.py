"""Hosts that are silent, slow, broken or hostile: ``run`` ends in time and says what may have run."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from support.rude_host import SCRIPT, RudeHost, request

from mpsbridge.errors import (
    AuthRefused,
    CertificateRefused,
    ConnectTimedOut,
    InputError,
    NotSent,
    NotWinrm,
    ShellRefused,
    TransportClosed,
    TransportMissing,
    Unreachable,
    WinrmFailed,
)
from mpsbridge.models.bounds import BODY_LIMIT
from mpsbridge.models.credentials import Auth, Password, Ticket
from mpsbridge.models.targets import Target
from mpsbridge.transports import http, open_transport, reply

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n"


REQUIRES_TLS = (
    b"<HTML><BODY><h2>Bad Request - This combination of host and port requires TLS.</h2><hr>"
    b"<p>HTTP Error 400. This combination of host and port requires TLS.</p></BODY></HTML>"
)
"""Of Windows' own http.sys."""


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(lines).encode() + body


def send(data: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        while request(connection):
            connection.sendall(data)

    return behave


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def drip(data: bytes, pause_s: float = 0.02) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        request(connection)
        stop = threading.Event()
        while True:
            for byte in data:
                connection.sendall(bytes([byte]))
                stop.wait(pause_s)

    return behave


def close(connection: socket.socket) -> None:
    request(connection)


def reset(connection: socket.socket) -> None:
    request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def fails(behave: Callable[[socket.socket], None], target: Callable[[RudeHost], Target], timeout_s: float) -> NotSent:
    """Run one script there and hold it to the contract; the error it raised."""
    with RudeHost(behave) as host:
        transport = open_transport(target(host))
        started = time.monotonic()
        with pytest.raises(NotSent) as caught:
            transport.run(SCRIPT, timeout_s=timeout_s)
        assert time.monotonic() - started < timeout_s + 1
        assert caught.value.may_have_run is False
        assert caught.value.host == "rude"
        assert str(host.port) in str(caught.value)
        with pytest.raises(TransportClosed):
            transport.run(SCRIPT, timeout_s=timeout_s)
        transport.close()
        transport.close()
        assert host.connections <= 1
    return caught.value


@pytest.mark.xdist_group("timing")
@pytest.mark.parametrize(
    ("behave", "tls", "auth"),
    [
        pytest.param(silent, False, Auth.BASIC, id="silent-at-create"),
        pytest.param(silent, False, Auth.NTLM, id="silent-at-sign-in"),
        pytest.param(silent, True, Auth.BASIC, id="silent-at-tls"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX: "), False, Auth.BASIC, id="drips-headers"),
        pytest.param(drip(b"\x16"), True, Auth.BASIC, id="drips-tls"),
        pytest.param(drip(b"HTTP/1.1 100 Continue\r\n\r\n"), False, Auth.NTLM, id="drips-continue"),
    ],
)
def test_the_deadline_holds(behave: Callable[[socket.socket], None], *, tls: bool, auth: Auth) -> None:
    error = fails(behave, lambda host: host.target(tls=tls, auth=auth), 0.5)
    assert type(error) in {ConnectTimedOut, Unreachable}
    if behave is silent:
        assert type(error) is ConnectTimedOut


@pytest.mark.xdist_group("timing")
def test_the_deadline_holds_while_a_body_drips() -> None:
    def behave(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(OK % 1000)
        drip(b"x")(connection)

    assert type(fails(behave, lambda host: host.target(), 0.5)) is ConnectTimedOut


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that answers no SYN: its queue of connections is full."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:
        one.setblocking(False)
        assert one.connect_ex(listener.getsockname()) in {0, errno.EINPROGRESS}
    yield listener.getsockname()[1]
    for one in (*waiting, listener):
        one.close()


@pytest.mark.xdist_group("timing")
def test_the_deadline_holds_when_nobody_answers_the_connection(deaf_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(ConnectTimedOut):
        open_transport(_target(deaf_port)).run(SCRIPT, timeout_s=0.4)
    assert time.monotonic() - started < 1.4


@pytest.mark.xdist_group("timing")
def test_connecting_has_a_limit_of_its_own(deaf_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(ConnectTimedOut):
        open_transport(_target(deaf_port, connect_timeout_s=0.3)).run(SCRIPT, timeout_s=30)
    assert time.monotonic() - started < 1.3


@pytest.mark.xdist_group("timing")
def test_a_name_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up, released = socket.getaddrinfo, threading.Event()

    def hang(*args: object, **kwargs: object) -> object:
        if kwargs.get("flags"):
            return look_up(*args, **kwargs)  # type: ignore[arg-type]  # handed through as they came
        released.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    started = time.monotonic()
    with pytest.raises(ConnectTimedOut):
        open_transport(_target(1, address="nowhere.invalid")).run(SCRIPT, timeout_s=0.3)
    assert time.monotonic() - started < 1.3
    released.set()


def test_several_addresses_are_tried_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    with RudeHost(send(answer("503 Service Unavailable"))) as host:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            closed = unused.getsockname()[1]

        def two(_: str, port: int, **kwargs: object) -> list[object]:
            if kwargs.get("flags"):
                raise socket.gaierror(socket.EAI_NONAME, "no number")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each)) for each in (closed, port)]

        monkeypatch.setattr(socket, "getaddrinfo", two)
        with pytest.raises(Unreachable, match="HTTP status 503"):
            open_transport(_target(host.port, address="two.invalid")).run(SCRIPT, timeout_s=5)
        assert host.connections == 1


def test_an_ipv6_address_goes_in_brackets() -> None:
    transport = http.HttpTransport(_target(5985, address="::1"), limit=None)  # type: ignore[arg-type]  # does not wait
    assert transport.endpoint == "http://[::1]:5985/wsman"


@pytest.mark.parametrize("step", ["connect", "read", "tls", "name"])
def test_a_cancel_ends_every_wait(step: str, deaf_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = threading.Event()

    def behave(connection: socket.socket) -> None:
        connection.recv(1)
        entered.set()
        silent(connection)

    with RudeHost(behave) as host:
        target = host.target(tls=step == "tls")
        if step == "connect":
            target = _target(deaf_port)
        if step == "name":
            target = _target(1, address="nowhere.invalid")
            numeric = socket.getaddrinfo

            def hang(*args: object, **kwargs: object) -> object:
                if kwargs.get("flags"):
                    return numeric(*args, **kwargs)  # type: ignore[arg-type]  # handed through as they came
                entered.set()
                host.released.wait(30)
                raise socket.gaierror(socket.EAI_AGAIN, "too late")

            monkeypatch.setattr(socket, "getaddrinfo", hang)
        transport = open_transport(target)

        def cancel() -> None:
            entered.wait(0.2 if step == "connect" else 5)
            transport.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        started = time.monotonic()
        with pytest.raises(TransportClosed, match="cancelled before"):
            transport.run(SCRIPT, timeout_s=30)
        assert time.monotonic() - started < 5
        canceller.join()


@pytest.mark.xdist_group("timing")
def test_no_moment_is_safe_from_a_cancel(deaf_port: int) -> None:
    """Cancelled at a hundred moments of connecting, early and late, it ends at once each time."""
    started = time.monotonic()
    for number in range(100):
        transport = open_transport(_target(deaf_port))
        canceller = threading.Timer(number * 20e-6, transport.cancel)
        canceller.start()
        with pytest.raises(TransportClosed):
            transport.run(SCRIPT, timeout_s=30)
        canceller.join()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("behave", "kind", "words"),
    [
        pytest.param(close, Unreachable, "closed", id="closes"),
        pytest.param(reset, Unreachable, "reset", id="resets"),
        pytest.param(send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), NotWinrm, "not WinRM", id="not-http"),
        pytest.param(send(b"\x00\xff" * 40_000), NotWinrm, "not WinRM", id="binary"),
        pytest.param(send(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000), NotWinrm, "not WinRM", id="many-headers"),
        pytest.param(send(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000), NotWinrm, "not WinRM", id="long-header"),
        pytest.param(send(answer("200 OK", b"<html>hello</html>")), NotWinrm, "not WinRM", id="html"),
        pytest.param(send(answer("200 OK", b"<s:Envelope>")), NotWinrm, "not WinRM", id="half-xml"),
        pytest.param(send(answer("200 OK")), NotWinrm, "not WinRM", id="empty"),
        pytest.param(send(answer("503 Busy", b"<!DOCTYPE html><p>busy")), NotWinrm, "HTTP status 503", id="503"),
        pytest.param(
            send(answer("503 Busy", b"<html><p>busy</p></html>", "Content-Type: text/html")),
            NotWinrm,
            "what answers there is not WinRM: HTTP status 503",
            id="503-well-formed",
        ),
        pytest.param(
            send(answer("500 Error", b"<error/>", "Content-Type: application/xml")),
            NotWinrm,
            "HTTP status 500",
            id="xml",
        ),
        pytest.param(
            send(answer("500 Error", b"", "Content-Type: application/soap+xml;charset=UTF-8")),
            WinrmFailed,
            "WinRM answers with an error: HTTP status 500",
            id="500-of-winrm",
        ),
        pytest.param(
            send(answer("500 Error", b"<a/>", "Content-Type: application/soap+xml")),
            ShellRefused,
            "no shell: a fault without a reason",
            id="no-fault",
        ),
        pytest.param(send(answer("400 Bad", REQUIRES_TLS, "Content-Type: text/html")), Unreachable, "TLS", id="tls"),
        pytest.param(send(answer("404 Not Found", b"nothing")), NotWinrm, "HTTP status 404", id="404"),
        pytest.param(send(answer("302 Found", b"", "Location: http://127.0.0.1:1/")), NotWinrm, "302", id="302"),
        pytest.param(send(answer("500 Error")), NotWinrm, "HTTP status 500", id="500-empty"),
        pytest.param(send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), NotWinrm, "", id="chunk"),
        pytest.param(
            send(answer("401 No", b"", "WWW-Authenticate: Negotiate")), AuthRefused, "offer Basic", id="not-offered"
        ),
        pytest.param(
            send(answer("401 No", b"", 'WWW-Authenticate: Basic realm="WSMAN"')), AuthRefused, "refused", id="refused"
        ),
    ],
)
def test_a_broken_answer_is_told_apart(
    behave: Callable[[socket.socket], None], kind: type[NotSent], words: str
) -> None:
    error = fails(behave, lambda host: host.target(), 5)
    assert type(error) is kind
    assert words in str(error)
    assert "None" not in str(error)
    assert error.hint
    assert "swordfish" not in repr(error)


def test_a_body_that_is_cut_off() -> None:
    def behave(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(OK % 1000 + b"<s:Envelope")

    assert "not WinRM" in str(fails(behave, lambda host: host.target(), 5))


@pytest.mark.parametrize("head", [OK % (BODY_LIMIT + 1), b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_endless_body_is_refused(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "BODY_LIMIT", 1_000_000)

    def behave(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(head)
        while True:
            connection.sendall(b"x" * 65536)

    assert "longer than 1000000 bytes" in str(fails(behave, RudeHost.target, 5))


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
def test_a_host_without_our_way_to_sign_in_gets_one_token_and_no_script(auth: Auth) -> None:
    seen: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        while data := request(connection):
            seen.append(data)
            connection.sendall(answer("401 No", b"", "WWW-Authenticate: Kerberos", 'WWW-Authenticate: Basic realm="x"'))

    error = fails(behave, lambda host: host.target(auth=auth), 5)
    assert type(error) is AuthRefused
    assert "does not offer Negotiate, only Basic, Kerberos" in str(error)
    assert len(seen) == 1
    assert b"Content-Length: 0" in seen[0]


def test_a_200_without_a_sign_in_is_not_believed() -> None:
    error = fails(send(answer("200 OK")), lambda host: host.target(auth=Auth.NTLM), 5)
    assert type(error) is AuthRefused
    assert "before it was complete" in str(error)


def test_a_token_that_is_none() -> None:
    behave = send(answer("401 No", b"", "WWW-Authenticate: Negotiate AAAA"))
    assert type(fails(behave, lambda host: host.target(auth=Auth.NTLM), 5)) in {AuthRefused, NotSent}


def test_http_spoken_on_the_tls_port() -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer("400 Bad Request"))

    error = fails(behave, lambda host: host.target(tls=True), 5)
    assert type(error) is Unreachable
    assert "no TLS connection" in str(error)
    assert "--no-tls" in error.hint


def test_kerberos_without_its_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)
    monkeypatch.delitem(sys.modules, "mpsbridge.transports.signin.kerberos", raising=False)
    error = fails(silent, lambda host: host.target(auth=Auth.KERBEROS).model_copy(update={"spn": "host/ts1"}), 5)
    assert type(error) is TransportMissing
    assert "mpsbridge[kerberos]" in error.hint


def test_a_ca_file_that_is_none(tmp_path: pytest.TempPathFactory) -> None:
    with RudeHost(silent) as host:
        target = host.target(tls=True).model_copy(update={"ca_file": f"{tmp_path}/none.pem"})
        with pytest.raises(CertificateRefused, match=r"none\.pem"):
            open_transport(target).run(SCRIPT, timeout_s=5)
        assert host.connections == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"insecure_basic": False}, "Basic over plain HTTP"),
        ({"credentials": Ticket()}, "needs a user name and a password"),
        ({"auth": Auth.NTLM, "credentials": Ticket("alice")}, "needs a user name and a password"),
        ({"address": "a..b"}, "is not a host name"),
    ],
)
def test_what_could_never_work_is_refused_before_any_connection(change: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_transport(_target(1).model_copy(update=change))


def test_an_unknown_name() -> None:
    with pytest.raises(Unreachable, match="looked up"):
        open_transport(_target(1, address="nobody.invalid")).run(SCRIPT, timeout_s=5)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        open_transport(_target(port)).run(SCRIPT, timeout_s=5)


def test_tls_is_never_written_around_when_it_is_shut() -> None:
    """Shutting a TLS connection from another thread must not leave a socket that sends in clear."""
    ours, theirs = socket.socketpair()
    context = ssl.create_default_context()
    secure = context.wrap_socket(ours, server_hostname="x", do_handshake_on_connect=False)
    socket.socket.shutdown(secure, socket.SHUT_RDWR)
    with pytest.raises(OSError, match=r".*"):
        secure.send(b"swordfish")
    theirs.settimeout(1)
    assert theirs.recv(100) == b""
    secure.close()
    theirs.close()


def _target(port: int, address: str = "127.0.0.1", connect_timeout_s: float = 10.0) -> Target:
    return Target(
        host="rude",
        address=address,
        port=port,
        tls=False,
        auth=Auth.BASIC,
        credentials=Password("alice", "secret"),
        insecure_basic=True,
        connect_timeout_s=connect_timeout_s,
    )
