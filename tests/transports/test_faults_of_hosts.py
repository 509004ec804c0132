"""Faults in each form that Windows writes, at each step: what they mean, and whether the script may have run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.console import Command
from support.lab_target import TestEngine, reach
from support.snippet_calls import NEVER

import mpsbridge
from mpsbridge.errors import Interrupted, MpsBridgeError, NotSent, ShellRefused, TimedOut
from mpsbridge.host import Host
from mpsbridge.lab import Lab, build_world
from mpsbridge.models.harmless import harmless
from mpsbridge.models.sessions import LogonMode
from mpsbridge.snippets.logons import ReadLogonMode, SetLogonMode
from mpsbridge.transports.faults import KNOWN, Means, in_words, known, means, read_fault
from mpsbridge.transports.trouble import Stage, explain

QUOTAS, DENIED, DIED = (2150859173, 2150859174, 2150859241), 2147942405, 3762507597
FORMS = ("wsman", "plugin", "wmi", "bare")
NUMBERED = FORMS[:3]
ACT = SetLogonMode(mode=LogonMode.DRAIN, expected=None, not_after=NEVER, run="run-1")


def lab_with(step: str, form: str, code: int, **rule: Any) -> Lab:
    """A host that answers with the fault at that step; at ``receive`` only when the act's own answer is asked for."""
    if step == "receive":
        rule["call"] = "Set-MpsbridgeLogonMode"
    fault = {"step": step, "do": "fault", "form": form, "code": code, **rule}
    return Lab(build_world({"hosts": [{"name": "alpha", "faults": [fault]}]}))


def act(lab: Lab, *, after_a_question: bool = False) -> MpsBridgeError | None:
    """Change the host's logon mode; what went wrong."""
    with Host(reach(lab), timeout_s=20) as host:
        if after_a_question:
            host.ask(ReadLogonMode())
        try:
            host.ask(ACT)
        except MpsBridgeError as error:
            return error
    return None


def is_done(lab: Lab) -> bool:
    with lab.world.changing() as hosts:
        return hosts["alpha"].logon_mode == "drain"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", [*QUOTAS, DENIED, DIED])
def test_a_fault_to_the_shell_s_opening_means_that_nothing_was_sent(code: int, form: str) -> None:
    with lab_with("create", form, code) as lab:
        error = act(lab)
        assert isinstance(error, ShellRefused)
        assert not error.may_have_run
        assert "without a reason" not in str(error)
        assert "None" not in str(error)
        if code in QUOTAS:
            assert "winrm enumerate shell" in str(error.hint)
        assert not is_done(lab)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("code", QUOTAS)
def test_a_quota_that_keeps_the_host_from_a_command_is_answered_by_a_new_shell(
    code: int, form: str, *, later: bool
) -> None:
    """Once a quota in the form of WMI's errors was an act in doubt, and no new shell was tried."""
    with lab_with("command", form, code, after=int(later), times=1) as lab:
        assert act(lab, after_a_question=later) is None
        assert is_done(lab)
        assert [each.step for each in lab.requests].count("create") == 2
    with lab_with("command", form, code, after=int(later)) as lab:
        error = act(lab, after_a_question=later)
        assert isinstance(error, ShellRefused)
        assert not error.may_have_run
        assert not is_done(lab)


@pytest.mark.parametrize("form", NUMBERED)
@pytest.mark.parametrize("later", [False, True])
def test_a_command_that_is_denied_was_not_done_and_is_not_sent_again(form: str, *, later: bool) -> None:
    with lab_with("command", form, DENIED, after=int(later)) as lab:
        error = act(lab, after_a_question=later)
        assert isinstance(error, NotSent)
        assert "access is denied to this account" in str(error)
        assert [each.step for each in lab.requests].count("create") == 1
        assert not is_done(lab)


@pytest.mark.parametrize(("code", "form"), [(DENIED, "bare"), *((DIED, form) for form in FORMS)])
@pytest.mark.parametrize("later", [False, True])
def test_a_command_of_which_the_fault_proves_nothing_may_have_run(code: int, form: str, *, later: bool) -> None:
    with lab_with("command", form, code, after=int(later)) as lab:
        error = act(lab, after_a_question=later)
        assert isinstance(error, Interrupted)
        assert error.may_have_run
        if form != "bare":
            assert "MaxMemoryPerShellMB" in str(error.hint)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", [*QUOTAS, DENIED, DIED, 2150858843])
