"""Our own inventory files: what they may say, which of it counts, and what is wrong with them, by line."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.errors import InputError
from mpsbridge.inventory.entries import Inventory, PasswordPlace
from mpsbridge.inventory.own import read_toml
from mpsbridge.inventory.reading import read_inventory
from mpsbridge.models.credentials import Auth

FARM = r"""
[defaults]
username = 'SCHOOL\admin'
password_env = "SCHOOL_PASSWORD"
ca_file = "ca.pem"

[hosts.ts1]
address = "10.1.2.3"
port = 6000

[hosts."lab-[a:c]"]
tls = false

[groups.school]
hosts = ["TS1", "ts[08:10]"]
children = ["labs"]
vars = { auth = "kerberos", configuration = "mpsbridge", password_file = "school.txt" }

[groups.labs]
hosts = ["lab-a", "lab-b"]

[groups.labs.vars]
auth = "ntlm"
keyring = true
"""


def read(text: str) -> Inventory:
    return read_toml(Path("/etc/farm/hosts.toml"), text)


def test_hosts_groups_and_their_children() -> None:
    farm = read(FARM)
    assert list(farm.hosts) == ["ts1", "lab-a", "lab-b", "lab-c", "ts08", "ts09", "ts10"]
    assert farm.groups == {
        "school": ("ts1", "ts08", "ts09", "ts10", "lab-a", "lab-b"),
        "labs": ("lab-a", "lab-b"),
    }
    assert farm.groups_of("lab-a") == ("school", "labs")


def test_the_nearest_word_counts_and_is_named() -> None:
    farm = read(FARM)
    ts1, lab = farm.hosts["ts1"], farm.hosts["lab-a"]
    assert (ts1.address, ts1.port, ts1.auth, ts1.username) == ("10.1.2.3", 6000, Auth.KERBEROS, "SCHOOL\\admin")
    assert (ts1.ca_file, ts1.password) == (Path("/etc/farm/ca.pem"), PasswordPlace(file=Path("/etc/farm/school.txt")))
    assert (lab.tls, lab.auth, lab.configuration, lab.password) == (
        False,
        Auth.NTLM,
        "mpsbridge",
        PasswordPlace(keyring=True),
    )
    assert lab.sources == {
        "username": "[defaults]",
        "ca_file": "[defaults]",
        "tls": "[hosts.lab-[a:c]]",
        "auth": "[groups.labs]",
        "configuration": "[groups.school]",
        "password": "[groups.labs]",
    }
    assert farm.hosts["lab-c"].password == PasswordPlace(env="SCHOOL_PASSWORD")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[hosts.a]\nprot = 5", ":2: hosts.a.prot: there is no such key"),
        ('[hosts."a.b"]\ntls = true\nport = 70000', ":3: hosts.a.b.port: 70000 is not possible, the most is 65535"),
        ("[hosts.a]\naddress = '10.0.0.1:5985'", ":2: hosts.a.address: '10.0.0.1:5985' is not a name or address"),
        ("x = 1", ":1: x: there is no such key"),
        ("[groups.g]\nvars = { adress = 1 }", ":2: groups.g.vars.adress: there is no such key"),
        ("[groups.g.vars]\naddress = 'x'", ":2: groups.g.vars.address: there is no such key"),
        ("[defaults]\npassword = 'hunter2'", ":2: defaults.password: a password does not stand in an inventory"),
        ("[hosts.a]\nkeyring = true\npassword_env = 'A'", "one of password_env, password_file and keyring is enough"),
        ("[hosts.a]\nkeyring = false", ":2: hosts.a.keyring: "),
        ("[hosts.a]\npassword_env = '$A'", ":2: hosts.a.password_env: "),
        ("[hosts.'a b']", ":1: 'a b' is not a name of a host"),
        ("[hosts.local]", ":1: 'local' is not a name of a host"),
        ("[hosts.all]", ":1: 'all' is not a name of a host"),
        ("[groups.all]", ":1: 'all' is not a group name"),
        ("[hosts.a]\ntls = 'false'", ":2: hosts.a.tls: 'false' is not true or false, written without quotes"),
        ("[defaults]\ninsecure_tls = 1", ":2: defaults.insecure_tls: 1 is not true or false"),
        ("[hosts.a]\nport = '5985'", ":2: hosts.a.port: '5985' is not a whole number, written without quotes"),
        ("[groups.g]\nvars = {port = true}", ":2: groups.g.vars: True is not a whole number"),
        ("[hosts.a]\nkeyring = 'yes'", ":2: hosts.a.keyring: "),
        ("[hosts.'ts[3:1]']", ":1: 'ts[3:1]': the range ends before it begins"),
        ("[hosts.'ts[1:2]']\naddress = 'x'", ":1: 2 hosts cannot have one address"),
        ("[hosts.a]\nport = 1\n[hosts.A]\nport = 2", ":3: A is listed twice with different settings, as a too"),
        ("[hosts.ts2]\nport = 1\n[hosts.'ts[1:2]']", ":3: ts2 is listed twice"),
        ("[groups.g]\nhosts = ['a*']", ":2: groups.g.hosts: 'a*' is not a name of a host"),
        ("[groups.g]\nhosts = ['a[2:1]']", ":2: groups.g.hosts: 'a[2:1]': the range ends"),
        (
            "[groups.ab]\nchildren = ['ac']\n[groups.acc]",
            "ab has the child ac, which is not a group; did you mean acc?",
        ),
        ("[groups.a]\nchildren = ['a']", "groups contain each other: a > a"),
        (
            "[groups.a]\nchildren = ['b']\n[groups.b]\nchildren = ['c']\n[groups.c]\nchildren = ['b']",
            "groups contain each other: b > c > b",
        ),
        ("[groups.a]\n[groups.A]", "'a' and 'A' are the same group"),
        (
            "[groups.a]\nhosts = ['x']\nvars = {port = 1}\n[groups.b]\nhosts = ['X']\nvars = {port = 2}",
            "the groups a and b give x different settings (port)",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("/etc/farm/hosts.toml") or "the groups" in message
    assert "hunter2" not in str(caught.value)


def test_groups_may_agree_and_a_host_may_decide() -> None:
    groups = "[groups.a]\nhosts = ['x']\nvars = {port = 1}\n[groups.b]\nhosts = ['x']\nvars = {port = %d}\n"
    assert read(groups % 1).hosts["x"].port == 1
    assert read(groups % 2 + "[hosts.x]\nport = 3").hosts["x"].port == 3


def test_a_shared_child_is_no_circle() -> None:
    text = "[groups.a]\nchildren = ['b', 'c']\n[groups.b]\nchildren = ['c']\n[groups.c]\nhosts = ['x']"
    assert read(text).groups == {"a": ("x",), "b": ("x",), "c": ("x",)}


def test_a_deep_chain_of_groups_is_no_trouble() -> None:
    chain = "".join(f"[groups.g{number}]\nchildren = ['g{number + 1}']\n" for number in range(1500))
    farm = read(chain + "[groups.g1500]\nhosts = ['x']\n")
    assert farm.groups["g0"] == ("x",)


def test_a_list_of_names_is_an_inventory(tmp_path: Path) -> None:
    path = tmp_path / "hosts.txt"
    path.write_text("# ours\nts[01:03]\nts9:5985\n[fe80::1]:5985\nfe80::2\nts01\n", encoding="utf-8")
    found = read_inventory(path)
    assert {name: host.port for name, host in found.hosts.items()} == {
        "ts01": None,
        "ts02": None,
        "ts03": None,
        "ts9": 5985,
        "fe80::1": 5985,
        "fe80::2": None,
    }
    path.write_text("ts1\nts1:5985\n", encoding="utf-8")
    with pytest.raises(InputError, match=":2: ts1 is listed twice with different ports"):
        read_inventory(path)
    path.write_text("ts1\nts 2\n", encoding="utf-8")
    with pytest.raises(InputError, match=":2: 'ts 2' is not a host name"):
        read_inventory(path)


SCALARS = st.one_of(st.booleans(), st.integers(-1, 70000), st.sampled_from(["a", "b", "ts[1:2]", "", "ntlm", "\x1b["]))
KEYS = st.sampled_from(
    ["hosts", "groups", "defaults", "children", "vars", "a", "b", "port", "tls", "password", "keyring", "auth"]
)
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_any_document_is_an_inventory_or_a_sentence(document: dict[str, object]) -> None:
    try:
        found = read(tomlkit.dumps(document))
    except InputError as error:
        assert "hosts.toml" in str(error)  # noqa: PT017 - either is right
    else:
        assert all(name.isprintable() for name in found.hosts)
