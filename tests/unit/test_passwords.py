"""Where passwords come from: looked for once for all hosts, in the order that is promised, and never shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import SecretStr
from support.console import Command

from mpsbridge import find_targets
from mpsbridge.errors import InputError, SettingsError
from mpsbridge.host import Host
from mpsbridge.inventory import checks
from mpsbridge.inventory.entries import PasswordPlace
from mpsbridge.inventory.passwords import PASSWORD_FILE_LIMIT, Passwords, _first_line, where
from mpsbridge.inventory.resolve import ResolvedHost, resolve
from mpsbridge.models.credentials import Auth, Password, Ticket
from mpsbridge.models.outcomes import Failed
from mpsbridge.models.targets import Target
from mpsbridge.settings import load_settings
from mpsbridge.workers.dask import missing_on_a_worker
from mpsbridge.workers.elsewhere import Reading, read

FARM = """
[hosts.plain]
[hosts.env]
password_env = "FARM_PASSWORD"
[hosts.file]
password_file = "farm.txt"
[hosts.store]
keyring = true
[hosts.other]
username = "carol"
[hosts.theirs]
username = "dave"
password_env = "FARM_PASSWORD"
"""


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.toml"
    path.write_text(FARM, encoding="utf-8")
    (tmp_path / "farm.txt").write_text("from the file\nnot this\n", encoding="utf-8")
    return path


@pytest.fixture
def found(farm: Path) -> Callable[..., dict[str, str | None]]:
    """Hosts -> their passwords; a question is answered with the name asked for, and counted in ``asked``."""

    def call(*hosts: str, asked: list[str] | None = None, **flags: object) -> dict[str, str | None]:
        def ask(username: str) -> SecretStr:
            (asked if asked is not None else []).append(username)
            return SecretStr(f"asked for {username}")

        settings = load_settings({"inventory": farm, **flags})
        targets = Passwords(settings, ask=ask).fill(resolve(hosts, settings, read_stdin=str))
        return {
            target.host: target.credentials.secret.get_secret_value()
            if isinstance(target.credentials, Password)
            else None
            for target in targets
        }

    return call


@pytest.fixture
def key_store(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """A key store, as the library ``keyring`` would show it."""
    stored: dict[tuple[str, str], str] = {}
    module, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    vars(module).update(get_password=lambda service, user: stored.get((service, user)), errors=errors)
    vars(errors)["KeyringError"] = OSError
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return stored


@pytest.fixture(autouse=True)
def _no_key_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)


def test_an_inventory_says_where_it_is(
    found: Callable[..., dict[str, str | None]],
    monkeypatch: pytest.MonkeyPatch,
    key_store: dict[tuple[str, str], str],
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "ours")
    monkeypatch.setenv("FARM_PASSWORD", "the farm's")
    key_store["mpsbridge", "alice"] = "stored"
    assert found("plain", "env", "file", "store", username="alice") == {
        "plain": "ours",
        "env": "the farm's",
        "file": "from the file",
        "store": "stored",
    }


def test_a_password_goes_with_the_user_beside_it_and_with_no_other(
    found: Callable[..., dict[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "ours")
    monkeypatch.setenv("FARM_PASSWORD", "dave's")
    assert found("theirs") == {"theirs": "dave's"}
    assert found("theirs", username="dave") == {"theirs": "dave's"}
    assert found("theirs", username="alice") == {"theirs": "ours"}


def test_a_question_is_put_once_for_each_user(
    found: Callable[..., dict[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "has_kerberos", lambda: True)
    asked: list[str] = []
    hosts = [f"ts{number}:5986" for number in range(1, 40)]
    answers = found(*hosts, "other", "plain", "local", asked=asked, username=None)
    assert (asked, answers["other"], answers["plain"], answers["local"]) == (["carol"], "asked for carol", None, None)
    asked.clear()
    found(*hosts, "plain", asked=asked, username="alice")
    assert asked == ["alice"]


def test_the_key_store_comes_before_a_question(
    found: Callable[..., dict[str, str | None]], key_store: dict[tuple[str, str], str]
) -> None:
    key_store["mpsbridge", "carol"] = "stored"
    assert found("other") == {"other": "stored"}


def test_ours_is_a_variable_then_a_file(
    found: Callable[..., dict[str, str | None]], monkeypatch: pytest.MonkeyPatch, farm: Path
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD_FILE", str(farm.parent / "farm.txt"))
    assert found("plain", username="alice") == {"plain": "from the file"}
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "ours")
    assert found("plain", username="alice") == {"plain": "ours"}


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("env", "the variable FARM_PASSWORD, where the inventory says the password is, is not set"),
        ("file", "farm.txt cannot be read"),
        ("store", "names no user"),
    ],
)
def test_a_password_that_is_not_where_it_should_be_is_never_replaced_by_another(
    found: Callable[..., dict[str, str | None]], monkeypatch: pytest.MonkeyPatch, farm: Path, host: str, message: str
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "ours")
    (farm.parent / "farm.txt").unlink()
    with pytest.raises(SettingsError, match=message):
        found(host)


def test_a_missing_key_store_says_what_to_do(found: Callable[..., dict[str, str | None]]) -> None:
    with pytest.raises(SettingsError, match="no password for alice") as caught:
        found("store", username="alice")
    assert "mpsbridge[keyring]" in caught.value.hint


@pytest.mark.parametrize(
    ("host", "flags", "place"),
    [
        ("plain", {}, ""),
        ("plain", {"username": "alice"}, "key store, or a question"),
        ("env", {}, "FARM_PASSWORD, which is not set"),
        ("store", {}, "key store"),
    ],
)
def test_where_it_will_be_looked_for_can_be_told_without_looking(
    farm: Path, host: str, flags: dict[str, object], place: str
) -> None:
    settings = load_settings({"inventory": farm, **flags})
    (one,) = resolve([host], settings, read_stdin=str)
    assert where(one, settings) == place


def test_our_own_places_are_told_too(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MPSBRIDGE_PASSWORD_FILE", "MPSBRIDGE_PASSWORD"):
        monkeypatch.setenv(variable, "x")
        settings = load_settings({"inventory": farm})
        (one,) = resolve(["plain"], settings, read_stdin=str)
        assert where(one, settings) == variable


def test_the_library_finds_targets_as_the_command_line_does(farm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FARM_PASSWORD", "dave's")
    monkeypatch.setenv("MPSBRIDGE_USERNAME", "alice")
    found = find_targets("*", "!plain", "!store", "!other", inventory=str(farm), password="x", port=5985, no_tls=True)
    assert [(one.host, one.credentials) for one in found] == [
        ("env", Password("alice", "dave's")),
        ("file", Password("alice", "from the file")),
        ("theirs", Password("dave", "dave's")),
    ]
    assert {(one.port, one.tls) for one in found} == {(5985, False)}
    assert "dave's" not in repr(found)
    with pytest.raises(SettingsError, match="no password for alice"):
        find_targets("ts1", username="alice")
    with pytest.raises(SettingsError, match="there is no setting 'user'"):
        find_targets("ts1", user="alice")
    with pytest.raises(InputError, match="standard input"):
        find_targets("-")


def test_a_password_without_a_user_name_is_an_input_error(
    found: Callable[..., dict[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, host in (("MPSBRIDGE_PASSWORD", "plain"), ("FARM_PASSWORD", "env")):
        monkeypatch.setenv(variable, "swordfish")
        for auth in Auth:
            with pytest.raises(InputError, match=rf"^{host}: there is a password, but no user name$") as caught:
                found(host, auth=auth)
            assert "--username" in caught.value.hint


@pytest.mark.parametrize(
    "command", [("sessions",), ("end", "--all", "--yes"), ("doctor",), ("message", "--all", "--text", "x")]
)
def test_a_password_without_a_user_name_is_exit_2_once_for_all_hosts(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "swordfish")
    found = mpsbridge(command[0], "a.invalid", "b.invalid", *command[1:])
    assert (found.code, found.out, found.err.count("but no user name")) == (2, "", 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "the workers have a password, but no user name is given"),
        (("--username", "alice", "--auth", "basic", "--no-tls"), "Basic over plain HTTP"),
        (("--username", "LAB\\alice", "--auth", "kerberos"), "Kerberos"),
    ],
)
def test_what_workers_could_not_sign_in_with_is_exit_2_here(
    mpsbridge: Command, words: tuple[str, ...], said: str
) -> None:
    found = mpsbridge("sessions", "a.invalid", "--worker-password-variable", "THEIRS", *words)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


def test_an_inventorys_password_counts_more_than_a_key_table_of_the_settings_file(
    found: Callable[..., dict[str, str | None]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.keytab").touch()
    monkeypatch.setattr(checks, "has_kerberos", lambda: True)
    monkeypatch.setenv("MPSBRIDGE_KEYTAB", str(tmp_path / "a.keytab"))
    assert found("file", "plain", username="alice") == {"file": "from the file", "plain": None}


# Empty ones: a secret that is missing.


def test_an_empty_variable_of_ours_is_an_error(
    found: Callable[..., dict[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "")
    for flags in ({}, {"username": "alice"}, {"auth": "kerberos"}):
        with pytest.raises(SettingsError, match=r"^MPSBRIDGE_PASSWORD is empty$") as caught:
            found("plain", **flags)
        assert "CI" in caught.value.hint


def test_an_empty_variable_of_ours_does_not_hide_the_file(
    farm: Path, found: Callable[..., dict[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "")
    monkeypatch.setenv("MPSBRIDGE_PASSWORD_FILE", str(farm.parent / "farm.txt"))
    assert found("plain", username="alice") == {"plain": "from the file"}
    settings = load_settings({"inventory": farm})
    (one,) = resolve(["plain"], settings, read_stdin=str)
    assert where(one, settings) == "MPSBRIDGE_PASSWORD_FILE"


def test_an_empty_variable_that_the_inventory_names_is_an_error(
    farm: Path, found: Callable[..., dict[str, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FARM_PASSWORD", "")
    with pytest.raises(SettingsError, match=r"the variable FARM_PASSWORD, .* is empty$"):
        found("env")
    settings = load_settings({"inventory": farm})
    (one,) = resolve(["env"], settings, read_stdin=str)
    assert where(one, settings) == "FARM_PASSWORD, which is empty"


@pytest.mark.parametrize("text", ["", "\n", "\nsecond line\n"])
def test_an_empty_first_line_is_an_error(farm: Path, found: Callable[..., dict[str, str | None]], text: str) -> None:
    (farm.parent / "farm.txt").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"the password file .* is empty"):
        found("file")


@pytest.mark.parametrize("host", ["store", "plain"])
def test_an_empty_password_in_the_key_store_is_an_error(
    found: Callable[..., dict[str, str | None]], key_store: dict[tuple[str, str], str], host: str
) -> None:
    key_store["mpsbridge", "alice"] = ""
    with pytest.raises(SettingsError, match="the key store's password for alice is empty"):
        found(host, username="alice")


def test_an_empty_password_in_an_ansible_inventory_is_an_error(tmp_path: Path) -> None:
    place = PasswordPlace(clear=SecretStr(""))
    target = Target("a", credentials=Ticket("alice"))
    with pytest.raises(SettingsError, match="the password in the inventory is empty"):
        Passwords(load_settings({}), ask=SecretStr).fill([ResolvedHost(target=target, password=place)])


def test_an_empty_answer_to_the_question_is_an_error() -> None:
    target = Target("a", credentials=Ticket("alice"))
    with pytest.raises(SettingsError, match="the password given for alice is empty"):
        Passwords(load_settings({}), ask=lambda _: SecretStr("")).fill([ResolvedHost(target=target)])


def test_a_key_table_needs_none(
    found: Callable[..., dict[str, str | None]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checks, "has_kerberos", lambda: True)
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "")
    (tmp_path / "a.keytab").touch()
    assert found("plain", keytab=tmp_path / "a.keytab") == {"plain": None}


@pytest.mark.parametrize("command", [("sessions",), ("end", "--all", "--yes"), ("doctor",)])
def test_an_empty_variable_is_exit_2_with_a_sentence_and_nothing_is_sent(
    mpsbridge: Command, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "")
    found = mpsbridge(command[0], "a.invalid", "b.invalid", *command[1:], "--username", "alice")
    assert found.code == 2
    assert "MPSBRIDGE_PASSWORD is empty" in found.err


def test_a_worker_without_a_password_in_its_variable_asks_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS_PASSWORD", "")
    assert missing_on_a_worker("WORKERS_PASSWORD", ()) == "the variable WORKERS_PASSWORD in its environment"
    target = Target("a.invalid", credentials=Ticket("alice"))
    outcome = read(Reading(target, Host.observe, 1.0, password_variable="WORKERS_PASSWORD"))
    assert isinstance(outcome, Failed)
    assert outcome.failure.kind == "settings"


@pytest.mark.parametrize("spoil", ["device", "folder", "fifo", "large"])
def test_a_password_file_that_is_none_is_one_sentence(spoil: str, tmp_path: Path) -> None:
    path = tmp_path / "password"
    if spoil == "device":
        path = Path("/dev/zero")
    elif spoil == "folder":
        path.mkdir()
    elif spoil == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(b"x" * (PASSWORD_FILE_LIMIT + 1))
    with pytest.raises(SettingsError, match=r"is not a file|has more than 65536 bytes"):
        _first_line(path)


def test_a_password_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(b"secret\n" + b"x" * (PASSWORD_FILE_LIMIT - 7))
    assert _first_line(path) == "secret"


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"\xef\xbb\xbfPASS\r\n", "PASS"),
        (b"PASS\x0bmore\nnote", "PASS\x0bmore"),
        ("PA\u2028SS\x85\n".encode(), "PA\u2028SS\x85"),
        (b"PASS\r", "PASS"),
        (b"PASS", "PASS"),
    ],
)
def test_a_password_is_the_whole_first_line_without_a_mark(content: bytes, password: str, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    assert _first_line(path) == password


def test_a_password_file_that_is_not_utf_8_tells_nothing_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes("Schlüssel".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"is not UTF-8 text$"):
        _first_line(path)
