"""Every option of every command reaches what the command does, or is refused: one line of a table proves each.

A command whose option is not in the table fails here. What is watched is what passes on: the operation that is planned,
the hosts and fleets that are made, and for commands without a host the answer, the exit code or a file.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel
from support.asking import ASKING
from support.console import Command
from support.died_run import RUN, record
from typer.main import get_command

from mpsbridge.cli import call as calls
from mpsbridge.cli import rehearsal
from mpsbridge.cli.commands import app
from mpsbridge.cli.terminal import Terminal
from mpsbridge.errors import InputError, Unreachable
from mpsbridge.fleet import Fleet
from mpsbridge.host import Host
from mpsbridge.operations import ending
from mpsbridge.operations.planfile import NoticesTable, Plan, PolicyTable
from mpsbridge.operations.waves import WavesTable
from mpsbridge.operations.workplace import Workplace
from mpsbridge.settings import ENVIRONMENT_PREFIX, Settings, load_settings
from mpsbridge.transports.canned import CannedTransport

ON_HOSTS = {
    "sessions": ["sessions", "ts1"],
    "stations": ["stations", "ts1"],
    "logons": ["logons", "ts1"],
    "doctor": ["doctor", "ts1"],
    "leases": ["leases", "ts1"],
    "message": ["message", "ts1", "--user", "alice", "--text", "hello"],
    "disconnect": ["disconnect", "ts1", "--user", "alice", "--yes"],
    "logoff": ["logoff", "ts1", "--user", "alice", "--yes"],
    "reset": ["reset", "ts1", "--session", "7", "--yes"],
    "end": ["end", "ts1", "--user", "alice", "--yes"],
    "maintain": ["maintain", "plan.toml", "--yes"],
    "resume": ["resume", "--yes"],
    "hold": ["hold", "ts1", "--reason", "exam"],
    "release": ["release", "ts1", "--yes"],
}
LOOKING = {"sessions", "stations", "logons", "doctor", "leases"}
OFFLINE = {
    "hosts": ["hosts", "ts1"],
    "history": ["history"],
    "report": ["report"],
    "parse": ["parse", "table.txt"],
    "render": ["render", "observe"],
    "jea": ["jea", "made"],
    "schema": ["schema"],
    "docs": ["docs"],
    "lab": ["lab"],
    "demo": ["demo"],
}
BASE = {**ON_HOSTS, **OFFLINE}
PLAN = """schema = "mpsbridge-plan/1"
hosts = ["ts1"]
reason = "updates"
"""
TABLE = " USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME\n"
ROW = " alice                 rdp-tcp#1           2  Active          .  11/25/2026 9:00 AM\n"


@dataclass
class Seen:
    """What a call has passed on."""

    operations: list[Any] = field(default_factory=list)
    targets: list[Any] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    reads: list[bool] = field(default_factory=list)
    slots: list[Any] = field(default_factory=list)
    deadlines: list[Any] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    lab: list[Any] = field(default_factory=list)
    jobs: list[Any] = field(default_factory=list)
    terminal: list[Any] = field(default_factory=list)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Seen]:  # noqa: C901 - a small function for each place
    """Nobody answers; what is asked for is remembered."""
    seen = Seen()
    made, fleet, plan, carry_out, ticking = (
        Host.__init__,
        Fleet.__init__,
        Workplace.plan,
        Workplace.carry_out,
        Fleet.ticking,
    )

    def host(self: Host, target: Any, **more: Any) -> None:
        seen.targets.append(target)
        seen.hosts.append(target.host)
        seen.timeouts.append(more["timeout_s"])
        seen.reads.append(more["only_reads"])
        made(self, target, **{**more, "connect": lambda _: CannedTransport(lambda _: Unreachable("nobody is there"))})

    def hosts(self: Fleet, *words: Any, **more: Any) -> None:
        seen.slots.append(more.get("concurrency"))
        seen.deadlines.append(more.get("deadline_s"))
        fleet(self, *words, **more)

    def looked(self: Fleet, job: Any, **more: Any) -> Any:
        seen.slots.append(more.get("at_once"))
        seen.jobs.append(repr(job) if isinstance(job, BaseModel) else "")
        return ticking(self, job, **more)

    def planned(self: Workplace, operation: Any) -> Any:
        seen.operations.append(operation)
        return plan(self, operation)

    def done(self: Workplace, operation: Any, **more: Any) -> Any:
        if not hasattr(operation, "operation"):  # what is no plan: a run that goes on
            seen.operations.append(operation)
        return carry_out(self, operation, **more)

    def limited(work: Workplace, seconds: Any) -> Any:
        seen.deadlines.append(seconds)
        return deadline(work, seconds)

    class NoLab:
        def __init__(self, *words: Any, **more: Any) -> None:
            seen.lab.append(
                (
                    len(words[0].hosts),
                    more["engine"],
                    more["auth"],
                    more["keytab"],
                    more["port"],
                    more["tls"],
                    more["record"],
                )
            )
            raise InputError("no lab here")

    class Shown(Terminal):
        def __init__(self, *words: Any, **more: Any) -> None:
            seen.terminal.append(sorted(more.items()))
            super().__init__(*words, **more)

    deadline = ending._deadline
    for place, name, value in (
        (Host, "__init__", host),
        (Fleet, "__init__", hosts),
        (Fleet, "ticking", looked),
        (Workplace, "plan", planned),
        (Workplace, "carry_out", done),
        (ending, "_deadline", limited),
        (rehearsal, "Lab", NoLab),
        (calls, "Terminal", Shown),
    ):
        monkeypatch.setattr(place, name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "secret")
    monkeypatch.setenv("MPSBRIDGE_USERNAME", "admin")
    (tmp_path / "plan.toml").write_text(PLAN, "utf-8")
    (tmp_path / "table.txt").write_text(TABLE + ROW, "utf-8")
    for name in ("file", "notice"):
        (tmp_path / name).write_text("It ends at {time}.\n", "utf-8")
    (tmp_path / "farm.toml").write_text(
        "[hosts.ts1]\naddress = '127.0.0.9'\n[hosts.alpha]\naddress = '127.0.0.8'\n", "utf-8"
    )
    (tmp_path / "world.toml").write_text("[[hosts]]\nname = 'only'\n", "utf-8")
    yield seen
    logging.getLogger("mpsbridge").setLevel(logging.NOTSET)


@dataclass(frozen=True)
class Proof:
    """What is typed to try an option, and what differs then; ``said``: it is refused in these words."""

    words: Sequence[str]
    differs: str = ""
    said: str = ""
    base: Sequence[str] = ()
    """Words of both calls."""
    by: str = ""
    """The test that tries it on hosts that answer, as ``module.function``."""


HIDDEN = Proof([], "hidden")
"""It makes no difference to the command, takes a setting that others need, and is not in its help."""
YES = {"yes": Proof([], by="test_dry_run.test_without_a_yes_nothing_is_sent")}
TO_A_HOST = {
    "inventory": Proof(["--inventory", "farm.toml"], "targets"),
    "username": Proof(["-u", "bob"], "targets"),
    "auth": Proof(["--auth", "ntlm"], "targets"),
    "keytab": Proof(["--keytab", "file"], "targets|refused"),
    "spn": Proof(["--spn", "host/x.lab.test"], "targets|refused"),
    "port": Proof(["--port", "5999"], "targets"),
    "no_tls": Proof(["--no-tls"], "targets"),
    "ca_file": Proof(["--ca-file", "file"], "targets"),
    "insecure_tls": Proof(["--insecure-tls"], "targets"),
    "insecure_basic": Proof(["--insecure-basic"], "targets"),
    "configuration": Proof(["--configuration", "Mpsbridge"], "targets"),
}
LIMITS = {
    "timeout": Proof(["--timeout", "5s"], "timeouts"),
    "deadline": Proof(["--deadline", "9h"], "deadlines"),
    "concurrency": Proof(["--concurrency", "3"], "slots"),
}
READING = {
    "executor": Proof(["--executor", "dask"], said="needs --scheduler"),
    "scheduler": Proof(["--scheduler", "local:1"], said="belong to --executor dask"),
    "worker_password_variable": Proof(["--worker-password-variable", "X"], said="belong to --executor dask"),
}
ACTING = {
    "executor": Proof(["--executor", "dask"], said="--executor is for reading only"),
    "scheduler": Proof(["--scheduler", "local:1"], said="--scheduler is for reading only"),
    "worker_password_variable": Proof(
        ["--worker-password-variable", "X"], said="--worker-password-variable is for reading only"
    ),
}
RECORD = {
    "journal": Proof(["--journal", "other.sqlite"], "files"),
    "journal_shared": Proof(["--journal-shared"], "err"),
}
SHOWN = {
    "output": Proof(["-o", "json"], "terminal"),
    "csv_raw": Proof(["--csv-raw"], "terminal"),
    "verbose": Proof(["-v"], "log"),
    "quiet": Proof(["-q"], "terminal"),
    "no_color": Proof(["--no-color"], "terminal"),
}
SELECTOR = {
    "session": Proof(["--session", "2"], "who"),
    "user": Proof(["--user", "bob"], "who"),
    "everyone": Proof(["--user", "bob", "--all"], said="--all stands alone"),
    "active": Proof(["--active"], "who"),
    "disconnected": Proof(["--disconnected"], "who"),
    "disconnected_over": Proof(["--disconnected-over", "2h"], "who"),
    "idle_over": Proof(["--idle-over", "2h"], "who"),
}
ALLOWED = {
    "include_admins": Proof(["--include-admins"], "operations"),
    "include_console": Proof(["--include-console"], "operations"),
    "disconnected_ok": Proof(["--disconnected-ok"], "operations"),
}
SHARD = {"shard": Proof(["--shard", "1/2"], "hosts", base=["ts2", "ts3", "ts4", "ts5"])}
EVENTS = {"events": Proof(["--events", "events.jsonl"], "files")}
DRY_RUN = {"dry_run": Proof(["--dry-run"], "reads")}
BESIDE = {
    "hold_logons": ["--then", "restart"],
    "no_failsafe": ["--logons", "drain"],
    "return_timeout": ["--then", "restart"],
}
"""Without these words the option could change nothing, and is refused."""
OWN: dict[str, dict[str, Proof]] = {
    "sessions": {**SELECTOR, **SHARD, "watch": Proof(["--watch", "0s"], said="--watch: at least 1s")},
    "stations": SHARD,
    "leases": SHARD,
    "hosts": {**SHARD, "shard": Proof(["--shard", "1/2"], "out", base=["ts2", "ts3", "ts4", "ts5"])},
    "logons": {**YES, **SHARD, "mode": Proof(["--set", "drain"], "operations")},
    "doctor": {
        **SHARD,
        "save": Proof(["--save", "saved.json", "--yes"], "files"),
        "yes": Proof(["--yes"], said="--yes belongs to --save"),
    },
    "message": {**SELECTOR, "text": Proof(["--text", "goodbye"], "operations")},
    "disconnect": {**SELECTOR, **YES, **{key: ALLOWED[key] for key in ("include_admins", "include_console")}},
    "logoff": {**SELECTOR, **YES, **ALLOWED},
    "reset": {**YES, "session": Proof(["--session", "8"], "operations")},
    "hold": {
        "reason": Proof(["--reason", "repair"], "operations"),
        "yes": Proof([], by="test_usage.test_hold_takes_a_yes_though_it_does_not_ask"),
    },
    "release": YES,
    "resume": {**YES, **EVENTS},
    "maintain": {
        **YES,
        **EVENTS,
        "example": Proof(["--example"], "out"),
        "failed_to": Proof(["--failed-to", "left.toml"], "files"),
        "shard": Proof(["--shard", "1/2"], "hosts", base=[]),
    },
    "end": {
        **SELECTOR,
        **YES,
        **EVENTS,
        **ALLOWED,
        **{
            name: Proof(["--" + name.replace("_", "-"), *words], "operations", base=BESIDE.get(name, ()))
            for name, words in {
                "warn": ["3m"],
                "no_warning": [],
                "reason": ["exam"],
                "sender": ["bob"],
                "notice_file": ["notice"],
                "then": ["restart"],
                "keep_user": ["bob"],
                "keep_session": ["ts1:3"],
                "keep_running": ["winword"],
                "unwarned_ok": [],
                "leftover_ok": [],
                "take_over": [],
                "logons": ["disabled"],
                "hold_logons": [],
                "no_failsafe": [],
                "only_if_reboot_pending": [],
                "settle": ["9m"],
                "force_after": ["9m"],
                "return_timeout": ["9m"],
                "host_deadline": ["9h"],
            }.items()
        },
    },
    "history": {
        "user": Proof(["--user", "alice"], "out"),
        "host": Proof(["--host", "ts9"], "out"),
        "since": Proof(["--since", "0s"], "out"),
    },
    "report": {"form": Proof(["--format", "html"], "out")},
    "parse": {"encoding": Proof(["--encoding", "utf-16"], "out")},
    "render": {"params": Proof(["--params", '{"time_limit_s": 9}'], "out")},
    "jea": {
        name: Proof([f"--{name}", value], "texts")
        for name, value in {
            "look": "LAB\\lookers",
            "notify": "LAB\\tellers",
            "end": "LAB\\enders",
            "transcripts": "D:\\seen",
        }.items()
    },
    "schema": {},
    "docs": {"man": Proof(["--man", "made"], "out")},
    "lab": {
        "world": Proof(["--world", "world.toml"], "lab"),
        "evidence": Proof(["--evidence", "missing.json"], said="missing.json cannot be read"),
        "engine": Proof(["--engine", "powershell"], "lab"),
        "auth": Proof(["--auth", "basic"], "lab"),
        "keytab": Proof(["--keytab", "file"], "lab"),
        "port": Proof(["--port", "5999"], "lab"),
        "tls": Proof(["--tls"], "lab"),
        "ready_file": Proof([], by="test_cli.test_bad_input_is_2_before_any_host_is_contacted"),
        "record": Proof(["--record", "record.jsonl"], "lab"),
    },
    "demo": {"report": Proof(["--report", "nowhere/page.html"], said="--report: nowhere/page.html cannot be written")},
}


def proofs(command: str) -> dict[str, Proof]:
    """The lines of the table for one command."""
    found = {**SHOWN, **OWN[command]}
    if command in ON_HOSTS:
        acts = command not in LOOKING or command == "logons"
        found |= {**TO_A_HOST, **LIMITS, **(READING if command in LOOKING else ACTING)}
        found |= {**RECORD, **DRY_RUN} if acts else dict.fromkeys([*RECORD, *DRY_RUN], HIDDEN)
    if command in {"end", "maintain", "resume"}:
        found["deadline"] = Proof(["--deadline", "9h"], "operations")
    if command == "hosts":
        found |= {**{key: Proof(one.words, "out") for key, one in TO_A_HOST.items()}}
        found |= dict.fromkeys([*LIMITS, *READING, *RECORD, *DRY_RUN], HIDDEN)
    if command == "logons":  # only where it acts
        found |= {
            key: Proof(one.words, one.differs, base=["--set", "drain", "--yes"])
            for key, one in {**RECORD, **DRY_RUN}.items()
        }
    if command in {"history", "report"}:
        found |= {**RECORD, "journal": Proof(["--journal", "other.sqlite"], "out")}
    if command == "resume":
        found["journal"] = Proof(["--journal", "other.sqlite"], said="--journal: other.sqlite does not exist")
        found["concurrency"] = Proof(["--concurrency", "3"], "slots", base=["--dry-run"])
    return found


def options(command: str) -> dict[str, click.Option]:
    """The options of a command, by the names of their parameters."""
    tree: Any = get_command(app)
    return {entry.name: entry for entry in tree.commands[command].params if entry.param_type_name == "option"}


def test_every_option_of_every_command_has_a_line() -> None:
    tree: Any = get_command(app)
    assert set(tree.commands) == set(BASE)
    for command in BASE:
        assert options(command).keys() - {"help"} == proofs(command).keys(), command


@pytest.mark.parametrize(("command", "name"), [(command, name) for command in BASE for name in proofs(command)])
def test_an_option_reaches_what_the_command_does(
    command: str, name: str, seen: Seen, mpsbridge: Command, tmp_path: Path
) -> None:
    proof = proofs(command)[name]
    if proof is HIDDEN:
        assert options(command)[name].hidden
        return
    if proof.by:
        module, _, test = proof.by.rpartition(".")
        assert callable(getattr(importlib.import_module(module), test))
        assert name != "yes" or command in {*ASKING, "hold"}
        return
    base = [*BASE[command], *proof.base]
    if proof.said:
        if command == "resume" and name != "journal":
            record(tmp_path / "journal.sqlite")
        found = mpsbridge(*base, *proof.words)
        assert (found.code, proof.said in found.err) == (2, True), found.err
        return

    def observed(words: Sequence[str]) -> dict[str, Any]:
        logging.getLogger("mpsbridge").setLevel(logging.NOTSET)
        for one in vars(seen).values():
            one.clear()
        (tmp_path / "journal.sqlite").unlink(missing_ok=True)
        if command in {"resume", "history", "report"}:
            record(tmp_path / "journal.sqlite")
        found = mpsbridge(*words)
        files = {path.name for path in tmp_path.iterdir()} - {"journal.sqlite.runs"}
        texts = sorted(path.read_bytes() for path in tmp_path.rglob("*.ps*"))
        for path in sorted(tmp_path.glob("made/**/*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        (tmp_path / "made").rmdir() if (tmp_path / "made").is_dir() else None
        return {
            **{key: list(value) for key, value in vars(seen).items()},
            "who": [repr(one) for one in (*seen.operations, *seen.jobs)],
            "out": found.out.replace(RUN, ""),
            "err": found.err.replace(RUN, ""),
            "refused": found.code == 2,
            "files": files,
            "texts": texts,
            "log": logging.getLogger("mpsbridge").level,
        }

    without, with_it = observed(base), observed([*base, *proof.words])
    assert any(without[each] != with_it[each] for each in proof.differs.split("|")), (
        with_it[proof.differs.split("|")[0]],
        with_it["err"],
    )


SETTINGS = {
    "output": "json", "csv_raw": True, "inventory": "farm.toml", "username": "bob", "auth": "ntlm", "keytab": "file",
    "spn": "host/x", "port": 5999, "no_tls": True, "ca_file": "file", "insecure_tls": True, "insecure_basic": True,
    "configuration": "Mpsbridge", "timeout": "5s", "deadline": "9h", "concurrency": 3, "executor": "dask",
    "scheduler": "local:1", "worker_password_variable": "X", "journal": "other.sqlite", "journal_shared": True,
    "dry_run": True, "verbose": 1, "quiet": True, "no_color": True, "password": "secret", "password_file": "file",
    "sender": "the IT desk",
}  # fmt: skip


def test_every_setting_has_a_line() -> None:
    assert SETTINGS.keys() == Settings.model_fields.keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_variable_and_a_key_of_the_file_are_what_the_option_is(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MPSBRIDGE_JOURNAL")
    value = SETTINGS[name]
    default, typed = (getattr(load_settings(flags), name) for flags in ({}, {name: value}))
    assert typed != default
    text = "true" if value is True else str(value) if isinstance(value, int) else f'"{value}"'
    if name != "password":
        path = tmp_path / "settings.toml"
        path.write_text(f"{name} = {text}\n", "utf-8")
        monkeypatch.setenv("MPSBRIDGE_SETTINGS", str(path))
        assert getattr(load_settings({}), name) == typed
        monkeypatch.setenv("MPSBRIDGE_SETTINGS", "/dev/null")
    monkeypatch.setenv(ENVIRONMENT_PREFIX + name.upper(), "1" if value is True else str(value))
    assert getattr(load_settings({}), name) == typed


WITHOUT_EFFECT = [
    (["--hold-logons"], "hold_logons = true", "--hold-logons: it keeps logons blocked through a restart"),
    (
        ["--hold-logons", "--then", "restart", "--logons", "leave"],
        'hold_logons = true\nlogons = "leave"',
        "--hold-logons: ",
    ),
    (
        ["--hold-logons", "--then", "restart", "--logons", "disabled"],
        "",
        "--hold-logons: 'disabled' ends at the restart; use --logons drain",
    ),
    (["--no-warning", "--sender", "the IT desk"], '[notices]\nat = []\nsender = "the IT desk"', "--sender: no notice"),
    (["--no-warning", "--unwarned-ok"], "unwarned_ok = true\n[notices]\nat = []", "--unwarned-ok: no notice is shown"),
    (["--no-warning", "--notice-file", "notice"], '[notices]\nat = []\nfile = "notice"', "file: no notice is shown"),
    (["--no-failsafe"], 'user = ["alice"]\nno_failsafe = true', "--no-failsafe: no logons are blocked here"),
    (["--no-failsafe", "--logons", "leave"], 'no_failsafe = true\nlogons = "leave"', "--no-failsafe: no logons are"),
    (["--return-timeout", "9m"], 'return_timeout = "9m"', "--return-timeout: nothing follows"),
]
"""What is typed beside ``end ts1 --user alice``, the same in a plan's ``[policy]``, and how it is refused."""


