"""PowerShell's remoting protocol as we speak it: what goes out is pypsrp's to the byte, what comes in is read."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import itertools
import re
import struct
import uuid
import xml.etree.ElementTree as ET
from types import SimpleNamespace
from typing import Any

import psrpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab_target import TestEngine, reach, script
from psrpcore.types import ErrorCategoryInfo, NETException
from pydantic import JsonValue
from pypsrp.complex_objects import RunspacePoolState
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import Serializer
from pypsrp.wsman import WSMan

from mpsbridge.clock import SystemClock
from mpsbridge.lab import Lab, load_world
from mpsbridge.transports import clixml, winrm
from mpsbridge.transports.answers import BadAnswer, ShellBroken, WsmanFault
from mpsbridge.transports.http import HttpTransport
from mpsbridge.transports.limit import Limit
from mpsbridge.transports.psrp import COMPLETED, FAILED, Pipeline, Pool
from mpsbridge.transports.shell import Shell

TEXT = st.text(st.characters(exclude_characters="\ufffe\uffff", exclude_categories=["Cs"]))
LIMIT = 300_000


class Recorder:
    """Stands in pypsrp's ``WSMan`` for its own transport, and keeps what is sent."""

    def __init__(self, http: HttpTransport) -> None:
        self.endpoint = http.endpoint
        self.close = http.close
        self._http = http
        self.sent: list[bytes] = []

    def send(self, message: bytes, **_: object) -> bytes:
        self.sent.append(message)
        return self._http.send(message)[1]


