"""What goes to a host is to the byte, or element for element, what an unchanged pypsrp sends."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from pypsrp.complex_objects import ObjectMeta, RunspacePoolState
from pypsrp.exceptions import (
    InvalidPSRPOperation,
    InvalidRunspacePoolStateError,
    WinRMError,
    WinRMTransportError,
    WSManFaultError,
)
from pypsrp.messages import ApplicationPrivateData, MessageType, RunspacePoolStateMessage
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from mpsbridge.transports import messages
from mpsbridge.transports.faults import read_fault
from mpsbridge.transports.fragments import in_one_fragment
from mpsbridge.transports.messages import CachingSerializer, script_command
from mpsbridge.transports.shell import Pipeline, Shell, function_command
from mpsbridge.transports.taken import Taken
from mpsbridge.transports.wsman import Connection

IDLE_S = 180
ODD = "# <&> _x0041_ T\u00fcr \U0001f600 'it''s'\r\n\t\x00\x7f\n"
ID = "0F1E2D3C-0000-0000-0000-000000000001"
ENDPOINT = "http://ts1:5985/wsman"
CREATED = (
    '<rsp:Shell xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell"><rsp:ShellId>S1</rsp:ShellId>'
    "<rsp:ResourceUri>http://schemas.microsoft.com/powershell/Odd&amp;Even</rsp:ResourceUri></rsp:Shell>"
    '<wst:ResourceCreated xmlns:wst="http://schemas.xmlsoap.org/ws/2004/09/transfer"><wsa:ReferenceParameters>'
    '<wsman:SelectorSet xmlns:wsman="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">'
    '<wsman:Selector Name="ShellId">S&lt;1"&amp;</wsman:Selector></wsman:SelectorSet></wsa:ReferenceParameters>'
    "</wst:ResourceCreated>"
)


class Sent(Exception):
    """What the transport was given, in place of an answer."""


class Outbox:
    """Takes messages; the first ones get these bodies as their answers, the next one is handed to the test."""

    endpoint = ENDPOINT

    def __init__(self, *bodies: str) -> None:
        self._bodies = list(bodies)

    def send(self, message: bytes, **_: object) -> bytes:
        """Answer, or hand it to the test."""
        if not self._bodies:
            raise Sent(message)
        related = re.search(rb"uuid:([0-9A-F-]+)</(?:wsa:)?MessageID>", message)
        assert related is not None
        return (
            '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
            'xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing"><s:Header>'
            f"<wsa:RelatesTo>uuid:{related[1].decode()}</wsa:RelatesTo></s:Header>"
            f"<s:Body>{self._bodies.pop(0)}</s:Body></s:Envelope>"
        ).encode()

    def close(self) -> None:
        """Nothing to close."""


def wsman(*bodies: str) -> WSMan:
    connection = WSMan("ts1", ssl=False, username="a", password="b", auth="ntlm", locale="en-US")
    connection.transport = Outbox(*bodies)  # type: ignore[assignment]  # in place of its HTTP
    return connection


def ours(version: str = "", *bodies: str) -> Shell:
    shell = Shell(Outbox(*bodies), "Microsoft.PowerShell", locale="en-US", idle_timeout_s=IDLE_S, taken=Taken())
    shell.id, shell.protocol_version = ID, version
    return shell


def pypsrps_own(version: str | None = None, *bodies: str) -> RunspacePool:
    pool = RunspacePool(wsman(*bodies), no_profile=True, idle_timeout=IDLE_S)
    pool.id = pool.shell.id = ID
    pool.protocol_version = version
    return pool


def sent(act: Callable[[], object]) -> bytes:
    """The message that ``act`` sends."""
    with pytest.raises(Sent) as caught:
        act()
    message: bytes = caught.value.args[0]
    return message


def carried(element: str, act: Callable[[], object]) -> bytes:
    """What the message that ``act`` sends carries in this element."""
    found = re.search(rf"<[^<>]*{element}[^<>]*>([^<]*)<".encode(), sent(act))
    assert found is not None
    return base64.b64decode(found[1])


def alike(message: bytes) -> str:
    """A request without what is another one each time, whatever its prefixes and the order of its attributes."""
    text = re.sub(r"uuid:[0-9A-F-]{36}", "uuid:", message.decode())
    return ET.canonicalize(text, rewrite_prefixes=True)


def begun(pipeline: Pipeline) -> bytes:
    pipeline.id = ID
    return carried("Arguments", pipeline.begin)


def begun_by_pypsrp(pipeline: PowerShell) -> bytes:
    pipeline.id = ID
    return carried("Arguments", lambda: pipeline.begin_invoke(remote_stream_options=0))


def test_a_shell_is_opened_by_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_OPENING", {})
    theirs = carried("creationXml", pypsrps_own().open)
    assert b"protocolversion" in theirs
    assert b"MaxRunspaces" in theirs
    assert [carried("creationXml", ours().open) for _ in range(2)] == [theirs] * 2


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3"])
@pytest.mark.parametrize("text", ["Get-Thing", ODD])
def test_a_script_travels_as_the_same_bytes(text: str, version: str) -> None:
    theirs = begun_by_pypsrp(PowerShell(pypsrps_own(version)).add_script(text, use_local_scope=False))
    assert (b"MergeInformation" in theirs) == (version == "2.3")
    for _ in range(2):
        assert begun(Pipeline(ours(version), script_command(text, version))) == theirs


def test_each_host_and_each_script_has_its_own_message() -> None:
    shell = ours("2.3")
    pipelines = [Pipeline(shell, script_command(text, "2.3")) for text in ("Get-Thing", "Get-Other")]
    first, other = (begun(pipeline) for pipeline in pipelines)
    shell.id = ID[::-1]
    assert len({first, other, begun(pipelines[0])}) == 3


def test_each_request_is_element_for_element_that_of_pypsrp() -> None:
    def opened() -> tuple[Shell, RunspacePool]:
        shell, pool = ours("2.3", CREATED), pypsrps_own("2.3", CREATED)
        for open_ in (shell.open, pool.open):
            sent(open_)  # the Receive after the Create
        return shell, pool

    def both(mine: Callable[[Shell], object], theirs: Callable[[RunspacePool], object]) -> None:
        shell, pool = opened()
        assert alike(sent(lambda: mine(shell))) == alike(sent(lambda: theirs(pool)))

    assert alike(sent(ours().open)) == alike(sent(pypsrps_own().open))
    both(lambda shell: shell.wsman.command(ID, b"abc"), lambda pool: pool.shell.command("", ["YWJj"], command_id=ID))
    both(lambda shell: shell.wsman.send(ID, b"abc"), lambda pool: pool.shell.send("stdin", b"abc", command_id=ID))
    both(lambda shell: shell.received(None), lambda pool: pool.shell.receive("stdout"))
    both(
        lambda shell: shell.received(ID, timeout_s=3),
        lambda pool: pool.shell.receive("stdout", command_id=ID, timeout=3),
    )
    both(
        lambda shell: shell.wsman.stop(ID),
        lambda pool: pool.shell.signal("powershell/signal/ctrl_c", command_id=ID),
    )
    both(lambda shell: shell.close(), lambda pool: pool.shell.close())


@pytest.mark.parametrize("size", [153_600, 512_000])
@pytest.mark.parametrize("endpoint", ["http://ts1:5985/wsman", f"https://{'long.' * 40}example:5986/wsman"])
def test_the_largest_request_fits_into_its_envelope(endpoint: str, size: int) -> None:
    box = Outbox(CREATED.replace("S&lt;1", ID))
    box.endpoint = endpoint
    connection = Connection(box, "http://schemas.microsoft.com/powershell/Microsoft.PowerShell", locale="en-US")
    connection.create(ID, b"", protocol="2.3", idle_timeout_s=IDLE_S)
    connection.envelope_bytes = size
    largest = b"x" * connection.payload_bytes
    for act in (connection.command, connection.send):
        message = sent(lambda act=act: act(ID, largest))  # type: ignore[misc]  # mypy cannot read the default
        assert size - 1500 < len(message) <= size


def test_a_message_that_is_too_long_for_one_request_goes_in_several() -> None:
    class Requests(Outbox):
        """Answers everything, and keeps the fragments."""

        def __init__(self) -> None:
            super().__init__(*["<a/>"] * 9)
            self.pieces: list[bytes] = []

        def send(self, message: bytes, **more: object) -> bytes:
            found = re.search(rb"<rsp:(?:Arguments|Stream [^>]*)>([^<]*)<", message)
            assert found is not None
            self.pieces.append(base64.b64decode(found[1]))
            return super().send(message, **more)

    text, requests = "x" * 600_000, Requests()
    shell = Shell(requests, "Microsoft.PowerShell", locale="en-US", idle_timeout_s=IDLE_S, taken=Taken())
    Pipeline(shell, script_command(text, "2.3")).begin()
    pieces = requests.pieces
    assert len(pieces) > 3
    assert [piece[16] for piece in pieces] == [1, *[0] * (len(pieces) - 2), 2]
    assert [int.from_bytes(piece[8:16]) for piece in pieces] == list(range(len(pieces)))
    assert text.encode() in b"".join(piece[21:] for piece in pieces)


FAULT = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault>
<s:Code><s:Value>s:Receiver</s:Value>{subcode}</s:Code><s:Reason><s:Text xml:lang="">it  failed </s:Text></s:Reason>
{detail}</s:Fault></s:Body></s:Envelope>"""
DETAIL = (
    '<s:Detail><f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"{code}>{inner}'
    "</f:WSManFault></s:Detail>"
)
SUBCODE = "<s:Subcode><s:Value>w:InternalError</s:Value></s:Subcode>"
PROVIDER = '<f:Message> <f:ProviderFault provider="P" path="C:\\p">\nof the provider </f:ProviderFault></f:Message>'


