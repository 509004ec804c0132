"""The protection of the messages is what we demand, not what the other side, or something in between, offers."""

from __future__ import annotations

import functools
import importlib.util
import operator
import random
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import examples, missing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spnego._negotiate import NegotiateProxy
from spnego._ntlm import NTLMProxy
from spnego._ntlm_raw.messages import NegotiateFlags
from spnego._spnego import NegTokenResp, unpack_token
from support.certificates import self_signed
from support.impostor import Impostor, Proxy, accepted, challenge, clear_flags, flip_bit, with_token
from support.lab_target import TestEngine, reach, script
from support.rude_host import SCRIPT, RudeHost

from mpsbridge.errors import AuthRefused, Interrupted, MpsBridgeError, NotSent
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import load_world
from mpsbridge.models.credentials import Auth, Password
from mpsbridge.models.harmless import harmless
from mpsbridge.models.targets import Target
from mpsbridge.transports import open_transport
from mpsbridge.transports.signin.context import demand_protection
from mpsbridge.transports.signin.ntlm import DEMANDED, MIC_OF_METHODS, NtlmContext

WEAKER = "the host or something between offers weaker protection: without "
WAYS = pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
NOTHING_SIGNED = b"\x01" + bytes(15)
"""The signature of any text where SIGN was not negotiated."""


def fails(target: Target) -> AuthRefused:
    transport = open_transport(target)
    with pytest.raises(AuthRefused) as caught:
        transport.run(SCRIPT, timeout_s=10)
    transport.close()
    assert caught.value.kind == "auth"
    assert caught.value.may_have_run is False
    return caught.value


def weaker(target: Target) -> str:
    """What was lacking."""
    error = fails(target)
    assert WEAKER in str(error)
    assert "--auth kerberos" in error.hint
    assert "TLS" in error.hint
    return str(error).partition(WEAKER)[2]


def sealing_lab(engine: TestEngine | None = None) -> Lab:
    return Lab(load_world("small"), auth="ntlm", engine=engine or TestEngine())


@WAYS
@pytest.mark.parametrize("timestamp", [True, False])
@pytest.mark.parametrize(
    ("cleared", "words"),
    [
        *(pytest.param(flag, words, id=flag.name) for flag, words in DEMANDED.items()),
        pytest.param(
            NegotiateFlags.sign | NegotiateFlags.always_sign, DEMANDED[NegotiateFlags.sign], id="no signature at all"
        ),
        pytest.param(NegotiateFlags.key_128 | NegotiateFlags.key_56, "128-bit keys", id="40-bit keys"),
    ],
)
def test_an_impostor_that_offers_less_gets_neither_a_proof_of_the_password_nor_a_message(
    auth: Auth, cleared: int, words: str, *, timestamp: bool
) -> None:
    within = auth is Auth.NEGOTIATE
    last = accepted(NOTHING_SIGNED) if within else None
    impostor = Impostor(challenge(cleared, within=within, timestamp=timestamp), last)
    with RudeHost(impostor.behave) as host:
        assert words in weaker(host.target(auth=auth))
    assert len(impostor.seen) == 1, "the AUTHENTICATE message stays here"


@WAYS
def test_a_56_bit_key_is_not_enough(auth: Auth) -> None:
    impostor = Impostor(challenge(NegotiateFlags.key_128, within=auth is Auth.NEGOTIATE), None)
    with RudeHost(impostor.behave) as host:
        assert weaker(host.target(auth=auth)) == "128-bit keys"