def without_ids(message: bytes) -> tuple[str, list[bytes]]:
    """An envelope with ids and times left out, and the PSRP fragments in it without the ids of pool and pipeline."""
    text = re.sub(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", "ID", message.decode())
    text = re.sub(r"PT[\d.]+S", "PTS", text)
    data = re.findall(r">([A-Za-z0-9+/=]{40,})<", text)
    text = re.sub(r">[A-Za-z0-9+/=]{40,}<", "><", text)
    return ET.canonicalize(text), [nameless(base64.b64decode(each)) for each in data]


def nameless(fragments: bytes) -> bytes:
    cut = b""
    while fragments:
        length = struct.unpack_from(">I", fragments, 17)[0]
        first = fragments[16] & 1
        body = fragments[21 : 21 + length]
        cut += fragments[:21] + (body[:8] + bytes(32) + body[40:] if first else body)
        fragments = fragments[21 + length :]
    return cut


@pytest.mark.parametrize("configuration", ["Microsoft.PowerShell", "look"])
@pytest.mark.parametrize("size", [10, 900_000])
def test_a_conversation_is_pypsrps_to_the_byte(configuration: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = load_world("small")
    world.hosts["alpha"].facts = dataclasses.replace(world.hosts["alpha"].facts, jea=("look",))
    asked = script(definitions="#" * size)
    with Lab(world, auth="basic", engine=TestEngine()) as lab:
        theirs = Recorder(_http(lab, configuration))
        wsman = WSMan("not used")
        wsman.transport = theirs  # type: ignore[assignment]  # the recorder
        pool = RunspacePool(wsman, configuration_name=configuration, no_profile=True, idle_timeout=180)
        pool.open()
        pipeline = PowerShell(pool)
        if configuration == "look":
            pipeline.add_cmdlet(asked.function).add_parameters(asked.parameters)
        else:
            pipeline.add_script(asked.text, use_local_scope=False)
        pipeline.begin_invoke(remote_stream_options=0)
        pipeline.poll_invoke()
        pool.close()
        theirs.close()
        ours: list[bytes] = []
        send = HttpTransport.send

        def keep(http: HttpTransport, message: bytes) -> tuple[int, bytes]:
            ours.append(message)
            return send(http, message)

        monkeypatch.setattr(HttpTransport, "send", keep)
        monkeypatch.setattr(Shell, "payload_bytes", wsman.max_payload_size + 21)  # pypsrp forgets the fragment's head
        transport = winrm.WinrmTransport(reach(lab, configuration_name=configuration))
        transport.run(asked, timeout_s=10)
        transport.close()
    for mine, other in zip(ours, theirs.sent, strict=True):
        assert without_ids(mine) == without_ids(other)


def _http(lab: Lab, configuration: str) -> HttpTransport:
    limit = Limit(SystemClock())
    limit.start(10)
    return HttpTransport(reach(lab, configuration_name=configuration), limit)


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3"])
@pytest.mark.parametrize(
    "parameters", [None, {}, {"A": "x<&>\n_x0041_", "B": True, "C": 2**31 - 1, "D": -3, "E": None}]
)
def test_a_host_of_each_version_gets_what_it_knows(version: str, parameters: dict[str, JsonValue] | None) -> None:
    ours, theirs = Pool(), RunspacePool(SimpleNamespace(max_payload_size=LIMIT, transport=None))  # type: ignore[arg-type]
    ours.protocol = theirs.protocol_version = version
    theirs.state = RunspacePoolState.OPENED
    sent: list[Any] = []

    def command(_: str, arguments: list[str], command_id: str) -> ET.Element:
        sent.extend((arguments[0], command_id))
        return ET.Element("nothing")

    theirs.shell = SimpleNamespace(command=command)  # type: ignore[assignment]
    pipeline, mine = PowerShell(theirs), Pipeline()
    if parameters is None:
        pipeline.add_script("Get-Thing\n'\U0001f600'", use_local_scope=False)
        (fragment,) = ours.script(mine, "Get-Thing\n'\U0001f600'", limit=LIMIT)
    else:
        pipeline.add_cmdlet("Get-Thing").add_parameters(parameters)
        (fragment,) = ours.command(mine, "Get-Thing", parameters, limit=LIMIT)
    pipeline.begin_invoke(remote_stream_options=0)
    assert nameless(fragment)[8:] == nameless(base64.b64decode(sent[0]))[8:]
    assert fragment[21 + 24 : 21 + 40] == mine.id.bytes_le


def test_a_large_number_keeps_all_its_digits() -> None:
    assert clixml.scalar(-(2**40), "V") == '<I64 N="V">-1099511627776</I64>'  # pypsrp would call it an I32


def test_what_has_no_shape_for_a_host_is_refused() -> None:
    with pytest.raises(TypeError):
        Pool().command(Pipeline(), "Get-Thing", {"A": [1]}, limit=LIMIT)


# Text.


@given(TEXT)
def test_text_goes_as_pypsrp_writes_it_and_comes_back(text: str) -> None:
    element = Serializer().serialize(text)
    assert element is not None
    assert clixml.unescape(element.text or "") == text
    written = ET.fromstring(f"<S>{clixml.escape(text)}</S>").text or ""  # noqa: S314 - our own
    assert written == (element.text or "")


@given(st.text())
def test_any_text_comes_back_as_it_was(text: str) -> None:
    """Also halves of surrogate pairs: a name on Windows is any row of UTF-16 units."""
    written = ET.fromstring(f"<S>{clixml.escape(text)}</S>")  # noqa: S314 - our own
    assert clixml.text_of(written) == text


@pytest.mark.parametrize("text", ["_x", "_x0041", "_X0041_", "x0041_", "_xZZZZ_", "_x005F_x0041_"])
def test_what_only_looks_like_an_escape_stays(text: str) -> None:
    assert clixml.unescape(text) == text.replace("_x005F_", "_")
    assert clixml.unescape(clixml.escape(text)) == text


def test_a_string_with_properties_is_the_string() -> None:
    value = clixml.read(b'<Obj RefId="0"><S>text</S><MS><S N="PSPath">C:\\</S></MS></Obj>')
    assert clixml.text_of(value) == "text"


# What comes in.


def served(act: Any, pool: Pool, pipeline: Pipeline) -> bytes:
    """What a server (psrpcore's) says after ``act(pipeline)``, for a pipeline of ours."""
    server = psrpcore.ServerRunspacePool(application_private_data={})
    theirs = psrpcore.ServerPipeline(server, pipeline.id)
    fragments = pool.opening() + pool.script(pipeline, "Get-Thing", limit=LIMIT)[0]
    server.receive_data(psrpcore.PSRPPayload(fragments, psrpcore.StreamType.default, None))
    while server.next_event() is not None:
        pass
    opened = b""
    while (payload := server.data_to_send()) is not None:
        opened += payload.data
    pool.receive(opened)
    assert pool.opened
    assert pool.protocol == "2.3"
    theirs.start()
    act(theirs)
    data = b""
    while (payload := server.data_to_send(2000)) is not None:
        data += payload.data
    return data


def test_output_errors_and_warnings_are_read() -> None:
    def act(pipeline: psrpcore.ServerPipeline) -> None:
        for value in ("Tür\n", 5, True, None, "x" * 5000):
            pipeline.write_output(value)
        error = NETException(Message="it does not")
        pipeline.write_error(error, ErrorCategoryInfo(), fully_qualified_error_id="No,Get-Thing")
        pipeline.write_warning("careful")
        pipeline.write_verbose("passed over")
        pipeline.complete()

    pool, pipeline = Pool(), Pipeline()
    pool.receive(served(act, pool, pipeline), pipeline)
    assert pipeline.output == ["Tür\n", "5", "True", "", "x" * 5000]
    assert pipeline.warnings == ["careful"]
    assert pipeline.state == COMPLETED
    assert pipeline.errors == ["it does not"]


@given(st.data())
def test_fragments_may_be_cut_anyhow_but_not_lost(data: st.DataObject) -> None:
    pool, pipeline = Pool(), Pipeline()
    whole = served(lambda theirs: (theirs.write_output("x" * 9000), theirs.complete()), pool, pipeline)
    cuts = [0]
    while cuts[-1] < len(whole):
        cuts.append(cuts[-1] + 21 + struct.unpack_from(">I", whole, cuts[-1] + 17)[0])
    parts = [whole[start:end] for start, end in itertools.pairwise(cuts)]
    split = data.draw(st.integers(0, len(parts)))
    pool.receive(b"".join(parts[:split]), pipeline)
    pool.receive(b"".join(parts[split:]), pipeline)
    assert pipeline.output == ["x" * 9000]
    lost = data.draw(st.integers(1, 3))  # 0 is the Running state; these are parts of the long message
    other, again = Pool(), Pipeline()
    with pytest.raises(BadAnswer):
        other.receive(b"".join(parts[:lost] + parts[lost + 1 :]), again)
    with pytest.raises(BadAnswer):
        Pool().receive(whole[: data.draw(st.integers(1, len(whole) - 1).filter(lambda cut: cut not in cuts))])


def message(kind: int, text: str) -> bytes:
    body = struct.pack("<II", 1, kind) + bytes(32) + text.encode()
    return struct.pack(">QQBI", 1, 0, 3, len(body)) + body


def test_a_failed_pipeline_says_why() -> None:
    pipeline = Pipeline()
    record = (
        '<Obj N="ExceptionAsErrorRecord" RefId="1"><ToString>no such thing</ToString><MS>'
        '<S N="FullyQualifiedErrorId">CommandNotFoundException</S></MS></Obj>'
    )
    state = f'<Obj RefId="0"><MS><I32 N="PipelineState">5</I32>{record}</MS></Obj>'
    Pool().receive(message(0x00041006, state), pipeline)
    assert (pipeline.state, pipeline.errors) == (FAILED, ["no such thing"])
    assert pipeline.error_id == "CommandNotFoundException"


def test_a_pool_that_breaks_says_why() -> None:
    broken = (
        '<Obj RefId="0"><MS><I32 N="RunspaceState">5</I32><Obj N="ExceptionAsErrorRecord" RefId="1"><ToString>'
        "out of memory</ToString></Obj></MS></Obj>"
    )
    with pytest.raises(ShellBroken, match="out of memory"):
        Pool().receive(message(0x00021005, broken))


@pytest.mark.parametrize(
    ("kind", "text"),
    [(0x00041006, '<Obj RefId="0"><MS/></Obj>'), (0x00041004, "<C>x</C>"), (0x00041004, "<C>99999999</C>")],
)
def test_what_cannot_be_read_is_an_error(kind: int, text: str) -> None:
    with pytest.raises(BadAnswer):
        Pool().receive(message(kind, text), Pipeline())


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for pipeline in (None, Pipeline()):
        for head in (b"", message(0x00041004, "")[:17], message(0x00041006, "<Obj/>")):
            with contextlib.suppress(BadAnswer, ET.ParseError):
                Pool().receive(head + data, pipeline)


# Answers of WS-Management.


def answered(status: int, answer: str) -> Shell:
    return Shell(lambda _: (status, answer.encode()), to="http://ts1:5985/wsman", configuration="look")


FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
DETAIL = (
    f'<WSManFault xmlns="{FAULT}" Code="2150858843"><Message>It is <ProviderFault>gone</ProviderFault></Message>'
    "</WSManFault>"
)
SOAP = '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>{}</s:Body></s:Envelope>'


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("<s:Code><s:Subcode><s:Value>w:InternalError</s:Value></s:Subcode></s:Code>", "w:InternalError", None),
        ("<s:Reason><s:Text> too many </s:Text></s:Reason>", None, "too many"),
        (
            f"<s:Reason><s:Text>general</s:Text></s:Reason><s:Detail>{DETAIL}</s:Detail>",
            2150858843,
            "It is gone",
        ),
    ],
)
def test_a_fault_is_told_with_its_number_and_its_words(fault: str, code: int | str | None, reason: str | None) -> None:
    with pytest.raises(WsmanFault) as caught:
        answered(500, SOAP.format(f"<s:Fault>{fault}</s:Fault>")).delete(timeout_s=5)
    assert (caught.value.code, caught.value.reason) == (code, reason)


