"""README and the pages stay true: what they name exists, and README's first two commands are what CI runs."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main
from conftest import ROOT
from support.documentation import ALL, CURRENT, README, TEXTS, blocks, the_block

from mpsbridge.cli.commands import app
from mpsbridge.inventory.reading import read_inventory
from mpsbridge.models.sessions import Result
from mpsbridge.operations.planfile import read_plan
from mpsbridge.settings import Settings

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined] # a group, though typed as a command


def test_the_first_two_shell_blocks_are_one_line_each() -> None:
    first = blocks(README, "sh")[:2]
    assert [len(block.strip().splitlines()) for block in first] == [1, 1]
    assert first[0].strip().endswith("mpsbridge demo")
    assert "pytest" in first[1]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_documented_and_has_help(name: str) -> None:
    assert f"mpsbridge {name}" in TEXTS["commands"]
    assert COMMANDS[name].help


def test_no_command_is_named_that_is_not_there() -> None:
    named = set(re.findall(r"(?:^|`|\| |\$ )mpsbridge ([a-z]+)", CURRENT, re.MULTILINE)) - {"help"}
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("option", sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ALL))))
def test_every_option_that_is_named_exists(option: str) -> None:
    known = {name for command in COMMANDS.values() for parameter in command.params for name in parameter.opts}
    foreign = {"--version", "--help", "--list", "--from", "--everything"}  # of ansible-inventory, uvx and our tests
    assert option in known | foreign


def test_every_call_that_is_shown_uses_options_of_its_command() -> None:
    call = re.compile(r"(?<!from )\bmpsbridge ([a-z]+)\b([^\n#]*)")
    shown = [*blocks(CURRENT), *re.findall(r"`(mpsbridge [^`\n]+)`", CURRENT)]
    calls = [found for each in shown for found in call.findall(each) if found[0] != "help"]
    assert len(calls) > 30
    for name, words in calls:
        known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", words)) <= known | {"--help"}, f"mpsbridge {name}{words}"


def test_every_shared_setting_is_an_option() -> None:
    of_notices = {"--sender"}
    assert of_notices <= {name for parameter in COMMANDS["end"].params for name in parameter.opts}
    known = of_notices | {name for parameter in COMMANDS["sessions"].params for name in parameter.opts}
    secret = {"password", "password_file"}
    for name in set(Settings.model_fields) - secret:
        assert "--" + name.replace("_", "-") in known


def test_every_option_has_a_help_text_or_tells_its_values() -> None:
    for name, command in COMMANDS.items():
        for parameter in command.params:
            assert getattr(parameter, "help", None) or parameter.metavar, f"{name} {parameter.name}"


def test_the_exit_codes_are_told() -> None:
    told = re.findall(r"^\| (\d+) \|", TEXTS["commands"], re.MULTILINE)
    assert told == ["0", "1", "2", "3", "4", "130"]


def test_the_changes_begin_with_what_is_not_released() -> None:
    assert re.findall("^## (.*)", TEXTS["changes"], re.MULTILINE)[0] == "Unreleased"


@pytest.mark.parametrize(
    "pick",
    [
        lambda text: re.findall(r"from mpsbridge import ([\w, ]+)", text),
        lambda text: re.findall(r"`(CannedTransport|Host|Fleet|Target)`", text),
    ],
)
def test_the_names_of_the_library_chapter_are_public(pick: Callable[[str], list[str]]) -> None:
    import mpsbridge  # noqa: PLC0415 - the package itself is what is tested

    names = {name.strip() for found in pick(CURRENT) for name in found.split(",")}
    assert names
    assert names <= set(mpsbridge.__all__)


def test_results_in_the_pages_are_results() -> None:
    assert '"result": "ended"' in TEXTS["events-and-json"]
    assert Result("ended")


def test_the_plan_that_is_shown_can_be_read(tmp_path: Path) -> None:
    plan = the_block(TEXTS["plans"], "toml", "schema")
    path = tmp_path / "night.toml"
    path.write_text(plan, encoding="utf-8")
    assert read_plan(path).waves.limited


def test_every_rule_about_windows_has_a_test_by_its_number_or_a_reason_why_not() -> None:
    _, _, chapter = TEXTS["windows"].partition("## Rules about Windows")
    table, _, reasons = chapter.partition("\n## ")[0].partition("What no code can keep")
    kept = set(re.findall(r"^\| W(\d+) \| \S", table, re.MULTILINE))
    unkept = {
        number
        for row in re.findall(r"^\| (W[^|]*) \| [^|]+ \| [^|]+ \|$", reasons, re.MULTILINE)
        for number in re.findall(r"W(\d+)", row)
    }
    assert kept | unkept == {str(number) for number in range(1, 45)}
    names = [
        name
        for path in (ROOT / "tests").glob("*/test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    proved = {str(int(number)) for name in names for number in re.findall(r"_w(\d\d)_", name)}
    assert proved == kept


def test_the_inventory_that_is_shown_can_be_read(tmp_path: Path) -> None:
    text = the_block(TEXTS["hosts-and-inventories"], "toml", "[hosts")
    path = tmp_path / "hosts.toml"
    path.write_text(text, encoding="utf-8")
    assert len(read_inventory(path).hosts) == 42


OPTIONS = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_a_command_has_examples_that_can_be_typed(name: str) -> None:
    heading, *examples = [line.strip() for line in COMMANDS[name].epilog.splitlines()]
    assert heading == "Examples:"
    assert 1 <= len(examples) <= 2
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    for example in examples:
        assert f"mpsbridge {name}" in example
        assert set(OPTIONS.findall(example)) <= known


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_an_option_begins_with_a_verb(name: str) -> None:
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name != "option" or parameter.name == "help":
            continue
        first = parameter.help.removeprefix("Kerberos: ").removeprefix("CSV: ").split()[0]
        assert f" {first.strip(',').lower()} " in VERBS, f"{name} {parameter.name}: {parameter.help}"


VERBS = (
    " accept allow answer append ask block choose connect decode do end fill give go include keep leave let limit "
    "listen look play print read record report reset say set show sign skip take trust use wait write "
)


def test_what_a_command_refuses_does_not_stand_in_its_help() -> None:
    shown = {
        name: {parameter.name for parameter in command.params if not getattr(parameter, "hidden", False)}
        for name, command in COMMANDS.items()
    }
    for name in ("message", "disconnect", "logoff", "end", "maintain", "resume", "hold", "release"):
        assert not shown[name] & {"executor", "scheduler", "worker_password_variable"}
        assert {"timeout", "dry_run", "journal"} <= shown[name]
    for name in ("sessions", "stations", "doctor", "leases"):
        assert not shown[name] & {"dry_run", "journal"}
        assert {"timeout", "executor"} <= shown[name]
    panels = {parameter.rich_help_panel for command in COMMANDS.values() for parameter in command.params}
    assert {"Session selection", "Common options"} <= panels


def test_no_text_names_the_number_of_a_rule() -> None:
    for path in sorted((ROOT / "mpsbridge").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        unsaid = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in unsaid:
                assert not re.search(r"\(W\d", node.value), f"{path}:{node.lineno}: {node.value}"


# --- README and the pages as a whole ----------------------------------------------------------------------------------

LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]*)(#[\w-]+)?\)")


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {"#" + re.sub(r"[^\w -]", "", heading.casefold()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_a_link_leads_to_a_page_and_a_heading_of_it(name: str) -> None:
    prose = re.sub(r"^```.*?^```", "", TEXTS[name], flags=re.DOTALL | re.MULTILINE)
    for target, anchor in LINK.findall(re.sub(r"`[^`]*`", "", prose)):
        if target.startswith("https://"):
            continue
        assert target.startswith("mpsbridge/docs/") == (name == "README"), target
        page = target.removeprefix("mpsbridge/docs/").removesuffix(".md") or name
        assert page in TEXTS, target
        assert not anchor or anchor in _anchors(TEXTS[page]), f"{target}{anchor}"


def test_the_readme_leads_to_every_page_and_is_short() -> None:
    assert {name for name in TEXTS if name != "README"} <= set(re.findall(r"\(mpsbridge/docs/([a-z-]+)\.md\)", README))
    assert len(README.encode()) < 7000
    assert "never tried it on Windows" in README.partition("## ")[0]


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_that_a_text_names_is_there(name: str) -> None:
    if name == "changes":
        return
    for path in re.findall(r"(?<![\w./-])((?:mpsbridge|tests|ps_templates)/[\w/{},.*-]+)", TEXTS[name]):
        if not re.search(r"[{*]|NAME|settings\.toml|journal\.sqlite|/1$", path):
            assert (ROOT / path.rstrip(".,")).exists(), path


def test_the_page_on_the_lab_tells_every_key_of_a_world_file() -> None:
    from mpsbridge.lab import worldfile  # noqa: PLC0415 - only this test reads them
    from mpsbridge.lab.wire import faults  # noqa: PLC0415

    keys = {
        *worldfile._HOST,
        *worldfile._SESSION,
        *worldfile._STATION,
        *worldfile._FAULT,
        *worldfile._FILE,
        *worldfile._FOLDER,
    }
    rows = re.findall(r"^\| (`[^|]*) \|", TEXTS["lab"], re.MULTILINE)
    told = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert told == keys | set(faults.DEEDS)


def test_the_world_that_is_shown_can_be_built(tmp_path: Path) -> None:
    from mpsbridge.lab.worldfile import load_world  # noqa: PLC0415

    path = tmp_path / "world.toml"
    path.write_text(the_block(TEXTS["lab"], "toml", "[[hosts]]"), encoding="utf-8")
    assert len(load_world(path).hosts) == 2


def test_the_page_on_contributing_tells_every_variable_and_marker_of_the_tests() -> None:
    page = TEXTS["contributing"]
    conftest = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    read = set(re.findall(r'environ(?:\.get\(|\[|\.setdefault\()"(MPSBRIDGE_\w+)"', conftest))
    assert read == set(re.findall(r"^\| `(MPSBRIDGE_\w+)` \|", page, re.MULTILINE))
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    markers = {marker.partition(":")[0] for marker in settings["markers"]}
    assert markers == set(re.findall(r"^\| `([a-z]+(?:\(reason\))?)` \|", page, re.MULTILINE))


CALQUES = re.compile(r"\bwhoever\b|\bwhom\b|\banew\b|\bfor ever\b|\bis no (?!longer)", re.IGNORECASE)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_has_no_calques_and_no_workplace_in_it(name: str) -> None:
    assert CALQUES.findall(TEXTS[name]) == []
    assert not re.search(r"\.\./shared|/work/", TEXTS[name])


TASKS = re.findall(r"`(mpsbridge [^`\n]+)`", README + TEXTS["tasks"]) + [
    line for line in blocks(TEXTS["tasks"], "bash")[0].splitlines() if not line.startswith("#")
]


@pytest.mark.parametrize(
    "call", [call for call in dict.fromkeys(TASKS) if "COMMAND" not in call and "PAGE" not in call]
)
def test_a_task_s_call_can_be_typed(call: str) -> None:
    _, name, *words = shlex.split(call.partition(" > ")[0])
    COMMANDS[name].make_context(name, words)  # raises where an argument or an option is wrong or missing
