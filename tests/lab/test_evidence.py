"""Evidence of a host: no name is left in it, it shows the same host, and the lab plays that again."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from support.alike import say, world
from support.fake_clock import FakeClock
from support.lab_target import reach
from support.many_hosts import HOSTS

from mpsbridge.errors import InputError, MpsBridgeError
from mpsbridge.evidence.pseudonyms import is_well_known, is_word_of_windows
from mpsbridge.evidence.record import Disguised, EvidenceFile, Gathered, disguised, read_evidence
from mpsbridge.evidence.world import differences, playable
from mpsbridge.host import Host
from mpsbridge.lab import Lab, build_world
from mpsbridge.lab.engines.scripted.engine import answer_now
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.models.scripts import RawOutput
from mpsbridge.models.sessions import Observation, Row
from mpsbridge.parsing.cells import width
from mpsbridge.parsing.quser import parse_output
from mpsbridge.parsing.text import decode
from mpsbridge.snippets.evidence import ReadEvidence
from mpsbridge.snippets.observe import Observe

PATH = Path("evidence.json")
NOW = datetime(2026, 11, 25, 18, tzinfo=UTC)
PLAYED = ["de", "fr", "pt", "zh-CN", "stations-2016", "nobody", "administrators-group", "leased", "odd"]
"""Where real PowerShell plays the host again, too: of language, rights, MultiPoint and lease each kind is there."""
SECRET = {"name": "ts1", "computer": "TS1"}


def evidence_of(host: LabHost, *, seed: int = 3) -> Disguised:
    looked, told = (RawOutput(output=(say(host, each),)) for each in (Observe(), ReadEvidence()))
    check = {"step": "name", "ok": True, "text": f"{host.name}.corp.example is 10.1.2.3", "remedy": ""}
    gathered = Gathered(host.name, (f"{host.name}.corp.example", "CORP\\erin"), [check], looked, told)
    return disguised([gathered], version="1", now=NOW, chance=random.Random(seed))  # noqa: S311 - the same every time


def play(file: EvidenceFile) -> tuple[LabHost, list[str]]:
    """The host as the lab plays it, and what it answers otherwise."""
    clock = FakeClock()
    played = build_world({"hosts": [each.host for each in playable([(PATH, file)], now=clock.now())]}, clock)
    host = played.hosts[file.hosts[0].host]
    return host, list(differences(file.hosts[0], lambda script: answer_now(host, script)))


def seen(output: RawOutput) -> Observation | str:
    try:
        return Observe.read(output)
    except MpsBridgeError as error:
        return str(error)


@pytest.mark.parametrize("raw", HOSTS, ids=lambda raw: str(raw["name"]))
def test_a_played_host_gives_the_same_observation(raw: dict[str, Any]) -> None:
    original = world(raw).hosts[raw["name"]]
    file = evidence_of(original).file
    _, others = play(file)
    assert others == []
    told = seen(RawOutput(output=(json.dumps(file.hosts[0].observe.envelope),))) if file.hosts[0].observe else ""
    before = seen(RawOutput(output=(say(original, Observe()),)))
    if isinstance(before, str) or isinstance(told, str):
        assert type(before) is type(told)
        return
    assert [shape(one) for one in told.sessions] == [shape(one) for one in before.sessions]
    assert [one.guard is None for one in told.sessions] == [one.guard is None for one in before.sessions]


def shape(session: Any) -> dict[str, Any]:
    """What a session is, without whose."""
    shown: dict[str, Any] = session.model_dump(exclude={"user", "user_text", "account", "client", "guard"})
    return shown | {"widths": [len(str(getattr(session, name))) for name in ("user", "user_text", "account", "client")]}


def _asked(host: Host, _: str) -> str:
    return host.run(Observe()).output[0]


@pytest.mark.engine
def test_real_powershell_plays_it_the_same_way() -> None:
    files = [evidence_of(world(raw).hosts[raw["name"]]).file for raw in HOSTS if raw["name"] in PLAYED]
    clock = FakeClock()
    played = playable([(PATH, file) for file in files], now=clock.now())
    with Lab(build_world({"hosts": [each.host for each in played]}, clock), engine="powershell") as lab:
        for row, kept in played:
            host = Host(reach(lab, row["name"]))
            try:
                found = differences(kept, partial(_asked, host))
            finally:
                host.close()
            assert list(found) == [], row["name"]


def test_who_logs_off_a_played_host_is_gone_from_its_tables() -> None:
    host, _ = play(evidence_of(world(HOSTS[1]).hosts[HOSTS[1]["name"]]).file)
    first = host.rows()[0]
    host.log_off(first.id)
    after = Observe.read(RawOutput(output=(say(host, Observe()),)))
    assert first.id not in {each.id for each in after.sessions}
    assert len(after.sessions) == len(host.rows())


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDXYZ"
PEOPLE = st.one_of(
    st.text(LETTERS, min_size=3, max_size=24),
    st.sampled_from(["Jörg Müller", "o'neil", "user 12", "console", "Active", "services", "12", "rdp-tcp", "x.y@corp"]),
    st.sampled_from(["quser", "name", "none", "Disc", "anneliese.schmidt-bauer-lang", "ANNELIESE.schmidt-ba"]),
)
WORLDS = st.fixed_dictionaries(
    {
        "computer": st.sampled_from(["TS1", "SCHOOL-7", "Bibliothek"]),
        "language": st.sampled_from(["en", "de", "fr", "es"]),
        "generation": st.sampled_from(["none", "2016"]),
        "rights": st.sampled_from(["admin", "rds", "user"]),
        "people": st.lists(PEOPLE, max_size=6, unique_by=str.casefold),
        "lease": st.booleans(),
    }
)
OURS = {"quser", "name", "none", "services", "rdp-tcp"}
"""Words that stand in the file whatever people are called: its keys, and names of programs and services."""


def of_people(drawn: dict[str, Any]) -> dict[str, Any]:
    sessions = [
        {"id": number, "user": user, "logon": f"{number}h", "client": f"PC-{user[:4]}", "account": f"CORP\\{user}"}
        for number, user in enumerate(drawn["people"], 2)
    ]
    host: dict[str, Any] = {key: drawn[key] for key in ("computer", "language", "generation", "rights")}
    if drawn["lease"]:
        owner = f"{(drawn['people'] or ['erin'])[0]}@adminbox"
        lease = {"schema": "mpsbridge-lease/1", "run": "r-1", "owner": owner, "reason": "patch thursday"}
        times = {"since": "20261125080000.000000+000", "expires": "20991231235959.000000+000"}
        host["files"] = [{"path": r"C:\Program Files\mpsbridge\lease.json", "text": json.dumps(lease | times)}]
    return {"name": "lectern", **host, "sessions": sessions}


def readable(file: EvidenceFile) -> Iterator[str]:
    """Everything that stands in the file, and the bytes in it as text."""
    text = file.text()
    yield json.dumps(json.loads(text), ensure_ascii=False)
    for encoded in re.findall(r'"(?:out|err)": "([^"]*)"', text):
        yield decode(base64.b64decode(encoded), oem=850, ansi=1252).text


@settings(max_examples=examples(ci=60, deep=2000))
@given(WORLDS, st.integers(0, 2**32))
def test_no_name_is_left_anywhere_in_the_file(drawn: dict[str, Any], seed: int) -> None:
    raw = of_people(drawn)
    host = world(raw).hosts["lectern"]
    file = evidence_of(host, seed=seed).file
    names = [*drawn["people"], drawn["computer"], "lectern", "CORP", "erin", "adminbox"]
    names += [str(each["client"]) for each in raw["sessions"]]
    for name in names:
        if len(name) < 3 or is_word_of_windows(name) or is_well_known(name) or name.casefold() in OURS:
            continue
        for text in readable(file):
            assert not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE), (name, text)
    assert play(file)[1] == []


def test_a_user_who_is_called_like_a_word_of_the_table_loses_the_name_and_the_table_stays() -> None:
    users = ["console", "Active", "Disc", "services"]
    sessions = [{"id": number, "user": user, "session_name": "console"} for number, user in enumerate(users, 2)]
    file = evidence_of(world({"name": "ts1", "sessions": sessions}).hosts["ts1"]).file
    assert file.hosts[0].observe is not None
    told = Observe.read(RawOutput(output=(json.dumps(file.hosts[0].observe.envelope),)))
    assert [each.session_name for each in told.sessions] == ["console"] * 4
    assert not {each.user for each in told.sessions} & set(users)


def test_what_is_no_table_known_to_us_loses_its_first_words() -> None:
    host = world({"name": "ts1", "sessions": [{"id": 2, "user": "alice"}]}).hosts["ts1"]
    host.play({"quser": (0, b"WHO       WHERE\r\nalice     2    somewhere    (else)\r\nzebedee   ?\r\n", b"")})
    text = "".join(readable(evidence_of(host).file))
    assert "zebedee" not in text
    assert "(else)" in text


def test_a_host_that_gave_no_answer_is_evidence_too() -> None:
    failed = RawOutput(output=(), errors=("Access to alice is denied at C:\\Users\\alice.CORP\\x",), failed=True)
    told = disguised([Gathered("ts1", ("ts1.corp.example",), [], failed, None)], version="1", now=NOW)
    assert "alice" not in told.file.text()
    with pytest.raises(InputError, match="none of its hosts has answered"):
        playable([(PATH, told.file)], now=NOW)


PEOPLE_AND_MORE: dict[str, Any] = {
    "name": "ts1",
    "generation": "2016",
    "sessions": [{"id": 2, "user": "alice", "client": "PC-77"}, {"id": 3, "user": "zebedee"}],
    "stations": [{"id": 1, "name": "Frau Kowalski 3", "session_id": 2}, {"id": 2, "name": "Bernadette1"}],
}
LEASED = {"schema": "mpsbridge-lease/1", "run": "r-1", "owner": "CORP\\wilhelmina", "reason": "fire Ottokar"}
MICROSOFT = "S-1-11-96-3623454863-58364-18864-2661722203-1597581903"


def of_answer(text: str, *more: str, checks: tuple[str, ...] = ()) -> str:
    """Everything that can be read in the evidence of a host that answered so."""
    told = [{"step": "name", "ok": False, "text": text, "remedy": "Use NAME@REALM."} for text in checks]
    output = RawOutput(output=(text, *more))
    names = ("ts1.corp.example", "ts1.nord.schule@KLINIK-SUED.DE")
    file = disguised([Gathered("ts1", names, told, output, None)], version="1", now=NOW).file
    return "\n".join(readable(file))


def answer(**changes: Any) -> str:
    told = json.loads(say(world(PEOPLE_AND_MORE).hosts["ts1"], Observe()))
    told["result"] |= changes
    return json.dumps(told)


def test_an_answer_that_is_not_the_only_string_or_was_cut_gives_no_name_away() -> None:
    """What a session configuration says to whoever comes stood before it, and all of it was kept as it came."""
    whole = answer()
    for texts in (("Welcome to our server", whole), ("\ufeff" + whole,), (whole[:-30],), (whole, whole)):
        said = of_answer(*texts)
        packed = re.findall(r'\\\\?"(?:out|err)\\\\?": ?\\\\?"([A-Za-z0-9+/=]+)', said)
        said += "".join(base64.b64decode(each + "=" * (-len(each) % 4)).decode("cp850", "replace") for each in packed)
        for name in ("alice", "zebedee", "PC-77", "Kowalski"):
            assert name not in said, (texts[0][:30], name)
    assert "Welcome to our server" in of_answer("Welcome to our server", whole)


@pytest.mark.parametrize("damage", [lambda text: text[:-5], lambda text: text + "x"])
def test_a_damaged_lease_keeps_its_shape_alone(damage: Any) -> None:
    said = of_answer(answer(lease=damage(json.dumps(LEASED))))
    assert not re.search("wilhelmina|Ottokar", said)


def test_stations_and_accounts_of_microsoft_are_names_too() -> None:
    owners = [{"id": 2, "account": "MicrosoftAccount\\olga.petrova@mail.example", "sid": MICROSOFT}]
    said = of_answer(answer(owners=owners))
    assert not re.search("Kowalski|Bernadette|olga|petrova|2661722203", said)
    service = [{"id": 2, "account": "NT-AUTORITÄT\\SYSTEM", "sid": "S-1-5-18"}]
    assert "NT-AUTORITÄT" in of_answer(answer(owners=service))


WORDS = {
    "it answers at 192.168.17.44.": "192.168.17.44",
    "no KDC for KLINIK-SUED.DE; asks for host/ts1.nord.schule": "KLINIK-SUED",
    "ticket cache FILE:/home/otto.mueller/krb5cc": "mueller",
    "C:/Users/wanda/x and C:\\\\Users\\\\wanda": "wanda",
    "C:\\Documents and Settings\\ingrid\\x": "ingrid",
    "look at \\\\fs-klinik\\home$": "fs-klinik",
    "KLINIK\\wanda may not": "wanda",
}


@pytest.mark.parametrize("words", WORDS)
def test_what_its_form_gives_away_is_a_name_in_running_text(words: str) -> None:
    said = of_answer(answer(), checks=(words,))
    assert WORDS[words] not in said
    assert "Use NAME@REALM." in said


@pytest.mark.parametrize("user", ["2026", "000", "11/25", "enabled", "quser", "for", "group", "time", "server", "exe"])
def test_a_user_who_is_called_like_a_number_or_a_word_changes_nothing_but_the_name(user: str) -> None:
    """Dates and enumerations were replaced, too: the file was untrue, and nothing was said."""
    sessions = [{"id": 2, "user": user, "logon": "2026-11-25T08:00:00"}, {"id": 3, "user": "zebedee"}]
    host = world({"name": "ts1", "sessions": sessions}).hosts["ts1"]
    before = Observe.read(RawOutput(output=(say(host, Observe()),)))
    file = evidence_of(host).file
    (kept,) = file.hosts
    assert kept.observe is not None
    assert kept.evidence is not None
    told = Observe.read(RawOutput(output=(json.dumps(kept.observe.envelope),)))
    assert [shape(one) for one in told.sessions] == [shape(one) for one in before.sessions]
    assert (told.observed, told.logon_mode) == (before.observed, before.logon_mode)
    steps = [json.loads(say(host, ReadEvidence()))["result"], (kept.evidence.envelope or {})["result"]]
    plain = [[(each["step"], each["failure"]) for each in one["steps"]] for one in steps]
    assert plain[0] == plain[1]
    assert play(file)[1] == []


@pytest.mark.parametrize(
    "row", ["                   wanda.kowalska     5x  Atv", "\twanda.kowalska\t7x", "7  wanda.kowalska"]
)
def test_a_row_that_nobody_can_read_loses_its_name_wherever_it_begins(row: str) -> None:
    table = f"PASAULIS  KAS   TAS\r\n{row}\r\n".encode()
    said = of_answer(answer(quser={"exit": 0, "out": base64.b64encode(table).decode(), "err": ""}))
    assert "wanda" not in said
    assert "PASAULIS" in said


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text[: len(text) // 2], "it is not JSON, or was cut"),
        (lambda text: text.replace("mpsbridge-evidence/1", "mpsbridge-evidence/9"), "this version reads"),
        (lambda text: text.replace("mpsbridge-evidence/1", "mpsbridge-world/1"), "not a file of 'mpsbridge doctor"),
        (lambda _: "[" * 100_000, "nested too deeply"),
        (lambda _: "[]", "not a file of 'mpsbridge doctor --save'"),
        (lambda text: text.replace('"saved": "2026', '"saved": "now, 2026'), "saved: "),
        (lambda text: json.dumps(json.loads(text) | {"hosts": []}), "hosts: "),
        (lambda text: json.dumps(json.loads(text) | {"hosts": 7}), "hosts: "),
        (lambda text: text.replace('"host": "', f'"host": "{chr(92)}ud800'), "half a character"),
        (lambda text: text + " " * (17 << 20), "more than 16777216 bytes"),
    ],
)
def test_a_spoilt_file_is_refused_in_a_sentence_that_names_it(spoil: Any, said: str, tmp_path: Path) -> None:
    text = evidence_of(world(SECRET).hosts["ts1"]).file.text()
    path = tmp_path / "e.json"
    path.write_text(spoil(text), encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(said)) as refused:
        read_evidence(path)
    assert str(path) in str(refused.value)


def test_an_enormous_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(InputError, match="more than 16777216 bytes"):
        read_evidence(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("now", "99991231235959.999999+000"),
        ("now", "00010101000000.000000+000"),
        ("births", [{"id": 2, "born": "00010101000000.000000+000"}]),
        ("now", "19000000000000.000000+000"),
        ("boot", "yesterday"),
        ("oem", 12345),
        ("quser", {"out": "%%%"}),
    ],
)
def test_an_edited_answer_is_refused_or_played_and_never_believed(key: str, value: Any, tmp_path: Path) -> None:
    file = json.loads(evidence_of(world(HOSTS[0]).hosts["en"]).file.text())
    file["hosts"][0]["observe"]["envelope"]["result"][key] = value
    path = tmp_path / "e.json"
    path.write_text(json.dumps(file), encoding="utf-8")
    with pytest.raises(InputError):
        play(read_evidence(path))


def test_a_real_table_keeps_its_rows_and_bytes_loses_its_names_and_is_played_again(shared: Path) -> None:
    folder = shared / "corpus" / "quser"
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    for entry in index:
        raw = (folder / entry["file"]).read_bytes()
        rows = parse_output(decode(raw, oem=850, ansi=1252).text).rows
        if entry["command"] != "quser" or not rows:
            continue
        looked = json.loads(say(world(SECRET).hosts["ts1"], Observe()))
        people = sorted({row.id for row in rows} - {0})
        births = [{"id": number, "born": "20261125080000.000000+000"} for number in people]
        looked["result"] |= {"witness": {"before": people, "after": people}, "births": births, "oem": 850}
        looked["result"]["quser"]["out"] = base64.b64encode(raw).decode()
        looked["result"]["quser"] |= {"exit": 0, "err": ""}
        output = RawOutput(output=(json.dumps(looked),))
        file = disguised([Gathered("ts1", (), [], output, None)], version="1", now=NOW).file
        assert file.hosts[0].observe is not None
        assert file.hosts[0].observe.envelope is not None
        result: Any = file.hosts[0].observe.envelope["result"]
        new = base64.b64decode(result["quser"]["out"])
        others = parse_output(decode(new, oem=850, ansi=1252).text).rows
        assert len(new) == len(raw), entry["file"]
        assert [nameless(row) for row in others] == [nameless(row) for row in rows], entry["file"]
        for row, other in zip(rows, others, strict=True):
            assert row.username is None or is_well_known(row.username) or other.username != row.username
        assert play(file)[1] == [], entry["file"]


def nameless(row: Row) -> dict[str, Any]:
    shown = row.model_dump(exclude={"username", "text"})
    return shown | {"width": width(row.username or ""), "length": width(row.text)}
