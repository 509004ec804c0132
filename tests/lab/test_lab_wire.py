"""The lab's protocol parts without a socket: HTTP by bytes, seals, and the WSMan service of one host."""

from __future__ import annotations

import base64
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psrpcore
import pytest
import spnego
from hypothesis import given
from hypothesis import strategies as st
from support.fake_clock import FakeClock
from support.lab_client import CONFIG, DEFINED, OBSERVE, envelope

from mpsbridge.lab import build_world
from mpsbridge.lab.engines.scripted.engine import ScriptedEngine
from mpsbridge.lab.wire import soap
from mpsbridge.lab.wire.faults import Fault, striking
from mpsbridge.lab.wire.http import BadRequest, HttpReader, HttpRequest, answer
from mpsbridge.lab.wire.replies import Pending, Reply
from mpsbridge.lab.wire.signin import Account, BadSeal, BasicSignIn, NegotiateSignIn, UserFile
from mpsbridge.lab.wire.wsman import MAX_COMMANDS, Endpoint

# HTTP.

REQUESTS = (
    b"POST /wsman HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"POST /wsman HTTP/1.1\r\nHost:a\r\nConnection: close\r\n\r\n"
    b"POST /wsman HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\n\r\n0\r\nA\r\n123456789a\r\n0\r\n\r\n"
    b"POST /wsman HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: trailer\r\n\r\n"
    b"GET / HTTP/1.1\r\ncontent-length:  0 \r\nX: \xe9\r\n\r\n"
)


@given(st.lists(st.integers(1, len(REQUESTS) - 1), max_size=12))
def test_how_bytes_are_cut_makes_no_difference(cuts: list[int]) -> None:
    places = [0, *sorted(set(cuts)), len(REQUESTS)]
    reader = HttpReader()
    pieces = [request for a, b in pairwise(places) for request in reader.feed(REQUESTS[a:b])]
    assert pieces == HttpReader().feed(REQUESTS)
    assert [request.body for request in pieces] == [b"hello", b"", b"\r\n0123456789a", b"", b""]
    assert [request.keeps_alive for request in pieces] == [True, False, True, True, True]
    assert sum(request.size for request in pieces) == len(REQUESTS)


def test_one_byte_at_a_time() -> None:
    reader = HttpReader()
    pieces = [request for byte in REQUESTS for request in reader.feed(bytes([byte]))]
    assert pieces == HttpReader().feed(REQUESTS)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"POST / SPDY/1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (b"x" * 70_000, 400),
    ],
)
def test_other_shapes_are_refused(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refusal:
        HttpReader().feed(data)
    assert refusal.value.status == status


def test_an_answer_is_whole() -> None:
    data = answer(401, b"no", content_type="text/plain", headers=(("WWW-Authenticate", "Negotiate"),))
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nWWW-Authenticate: Negotiate\r\n" in head
    assert head.endswith(b"Content-Length: 2")
    assert body == b"no"


# Signing in.


def asked(authorization: str = "", body: bytes = b"", kind: str = "") -> HttpRequest:
    headers = {"authorization": authorization, "content-type": kind}
    return HttpRequest("POST", "/wsman", {name: value for name, value in headers.items() if value}, body, 0)


def basic(text: bytes) -> str:
    return f"Basic {base64.b64encode(text).decode()}"


def test_basic() -> None:
    sign_in = BasicSignIn(Account("Alice", "p:w"))
    assert sign_in.check(asked(basic(b"alice:p:w"))).allowed
    for wrong in (basic(b"alice:p"), basic(b"bob:p:w"), basic(b"\xff"), "Basic %", "Basic"):
        verdict = sign_in.check(asked(wrong))
        assert (verdict.allowed, verdict.header) == (False, 'Basic realm="WSMAN"')
    assert not sign_in.check(asked()).refused, "no attempt was made"


@pytest.mark.parametrize("name", ["Administrator", ".\\administrator", "ALPHA\\Administrator"])
def test_a_local_account_has_three_names(name: str) -> None:
    account = Account("Administrator", "secret", "ALPHA")
    assert BasicSignIn(account).check(asked(basic(f"{name}:secret".encode()))).allowed
    assert not BasicSignIn(account).check(asked(basic(b"BETA\\Administrator:secret"))).allowed
    UserFile.start()
    try:
        for protocol in ("ntlm", "negotiate"):
            server, client = NegotiateSignIn(account, None), spnego.client(name, "secret", protocol=protocol)
            verdict, token = None, client.step()
            while token:
                verdict = server.check(asked(f"Negotiate {base64.b64encode(token).decode()}"))
                answered = (verdict.header or "").partition(" ")[2]
                token = client.step(base64.b64decode(answered)) if answered else None
            assert verdict is not None
            assert verdict.allowed
    finally:
        UserFile.stop()


@pytest.mark.parametrize(("token", "protocol"), [(b"NTLMSSP\0", "ntlm"), (b"`", "negotiate")])
def test_accounts_are_the_labs_own_whatever_the_machine_offers(
    token: bytes, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, object]] = []
    monkeypatch.setattr(spnego, "server", lambda **how: given.append(how))
    NegotiateSignIn(Account("alice", "x"), None)._accept(token)
    assert given[0]["protocol"] == protocol
    options = given[0]["options"]
    assert isinstance(options, spnego.NegotiateOptions)
    assert spnego.NegotiateOptions.use_ntlm in options
    assert spnego.NegotiateOptions.use_sspi not in options