@pytest.mark.parametrize("subcode", ["", SUBCODE, "<s:Subcode><s:Value/></s:Subcode>"])
@pytest.mark.parametrize(
    "detail",
    [
        "",
        DETAIL.format(code=' Code="2150858793" Machine="ts1"', inner="<f:Message> too late\n</f:Message>"),
        DETAIL.format(code=' Code="odd"', inner=PROVIDER),
        DETAIL.format(code="", inner=""),
    ],
)
def test_a_fault_is_read_as_pypsrp_reads_it(subcode: str, detail: str) -> None:
    text = FAULT.format(subcode=subcode, detail=detail)
    mine, theirs = read_fault(text), WSMan._parse_wsman_fault(text)
    assert vars(mine) == vars(theirs)
    assert vars(read_fault("<a/>")) == vars(WSMan._parse_wsman_fault("<a/>"))


def test_answers_that_are_no_answers_are_errors() -> None:
    class Fixed(Outbox):
        def __init__(self, answer: str | None) -> None:
            super().__init__()
            self.answer = answer

        def send(self, message: bytes, **_: object) -> bytes:
            assert message
            if self.answer is None:
                raise WinRMTransportError("http", 500, FAULT.format(subcode="", detail=""))
            return self.answer.encode()

    def asked(answer: str | None) -> Callable[[], object]:
        return lambda: Connection(Fixed(answer), "r", locale="en-US").receive(None)

    with pytest.raises(WSManFaultError):
        asked(None)()
    for answer in ("<a/>", "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body/></s:Envelope>"):
        with pytest.raises(WinRMError, match="another request"):
            asked(answer)()
    with pytest.raises(ET.ParseError):
        asked("nothing")()
    other = (
        '<r:ReceiveResponse xmlns:r="http://schemas.microsoft.com/wbem/wsman/1/windows/shell">'
        '<r:Stream Name="pr">YQ==</r:Stream></r:ReceiveResponse>'
    )
    with pytest.raises(WinRMError, match="not asked for"):
        Connection(Outbox(other), "r", locale="en-US").receive(None)


