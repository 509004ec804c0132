from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.errors import InputError, SettingsError
from mpsbridge.inventory.reading import read_inventory
from mpsbridge.inventory.resolve import resolve
from mpsbridge.models.credentials import Auth, Ticket
from mpsbridge.models.targets import Target
from mpsbridge.settings import Settings, load_settings


def targets(*words: str, settings: Settings | None = None, stdin: str = "") -> list[Target]:
    settings = settings or load_settings({})
    meant = resolve(words, settings, read_stdin=lambda: stdin)
    return [one.target for one in meant]


@pytest.mark.parametrize(
    ("word", "address", "port"),
    [
        ("ts1", "ts1", 5986),
        ("ts1.example.com:5999", "ts1.example.com", 5999),
        ("10.0.0.1", "10.0.0.1", 5986),
        ("10.0.0.1:80", "10.0.0.1", 80),
        ("[fe80::1]:443", "fe80::1", 443),
        ("[::1]", "::1", 5986),
        ("::1", "::1", 5986),
        ("under_score", "under_score", 5986),
    ],
)
def test_the_forms_of_a_host(word: str, address: str, port: int) -> None:
    (found,) = targets(word)
    assert (found.host, found.address, found.port) == (word, address, port)


@pytest.mark.parametrize(
    "word",
    [
        "",
        "ts 1",
        "ts1:",
        "ts1:0",
        "ts1:65536",
        "ts1:http",
        "[::1",
        "[ts1]:5",
        "[::1]x",
        "999.1.1.1",
        "a/b",
        "-x",
        "http://ts1",
        "[::1]:",
    ],
)
def test_what_is_no_host_says_so(word: str) -> None:
    with pytest.raises(InputError):
        targets(word)


def test_without_tls_the_port_is_the_other_one() -> None:
    (found,) = targets("ts1", settings=load_settings({"no_tls": True}))
    assert (found.port, found.tls) == (5985, False)


def test_local_is_this_machine_and_needs_nothing_of_the_way_to_a_host(inventory: Path) -> None:
    settings = load_settings({"inventory": inventory, "username": "alice", "configuration": "mpsbridge"})
    (found,) = targets("local", "LOCAL", settings=settings)
    assert (found.kind, found.host, found.credentials, found.restricted) == ("local", "local", Ticket(), False)


def test_an_endpoint_of_ones_own_comes_from_the_inventory_or_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text('[hosts.a]\nconfiguration = "mpsbridge"\n[hosts.b]\n', encoding="utf-8")
    found = targets("a", "b", settings=load_settings({"inventory": path}))
    assert [(each.configuration_name, each.restricted) for each in found] == [
        ("mpsbridge", True),
        ("Microsoft.PowerShell", False),
    ]
    found = targets("a", "b", settings=load_settings({"inventory": path, "configuration": "other"}))
    assert [each.configuration_name for each in found] == ["other", "other"]  # what is typed counts more


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a?x=1", "a\n", "-a", "é", "x" * 101])
def test_the_name_of_an_endpoint_needs_no_quoting(name: str) -> None:
    with pytest.raises(SettingsError, match="--configuration"):
        load_settings({"configuration": name})


@pytest.mark.parametrize(
    ("name", "restricted"),
    [
        ("microsoft.powershell32", False),
        ("Microsoft.PowerShell.Workflow", False),
        ("PowerShell.7", False),
        ("mpsbridge", True),
        ("MyPowerShell", True),
    ],
)
def test_only_powershells_own_endpoints_take_script_text(name: str, restricted: bool) -> None:
    assert Target(host="a", address="a", configuration_name=name).restricted is restricted


def test_doubles_are_dropped_and_the_order_stays(tmp_path: Path) -> None:
    listing = tmp_path / "hosts.txt"
    listing.write_text("ts3  # the old one\n\n# nothing\nTS1\n", encoding="utf-8")
    found = targets("ts2", "ts1", f"@{listing}", "-", stdin="ts4\nts2\n")
    assert [target.host for target in found] == ["ts2", "ts1", "ts3", "ts4"]