@pytest.fixture
def account() -> Iterator[Account]:
    UserFile.start()
    yield Account("LAB\\alice", "secret")
    UserFile.stop()


@pytest.mark.parametrize("protocol", ["ntlm", "negotiate"])
def test_sealed_messages_both_ways(account: Account, protocol: str) -> None:
    server, client = (
        NegotiateSignIn(account, None),
        spnego.client(
            "LAB\\alice",
            "secret",
            hostname="a",
            service="host",
            protocol=protocol,
            options=spnego.NegotiateOptions.wrapping_winrm,
        ),
    )
    token = client.step()
    while token is not None:
        verdict = server.check(asked(f"Negotiate {base64.b64encode(token).decode()}"))
        answered = (verdict.header or "").partition(" ")[2]
        token = client.step(base64.b64decode(answered)) if answered else None
    assert verdict.allowed
    assert server.check(asked()).allowed, "the connection stays signed in"
    kind, sealed = server.wrap(b"<x/>" * 1000)
    assert b"<x/>" not in sealed
    assert f"Length={4000}".encode() in sealed
    assert kind.startswith("multipart/encrypted")
    for body in (b"", b"<x/>", sealed, sealed[:-30], b"--Encrypted Boundary\r\n" * 3):
        with pytest.raises(BadSeal):
            server.open(asked(body=body, kind=kind))
    with pytest.raises(BadSeal):
        server.open(asked(body=b"<x/>", kind="application/soap+xml"))


@pytest.mark.parametrize("protocol", ["ntlm", "negotiate"])
def test_the_first_message_may_come_with_the_last_token(account: Account, protocol: str) -> None:
    server = NegotiateSignIn(account, None)
    client = spnego.client("LAB\\alice", "secret", hostname="a", service="host", protocol=protocol)
    first = server.check(asked(f"Negotiate {base64.b64encode(client.step() or b'').decode()}"))
    assert not first.allowed
    last = client.step(base64.b64decode((first.header or "").partition(" ")[2]))
    assert server.check(asked(f"Negotiate {base64.b64encode(last or b'').decode()}", body=b"<x/>")).allowed


@given(st.binary(max_size=40))
def test_tokens_that_are_none_are_refused(token: bytes) -> None:
    UserFile.start()
    try:
        server = NegotiateSignIn(Account("alice", "x"), None)
        verdict = server.check(asked(f"Negotiate {base64.b64encode(token).decode()}"))
        assert not verdict.allowed
        assert not server.check(asked()).allowed
    finally:
        UserFile.stop()


def test_the_user_file_is_there_only_while_a_lab_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NTLM_USER_FILE", "mine")
    UserFile.start()
    file = Path(os.environ["NTLM_USER_FILE"])
    assert file.stat().st_mode & 0o077 == 0
    with UserFile.holding(Account("D\\u", "a:secret")):
        assert file.read_text().startswith("D\\u:0:")
        assert "secret" not in file.read_text()
    UserFile.stop()
    assert not file.exists()
    assert os.environ["NTLM_USER_FILE"] == "mine"


# The WSMan service.