@pytest.mark.parametrize(("words", "table", "said"), WITHOUT_EFFECT)
def test_an_option_that_can_change_nothing_is_refused(
    words: list[str], table: str, said: str, seen: Seen, mpsbridge: Command, tmp_path: Path
) -> None:
    found = mpsbridge(*BASE["end"], *words)
    assert (found.code, said in found.err) == (2, True), found.err
    if table:
        (tmp_path / "plan.toml").write_text(f"{PLAN}[policy]\n{table}\n", "utf-8")
        found = mpsbridge(*BASE["maintain"])
        assert (found.code, said in found.err) == (2, True), found.err
    assert seen.operations == seen.hosts == []


def test_a_sender_of_the_settings_is_passed_over_where_no_notice_is_shown(
    seen: Seen, mpsbridge: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSBRIDGE_SENDER", "the IT desk")
    mpsbridge(*BASE["end"], "--no-warning")
    assert seen.operations


KEYS = {
    "hosts": 'hosts = ["ts2"]', "reason": 'reason = "exam"', "then": 'then = "restart"',
    "policy.all": "all = true", "policy.user": 'user = ["bob"]', "policy.active": "active = true",
    "policy.disconnected": "disconnected = true", "policy.disconnected_over": 'disconnected_over = "2h"',
    "policy.idle_over": 'idle_over = "2h"', "policy.keep_user": 'keep_user = ["bob"]',
    "policy.keep_session": 'keep_session = ["ts1:3"]', "policy.keep_running": 'keep_running = ["winword"]',
    "policy.logons": 'logons = "disabled"', "policy.settle": 'settle = "9m"',
    "policy.force_after": 'force_after = "9m"',
    "policy.return_timeout": 'return_timeout = "9m"', "policy.host_deadline": 'host_deadline = "9h"',
    "policy.deadline": 'deadline = "9h"', "notices.at": 'at = ["3m"]', "notices.sender": 'sender = "bob"',
    "notices.file": 'file = "notice"', "waves.at_once": "at_once = 1", "waves.floor": "floor = 1",
    "waves.stop_after": "stop_after = 1", "waves.not_after": "not_after = 23:00:00",
    **{f"policy.{name}": f"{name} = true" for name in (
        "include_admins", "include_console", "disconnected_ok", "unwarned_ok", "leftover_ok", "take_over",
        "hold_logons", "only_if_reboot_pending", "no_failsafe",
    )},
}  # fmt: skip


def test_every_key_of_a_plan_has_a_line() -> None:
    tables: dict[str, type[BaseModel]] = {"policy": PolicyTable, "notices": NoticesTable, "waves": WavesTable}
    keys = {name for name in Plan.model_fields if name not in {*tables, "schema_"}}
    assert keys | {f"{table}.{key}" for table, model in tables.items() for key in model.model_fields} == KEYS.keys()


BESIDE_IN_PLAN = 'then = "restart"\n'


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_a_plan_reaches_the_run(key: str, seen: Seen, mpsbridge: Command, tmp_path: Path) -> None:
    table, _, name = key.rpartition(".")
    plan = PLAN + (BESIDE_IN_PLAN if key in {"policy.hold_logons", "policy.return_timeout"} else "")
    before = plan + ('\n[policy]\nuser = ["alice"]\n' if key == "policy.all" else "")
    lines = [line for line in plan.splitlines() if line.partition(" ")[0] != key]
    after = "\n".join([*lines, *([f"[{table}]"] if table else []), KEYS[key]]) + "\n"
    found = []
    for text in (before, after):
        (tmp_path / "plan.toml").write_text(text, "utf-8")
        mpsbridge("maintain", "plan.toml", "--yes")
        found.append((list(seen.operations), list(seen.hosts)))
        seen.operations.clear()
        seen.hosts.clear()
    assert found[1][0], name
    assert found[0] != found[1]
