"""The lab as a client sees it: pypsrp's own, unmodified, over real sockets."""

from __future__ import annotations

import base64
import errno
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import requests
from pypsrp.client import Client
from pypsrp.exceptions import AuthenticationError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import Process, WinRS
from support.console import Command
from support.fake_clock import FakeClock
from support.lab_client import DEFINED, OBSERVE, act, answer, guards_of, pool, run, wsman

from mpsbridge.errors import SettingsError
from mpsbridge.inventory.reading import read_inventory
from mpsbridge.lab import Lab, build_world, load_world
from mpsbridge.lab.windows.tables import quser_bytes
from mpsbridge.lab.wire import addresses
from mpsbridge.models.answers import LogonsAnswer, ObserveAnswer, RefusalAnswer
from mpsbridge.snippets.sessions import ActAnswer
from mpsbridge.snippets.stations import StationsAnswer


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(load_world("small"), auth="basic") as started:
        yield started


def steps(lab: Lab) -> list[str]:
    return [record.step for record in lab.requests]


# The ways in.


@pytest.mark.parametrize(
    ("auth", "tls", "client", "expected"),
    [
        ("basic", False, "basic", ["create", "receive", "receive", "command", "receive", "delete"]),
        ("basic", True, "basic", ["create", "receive", "receive", "command", "receive", "delete"]),
        ("ntlm", False, "ntlm", ["auth"] * 3 + ["create", "receive", "receive", "command", "receive", "delete"]),
        ("ntlm", False, "negotiate", ["auth"] * 3 + ["create", "receive", "receive", "command", "receive", "delete"]),
        ("ntlm", True, "ntlm", ["auth"] * 2 + ["create", "receive", "receive", "command", "receive", "delete"]),
    ],
)
def test_an_unmodified_client_gets_its_answer_in_the_known_number_of_requests(
    auth: Any, tls: bool, client: str, expected: list[str]
) -> None:
    with Lab(load_world("small"), auth=auth, tls=tls) as lab:
        with pool(lab, auth=client) as runspaces:
            assert answer(runspaces, OBSERVE)["snippet"] == "observe"
        assert steps(lab) == expected
        assert {record.connection for record in lab.requests} == {1}
        assert lab.refused == {}


def test_messages_over_http_are_sealed_and_over_https_bound_to_the_channel() -> None:
    with Lab(load_world("small"), auth="ntlm") as lab:
        url = f"http://{lab.hosts[0].address}:{lab.port}/wsman"
        assert requests.post(url, data=b"<x/>", timeout=5).status_code == 401
    with Lab(load_world("small"), auth="ntlm", tls=True) as lab:
        with pytest.raises(AuthenticationError), pool(lab, negotiate_send_cbt=False):
            pass
        assert lab.refused == {"alpha": 1}
        with pool(lab, negotiate_send_cbt=True) as runspaces:
            assert answer(runspaces, OBSERVE)["ok"]


@pytest.mark.parametrize(("auth", "tls"), [("basic", False), ("ntlm", False), ("ntlm", True)])
def test_a_wrong_password_is_refused_after_one_counted_attempt(auth: Any, tls: bool) -> None:
    with Lab(load_world("small"), auth=auth, tls=tls) as lab:
        with pytest.raises(AuthenticationError), pool(lab, password="wrong"):
            pass
        assert lab.refused == {"alpha": 1}
        assert set(steps(lab)) == {"auth"}


def test_the_certificate_is_for_names_addresses_and_localhost_and_is_not_trusted_without_the_ca() -> None:
    with Lab(load_world("small"), tls=True) as lab:
        with pytest.raises(requests.exceptions.SSLError), pool(lab, cert_validation=True):
            pass
        assert lab.ca_file is not None
        assert lab.ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
        certificate = _certificate_text(lab)
    assert {"alpha", "beta", "localhost", "127.20.0.1", "127.20.0.2"} <= certificate


