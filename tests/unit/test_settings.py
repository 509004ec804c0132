from __future__ import annotations

from pathlib import Path

import pytest

from mpsbridge.errors import SettingsError
from mpsbridge.models.credentials import Auth
from mpsbridge.settings import Output, load_settings, unknown_variables


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    monkeypatch.setenv("MPSBRIDGE_SETTINGS", str(path))
    return path


def test_a_flag_beats_the_environment_which_beats_the_file(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_file.write_text('username = "file"\nauth = "basic"\ntimeout = "2m"\n', encoding="utf-8")
    monkeypatch.setenv("MPSBRIDGE_AUTH", "ntlm")
    monkeypatch.setenv("MPSBRIDGE_TIMEOUT", "90s")
    found = load_settings({"timeout": "1h", "port": None})
    assert (found.username, found.auth, found.timeout, found.port) == ("file", Auth.NTLM, 3600, None)


def test_a_switch_can_be_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_NO_TLS", "1")
    assert load_settings({"no_tls": None}).no_tls


def test_without_anything_the_defaults_hold() -> None:
    found = load_settings({})
    assert (found.output, found.timeout, found.concurrency, found.no_tls) == (Output.TABLE, 60, 32, False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('usernam = "x"', "unknown key 'usernam'; did you mean username?"),
        ("timeout = 60", "write 60s, 60m or 60h"),
        ('auth = "digest"', "auth: "),
        ("= 3", "is not TOML"),
        ('no_tls = "false"', ":1: no_tls: 'false' is not true or false, written without quotes"),
        ("username = 'admin'\nquiet = 0", ":2: quiet: 0 is not true or false"),
        ('concurrency = "5"', ":1: concurrency: '5' is not a whole number, written without quotes"),
        ("port = true", ":1: port: True is not a whole number"),
        ("verbose = 1.0", ":1: verbose: 1.0 is not a whole number"),
    ],
)
def test_a_bad_file_is_named_with_its_key(settings_file: Path, content: str, message: str) -> None:
    settings_file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings({})
    assert message in str(caught.value)
    assert str(settings_file) in str(caught.value)


@pytest.mark.parametrize(("word", "meant"), [("yes", True), ("1", True), ("off", False), ("False", False)])
def test_a_variable_has_words_for_yes_and_no(monkeypatch: pytest.MonkeyPatch, word: str, meant: bool) -> None:
    monkeypatch.setenv("MPSBRIDGE_NO_TLS", word)
    monkeypatch.setenv("MPSBRIDGE_PORT", "5999")
    assert (load_settings({}).no_tls, load_settings({}).port) == (meant, 5999)
    monkeypatch.setenv("MPSBRIDGE_NO_TLS", "banana")
    with pytest.raises(SettingsError, match="'banana' is not yes or no"):
        load_settings({})


def test_a_bad_flag_and_a_bad_variable_are_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="--timeout: '5' is not a duration"):
        load_settings({"timeout": "5"})
    monkeypatch.setenv("MPSBRIDGE_PORT", "99999")
    with pytest.raises(SettingsError, match="MPSBRIDGE_PORT: "):
        load_settings({})


@pytest.mark.parametrize(
    ("flag", "text", "said"),
    [
        ("timeout", "0s", "'0s' is not possible, the least is 1s"),
        ("timeout", "2d", "'2d' is not possible, the most is 1d"),
        ("deadline", "0m", "'0m' is not possible, the least is 1s"),
    ],
)
def test_a_bound_of_a_duration_has_its_unit(flag: str, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"--{flag}: {said}"):
        load_settings({flag: text})


def test_an_unreadable_file_is_an_error(settings_file: Path) -> None:
    settings_file.mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings({})


def test_the_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "hunter2")
    found = load_settings({})
    assert "hunter2" not in repr(found)
    assert "hunter2" not in found.model_dump_json()


def test_a_variable_that_is_no_setting_is_pointed_out() -> None:
    (found,) = unknown_variables({"MPSBRIDGE_CA_FIEL": "x", "MPSBRIDGE_PWSH": "y", "MPSBRIDGE_PORT": "1", "PATH": ""})
    assert str(found) == "MPSBRIDGE_CA_FIEL is not a setting; did you mean MPSBRIDGE_CA_FILE?"
    (found,) = unknown_variables({"MPSBRIDGE_SET": "x"})
    assert str(found) == "MPSBRIDGE_SET is not a setting"
    assert [one.meant for one in unknown_variables({"MPSBRIDGE_PROT": ""})] == ["MPSBRIDGE_PORT"]
    assert [one.meant for one in unknown_variables({"MPSBRIDGE_COLOUR_OF_THE_SKY": "blue"})] == [""]


def test_an_empty_variable_names_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_SETTINGS", "")
    assert load_settings({}).port is None


def test_the_null_device_means_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_SETTINGS", "/dev/null")
    assert load_settings({}).port is None