NAMES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "wsa": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
}
ANSWER = f"""<{{s}}:Envelope xmlns:{{s}}='{NAMES["s"]}' xmlns:{{wsa}}='{NAMES["wsa"]}' xmlns:{{rsp}}='{NAMES["rsp"]}'>
<{{s}}:Header><{{wsa}}:RelatesTo>{{related}}</{{wsa}}:RelatesTo></{{s}}:Header>
<{{s}}:Body><{{rsp}}:ReceiveResponse><{{rsp}}:Stream Name='stdout'>YWJj</{{rsp}}:Stream><{{rsp}}:Stream Name='stdout'/>
<{{rsp}}:CommandState State='{NAMES["rsp"]}/CommandState/Done'>
<{{rsp}}:ExitCode>none</{{rsp}}:ExitCode></{{rsp}}:CommandState>
</{{rsp}}:ReceiveResponse></{{s}}:Body></{{s}}:Envelope>"""
SAME = {name: name for name in NAMES}


def received(prefixes: dict[str, str], change: Callable[[str], str] = lambda answer: answer) -> bytes:
    """What a Receive gives whose answer has these prefixes, and is changed so."""

    class Host(Outbox):
        def send(self, message: bytes, **_: object) -> bytes:
            related = re.search(r"uuid:[0-9A-F-]+(?=</wsa:MessageID>)", message.decode())
            assert related is not None
            return change(ANSWER.format_map(prefixes | {"related": related[0]})).encode()

    return Connection(Host(), "r", locale="en-US").receive(ID)


@pytest.mark.parametrize("prefixes", [SAME, {"s": "a", "wsa": "s", "rsp": "wsa"}, {"s": "E", "wsa": "_", "rsp": "s.1"}])
def test_prefixes_are_the_hosts_own_matter_and_a_commands_state_is_passed_over(prefixes: dict[str, str]) -> None:
    assert received(prefixes) == b"abc"


def test_an_element_of_another_namespace_is_another_element() -> None:
    for name in ("s", "wsa"):
        with pytest.raises(WinRMError, match="another request"):
            received(SAME, lambda answer, name=name: answer.replace(f"'{NAMES[name]}'", "'urn:other'"))  # type: ignore[misc]  # mypy cannot read the default
    assert received(SAME, lambda answer: answer.replace(f"'{NAMES['rsp']}'", "'urn:other'")) == b""