class Client:
    """psrpcore's client half over a service without sockets; ``waits`` are the waits that scripts asked for."""

    def __init__(self, **facts: object) -> None:
        world = build_world({"hosts": [{"name": "a", **facts}]}, FakeClock())
        self.waits: list[tuple[float, Callable[[], None]]] = []
        self.host = world.hosts["a"]
        self.service = Endpoint(
            self.host, ScriptedEngine(), lambda seconds, resume: self.waits.append((seconds, resume))
        )
        self.pool = psrpcore.ClientRunspacePool()
        self.count = 0
        self.fixed_id: str | None = None

    def ask(self, action: str, body: str = "", **more: str) -> Reply | Pending:
        self.count += 1
        message_id = f"uuid:{self.count}" if self.fixed_id is None else self.fixed_id
        settings = {"message_id": message_id, "shell_id": str(self.pool.runspace_pool_id)} | more
        if action == "Create":
            settings["shell_id"] = ""
            settings.setdefault("resource", f"{soap.POWERSHELL}Microsoft.PowerShell")
        self.last = envelope(action, body, **settings)
        return self.service.handle(soap.read(self.last), connection=1)

    def again(self, *, connection: int) -> Reply | Pending:
        """The last message once more."""
        return self.service.handle(soap.read(self.last), connection=connection)

    def create(self) -> Reply | Pending:
        self.pool.open()
        xml = (
            f'<rsp:Shell ShellId="{self.pool.runspace_pool_id}"><creationXml xmlns="{soap.NAMESPACES["ps"]}">'
            f"{self._data()}</creationXml></rsp:Shell>"
        )
        return self.ask("Create", xml)

    def command(self, script: str) -> tuple[str, Reply | Pending]:
        pipeline = psrpcore.ClientPowerShell(self.pool)
        pipeline.add_script(script)
        pipeline.start()
        command = str(pipeline.pipeline_id)
        line = f"<rsp:Command/><rsp:Arguments>{self._data()}</rsp:Arguments>"
        line = f'<rsp:CommandLine CommandId="{command}">{line}</rsp:CommandLine>'
        return command, self.ask("Command", line)

    def receive(self, command: str = "", **more: str) -> Pending:
        mark = f' CommandId="{command}"' if command else ""
        pending = self.ask(
            "Receive", f"<rsp:Receive><rsp:DesiredStream{mark}>stdout</rsp:DesiredStream></rsp:Receive>", **more
        )
        assert isinstance(pending, Pending)
        return pending

    def _data(self) -> str:
        data = b""
        while (payload := self.pool.data_to_send()) is not None:
            data += payload.data
        return base64.b64encode(data).decode()


def settled(pending: Pending, *, expire: bool = False) -> Reply | None:
    """The answer that is there now, if any."""
    replies: list[Reply] = []
    pending.on_reply = replies.append
    pending.poll()
    if expire:
        pending.expire()
    return replies[0] if replies else None


def shown(reply: Reply | Pending | None) -> str:
    assert isinstance(reply, Reply)
    return reply.xml.decode()


def code_of(reply: Reply | Pending | None) -> str:
    found = re.search(r'WSManFault [^>]*?Code="(\d+)"', shown(reply))
    return found[1] if found else shown(reply)


def test_the_opening_is_split_as_on_windows_and_each_fragment_is_a_stream() -> None:
    client = Client()
    created = client.create()
    assert created == client.again(connection=2), "the same message gets the same answer"
    first, second = settled(client.receive()), settled(client.receive())
    assert shown(first).count("<rsp:Stream ") == 2, "SESSION_CAPABILITY and APPLICATION_PRIVATE_DATA"
    assert shown(second).count("<rsp:Stream ") == 1, "RUNSPACEPOOL_STATE alone"
    assert settled(client.receive()) is None
    assert len(client.service.shells) == 1


def test_done_comes_with_the_last_output_and_a_repeated_command_runs_once() -> None:
    client = Client(sessions=[{"id": 2, "user": "alice"}])
    client.create()
    command, reply = client.command(DEFINED + OBSERVE)
    assert client.again(connection=2) == reply
    text = shown(settled(client.receive(command)))
    assert 'State="http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done"' in text
    assert text.count("<rsp:Stream ") == 2


