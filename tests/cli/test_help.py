"""The help: what a command itself takes at a glance, no name cut, at any width."""

from __future__ import annotations

import re

import pytest
import typer.main
from support.console import Command

from mpsbridge.cli.commands import app
from mpsbridge.cli.helptext import COMMON

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined] # a group, though typed as a command
WIDTHS = ("100", "80", "60", "40", "24")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_name_is_cut_and_no_word_broken(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, name: str, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    told = mpsbridge(name, "--help").out
    names = [option for one in COMMANDS[name].params if not getattr(one, "hidden", False) for option in one.opts]
    assert {option for option in names if option.startswith("--")} <= set(re.findall(r"--[a-z-]+", told))
    assert "…" not in told
    assert not re.search(r"<\w+>|\[\[|\{", re.sub(r"\{\w*\}", "", told))
    before_examples = told.partition("Examples:")[0]
    for line in before_examples.splitlines():
        # A single word, or a name with the first of its choices, may be longer than a narrow terminal.
        assert len(line) <= int(width) or len(line.replace("|", " ").split()) <= 2, line


def test_choices_are_broken_between_words_only(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    told = mpsbridge("logons", "--help").out
    words = {word for line in told.splitlines() for word in re.split(r"[| ]+", line)}
    assert {"enabled", "drain", "drain-until-restart", "disabled", "negotiate", "kerberos"} <= words


def test_what_a_command_takes_is_seen_at_a_glance(mpsbridge: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = mpsbridge("release", "--help").out
    assert len(told.splitlines()) < 30
    assert told.index("--yes") < told.index(COMMON)
    assert "Usage: mpsbridge release HOST... [OPTIONS]" in told
    assert "Usage: mpsbridge resume [RUN] [HOST...] [OPTIONS]" in mpsbridge("resume", "--help").out


@pytest.mark.parametrize("words", [("help", "options"), ("--options",)])
def test_the_common_options_are_explained_in_one_place(mpsbridge: Command, words: tuple[str, ...]) -> None:
    found = mpsbridge(*words)
    assert found.code == 0
    for command in COMMANDS.values():
        for one in command.params:
            if getattr(one, "rich_help_panel", None) == COMMON and not one.hidden:
                assert all(name in found.out for name in one.opts)
                assert " ".join(str(one.help).split()) in " ".join(found.out.split())