@WAYS
@pytest.mark.parametrize("cleared", DEMANDED, ids=lambda flag: flag.name)
def test_over_tls_as_well(auth: Auth, cleared: NegotiateFlags, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    impostor = Impostor(challenge(cleared, within=auth is Auth.NEGOTIATE), None)

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            impostor.behave(secure)

    with RudeHost(behave) as host:
        target = host.target(tls=True, auth=auth).model_copy(update={"insecure_tls": True})
        assert DEMANDED[cleared] in weaker(target)
    assert len(impostor.seen) == 1


@WAYS
@pytest.mark.parametrize("cleared", DEMANDED, ids=lambda flag: flag.name)
def test_a_flag_cleared_on_the_way_ends_the_sign_in(auth: Auth, cleared: NegotiateFlags) -> None:
    change = with_token(clear_flags(cleared))
    with sealing_lab() as lab:
        proxy = Proxy(lab, down=lambda _, data: change(data))
        with RudeHost(proxy.behave) as middle:
            assert DEMANDED[cleared] in weaker(reach(lab, address="127.0.0.1", port=middle.port, auth=auth))
        assert [each.step for each in lab.requests] == ["auth"]


@WAYS
def test_a_flag_cleared_for_the_hosts_eyes_alone_is_found_by_the_host(auth: Auth) -> None:
    """The MIC of the AUTHENTICATE message is over its flags, also where the challenge asks for none."""

    def without_timestamp(token: bytes) -> bytes:
        at = token.index(b"\x07\x00\x08\x00")  # MsvAvTimestamp becomes an unknown pair of the same length
        return token[:at] + b"\x0b" + token[at + 1 :]

    seen: list[bytes] = []

    def up(_: int, data: bytes) -> bytes:
        seen.append(data)
        return data

    with sealing_lab() as lab:
        proxy = Proxy(
            lab,
            up=up,
            down=lambda number, data: with_token(without_timestamp)(data) if number == 1 else data,
        )
        with RudeHost(proxy.behave) as middle:
            fails(reach(lab, address="127.0.0.1", port=middle.port, auth=auth))
        assert lab.refused == {"alpha": 1}, "a CHALLENGE that was changed on the way makes another MIC"
    assert len(seen) == 2


def without_mic(token: bytes) -> bytes:
    last = unpack_token(token)
    return accepted(None) if isinstance(last, NegTokenResp) and last.mech_list_mic else token


def with_another_mic(token: bytes) -> bytes:
    last = unpack_token(token)
    if not isinstance(last, NegTokenResp) or not last.mech_list_mic:
        return token
    return accepted(bytes([*last.mech_list_mic[:4], last.mech_list_mic[4] ^ 1, *last.mech_list_mic[5:]]))


def with_a_constant(token: bytes) -> bytes:
    last = unpack_token(token)
    return accepted(NOTHING_SIGNED) if isinstance(last, NegTokenResp) and last.mech_list_mic else token


@pytest.mark.parametrize("change", [without_mic, with_another_mic, with_a_constant])
def test_the_hosts_signature_of_the_list_of_methods_is_demanded(change: Callable[[bytes], bytes]) -> None:
    with sealing_lab() as lab:
        proxy = Proxy(lab, down=lambda _, data: with_token(change)(data))
        with RudeHost(proxy.behave) as middle:
            assert weaker(reach(lab, address="127.0.0.1", port=middle.port)) == MIC_OF_METHODS
        assert {each.step for each in lab.requests} == {"auth"}, "no message went out"


@pytest.mark.parametrize("early", [True, False])
def test_an_impostor_with_every_flag_cannot_sign_the_list_of_methods(*, early: bool) -> None:
    """Also one that says at once that all is done, or answers SPNEGO with raw NTLM."""
    offers = [challenge(0, within=True), challenge(0, within=False)]
    for offer in offers:
        impostor = Impostor(offer, None if early else accepted(bytes(16)))
        with RudeHost(impostor.behave) as host:
            fails(host.target(auth=Auth.NEGOTIATE))
        assert len(impostor.seen) <= 2


def test_a_last_token_that_is_missing_is_no_sign_in() -> None:
    with sealing_lab() as lab:
        drop = with_token(lambda _: None)
        proxy = Proxy(lab, down=lambda number, data: drop(data) if number == 2 else data)
        with RudeHost(proxy.behave) as middle:
            error = fails(reach(lab, address="127.0.0.1", port=middle.port))
        assert "before it was complete" in str(error)


@WAYS
@pytest.mark.parametrize("level", ["0", "1", "2", "6", "-1", "x", ""])
def test_a_level_below_ntlmv2_is_refused(auth: Auth, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with sealing_lab() as lab:
        monkeypatch.setenv("LM_COMPAT_LEVEL", level)
        error = fails(reach(lab, auth=auth))
        assert "LM_COMPAT_LEVEL" in str(error)
        assert "NTLMv1" in error.hint
        assert lab.requests == []


@WAYS
@pytest.mark.parametrize("level", ["3", "4", "5"])
def test_ntlmv2_levels_are_fine(auth: Auth, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with sealing_lab() as lab:
        monkeypatch.setenv("LM_COMPAT_LEVEL", level)
        transport = open_transport(reach(lab, auth=auth))
        assert transport.run(script(), timeout_s=10).output == ("done",)
        transport.close()


def test_pyspnegos_inner_names_are_what_they_are_taken_for() -> None:
    """A release that renames one of them must not make a check pass that looks at nothing."""
    target, password = Target("a", auth=Auth.NEGOTIATE), Password("alice", "x")
    outer = NtlmContext(target, password, None)
    outer.step()
    assert isinstance(outer._context, NegotiateProxy)
    inner = outer._context._context
    assert isinstance(inner, NTLMProxy)
    assert (inner._context_attr, inner._mic_required, outer._context._mic_recv) == (0, True, False)
    assert outer.lacking == ()
    outer.step(challenge(0, within=True))
    assert inner.complete
    assert all(inner._context_attr & flag for flag in DEMANDED)
    raw = NtlmContext(Target("a", auth=Auth.NTLM), password, None)
    assert isinstance(raw._context, NTLMProxy)
    assert raw._context._mic_required
    raw.step()
    raw.step(challenge(NegotiateFlags.seal, within=False, timestamp=False))
    assert raw.lacking == (DEMANDED[NegotiateFlags.seal],)


# Kerberos.


class FakeSecurityContext:
    """What gssapi's context says of itself after the last token."""

    def __init__(self, granted: int, *, complete: bool = True) -> None:
        self.complete = complete
        self.actual_flags = granted


FLAGS = {
    "integrity": "integrity",
    "confidentiality": "confidentiality",
    "mutual_authentication": "mutual authentication",
    "replay_detection": "replay detection",
    "out_of_sequence_detection": "sequence detection",
}
"""What gssapi calls each, and what people are told."""


@pytest.mark.parametrize(("flag", "words"), FLAGS.items())
def test_a_kerberos_context_with_less_is_refused(flag: str, words: str) -> None:
    if importlib.util.find_spec("gssapi") is None:
        missing("the extra 'kerberos' (pip install -e '.[kerberos]')")
    from gssapi import RequirementFlag  # noqa: PLC0415 - an optional extra

    from mpsbridge.transports.signin.kerberos import KerberosContext  # noqa: PLC0415 - needs the extra

    full = functools.reduce(operator.or_, (RequirementFlag[name] for name in FLAGS))
    context: Any = KerberosContext.__new__(KerberosContext)
    context._context = FakeSecurityContext(full & ~RequirementFlag[flag])
    with pytest.raises(AuthRefused, match=f"{WEAKER}{words}$"):
        demand_protection(context, "alpha")
    context._context = FakeSecurityContext(full & ~RequirementFlag[flag], complete=False)
    demand_protection(context, "alpha")
    context._context = FakeSecurityContext(full)
    demand_protection(context, "alpha")


# What is sealed.

FLIPS = examples(6, 200)
"""For each message, direction and part of it."""
SIGN_IN, MESSAGES = 2, 5
ANSWER = "alice  rdp-tcp#3  3  Active  " * 40


@WAYS
@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("number", range(SIGN_IN + 1, SIGN_IN + MESSAGES + 1))
def test_one_bit_flipped_on_the_way_is_refused_and_never_read(
    auth: Auth, direction: str, number: int, *, sealed: bool
) -> None:
    """What stands around the sealed part says nothing that is believed, so a bit there may leave all as it was."""
    places, engine = random.Random(f"{direction}{number}"), TestEngine(lambda _: ANSWER)  # noqa: S311 - repeatable
    refused, slowest_s = 0, 0.0
    with sealing_lab(engine) as lab:
        proxy = Proxy(lab)
        with RudeHost(proxy.behave) as middle:
            target = reach(lab, address="127.0.0.1", port=middle.port, auth=auth)
            for _ in range(FLIPS):
                flip = functools.partial(flip_bit, place=places.randrange(1 << 20), sealed=sealed)
                setattr(proxy, direction, lambda this, data, flip=flip: flip(data) if this == number else data)
                started = time.monotonic()
                refused += not came_home_unchanged(target, engine)
                slowest_s = max(slowest_s, time.monotonic() - started)
    assert refused == FLIPS or not sealed
    print(f"{direction} {number}: {FLIPS} flips, {refused} refused, {slowest_s * 1000:.0f} ms")  # noqa: T201 - for -s


def came_home_unchanged(target: Target, engine: TestEngine) -> bool:
    """Run the script; what is not refused is the right answer, and nothing else was executed."""
    engine.texts.clear()
    transport = open_transport(target)
    error: NotSent | Interrupted | None = None
    try:
        output = transport.run(script(), timeout_s=10).output
    except (NotSent, Interrupted) as raised:
        error = raised
    else:
        assert output == (ANSWER,)
    transport.close()
    assert engine.texts in ([], [script().text])
    assert error is None or error.may_have_run or not engine.texts, str(error)
    return error is None


@WAYS
@pytest.mark.parametrize("kept", [3, 5])
def test_an_earlier_answer_in_the_place_of_a_later_one_is_refused(auth: Auth, kept: int) -> None:
    answers: dict[int, bytes] = {}

    def down(number: int, data: bytes) -> bytes:
        answers[number] = data
        return answers[kept] if number == kept + 1 else data

    with sealing_lab() as lab:
        proxy = Proxy(lab, down=down)
        with RudeHost(proxy.behave) as middle, pytest.raises(MpsBridgeError, match="cannot be opened"):
            open_transport(reach(lab, address="127.0.0.1", port=middle.port, auth=auth)).run(script(), timeout_s=10)


@WAYS
def test_a_request_sent_twice_runs_once(auth: Auth) -> None:
    engine, command = TestEngine(), SIGN_IN + 4
    first: list[bytes] = []

    def up(number: int, data: bytes) -> bytes:
        if number == command:
            first.append(data)
        return first[0] if number == command + 1 else data

    with sealing_lab(engine) as lab:
        proxy = Proxy(lab, up=up)
        with RudeHost(proxy.behave) as middle, pytest.raises(Interrupted):
            open_transport(reach(lab, address="127.0.0.1", port=middle.port, auth=auth)).run(script(), timeout_s=10)
    assert len(engine.texts) <= 1


@WAYS
@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
@pytest.mark.parametrize("kind", ["application/soap+xml;charset=UTF-8", 'multipart/encrypted;boundary="x"', ""])
def test_a_plain_answer_is_believed_nowhere(auth: Auth, status: str, kind: str) -> None:
    """A quota fault in clear after the script was sent would say that nothing ran."""
    fault = (
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Detail>'
        b'<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="2150859174"/>'
        b"</s:Detail></s:Fault></s:Body></s:Envelope>"
    )
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(fault)}\r\n\r\n".encode()
    with sealing_lab() as lab:
        proxy = Proxy(lab, down=lambda number, data: head + fault if number == SIGN_IN + 4 else data)
        with RudeHost(proxy.behave) as middle, pytest.raises(Interrupted) as caught:
            open_transport(reach(lab, address="127.0.0.1", port=middle.port, auth=auth)).run(script(), timeout_s=10)
    assert caught.value.may_have_run


@WAYS
def test_over_http_a_relayed_sign_in_is_of_no_use(auth: Auth) -> None:
    """Somebody passes the sign-in on to another host, is let in there, and has no key to seal a request of its own."""
    engine = TestEngine()
    order = script().text.encode()

    def up(number: int, data: bytes) -> bytes:
        if number <= SIGN_IN:
            return data
        head = b"POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml;charset=UTF-8\r\n"
        return head + b"Content-Length: %d\r\n\r\n" % len(order) + order

    with sealing_lab(engine) as lab:
        proxy = Proxy(lab, up=up)
        with RudeHost(proxy.behave) as middle, pytest.raises(NotSent):
            open_transport(reach(lab, address="127.0.0.1", port=middle.port, auth=auth)).run(script(), timeout_s=10)
        assert [each.status for each in lab.requests][SIGN_IN:] == [400]
    assert engine.texts == []


# Any bytes.

TOKENS = [
    challenge(0, within=True),
    challenge(0, within=False),
    challenge(NegotiateFlags.sign, within=True),
    accepted(bytes(16)),
    accepted(None),
    bytes.fromhex("a1073005a0030a0102"),  # SPNEGO's "reject"
    b"",
]


@pytest.fixture(scope="module")
def tried() -> Iterator[list[float]]:
    """Seconds of each hostile sign-in; how many there were and the slowest is printed with -s."""
    seconds: list[float] = []
    yield seconds
    print(f"{len(seconds)} hostile sign-ins, slowest {max(seconds, default=0) * 1000:.0f} ms")  # noqa: T201 - for -s


@WAYS
@settings(max_examples=examples(60, 2000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    token=st.sampled_from(TOKENS),
    cuts=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4)), max_size=4),
    length=st.integers(0, 400),
    status=st.sampled_from(["401 Unauthorized", "200 OK"]),
    last=st.one_of(st.none(), st.sampled_from(TOKENS), st.binary(max_size=60)),
)
def test_whatever_the_tokens_are_nobody_is_signed_in_and_it_ends_in_time(
    auth: Auth,
    tried: list[float],
    token: bytes,
    cuts: list[tuple[int, bytes]],
    length: int,
    status: str,
    last: bytes | None,
) -> None:
    spoiled = bytearray(token)
    for place, piece in cuts:
        spoiled[place : place + len(piece)] = piece
    impostor = Impostor(bytes(spoiled[:length]) if length < 300 else bytes(spoiled), last, status=status)
    with RudeHost(impostor.behave) as host:
        transport = open_transport(host.target(auth=auth))
        started = time.monotonic()
        with pytest.raises(NotSent) as caught:
            transport.run(SCRIPT, timeout_s=5)
        tried.append(time.monotonic() - started)
        transport.close()
    # A raw NTLM host that says yes to all proves itself by its first sealed answer; until then it saw sealed text only.
    assert not any(b"swordfish" in each for each in impostor.seen)
    assert all(b"Content-Length: 0" in each for each in impostor.seen[:2])
    if auth is Auth.NEGOTIATE:
        assert not any(b"multipart/encrypted" in each for each in impostor.seen)
    assert caught.value.may_have_run is False
    assert harmless(str(caught.value)) == str(caught.value)
    assert len(str(caught.value)) < 500