@pytest.mark.parametrize("answer", ["<html/>", "no XML", SOAP.format("")])
def test_without_a_fault_the_status_is_what_there_is(answer: str) -> None:
    with pytest.raises(BadAnswer, match="HTTP status 503"):
        answered(503, answer).delete(timeout_s=5)


def test_an_answer_to_something_else_is_refused() -> None:
    with pytest.raises(BadAnswer, match="was not asked"):
        answered(200, SOAP.format("")).delete(timeout_s=5)


def test_ids_that_a_host_gives_are_used() -> None:
    sent: list[str] = []

    def send(asked: bytes) -> tuple[int, bytes]:
        sent.append(asked.decode())
        relates = re.search(r"<wsa:MessageID>(.*?)</wsa:MessageID>", sent[-1])
        assert relates is not None
        body = (
            '<x:ResourceCreated xmlns:x="x"><w:SelectorSet xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">'
            '<w:Selector Name="ShellId">S&amp;1</w:Selector></w:SelectorSet></x:ResourceCreated>'
            '<r:CommandResponse xmlns:r="http://schemas.microsoft.com/wbem/wsman/1/windows/shell"><r:CommandId>C"1'
            "</r:CommandId></r:CommandResponse>"
        )
        head = f"<s:Header><a:RelatesTo xmlns:a='http://schemas.xmlsoap.org/ws/2004/08/addressing'>{relates[1]}"
        return 200, SOAP.replace("<s:Body>", f"{head}</a:RelatesTo></s:Header><s:Body>").format(body).encode()

    shell = Shell(send, to="http://ts1:5985/wsman", configuration="look")
    shell.create(uuid.uuid4(), b"", idle_timeout_s=5, timeout_s=5)
    command = shell.command(uuid.uuid4(), b"", timeout_s=5)
    assert command == 'C"1'
    shell.receive(command, timeout_s=0.25)
    ET.fromstring(sent[-1])  # noqa: S314 - well formed, whatever a host calls its commands
    assert '<wsman:Selector Name="ShellId">S&amp;1<' in sent[-1]
    assert "PT0.25S" in sent[-1]
