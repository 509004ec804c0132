"""The bytes that make a guard, and that the host's own function finds the row by them, and no other."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from mpsbridge.models.sessions import Row, SessionGuard
from mpsbridge.parsing.guard import guard_of
from mpsbridge.parsing.quser import parse
from mpsbridge.parsing.text import decode

HEADER = b" USERNAME              SESSIONNAME        ID  STATE   IDLE TIME  LOGON TIME\r\n"
PAGES = {"ru": (866, 1251), "zh-CN": (936, 936), "ja": (932, 932), "en": (437, 1252)}
WITHOUT = {"001_en_quser_2003_id0.txt": ["lfoo1"], "053_zhcn_quser_html_escaped_gt.txt": ["userzx01"]}
"""Session 0, and a marker as ``&gt;``, which no host prints: no guard."""


def guards_in(raw: bytes, oem: int, ansi: int) -> list[tuple[Row, SessionGuard | None]]:
    decoded = decode(raw, oem=oem, ansi=ansi)
    lines = raw.split(b"\n")
    rows = parse(decoded.text).rows
    return [(row, guard_of(row, lines[row.line - 1], encoding=decoded.encoding, born=None)) for row in rows]


@pytest.mark.parametrize(
    ("page", "user", "state", "logon"),
    [
        ("cp850", "jörg", "Getr.", "25.11.2026 09:05"),
        ("cp1252", "jörg", "Getr.", "25.11.2026 09:05"),
        ("cp850", "rené müller", "Déco", "25/11/2026 09:05"),
        ("cp437", "user 12", "Disc", "11/25/2026 9:05 AM"),
        ("cp437", "a 3 b", "Disc", "11/25/2026 9:05 AM"),
        ("cp437", "abcdefghijklmnopqrst", "Active", "11/25/2026 9:05 AM"),
        ("cp936", "张三", "运行中", "2026/11/25 9:05"),
        ("cp932", "山田", "Active", "2026/11/25 9:05"),
        ("utf-8", "山田", "Active", "2026/11/25 9:05"),
    ],
)
def test_w31_the_guard_is_the_bytes_of_the_row(page: str, user: str, state: str, logon: str) -> None:
    raw = f">{user}".encode(page).ljust(23) + b"rdp-tcp#1           2  " + f"{state}          .  {logon}".encode(page)
    pages = {"cp850": (850, 1252), "cp1252": (850, 1252), "cp437": (437, 1252), "cp932": (932, 932)}.get(
        page, (936, 936)
    )
    ((_, guard),) = guards_in(HEADER + raw + b"\r\n", *pages)
    assert guard is not None
    # Where the words leave a tie between two code pages the text may be read in the other: the bytes are the same.
    assert [text.encode("latin-1") for text in (guard.user, guard.logon, guard.state)] == [
        text.encode(page) for text in (user, logon, state)
    ]


@pytest.mark.parametrize(
    "line",
    [
        b" alice\trdp-tcp#1           2  Active          .  11/25/2026 9:05 AM",
        b"&gt;alice                 rdp-tcp#1           2  Active          .  11/25/2026 9:05 AM",
        b" abcdefghijklmnopqrstuvrdp-tcp#1           2  Active          .  11/25/2026 9:05 AM",
        b" alice                 123                 2  Active          .  11/25/2026 9:05 AM",
        b" alice                 rdp-tcp#1       65537  Active          .  11/25/2026 9:05 AM",
        b" alice                 rdp-tcp#1           0  Active          .  11/25/2026 9:05 AM",
    ],
)
def test_w31_a_row_that_the_host_could_not_find_has_no_guard(line: bytes) -> None:
    ((row, guard),) = guards_in(HEADER + line + b"\r\n", 437, 1252)
    assert row.username
    assert guard is None


def test_w31_a_name_cut_inside_a_character_has_no_guard() -> None:
    name = ("张" * 11).encode("cp936")[:19]
    line = b" " + name.ljust(22) + b"rdp-tcp#1           2  Active          .  2026/11/25 9:05"
    ((row, guard),) = guards_in(HEADER + line + b"\r\n", 936, 936)
    assert row.id == 2
    assert guard is None


SCRIPT = """
$ErrorActionPreference = 'Stop'
. ([scriptblock]::Create([IO.File]::ReadAllText($args[0])))
$cases = (ConvertFrom-Json -InputObject ([IO.File]::ReadAllText($args[1]))).cases
$found = foreach ($case in $cases) {
    $text = [Text.Encoding]::GetEncoding(28591).GetString([Convert]::FromBase64String($case.raw))
    $lines = @($text.Split([char]10) | ForEach-Object { $_.TrimEnd([char]13, [char]32) } | Where-Object { $_ })
    @(Find-MpsbridgeRow $case.guard $lines).Count
}
ConvertTo-Json -Compress -InputObject @($found)
"""


@pytest.mark.engine
def test_w31_the_host_finds_each_captured_row_by_its_guard_and_no_other(
    shared: Path, engine: Path, tmp_path: Path
) -> None:
    corpus = shared / "corpus" / "quser"
    cases: list[dict[str, Any]] = []
    for sample in json.loads((corpus / "index.json").read_text(encoding="utf-8")):
        if sample["command"] != "quser" or "block" in sample["expected"][0]:
            continue
        oem, ansi = PAGES.get(sample["language"], (850, 1252))
        raw = (corpus / sample["file"]).read_bytes().decode("utf-8").encode(f"cp{oem}", "replace")
        guards = guards_in(raw, oem, ansi)
        assert [row.username for row, guard in guards if guard is None] == WITHOUT.get(sample["file"], [])
        for _, guard in guards:
            if guard is not None:
                cases.append({"raw": base64.b64encode(raw).decode(), "guard": guard.model_dump()})
    assert len(cases) > 40
    (tmp_path / "cases.json").write_text(json.dumps({"cases": cases}), encoding="utf-8")
    (tmp_path / "find.ps1").write_text(SCRIPT, encoding="utf-8")
    functions = ROOT / "ps_templates" / "shared" / "guard.ps1.j2"
    command: list[str | Path] = [
        engine,
        "-NoProfile",
        "-File",
        tmp_path / "find.ps1",
        functions,
        tmp_path / "cases.json",
    ]
    output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert json.loads(output) == [1] * len(cases)
