"""Journals that somebody else wrote, or that broke: each maker puts one at a path.

Beside what is spoilt a file holds a sound run, where it can hold one at all.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from mpsbridge.runs.events import Finished, Looked, Step, StepAnswered, StepSent
from mpsbridge.runs.journal import Journal
from support.died_run import options
from support.records import DONE

BOOT = datetime(2026, 11, 25, 6, tzinfo=UTC)
SOUND, SPOILT = "20261124-090000-5a5a", "20261125-120000-bad0"
DEEP = "[" * 100_000 + "]" * 100_000
LARGE = "x" * (20 * 1024 * 1024)
WAVE = {"at_once": "many"}
Make = Callable[[Path], object]


def write(path: Path) -> None:
    """A journal with a run that ended well, and one that died."""
    with Journal(path) as journal:
        journal.begin(SOUND, command="end", reason="sound", options=options())
        journal.record(SOUND, "alpha", Finished(outcome="done"))
        journal.end(SOUND, DONE)
        journal.begin(SPOILT, command="end", reason="updates", options=options())
        journal.record(SPOILT, "alpha", Looked(observed=BOOT, boot=BOOT, sessions=(2,)))
        intent = journal.record(SPOILT, "alpha", StepSent(step=Step.LOGOFF, sessions=(2,)))
        journal.record(SPOILT, "alpha", StepAnswered(step=Step.LOGOFF, intent=intent))


def sql(*statements: str, values: tuple[object, ...] = ()) -> Make:
    """A journal, and then what another program does to it; the ``values`` are for the last statement."""

    def make(path: Path) -> None:
        write(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            for statement in statements[:-1]:
                other.execute(statement)
            other.execute(statements[-1], values)

    return make


def run(**columns: object) -> Make:
    """The run that died, with these values in its row."""
    names = ", ".join(f"{name} = ?" for name in columns)
    return sql(f"UPDATE run SET {names} WHERE id LIKE '%bad0'", values=tuple(columns.values()))  # noqa: S608 - constants


def kept(**more: object) -> Make:
    """The run that died, keeping something else of itself; ``None`` removes a key."""
    found = {name: value for name, value in {**options(), **more}.items() if value is not None}
    return run(options=json.dumps(found))


def policy(**more: object) -> Make:
    return kept(policy={**options()["policy"], **more})


def entry(**columns: object) -> Make:
    """One more entry of the run that died."""
    row = {
        "run": SPOILT,
        "at": "2026-11-25T12:00:00+00:00",
        "host": "alpha",
        "kind": "event",
        "step": "look",
        "answers": None,
        "detail": "{}",
        **columns,
    }
    marks = ", ".join("?" * len(row))
    return sql(f"INSERT INTO entry ({', '.join(row)}) VALUES ({marks})", values=tuple(row.values()))  # noqa: S608 - constants


def detail(step: str, kind: str = "event", **value: object) -> Make:
    return entry(step=step, kind=kind, detail=json.dumps(value))


def bytes_of(content: Callable[[bytes], bytes]) -> Make:
    def make(path: Path) -> None:
        write(path)
        path.write_bytes(content(path.read_bytes()))

    return make


def beside(ending: str, make_it: Make) -> Make:
    def make(path: Path) -> None:
        write(path)
        make_it(Path(f"{path}{ending}"))

    return make


def writable(path: Path) -> None:
    path.touch()
    path.chmod(0o666)


def _writable_folder(path: Path) -> None:
    write(path)
    path.parent.chmod(0o777)


def _loop(path: Path) -> None:
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


def _below_a_file(path: Path) -> None:
    path.symlink_to(path.with_name("file") / "journal.sqlite")
    path.with_name("file").touch()


def _view(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(
            "CREATE VIEW run AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS id, x AS "
            "command, x AS reason, x AS owner, x AS pid, x AS job, x AS options, x AS started, x AS ended, x AS "
            "verdict FROM n"
        )
        other.execute("PRAGMA user_version = 1")


def _view_in_place(path: Path) -> None:
    """The same, and the rest as it should be."""
    write(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP INDEX entry_by_run")
        other.execute("DROP TABLE entry")
        other.execute("DROP TABLE run")
        other.execute("CREATE TABLE entry (number INTEGER PRIMARY KEY AUTOINCREMENT, run, at, host, kind, step)")
        other.execute("CREATE VIEW run AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x FROM n")


def _other_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE places (url TEXT)")


def _middle(content: bytes) -> bytes:
    """Random bytes over the middle of the second page and all behind it."""
    return content[:5000] + os.urandom(len(content) - 5000)


PARTLY: dict[str, Make] = {
    "options no JSON": run(options="{"),
    "options a list": run(options="[]"),
    "options null": run(options="null"),
    "options a blob": run(options=b"{}"),
    "options a number": run(options=7),
    "options too deep": run(options=DEEP),
    "options deep but JSON": run(options='{"hosts":' + "[" * 900 + "]" * 900 + "}"),
    "options not a number": run(options='{"hosts": NaN}'),
    "options a huge number": run(options='{"hosts": ' + "9" * 5000 + "}"),
    "options too large": run(options=json.dumps({"x": LARGE})),
    "options many values": run(options='{"hosts": [' + "[]," * 10_000 + "[]]}"),
    "options lone surrogate": run(options=json.dumps({**options(), "hosts": ["\ud800"]})),
    "options not UTF-8": sql("UPDATE run SET options = CAST(x'7bff7d' AS TEXT) WHERE id LIKE '%bad0'"),
    "options with NUL": run(options='{"hosts": ["a\\u0000b"]}'),
    "hosts missing": kept(hosts=None),
    "hosts a text": kept(hosts="alpha"),
    "hosts numbers": kept(hosts=[1, 2]),
    "hosts a file": kept(hosts=["@/etc/passwd"]),
    "hosts standard input": kept(hosts=["-"]),
    "hosts a pattern": kept(hosts=["h[1:99999999]"]),
    "hosts empty text": kept(hosts=[""]),
    "hosts unknown": kept(hosts=["evil.invalid:1"]),
    "policy missing": kept(policy=None),
    "policy a list": kept(policy=[]),
    "policy key of another version": policy(force_restart=True),
    "policy wrong type": policy(warn_s="soon"),
    "policy huge number": policy(settle_s=10**400),
    "policy negative": policy(host_deadline_s=-1),
    "policy selector of nothing": policy(selector={}),
    "template a number": kept(template=7),
    "waves wrong": kept(waves=WAVE),
    "another key": kept(extra=1),
    "started no time": run(started="yesterday"),
    "started without zone": run(started="2026-11-25T12:00:00"),
    "started before time": run(started="0001-01-01T00:00:00+14:00"),
    "started after time": run(started="9999-12-31T23:59:59-12:00"),
    "started a blob": run(started=b"\x00\xff"),
    "started a number": run(started=-1),
    "ended no time": run(ended="never"),
    "ended a blob": run(ended=b""),
    "pid a text": run(pid="one"),
    "pid a real": run(pid=1e308),
    "id a path": run(id="../../../etc/cron.d/x"),
    "id empty": run(id=""),
    "id huge": run(id="7" * 1_000_000),
    "id null": run(id=None),
    "id a blob": run(id=b"abc"),
    "id controls": run(id="2026\x1b[2J\x00\u202e"),
    "reason controls": run(reason="\x1b]0;x\x07\u202egnp\x9b31m\r\n::error::x"),
    "reason huge": run(reason="r" * 1_000_000),
    "reason not UTF-8": sql("UPDATE run SET reason = CAST(x'ff' AS TEXT) WHERE id LIKE '%bad0'"),
    "command odd": run(command="rm -rf /"),
    "owner a blob": run(owner=b"\xff"),
    "verdict a blob": run(verdict=b"\xff"),
    "job a number": run(job=3.5),
    "detail no JSON": entry(detail="{'a': 1}"),
    "detail a list": entry(detail="[]"),
    "detail a blob": entry(detail=b"{}"),
    "detail too large": entry(detail=json.dumps({"x": LARGE})),
    "detail too deep": entry(detail=DEEP),
    "detail not UTF-8": sql("UPDATE entry SET detail = CAST(x'7bff7d' AS TEXT) WHERE run LIKE '%bad0'"),
    "detail odd values": detail("look", sessions={"a": [1]}, boot=[], logons={}, mode=7, problems="x"),
    "notice without a session": detail("notice", text="x"),
    "notice with an odd birth": detail("notice", session=2, born="then", notice="15m", result="shown"),
    "notice with an odd result": detail("notice", session=2, born=None, notice="15m", result=["shown"]),
    "marks odd": detail("released", marks=[["x", 1, 2, 3], 7, [[], [], [], []]]),
    "verdict odd": detail("verdict", session="two", state="flying", decision=["act"]),
    "verdict huge": detail("verdict", session=10**30, state="active", decision="act", born="9999-12-31T23:59:59-12:00"),
    "finished odd": detail("finished", text=["x"], problems=7),
    "stopped odd": detail("stopped", text=None, error={"a": 1}, may_have_run="perhaps"),
    "boot odd": sql(
        f"INSERT INTO entry SELECT NULL, '{SPOILT}', at, host, 'event', 'look', NULL, '{{\"boot\": \"x\"}}' "  # noqa: S608 - constants
        "FROM entry LIMIT 1",
        f"INSERT INTO entry SELECT NULL, '{SPOILT}', at, host, 'intent', 'power', NULL, '{{}}' FROM entry LIMIT 1",  # noqa: S608 - constants
    ),
    "entry at no time": entry(at="12:00"),
    "entry at a number": entry(at=1),
    "entry kind odd": entry(kind="order"),
    "entry kind a blob": entry(kind=b"intent"),
    "entry step huge": entry(step="s" * 100_000),
    "entry step a blob": entry(step=b"look"),
    "entry host a blob": entry(host=b"alpha"),
    "entry host odd": entry(host="\x00\u202e<b>\n"),
    "entry answers itself": sql("UPDATE entry SET answers = number, kind = 'outcome' WHERE run LIKE '%bad0'"),
    "entry answers a text": entry(answers="first", kind="outcome"),
    "outcome damaged": sql("UPDATE entry SET detail = 'ok' WHERE run LIKE '%bad0' AND kind = 'outcome'"),
    "numbers used up": entry(number=2**63 - 1),
    "foreign keys broken": sql("PRAGMA foreign_keys = OFF", "DELETE FROM run WHERE id LIKE '%bad0'"),
    "log left over": beside("-wal", lambda path: path.write_bytes(b"\x37\x7f\x06\x82" + os.urandom(4096))),
    "shared memory left over": beside("-shm", lambda path: path.write_bytes(os.urandom(32768))),
    "rollback journal left over": beside("-journal", lambda path: path.write_bytes(os.urandom(4096))),
    "lock left over": beside(f".{SPOILT}.lock", lambda path: path.write_bytes(b"\x1b[2J" * 100)),
    "lock a link": beside(f".{SPOILT}.lock", lambda path: path.symlink_to("/dev/zero")),
    "lock a FIFO": beside(f".{SPOILT}.lock", os.mkfifo),
}
"""Spoilt in one place: what is sound is still shown."""

WHOLLY: dict[str, Make] = {
    "no database": lambda path: path.write_bytes(b"this is not a database" * 100),
    "truncated": bytes_of(lambda content: content[: len(content) // 2]),
    "only its header": bytes_of(lambda content: content[:100]),
    "noise behind its header": bytes_of(lambda content: content[:100] + os.urandom(8000)),
    "noise in the middle": bytes_of(_middle),
    "page size odd": bytes_of(lambda content: content[:16] + b"\x00\x03" + content[18:]),
    "a folder": lambda path: path.mkdir(),
    "a FIFO": os.mkfifo,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("/nonexistent/journal.sqlite"),
    "a ring of links": _loop,
    "below a file": _below_a_file,
    "a newer version": sql("PRAGMA user_version = 99"),
    "a negative version": sql("PRAGMA user_version = -5"),
    "no version": sql("PRAGMA user_version = 0"),
    "of another program": _other_program,
    "run an endless view": _view,
    "run an endless view beside an entry": _view_in_place,
    "a trigger that swallows": sql("CREATE TRIGGER t BEFORE INSERT ON entry BEGIN SELECT RAISE(IGNORE); END"),
    "a trigger that adds": sql(
        "CREATE TRIGGER t AFTER INSERT ON run BEGIN UPDATE run SET ended = '2026-11-25T12:00:00+00:00'; END"
    ),
    "a table more": sql("CREATE TABLE more (x)"),
    "a view more": sql("CREATE VIEW more AS SELECT * FROM run"),
    "a column more": sql("ALTER TABLE run ADD COLUMN more TEXT"),
    "a computed column": sql("ALTER TABLE run ADD COLUMN more TEXT AS (hex(zeroblob(1000000)))"),
    "an index more": sql("CREATE INDEX more ON run (reason)"),
    "an index less": sql("DROP INDEX entry_by_run"),
    "a virtual table": sql("CREATE VIRTUAL TABLE more USING fts5(x)"),
    "a layout that is no SQL": sql(
        "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = 'CREATE EVIL' WHERE name = 'run'"
    ),
    "a layout with roots exchanged": sql(
        "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET rootpage = 1 WHERE name = 'entry'"
    ),
    "statistics": sql("ANALYZE"),
    "everyone may write it": beside("", writable),
    "everyone may write its folder": _writable_folder,
    "everyone may write its log": beside("-wal", writable),
    "its log a FIFO": beside("-wal", os.mkfifo),
    "its log a link": beside("-wal", lambda path: path.symlink_to("/dev/zero")),
    "its shared memory a folder": beside("-shm", lambda path: path.mkdir()),
}
"""Not used at all: one sentence says why."""

COMMANDS = {
    "history": ["history", "-o", "json"],
    "history in a table": ["history"],
    "history as lines": ["history", "-o", "jsonl"],
    "history as CSV": ["history", "-o", "csv"],
    "history of the run": ["history", SPOILT],
    "history of the run as JSON": ["history", SPOILT, "-o", "json"],
    "history of the sound run": ["history", SOUND, "-o", "json"],
    "report": ["report", SPOILT],
    "report of the newest": ["report"],
    "report as HTML": ["report", SPOILT, "--format", "html"],
    "report as JSON": ["report", SPOILT, "--format", "json"],
    "report as JUnit": ["report", SPOILT, "--format", "junit"],
    "resume": ["resume", "--yes", "-o", "json"],
    "resume the run": ["resume", SPOILT, "--yes", "-o", "json"],
    "rehearse": ["resume", "--dry-run", "-o", "json"],
    "rehearse the run": ["resume", SPOILT, "--dry-run", "-o", "json"],
    "end": ["end", "empty", "--all", "--no-warning", "--yes", "-o", "json"],
    "log off": ["logoff", "empty", "--all", "--yes", "-o", "json"],
}
"""Every command that reads a journal; on the host ``empty`` nothing is to be done."""
ALL = {**PARTLY, **WHOLLY}