def test_a_receive_waits_for_output_and_a_cancelled_one_takes_none() -> None:
    client = Client(script_s=5)
    client.create()
    command, _ = client.command(DEFINED + OBSERVE)
    gone = client.receive(command)
    assert settled(gone) is None
    gone.cancel()
    waiting = client.receive(command)
    replies: list[Reply] = []
    waiting.on_reply = replies.append
    ((seconds, resume),) = client.waits
    assert seconds == 5
    resume()
    assert "CommandState/Done" in shown(replies[0])


def test_an_engine_that_breaks_later_fails_the_pipeline(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(script_s=5)
    client.create()
    command, _ = client.command(DEFINED + OBSERVE)
    client.host.rows = lambda: 1 // 0  # type: ignore[assignment, return-value, method-assign] # a defect, for this test
    client.waits[0][1]()
    assert "CommandState/Done" in shown(settled(client.receive(command)))
    assert "ZeroDivisionError" in caplog.text


def test_an_operation_timeout_is_a_fault_and_loses_nothing() -> None:
    client = Client(script_s=5)
    client.create()
    command, _ = client.command(DEFINED + OBSERVE)
    assert code_of(settled(client.receive(command), expire=True)) == "2150858793"
    client.waits[0][1]()
    assert "CommandState/Done" in shown(settled(client.receive(command)))


def test_signals_stop_and_close_and_delete_ends_the_shell() -> None:
    client = Client(script_s=5)
    client.create()
    command, _ = client.command(DEFINED + OBSERVE)
    signal = '<rsp:Signal CommandId="{}"><rsp:Code>{}</rsp:Code></rsp:Signal>'
    told: list[str] = []
    waiting = client.receive(command)
    waiting.on_reply = lambda reply: told.append(shown(reply))
    stopping = client.ask("Signal", signal.format(command, "powershell/signal/ctrl_c"))
    assert "CommandState/Done" in told[0], "stopped"
    assert isinstance(stopping, Pending)
    assert "SignalResponse" in shown(settled(stopping))
    client.waits[0][1]()
    client.ask("Signal", signal.format(command, "http://x/signal/Terminate"))
    assert "no command" in shown(
        client.ask("Receive", f'<rsp:Receive><rsp:DesiredStream CommandId="{command}"/></rsp:Receive>')
    )
    waiting = client.receive()
    settled(waiting), settled(client.receive())
    last = client.receive()
    replies: list[Reply] = []
    last.on_reply = replies.append
    assert isinstance(client.ask("Delete"), Reply)
    assert code_of(replies[0]) == "2150858843", "who still waits hears that the shell is gone"
    assert code_of(client.ask("Delete")) == "2150858843"
    assert client.service.shells == {}


@pytest.mark.parametrize("message_id", ["", "uuid:always-the-same"])
def test_a_client_with_one_id_for_all_messages_gets_the_answer_to_each(message_id: str) -> None:
    client = Client(sessions=[{"id": 2, "user": "alice"}])
    client.fixed_id = message_id
    client.create()
    assert "ResourceCreated" in shown(client.again(connection=2)) or not message_id
    assert "MaxEnvelopeSizekb" in shown(client.ask("Get", resource=CONFIG))
    first, second = settled(client.receive()), settled(client.receive())
    assert (shown(first).count("<rsp:Stream "), shown(second).count("<rsp:Stream ")) == (2, 1)


def test_a_nul_behind_an_envelope_is_none_of_it() -> None:
    sent = envelope("Get", resource=CONFIG)
    assert soap.read(sent + b"\0").resource == soap.read(sent).resource
    with pytest.raises(soap.Malformed):
        soap.read(sent + b"\0\0")


def test_the_service_says_what_it_is() -> None:
    asking = (
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/'
        b'identity/1/wsmanidentity.xsd"><s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>'
    )
    told = shown(Client().service.handle(soap.read(asking)))
    assert ":IdentifyResponse " in told
    assert ":ProductVendor>Microsoft Corporation</" in told


def test_who_did_wrong_is_said_in_windows_numbers() -> None:
    client = Client()
    client.create()
    nobody = "00000000-0000-0000-0000-000000000000"
    answer = client.ask(
        "Receive", f'<rsp:Receive><rsp:DesiredStream CommandId="{nobody}">stdout</rsp:DesiredStream></rsp:Receive>'
    )
    assert code_of(answer) == "2150858843"
    assert "<s:Value>s:Sender</s:Value><s:Subcode><s:Value>w:InvalidSelectors<" in shown(answer)
    sent = client.last.replace(b"PT5S", b"PT-1S")
    assert code_of(client.service.handle(soap.read(sent), connection=1)) == "2150858767"
    created = shown(client.ask("Create", "<rsp:Shell/>", resource=f"{soap.SHELL}/cmd"))
    found = re.search(r"<rsp:ShellId>(.*?)<", created)
    assert found
    answer = client.ask("Receive", "<rsp:Receive/>", shell_id=found[1])
    assert code_of(answer) == "87"
    assert 'provider="Shell cmd plugin"' in shown(answer)


def test_a_command_quota_is_an_error_of_wmi_with_its_number() -> None:
    client = Client()
    client.create()
    shell = next(iter(client.service.shells.values()))
    shell.commands.update(psrpcore.ClientPowerShell(client.pool).pipeline_id for _ in range(MAX_COMMANDS))
    _, reply = client.command(OBSERVE)
    text = shown(reply)
    assert "w:InternalError" in text
    assert "WSManFault" not in text
    (error,) = re.findall("<p:MSFT_WmiError.*</p:MSFT_WmiError>", text)
    values = dict(re.findall("<p:([A-Za-z_]+)>([^<]+)<", error))
    assert (values["error_Code"], values["MessageID"]) == ("2150859241", "HRESULT 0x803381e9")


def test_idle_shells_go() -> None:
    client = Client()
    client.pool.open()
    body = (
        f'<rsp:Shell ShellId="{client.pool.runspace_pool_id}"><rsp:IdleTimeOut>PT180.000S</rsp:IdleTimeOut></rsp:Shell>'
    )
    client.ask("Create", body)
    client.host.world.clock.wait(179)
    assert "<rsp:IdleTimeOut>PT180.000S" in shown(client.ask("Get"))
    client.host.world.clock.wait(181)
    assert code_of(client.ask("Get")) == "2150858843"


@pytest.mark.parametrize(
    ("action", "body", "expected"),
    [
        ("Connect", "", "a:ActionNotSupported"),
        ("Receive", "<rsp:Receive><rsp:DesiredStream CommandId='x'/></rsp:Receive>", "not a CommandId"),
        ("Signal", "<rsp:Signal/>", "not a CommandId"),
        ("Command", "<rsp:CommandLine><rsp:Arguments>%%%</rsp:Arguments></rsp:CommandLine>", "s:Fault"),
    ],
)
def test_nonsense_is_a_fault(action: str, body: str, expected: str) -> None:
    client = Client()
    client.create()
    assert expected in shown(client.ask(action, body))


def test_config_and_unknown_resources() -> None:
    client = Client()
    assert "<cfg:MaxEnvelopeSizekb>500<" in shown(client.ask("Get", resource=CONFIG))
    assert code_of(client.ask("Create", resource=f"{soap.POWERSHELL}Microsoft.Exchange")) == "2150858811"


@pytest.mark.parametrize("data", [b"", b"<x/>", b"<x", b"\xff\xfe"])
def test_what_is_no_envelope_is_malformed(data: bytes) -> None:
    with pytest.raises(soap.Malformed):
        soap.read(data)


@pytest.mark.parametrize(
    ("text", "seconds"), [("PT20S", 20), ("PT20.500S", 20.5), ("P0DT0H1M2S", 62), ("P1D", 86400), ("", 7), ("soon", 7)]
)
def test_durations(text: str, seconds: float) -> None:
    assert soap.seconds(text, 7) == seconds


def test_answers_are_well_formed_whatever_the_host_is_called() -> None:
    client = Client(computer="<&\"'>")
    text = shown(client.ask("Get", message_id="<&>".replace("<", "&lt;").replace("&>", "&amp;>")))
    assert ET.fromstring(text) is not None  # noqa: S314 - the lab's own answer


# Rules.


def test_rules_count_only_what_concerns_them() -> None:
    rules = (
        Fault("receive", "hang", after=1, times=1),
        Fault("any", "close", after=5),
        Fault("command", "cut", call="A"),
    )
    asked_for = [("auth", None), ("receive", None), ("receive", None), ("receive", None), ("command", "B")]
    asked_for += [("command", "A"), ("connect", None), ("delete", None)]
    struck = [rule.do if (rule := striking(rules, step, call)) else None for step, call in asked_for]
    assert struck == [None, None, "hang", None, None, "cut", None, "close"]