def test_a_stream_without_a_name_is_none_that_was_asked_for() -> None:
    with pytest.raises(WinRMError, match="not asked for"):
        received(SAME, lambda answer: answer.replace(" Name='stdout'", ""))


def test_a_fault_is_one_whatever_the_http_status() -> None:
    fault = FAULT.format(subcode=SUBCODE, detail=DETAIL.format(code=' Code="5"', inner=""))
    body = fault[fault.index("<s:Fault>") : fault.index("</s:Body>")]
    with pytest.raises(WSManFaultError) as caught:
        Connection(Outbox(body), "r", locale="en-US").receive(ID)
    assert caught.value.code == 5


def told(kind: int, xml: str) -> str:
    """A Receive's answer with one message of a host."""
    message = (1).to_bytes(4, "little") + kind.to_bytes(4, "little") + bytes(32) + xml.encode()
    content = base64.b64encode(in_one_fragment(message, 1)).decode()
    stream = f'<rsp:Stream Name="stdout">{content}</rsp:Stream>'
    return f'<rsp:ReceiveResponse xmlns:rsp="{NAMES["rsp"]}">{stream}</rsp:ReceiveResponse>'


def capability(version: str) -> str:
    xml = (
        f'<Obj RefId="0"><MS><Version N="protocolversion">{version}</Version><Version N="PSVersion">2.0</Version>'
        '<Version N="SerializationVersion">1.1.0.1</Version></MS></Obj>'
    )
    return told(MessageType.SESSION_CAPABILITY, xml)


def state(number: int) -> str:
    return told(MessageType.RUNSPACEPOOL_STATE, f'<Obj RefId="0"><MS><I32 N="RunspaceState">{number}</I32></MS></Obj>')


@pytest.mark.parametrize(
    ("version", "size"),
    [("2.1", 153_600), ("2.2", 512_000), ("2.3", 512_000), ("2.10", 512_000), ("3.0", 512_000), ("2", 153_600)],
)
def test_the_hosts_version_says_how_much_goes_into_a_request(version: str, size: int) -> None:
    answers = CREATED, capability(version), state(RunspacePoolState.OPENED)
    shell, pool = ours("", *answers), pypsrps_own(None, *answers)
    shell.open()
    pool.open()
    assert shell.protocol_version == pool.protocol_version == version
    assert shell.wsman.envelope_bytes == pool.connection.max_envelope_size == size
    mine, theirs = sent(lambda: shell.received(None)), sent(lambda: pool.shell.receive("stdout"))
    assert alike(mine) == alike(theirs)
    assert f">{size}</".encode() in mine


@pytest.mark.parametrize("number", [RunspacePoolState.CLOSED, RunspacePoolState.BROKEN])
def test_a_shell_that_does_not_open_is_deleted_all_the_same(number: int) -> None:
    shell = ours("", CREATED, state(number))
    with pytest.raises((InvalidPSRPOperation, InvalidRunspacePoolStateError)):
        shell.open()
    assert b"/transfer/Delete<" in sent(shell.close)


def test_what_a_host_says_in_an_object_of_the_wrong_shape_reaches_no_terminal() -> None:
    code = """
import mpsbridge.transports.winrm
from mpsbridge.transports.fragments import Fragments, in_one_fragment
from mpsbridge.transports.messages import CachingSerializer
from mpsbridge.transports.taken import Taken

xml = b'<Obj RefId="0"><TN RefId="0"><T>System.Management.Automation.ErrorRecord</T></TN>'
xml += b'<ToString>_x001B_[31m alice</ToString></Obj>'
output = (1).to_bytes(4, "little") + (0x00041004).to_bytes(4, "little") + bytes(32) + xml
print(len(Fragments(CachingSerializer(), Taken(), lambda: None).read(in_one_fragment(output, 1))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_what_a_host_tells_of_itself_is_passed_over_and_all_else_is_read() -> None:
    told = '<Obj RefId="0"><MS><Obj N="ApplicationPrivateData" RefId="1"><DCT/></Obj></MS></Obj>'
    state = '<Obj RefId="0"><MS><I32 N="RunspaceState">2</I32></MS></Obj>'
    serializer = CachingSerializer()
    assert serializer.deserialize(told, ObjectMeta("Obj", object=ApplicationPrivateData)) is not None
    assert serializer.deserialize(state, ObjectMeta("Obj", object=RunspacePoolStateMessage)).state == 2
    assert serializer.deserialize("<S>done</S>") == "done"


def test_other_commands_are_written_for_each_host() -> None:
    for name in ("alice", "bob"):
        theirs = begun_by_pypsrp(PowerShell(pypsrps_own("2.3")).add_cmdlet("Get-Thing").add_parameter("Name", name))
        assert name.encode() in theirs
        assert begun(Pipeline(ours("2.3"), function_command("Get-Thing", {"Name": name}, "2.3"))) == theirs