def _certificate_text(lab: Lab) -> set[str]:
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    with (
        socket.create_connection((lab.hosts[0].address, lab.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="alpha") as secure,
    ):
        certificate = secure.getpeercert()
    assert certificate is not None
    return {str(entry[1]) for entry in certificate["subjectAltName"]}


def test_two_labs_in_one_process_keep_their_passwords_apart() -> None:
    before = os.environ.get("NTLM_USER_FILE")
    with Lab(load_world("small"), password="one") as first, Lab(load_world("small"), password="two") as second:
        for lab in (first, second, first):
            with pool(lab) as runspaces:
                assert answer(runspaces, OBSERVE)["ok"]
        with pytest.raises(AuthenticationError), pool(second, password="one"):
            pass
    assert os.environ.get("NTLM_USER_FILE") == before


# What is answered.


@pytest.mark.parametrize("world", ["small", "demo", "troubles"])
def test_every_host_answers_the_questions_in_the_agreed_shapes(world: str) -> None:
    everything = load_world(world)
    for host in everything.hosts.values():
        host.faults = ()
    with Lab(everything, auth="basic") as lab:
        for place in lab.hosts:
            if everything.hosts[place.name].facts.down:
                continue
            with pool(lab, place.name) as runspaces:
                for call, model in (
                    (OBSERVE, ObserveAnswer),
                    ("Get-MpsbridgeStation -TimeLimitSeconds 20", StationsAnswer),
                    ("Get-MpsbridgeLogonMode", LogonsAnswer),
                ):
                    envelope = answer(runspaces, call)
                    assert set(envelope) == {"mpsbridge", "snippet", "ok", "result", "problems"}
                    strict(model, envelope["result"])


def strict(model: type[Any], result: dict[str, Any]) -> Any:
    """Validate, and refuse keys that the model does not know (a model passes over them)."""
    value = model.model_validate(result)
    assert set(result) <= set(model.model_fields), "the lab sends a field that the contract does not have"
    return value


def test_ending_a_session_ends_that_one_and_records_it(lab: Lab) -> None:
    with pool(lab) as runspaces:
        guards = guards_of(answer(runspaces, OBSERVE)["result"])
        alice = next(guard for guard in guards if guard["user"] == "alice")
        envelope = answer(runspaces, act("Close-MpsbridgeSession", [alice]))
        assert envelope["snippet"] == "logoff"
        result = strict(ActAnswer, envelope["result"])
        assert [(each.id, each.result) for each in result.sessions] == [(2, "ended")]
        left = guards_of(answer(runspaces, OBSERVE)["result"])
        again = answer(runspaces, act("Close-MpsbridgeSession", [alice]))["result"]["sessions"]
    assert [guard["user"] for guard in left] == ["bob", "carol"]
    assert again == [{"id": 2, "result": "gone", "text": "", "begun": False}]
    assert [(change.act, change.session_id, change.user) for change in lab.changes] == [("logoff", 2, "alice")]


def test_messages_are_shown_and_a_session_is_disconnected(lab: Lab) -> None:
    with pool(lab) as runspaces:
        guards = guards_of(answer(runspaces, OBSERVE)["result"])
        alice = next(guard for guard in guards if guard["user"] == "alice")
        more = " -Text 'it''s five' -DisplaySeconds 60"
        shown = answer(runspaces, act("Send-MpsbridgeMessage", [alice], more=more))
        gone = answer(runspaces, act("Disconnect-MpsbridgeSession", [alice]))
        unseen = answer(runspaces, act("Send-MpsbridgeMessage", [alice], more=more))
    assert (shown["snippet"], shown["result"]["sessions"][0]["result"]) == ("message", "shown")
    assert (gone["snippet"], gone["result"]["sessions"][0]["result"]) == ("disconnect", "disconnected")
    assert unseen["result"]["sessions"][0]["result"] == "refused"
    assert [(change.act, change.text) for change in lab.changes] == [("message", "it's five"), ("disconnect", "")]
    with lab.world.changing() as hosts:
        assert hosts["alpha"].sessions[0].boxes == ["it's five"]


def test_w17_the_logon_mode_is_set_only_where_it_is_the_expected_one(lab: Lab) -> None:
    call = "Set-MpsbridgeLogonMode -Mode 'drain' -Expected {} -NotAfter '{}' -Run 'run-1'"
    with pool(lab) as runspaces:
        late = answer(runspaces, call.format("$null", "20200101000000.000000+000"))
        other = answer(runspaces, call.format("'disabled'", "20991231235959.000000+000"))
        done = answer(runspaces, call.format("'enabled'", "20991231235959.000000+000"))
    assert (late["ok"], strict(RefusalAnswer, late["result"]).kind) == (False, "expired")
    assert (other["result"]["mode"], other["result"]["changed"]) == ("enabled", False)
    result = strict(LogonsAnswer, done["result"])
    assert (result.mode, result.was, result.changed, result.drain) == ("drain", "enabled", True, 2)


def test_a_blind_account_sees_nobody_while_people_are_there() -> None:
    with Lab(load_world("troubles"), auth="basic") as lab, pool(lab, "blind") as runspaces:
        result = ObserveAnswer.model_validate(answer(runspaces, OBSERVE)["result"])
    assert (result.quser.exit, result.quser.out) == (1, "")
    assert base64.b64decode(result.quser.err) == b"No User exists for *\r\n"
    assert (result.births, result.caller.elevated, result.witness.before) == ((), False, (2,))


def test_w14_a_delegated_account_sees_people_but_may_not_set_logons() -> None:
    with Lab(load_world("troubles"), auth="basic") as lab, pool(lab, "delegated") as runspaces:
        observed = answer(runspaces, OBSERVE)
        refused = answer(
            runspaces, "Set-MpsbridgeLogonMode -Mode 'drain' -NotAfter '20991231235959.000000+000' -Run 'r'"
        )
    assert guards_of(observed["result"])[0]["born"] is None
    assert observed["problems"]
    assert (refused["ok"], refused["result"]["kind"]) == (False, "remote")


def test_w03_a_log_off_that_does_not_end_is_unknown() -> None:
    clock = FakeClock()
    with Lab(load_world("troubles"), auth="basic", clock=clock) as lab, pool(lab, "sticky") as runspaces:
        guards = guards_of(answer(runspaces, OBSERVE)["result"])
        result = answer(runspaces, act("Close-MpsbridgeSession", guards))["result"]
        assert [each["result"] for each in result["sessions"]] == ["unknown", "unknown"]
        clock.wait(1.5)
        left = answer(runspaces, OBSERVE)["result"]
    assert [guard["user"] for guard in guards_of(left)] == ["alice"]
    assert left["witness"]["before"] == [2, 3], "w09: processes outlive the row"


# What is not answered.


@pytest.mark.parametrize(
    "call", ["Get-Process", "1 + 1", "Get-MpsbridgeObservation -TimeLimitSeconds (20)", f"{OBSERVE}; Get-Process", ""]
)
def test_anything_else_is_an_honest_error(lab: Lab, call: str) -> None:
    with pool(lab) as runspaces:
        pipeline = run(runspaces, call)
    assert pipeline.had_errors
    assert pipeline.output == []
    assert "--engine powershell" in str(pipeline.streams.error[0])


def test_a_function_must_have_been_defined_in_the_same_pool(lab: Lab) -> None:
    with pool(lab) as runspaces:
        assert run(runspaces, OBSERVE, defined="").had_errors
        assert not run(runspaces, OBSERVE, defined=DEFINED).had_errors
        assert not run(runspaces, OBSERVE, defined="").had_errors
    with pool(lab) as runspaces:
        assert run(runspaces, OBSERVE, defined="").had_errors


def client_of(lab: Lab, host: int | str = 0) -> Client:
    client = Client("not used")
    client.wsman = wsman(lab, host)
    return client


def test_execute_ps_and_execute_cmd_are_told_the_truth(lab: Lab) -> None:
    with client_of(lab) as client:
        output, streams, had_errors = client.execute_ps("hello")
        assert had_errors
        assert output == ""
        assert "--engine powershell" in str(streams.error[0])
        _, errors, code = client.execute_cmd("hostname")
    assert code == 1
    assert "no command shell" in errors


def test_a_plain_quser_is_answered_in_both_kinds_of_shell() -> None:
    world = load_world("small")
    world.hosts["beta"].sessions.clear()
    with Lab(world, auth="basic") as lab, client_of(lab) as client:
        table = quser_bytes(world.hosts["alpha"]).decode("cp437")
        for call in ("quser", "QUERY user\nexit $LASTEXITCODE"):
            output, _, failed = client.execute_ps(call)
            assert (output.splitlines(), failed) == (table.splitlines(), False)
        assert client.execute_cmd("quser.exe")[::2] == (table, 0)
        output, _, failed = client.execute_ps("quser; logoff 2")
        assert (output, failed) == ("", True)
    with Lab(world, auth="basic") as lab, client_of(lab, "beta") as client:
        nobody = world.hosts["beta"].facts.sentences.nobody.format("*")
        output, streams, failed = client.execute_ps("quser")
        assert (output, str(streams.error[0]), failed) == ("", nobody, True)
        assert client.execute_cmd("quser") == ("", f"{nobody}\r\n", 1)


def test_the_steps_of_a_command_shell_work(lab: Lab) -> None:
    shell = WinRS(wsman(lab))
    shell.open()
    process = Process(shell, "powershell", ["-encodedcommand", "aABpAA=="])
    process.invoke()
    process.signal("http://schemas.microsoft.com/wbem/wsman/1/windows/shell/signal/Terminate")
    shell.close()
    shell.wsman.close()
    assert process.rc == 1
    assert steps(lab) == ["create", "command", "receive", "signal", "delete"]


def test_a_jea_endpoint_takes_published_functions_and_no_script() -> None:
    world = build_world({"hosts": [{"name": "a", "jea": ["mpsbridge.look"]}]})
    with Lab(world, auth="basic") as lab:
        with pool(lab, configuration="mpsbridge.look") as runspaces:
            refused = run(runspaces, OBSERVE)
            pipeline = PowerShell(runspaces)
            pipeline.add_cmdlet("Get-MpsbridgeObservation").add_parameter("TimeLimitSeconds", 20)
            (text,) = pipeline.invoke()
        assert "not supported by this runspace" in str(refused.streams.error[0])
        assert json.loads(text)["ok"]
        with pytest.raises(Exception, match="2150858811"), pool(lab, configuration="other"):
            pass


# The protocol beyond one question.


def test_pool_settings_is_alive_and_reset(lab: Lab) -> None:
    with pool(lab) as runspaces:
        runspaces.max_runspaces = 3
        runspaces.min_runspaces = 2
        assert runspaces.get_available_runspaces() == 3
        runspaces.reset_runspace_state()
        assert runspaces.is_alive()
        runspaces.connection.update_max_payload_size()
        assert runspaces.connection.max_envelope_size == 500 * 1024


def test_a_long_message_travels_in_fragments(lab: Lab) -> None:
    text = "x" * 1_500_000
    with pool(lab) as runspaces:
        pipeline = run(runspaces, f"Get-Nothing -Text '{text}'", defined="")
    assert pipeline.had_errors
    assert "send" in steps(lab)


@pytest.mark.xdist_group("timing")
def test_a_script_that_takes_its_time_is_polled_and_can_be_stopped() -> None:
    world = build_world({"hosts": [{"name": "a", "script_s": 1.2}, {"name": "b", "script_s": 60}]})
    with Lab(world, auth="basic") as lab:
        with pool(lab, operation_timeout=1) as runspaces:
            assert answer(runspaces, OBSERVE)["ok"]
        assert steps(lab).count("receive") == 4, "one receive ends with the operation timeout, the next has the answer"
        with pool(lab, "b") as runspaces:
            pipeline = PowerShell(runspaces)
            pipeline.add_script(DEFINED + OBSERVE)
            pipeline.begin_invoke()
            began = time.monotonic()
            pipeline.stop()
            assert not run(runspaces, "Get-Process").output
        assert time.monotonic() - began < 1.5, "stopping, and stopping the lab, do not wait for the script"


@pytest.mark.xdist_group("timing")
def test_output_stays_for_a_client_that_comes_back_with_the_same_message() -> None:
    world = build_world(
        {"hosts": [{"name": "a", "faults": [{"step": "receive", "after": 2, "times": 1, "do": "hang", "acted": True}]}]}
    )
    with Lab(world, auth="basic") as lab, pool(lab, read_timeout=1, reconnection_backoff=0) as runspaces:
        assert answer(runspaces, OBSERVE)["ok"]
        assert steps(lab).count("command") == 1


def test_a_shell_quota_and_unknown_shells_are_faults(lab: Lab) -> None:
    pools = []
    for _ in range(30):
        runspaces = RunspacePool(wsman(lab))
        runspaces.open()
        pools.append(runspaces)
    with pytest.raises(Exception, match="2150859174"), pool(lab):
        pass
    pools[0].shell._selector_set = pools[1].shell._selector_set
    pools[0].close()
    with pytest.raises(Exception, match="2150858843"):
        pools[1].close()
    for runspaces in pools[2:]:
        runspaces.close()
    for runspaces in pools:
        runspaces.connection.close()


# The lab itself.


def test_many_hosts_start_fast_and_each_has_its_own_address() -> None:
    world = build_world({"hosts": [{"name": f"h{number}"} for number in range(64)]})
    began = time.monotonic()
    with Lab(world) as lab:
        assert time.monotonic() - began < 2
        assert len({place.address for place in lab.hosts}) == 64
        with pool(lab, 63) as runspaces:
            assert answer(runspaces, OBSERVE)["result"]["computer"] == "H63"


def test_a_host_that_is_down_refuses_connections() -> None:
    with Lab(load_world("troubles"), auth="basic") as lab:
        off = next(place for place in lab.hosts if place.name == "off")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((off.address, lab.port), timeout=5)


def test_a_restart_cuts_everybody_off_until_the_host_is_back_with_another_boot() -> None:
    clock = FakeClock()
    with Lab(load_world("small"), auth="basic", clock=clock) as lab:
        with pool(lab) as runspaces:
            before = answer(runspaces, OBSERVE)["result"]
            with lab.world.changing() as hosts:
                hosts["alpha"].restart()
            with pytest.raises(requests.ConnectionError):
                run(runspaces, OBSERVE)
        with pytest.raises(requests.ConnectionError), pool(lab):
            pass
        clock.wait(31)
        with pool(lab) as runspaces:
            after = answer(runspaces, OBSERVE)["result"]
        assert after["boot"] > before["boot"]
        assert guards_of(before)
        assert after["quser"]["exit"] == 1
        with pool(lab, "beta") as runspaces:
            assert answer(runspaces, OBSERVE)["ok"]
        with lab.world.changing() as hosts:
            hosts["alpha"].shut_down()
        clock.wait(10_000)
        with pytest.raises(requests.ConnectionError), pool(lab):
            pass


def test_a_taken_port_is_an_error_in_the_caller() -> None:
    with Lab(load_world("small")) as lab:
        second = Lab(load_world("small"), port=lab.port)
        with pytest.raises(SettingsError, match=r"cannot listen: .*in use"):
            second.start()
        second.stop()


def test_the_ready_file_and_the_record_file(tmp_path: Path) -> None:
    record, ready = tmp_path / "record.jsonl", tmp_path / "ready.json"
    with Lab(load_world("small"), auth="basic", record=record) as lab:
        lab.write_ready_file(ready)
        with pool(lab) as runspaces:
            guards = guards_of(answer(runspaces, OBSERVE)["result"])
            answer(runspaces, act("Close-MpsbridgeSession", guards[:1]))
        content = json.loads(ready.read_text())
        inventory = read_inventory(Path(content["inventory"]))
    assert set(content) == {"port", "tls", "auth", "user", "password", "ca_file", "inventory", "hosts"}
    assert content["hosts"] == [
        {"name": "alpha", "address": "127.20.0.1", "port": content["port"]},
        {"name": "beta", "address": "127.20.0.2", "port": content["port"]},
    ]
    assert inventory.hosts["beta"].address == "127.20.0.2"
    assert (inventory.hosts["beta"].port, inventory.hosts["beta"].tls) == (content["port"], False)
    assert ready.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob(".ready*"))
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    requests_seen = [line for line in lines if line["kind"] == "request"]
    (change,) = [line for line in lines if line["kind"] == "change"]
    assert [line["step"] for line in requests_seen][:3] == ["create", "receive", "receive"]
    assert all({"host", "step", "bytes_in", "bytes_out"} <= set(line) for line in requests_seen)
    assert (change["host"], change["act"], change["session_id"], change["user"]) == ("alpha", "logoff", 2, "alice")
    assert change["logon"]
    assert change["at"]