def test_whatever_the_fault_a_script_that_was_accepted_may_have_run(code: int, form: str) -> None:
    with lab_with("receive", form, code) as lab:
        error = act(lab)
        assert isinstance(error, Interrupted)
        assert error.may_have_run


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", [*QUOTAS, DENIED, DIED])
def test_a_fault_to_the_end_of_a_shell_hurts_nobody(code: int, form: str) -> None:
    with lab_with("delete", form, code) as lab:
        assert act(lab) is None
        assert is_done(lab)
        assert [each.step for each in lab.requests][-1] == "delete"


@pytest.mark.xdist_group("timing")
@pytest.mark.parametrize("form", FORMS)
def test_a_fault_to_a_stop_is_still_a_script_that_took_too_long(form: str) -> None:
    world = build_world({"hosts": [{"name": "alpha", "faults": [{"step": "signal", "do": "fault", "form": form}]}]})
    engine: Any = TestEngine(after_s=30)
    with Lab(world, engine=engine) as lab, Host(reach(lab), timeout_s=1) as host:
        with pytest.raises(TimedOut) as caught:
            host.ask(ACT)
        assert caught.value.may_have_run
        assert [each.step for each in lab.requests][-1] == "signal"


@pytest.mark.parametrize("form", NUMBERED)
def test_the_doctor_names_the_step_and_what_helps(
    form: str, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lab_with("create", form, 2150859173) as lab:
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        found = mpsbridge("doctor", "alpha")
        assert found.code == 1
        assert "too many shells of this account are open (WSMan fault 2150859173)" in found.out + found.err
        assert "winrm enumerate shell" in found.out + found.err


# Reading.

ENVELOPE = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code>
<s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>
<s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason><s:Detail>{detail}</s:Detail></s:Fault></s:Body>
</s:Envelope>"""
WSMAN = '<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" {code}>{message}</f:WSManFault>'
SPACES = (
    "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError",
    "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/microsoft/windows/management/MSFT_WmiError",
)


def of(detail: str, *, subcode: str = "w:InternalError", reason: str = "The general reason. ") -> str:
    return ENVELOPE.format(subcode=subcode, reason=escape(reason), detail=detail)


@pytest.mark.parametrize("space", SPACES)
def test_an_error_of_wmi_is_read_in_whatever_namespace(space: str) -> None:
    inner = "<p:error_Code>2150859174</p:error_Code><p:Message>Zu viele. </p:Message>"
    fault = read_fault(of(f'<p:MSFT_WmiError xmlns:p="{space}">{inner}</p:MSFT_WmiError>'))
    assert (fault.code, fault.reason) == (2150859174, "Zu viele.")
    assert means(fault) is Means.QUOTA


def test_the_plug_in_s_own_words_come_before_the_general_reason() -> None:
    inner = WSMAN.format(code='Code="4711"', message="<f:Message>What the plug-in found.\n Really.</f:Message>")
    for message in (
        f'<f:Message>The general reason.<f:ProviderFault provider="p">{inner}</f:ProviderFault></f:Message>',
        '<f:Message><f:ProviderFault provider="p">What the plug-in found. Really.</f:ProviderFault></f:Message>',
    ):
        fault = read_fault(of(WSMAN.format(code='Code="4711"', message=message)))
        assert (fault.code, fault.provider) == (4711, "p")
        assert in_words(fault) == "What the plug-in found. Really."


def test_the_number_of_the_fault_inside_counts_where_there_is_no_other() -> None:
    inner = WSMAN.format(code='Code="2150859173"', message="")
    message = f'<f:Message><f:ProviderFault provider="p">{inner}</f:ProviderFault></f:Message>'
    assert means(read_fault(of(WSMAN.format(code="", message=message)))) is Means.QUOTA


@pytest.mark.parametrize("number", ["", "odd", "-1", "99999999999", "２１５０８５９１７４", "0x803381A6"])
def test_what_is_no_number_of_windows_is_none(number: str) -> None:
    fault = read_fault(of(WSMAN.format(code=f'Code="{number}"', message="<f:Message>Said.</f:Message>")))
    assert (fault.code, fault.reason) == ("w:InternalError", "Said.")
    assert means(fault) is Means.UNKNOWN


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)
NAMES = st.sampled_from(["WSManFault", "MSFT_WmiError", "Message", "ProviderFault", "error_Code", "other"])
PLACES = st.sampled_from([*SPACES, "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault", ""])


@st.composite
def details(draw: st.DrawFn, depth: int = 3) -> str:
    name, code = draw(NAMES), draw(st.sampled_from(["", ' Code="5"', ' Code="x"', ' Code=""']))
    space = draw(PLACES)
    inner = draw(st.lists(details(depth - 1), max_size=3)) if depth else []
    return f'<{name} xmlns="{space}"{code}>{escape(draw(TEXT))}{"".join(inner)}</{name}>'


@given(st.lists(details(), max_size=3), TEXT, TEXT, st.sampled_from(list(Stage)))
def test_every_fault_becomes_a_sentence(inside: list[str], subcode: str, reason: str, stage: Stage) -> None:
    fault = read_fault(of("".join(inside), subcode=escape(subcode), reason=reason))
    error = explain(fault, where="ts1 (port 5986)", stage=stage)
    text = str(error)
    assert harmless(text) == text
    assert "(WSMan fault None)" not in text
    assert error.may_have_run == (stage is Stage.RUNNING or (stage is Stage.ASKED and not means_refusal(fault)))


def means_refusal(fault: Exception) -> bool:
    meant = means(fault)
    return meant is not None and meant.proves_refusal


def test_each_row_says_where_it_was_seen() -> None:
    for number, row in KNOWN.items():
        assert row.seen, number
        assert 0 < number < 2**32
    assert known(ValueError()) is None


def test_the_documentation_has_the_same_table() -> None:
    page = (Path(mpsbridge.__file__).parent / "docs" / "windows.md").read_text(encoding="utf-8")
    rows = {int(number): words for number, words in re.findall(r"^\| (\d{1,10}) \| ([^|]+?) \|", page, re.MULTILINE)}
    assert rows == {number: row.words for number, row in KNOWN.items()}


NESTED = {
    "in another's, of which the number is not known": '<f:WSManFault Code="4711">{}</f:WSManFault>',
    "in another's, which has none": "<f:WSManFault>{}</f:WSManFault>",
    "in a message without a plug-in": "<f:WSManFault><f:Message>{}</f:Message></f:WSManFault>",
    "two deep": '<f:WSManFault Code="1"><f:Message><f:ProviderFault><f:WSManFault Code="2"><f:Message>{}</f:Message>'
    "</f:WSManFault></f:ProviderFault></f:Message></f:WSManFault>",
}


@pytest.mark.parametrize("around", NESTED.values(), ids=NESTED)
def test_a_number_is_found_wherever_it_stands(around: str) -> None:
    inner = f'<f:WSManFault Code="{DENIED}"><f:Message>Zugriff verweigert</f:Message></f:WSManFault>'
    fault = read_fault(detailed(around.format(inner)))
    assert (fault.code, means(fault)) == (DENIED, Means.DENIED)


def test_an_error_of_wmi_beside_a_fault_without_a_number_has_it() -> None:
    wmi = f'<m:MSFT_WmiError xmlns:m="urn:x"><m:error_Code>{QUOTAS[0]}</m:error_Code></m:MSFT_WmiError>'
    assert means(read_fault(detailed(f"<f:WSManFault/>{wmi}"))) is Means.QUOTA


def test_of_two_known_numbers_the_outer_one_counts_and_of_two_unknown_ones_too() -> None:
    two = '<f:WSManFault Code="{}"><f:Message><f:WSManFault Code="{}"/></f:Message></f:WSManFault>'
    assert read_fault(detailed(two.format(DIED, DENIED))).code == DIED
    assert read_fault(detailed(two.format(4711, 4712))).code == 4711


def detailed(details: str) -> str:
    names = 'xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    names += ' xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"'
    code = "<s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>x</s:Text></s:Reason>"
    body = f"<s:Fault>{code}<s:Detail>{details}</s:Detail></s:Fault>"
    return f"<s:Envelope {names}><s:Body>{body}</s:Body></s:Envelope>"