def test_no_host_at_all_is_an_error(tmp_path: Path) -> None:
    empty = tmp_path / "none.txt"
    empty.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(InputError, match="no host"):
        targets(f"@{empty}")
    with pytest.raises(InputError, match="cannot be read"):
        targets("@/no/such/file")


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "hosts.toml"
    path.write_text(
        '[hosts.school-de]\naddress = "127.0.0.9"\nport = 4000\ntls = false\nauth = "ntlm"\n[hosts.plain]\n',
        encoding="utf-8",
    )
    return path


def test_an_inventory_gives_address_and_settings(inventory: Path) -> None:
    settings = load_settings({"inventory": inventory, "username": "alice"})
    first, second = targets("School-DE", "plain", settings=settings)
    assert (first.address, first.port, first.tls, first.auth, first.username) == (
        "127.0.0.9",
        4000,
        False,
        Auth.NTLM,
        "alice",
    )
    assert (second.address, second.port, second.tls) == ("plain", 5986, True)


def test_a_name_that_is_not_in_the_inventory_gets_a_suggestion(inventory: Path) -> None:
    settings = load_settings({"inventory": inventory})
    with pytest.raises(InputError, match="did you mean school-de"):
        targets("schol-de", settings=settings)
    assert targets("10.1.1.1", "other:99", settings=settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[hosts.a]\nprot = 5", ":2: hosts.a.prot"),
        ("[hots.a]", ":1: hots: there is no such key"),
        ("[hosts.a]\nport = 0", "hosts.a.port"),
        ("][", "is not TOML"),
    ],
)
def test_a_bad_inventory_names_file_and_key(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "hosts.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        targets("a", settings=load_settings({"inventory": path}))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("plain plain:5999", "plain and plain:5999 are one host with different settings"),
        ("plain:5986 PLAIN:5987", "are one host with different settings"),
        ("school-de 127.0.0.9:4000", r"are one host \(127.0.0.9, port 4000\)"),
    ],
)
def test_one_computer_is_one_host(inventory: Path, words: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        targets(*words.split(), settings=load_settings({"inventory": inventory}))


def test_one_host_spelled_twice_in_the_same_way_is_dropped(inventory: Path) -> None:
    settings = load_settings({"inventory": inventory})
    assert [
        each.host for each in targets("plain", "PLAIN:5986", "plain.:5986", "[::1]", "0::1", settings=settings)
    ] == [
        "plain",
        "[::1]",
    ]


def test_a_port_behind_a_name_of_the_inventory_keeps_its_other_settings(inventory: Path) -> None:
    (found,) = targets("School-DE:4001", settings=load_settings({"inventory": inventory}))
    assert (found.host, found.address, found.port, found.tls) == ("School-DE:4001", "127.0.0.9", 4001, False)


def test_what_is_typed_counts_more_than_the_inventory_and_that_more_than_a_variable(
    inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPSBRIDGE_PORT", "1")
    monkeypatch.setenv("MPSBRIDGE_AUTH", "basic")

    def found(**flags: object) -> dict[str, tuple[object, str]]:
        (one,) = resolve(["school-de"], load_settings({"inventory": inventory, **flags}), read_stdin=str)
        return {name: (getattr(one.target, name), one.sources[name]) for name in ("port", "auth", "insecure_tls")}

    table = "[hosts.school-de]"
    assert found() == {"port": (4000, table), "auth": (Auth.NTLM, table), "insecure_tls": (False, "default")}
    assert found(port=2, auth="kerberos", insecure_tls=True) == {
        "port": (2, "--port"),
        "auth": (Auth.KERBEROS, "--auth"),
        "insecure_tls": (True, "--insecure-tls"),
    }


@given(st.text(max_size=60) | st.binary(max_size=40), st.sampled_from(["hosts", "hosts.toml", "hosts.json", "h.yml"]))
def test_any_file_is_an_inventory_or_a_sentence_that_names_it(content: str | bytes, name: str) -> None:
    """Whatever stands in it; Ansible is not asked here, for its program takes a second."""
    with tempfile.TemporaryDirectory() as folder, patch.object(shutil, "which", lambda *_, **__: None):
        path = Path(folder) / name
        path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
        try:
            found = read_inventory(path)
        except InputError as error:
            assert name in str(error)  # noqa: PT017 - either is right
        else:
            assert all(name.isprintable() for name in found.hosts)