def test_stopping_twice_is_fine_and_frees_the_port() -> None:
    lab = Lab(load_world("small"))
    lab.start()
    port = lab.port
    lab.stop()
    lab.stop()
    with Lab(load_world("small"), port=port) as again:
        assert again.port == port


def test_a_second_signal_does_not_keep_the_lab_from_clearing_away(tmp_path: Path) -> None:
    ready, made = tmp_path / "ready.json", tmp_path / "made"
    made.mkdir()
    words = ["lab", "--world", "small", "--auth", "basic", "--ready-file", str(ready)]
    environment = {**os.environ, "TMPDIR": str(made)}
    command = [sys.executable, "-m", "mpsbridge", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as running:
        end = time.monotonic() + 30
        while not ready.exists() and time.monotonic() < end:
            time.sleep(0.02)  # real time: a real process starts
        assert list(made.iterdir())
        running.send_signal(signal.SIGTERM)
        while list(made.iterdir()) and running.poll() is None:
            running.send_signal(signal.SIGTERM)
        running.wait(30)
    assert list(made.iterdir()) == []


@pytest.mark.parametrize("port", [0, 40_917])
def test_where_there_is_one_loopback_address_each_host_has_a_port_of_its_own(
    port: int, monkeypatch: pytest.MonkeyPatch, mpsbridge: Command
) -> None:
    """As on macOS, where 127.0.0.2 and those after it cannot be bound."""

    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.EADDRNOTAVAIL, "Can't assign requested address")

    monkeypatch.setattr(addresses, "_bind_all", refuse)
    world = build_world({"hosts": [{"name": "a"}, {"name": "b", "down": True}, {"name": "c"}]})
    with Lab(world, port=port) as lab:
        assert {host.address for host in lab.hosts} == {"127.0.0.1"}
        ports = [host.port for host in lab.hosts]
        assert len(set(ports)) == 3
        if port:
            assert ports == [port, port + 1, port + 2]
        monkeypatch.setenv("MPSBRIDGE_INVENTORY", str(lab.inventory))
        monkeypatch.setenv("MPSBRIDGE_PASSWORD", lab.password)
        found = mpsbridge("sessions", "a", "b", "c", "-o", "json")
        assert [each["status"] for each in found.document["outcomes"]] == ["done", "failed", "done"]
        assert found.outcome("b")["failure"]["kind"] == "unreachable"
