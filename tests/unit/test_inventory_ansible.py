"""Ansible's inventories as they are: what is understood, what is refused for whom, and Ansible's own word for it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import missing
from hypothesis import given
from hypothesis import strategies as st

from mpsbridge.errors import InputError
from mpsbridge.inventory import ansible_program
from mpsbridge.inventory.ansible import read_listing
from mpsbridge.inventory.entries import Inventory, InventoryHost
from mpsbridge.inventory.patterns import choose
from mpsbridge.inventory.reading import read_inventory
from mpsbridge.inventory.resolve import ResolvedHost, resolve
from mpsbridge.models.credentials import Auth
from mpsbridge.settings import load_settings

VAULT = {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n3835"}


def listing(**hosts: dict[str, Any]) -> str:
    return json.dumps({"_meta": {"hostvars": hosts}, "all": {"children": ["ungrouped"]}})


def host(**variables: Any) -> InventoryHost:
    return read_listing(Path("hosts.json"), listing(ts1=variables)).hosts["ts1"]


@pytest.fixture
def meant(tmp_path: Path) -> Any:
    """Words -> what is meant, with the inventory of the given host variables."""
    path = tmp_path / "hosts.json"

    def call(*words: str, variables: dict[str, dict[str, Any]], **flags: object) -> list[ResolvedHost]:
        path.write_text(listing(**variables), encoding="utf-8")
        return resolve(words, load_settings({"inventory": path, **flags}), read_stdin=str)

    return call


@pytest.mark.parametrize(
    ("variables", "understood"),
    [
        ({}, {}),
        ({"ansible_host": "10.0.0.1", "ansible_user": "alice"}, {"address": "10.0.0.1", "username": "alice"}),
        ({"ansible_port": 5985}, {"port": 5985, "tls": False}),
        ({"ansible_port": "5986"}, {"port": 5986, "tls": True}),
        ({"ansible_port": 5985, "ansible_psrp_protocol": "https"}, {"port": 5985, "tls": True}),
        ({"ansible_port": 1, "ansible_psrp_port": 5985}, {"port": 5985, "tls": False}),
        ({"ansible_psrp_host": "a", "ansible_host": "b"}, {"address": "a"}),
        ({"ansible_psrp_auth": "kerberos"}, {"auth": Auth.KERBEROS}),
        ({"ansible_psrp_negotiate_hostname_override": "ts1.example.org"}, {"spn": "host/ts1.example.org"}),
        ({"ansible_winrm_kerberos_hostname_override": "a", "ansible_winrm_service": "HTTP"}, {"spn": "host/a"}),
        ({"ansible_psrp_cert_validation": "ignore"}, {"insecure_tls": True}),
        ({"ansible_psrp_cert_trust_path": "/a", "ansible_psrp_ca_cert": "/b"}, {"ca_file": Path("/b")}),
        ({"ansible_psrp_configuration_name": "mpsbridge"}, {"configuration": "mpsbridge"}),
        ({"ansible_connection": "winrm", "ansible_winrm_transport": ["credssp", "ntlm"]}, {"auth": Auth.NTLM}),
        ({"ansible_winrm_transport": "ssl"}, {"auth": Auth.BASIC}),
        ({"ansible_winrm_scheme": "http"}, {"tls": False}),
        ({"ansible_winrm_server_cert_validation": "validate"}, {"insecure_tls": False}),
        ({"ansible_winrm_ca_trust_path": "legacy_requests"}, {}),
        ({"ansible_connection": "ansible.builtin.winrm", "ansible_psrp_port": 1}, {}),
        ({"ansible_connection": "psrp", "ansible_winrm_scheme": "http"}, {}),
        ({"ansible_psrp_message_encryption": "always", "ansible_psrp_protocol": "http"}, {"tls": False}),
        ({"ansible_host": "[fe80::1]"}, {"address": "fe80::1"}),
        ({"ansible_psrp_path": "wsman", "ansible_psrp_message_encryption": "auto"}, {}),
        ({"ansible_psrp_negotiate_delegate": False, "ansible_psrp_negotiate_send_cbt": True}, {}),
        ({"ansible_psrp_read_timeout": 99, "ansible_become": True, "other": [{"deep": {}}]}, {}),
        ({"ansible_host": "{{ inventory_hostname }}.example.org"}, {"address": "ts1.example.org"}),
        ({"ansible_host": "{{ a }}", "a": "{{b}}-x", "b": 7}, {"address": "7-x"}),
        ({"ansible_port": "{{ port }}", "port": 5985}, {"port": 5985, "tls": False}),
        ({"ansible_user": {"__ansible_unsafe": "al{{ice"}}, {"username": "al{{ice"}),
    ],
)
def test_what_is_understood(variables: dict[str, Any], understood: dict[str, Any]) -> None:
    found = host(**variables)
    assert found.problems == {}
    assert found.model_dump(exclude_none=True, exclude={"sources", "problems"}) == understood


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ansible_psrp_auth": "credssp"}, "ts1: ansible_psrp_auth is 'credssp', which is not a way to sign in"),
        ({"ansible_psrp_auth": "certificate"}, "ansible_psrp_auth is 'certificate'"),
        ({"ansible_winrm_transport": ["credssp"]}, "ansible_winrm_transport is"),
        ({"ansible_port": 0}, "ts1: ansible_port is 0, which is not a port"),
        ({"ansible_port": 65536}, "not a port"),
        ({"ansible_port": True}, "not a port"),
        ({"ansible_port": "x"}, "not a port"),
        ({"ansible_psrp_protocol": "ftp"}, "neither http nor https"),
        ({"ansible_psrp_cert_validation": "maybe"}, "neither validate nor ignore"),
        ({"ansible_psrp_path": "/powershell"}, "ansible_psrp_path is '/powershell'; mpsbridge asks for /wsman"),
        ({"ansible_psrp_proxy": "http://p:3128"}, "no proxies"),
        ({"ansible_psrp_proxy": "http://bob:hunter2@p:3128"}, "'http://***@p:3128'; mpsbridge uses no proxies"),
        ({"ansible_host": "{{ a }}", "a": "{{ b }}" * 50, "b": "{{ c }}" * 50, "c": "x" * 50}, "is too long"),
        ({"ansible_host": "a b"}, "ansible_host is 'a b', which is not a name or address"),
        ({"ansible_psrp_message_encryption": "always"}, "not once more within TLS"),
        ({"ansible_psrp_negotiate_delegate": True}, "delegates no credentials"),
        ({"ansible_psrp_negotiate_send_cbt": False}, "binds the sign-in"),
        ({"ansible_psrp_configuration_name": "a b"}, "not a name of a session configuration"),
        ({"ansible_connection": "ssh"}, "ansible_connection is 'ssh'; mpsbridge reaches hosts of psrp and winrm"),
        ({"ansible_connection": "{{ how }}"}, "names the variable how, which the inventory does not tell"),
        ({"ansible_port": VAULT}, "ansible_port is a secret, which is encrypted by ansible-vault"),
        ({"ansible_host": {"a": 1}}, "is not a single value"),
        ({"ansible_host": "{{ lookup('dns', 'x') }}"}, "more than names of variables"),
        ({"ansible_host": "{% if a %}b{% endif %}"}, "more than names of variables"),
        ({"ansible_host": "{{ a }}", "a": "{{ a }}"}, "names the variable a"),
        ({"ansible_user": "{{ vault_user }}"}, "names the variable vault_user"),
    ],
)
def test_what_cannot_be_honoured_is_said_only_where_the_host_is_meant(
    meant: Any, variables: dict[str, Any], message: str
) -> None:
    both = {"ts1": variables, "ts2": {}}
    assert [one.target.host for one in meant("ts2", variables=both)] == ["ts2"]
    with pytest.raises(InputError) as caught:
        meant("all", variables=both)
    assert message in str(caught.value)
    assert "hosts.json" in caught.value.hint
    assert "hunter2" not in str(caught.value)


def test_an_option_lifts_what_the_inventory_cannot_say(meant: Any) -> None:
    variables = {"ts1": {"ansible_user": VAULT, "ansible_psrp_auth": "credssp"}}
    (one,) = meant("ts1", variables=variables, username="bob", auth="ntlm")
    assert (one.target.username, one.target.auth, one.sources["auth"]) == ("bob", Auth.NTLM, "--auth")


def test_a_user_of_the_environment_stands_in_for_an_encrypted_one(meant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_USERNAME", "carol")
    (one,) = meant("ts1", variables={"ts1": {"ansible_user": VAULT}})
    assert (one.target.username, one.sources["username"]) == ("carol", "MPSBRIDGE_USERNAME")


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("hunter2", "clear"),
        ("{{ pw }}", "clear"),
        ("{{ lookup('env', 'WIN_PW') }}", "env"),
        ('{{lookup("ansible.builtin.env","WIN_PW")}}', "env"),
        (VAULT, None),
        ("{{ vault_pw }}", None),
        ("{{ lookup('hashi_vault', 'x') }}", None),
        ("", None),
        (None, None),
    ],
)
def test_a_password_is_used_where_it_stands_in_clear_and_never_shown(value: object, place: str | None) -> None:
    found = host(ansible_password=value, pw="hunter2", ansible_user="alice")
    assert found.problems == {}
    if place is None:
        assert found.password is None
    else:
        assert found.password is not None
        wanted = {"clear": found.password.clear, "env": found.password.env}[place]
        assert str(wanted) == ("**********" if place == "clear" else "WIN_PW")
    assert "hunter2" not in repr(found)
    assert "hunter2" not in found.model_dump_json()
    assert "hunter2" not in str(read_listing(Path("x"), listing(ts1={"ansible_password": "hunter2"})))


def test_groups_of_a_listing_and_of_an_old_script() -> None:
    text = json.dumps(
        {
            "_meta": {"hostvars": {"a": {"ansible_port": 5985}}},
            "all": {"children": ["ungrouped", "win", "empty"], "vars": {"ansible_user": "all", "ansible_port": 1}},
            "win": {"children": ["lab"], "hosts": ["b"], "vars": {"ansible_user": "win"}},
            "lab": {"hosts": ["a"], "vars": {"ansible_user": "lab"}},
            "old": ["c", "a"],
        }
    )
    found = read_listing(Path("x"), text)
    assert found.groups == {"win": ("b", "a"), "lab": ("a",), "old": ("c", "a"), "ungrouped": (), "empty": ()}
    assert list(found.hosts) == ["b", "a", "c"]
    assert {name: (one.username, one.port) for name, one in found.hosts.items()} == {
        "a": ("lab", 5985),
        "b": ("win", 1),
        "c": ("all", 1),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not the output of 'ansible-inventory --list'"),
        ("[]", "not a JSON object"),
        ('{"_meta": []}', "x"),
        ('{"_meta": {"hostvars": {"a": 1}}}', "a: 1 is not a table"),
        ('{"_meta": {}, "win": {"hosts": 5}}', "win.hosts: 5 is not a list"),
        ('{"_meta": {}, "a": {"children": ["b"]}, "b": {"children": ["a"]}}', "groups contain each other: a > b > a"),
        ('{"_meta": {"hostvars": {"ts1": {}, "TS1": {}}}}', "the same host"),
        ('{"_meta": {"hostvars": {"ts\\u001b[31m": {}}}}', "not a name of a host"),
    ],
)
def test_what_is_no_listing_is_said(text: str, message: str) -> None:
    if message == "x":
        assert read_listing(Path("x"), text).hosts == {}
        return
    with pytest.raises(InputError) as caught:
        read_listing(Path("x"), text)
    assert message in str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(VAULT),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
)
VARIABLES = st.sampled_from(
    [
        *("ansible_host", "ansible_port", "ansible_user", "ansible_connection", "ansible_password"),
        *("ansible_psrp_auth", "ansible_psrp_path", "ansible_psrp_configuration_name"),
        *("ansible_winrm_transport", "ansible_winrm_scheme"),
    ]
)


@given(st.dictionaries(VARIABLES, VALUES | st.sampled_from(["{{ ansible_host }}", "psrp", "winrm", "http", "ntlm"])))
def test_any_values_are_read_or_are_a_problem_of_that_host(variables: dict[str, Any]) -> None:
    found = host(**variables)
    assert isinstance(found, InventoryHost)
    assert all(problem.startswith("ts1: ") for problem in found.problems.values())


@given(st.dictionaries(st.sampled_from(["_meta", "all", "a", "b", "hostvars"]), VALUES, max_size=4))
def test_any_document_is_a_listing_or_a_sentence(document: dict[str, Any]) -> None:
    try:
        read_listing(Path("hosts.json"), json.dumps(document))
    except InputError as error:
        assert "hosts.json" in str(error)  # noqa: PT017 - either is right


# The program


def fake_program(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "bin" / "ansible-inventory"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport os, sys\n{body}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("hosts.yml", "all: {}"),
        ("hosts.yaml", ""),
        ("hosts", "[win]\nts1\n"),
        ("hosts.ini", "ts1 ansible_host=10.0.0.1\n"),
        ("hosts2", "; a comment\nts1\n"),
        ("hosts3", "win:\n  hosts: {}\n"),
        ("hosts.json", '{"all": {"hosts": {"ts1": {}}}}'),
        ("hosts4", "$ANSIBLE_VAULT;1.1;AES256\n38\n"),
    ],
)
def test_without_the_program_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="is not installed here") as caught:
        read_inventory(path)
    assert "pip install 'mpsbridge[ansible]'" in caught.value.hint
    assert "--list" in caught.value.hint
    with pytest.raises(InputError, match="is not installed here"):
        read_inventory(tmp_path)


def test_the_program_gets_the_path_and_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSBRIDGE_PASSWORD", "hunter2")
    fake_program(
        tmp_path,
        "import json; print(json.dumps({'_meta': {'hostvars': {'n%d' % n: {} for n in range(len(sys.argv))}},"
        "sys.argv[-1].rpartition('/')[2].replace('.', '-'): {'hosts': ['n0']},"
        "'leaked' if 'hunter2' in str(os.environ) else 'safe': {}}))",
        monkeypatch,
    )
    path = tmp_path / "-x.yml"
    path.touch()
    monkeypatch.chdir(tmp_path)
    found = read_inventory(Path("-x.yml"))
    assert list(found.hosts) == ["n0", "n1", "n2", "n3"]
    assert set(found.groups) == {"-x-yml", "safe"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('[ERROR]: it is Tuesday', file=sys.stderr); sys.exit(4)", "cannot read .*: it is Tuesday"),
        ("print('\\x1b[31mbad\\u202e', file=sys.stderr); sys.exit(1)", r"\\x1b\[31mbad"),
        ("sys.exit(1)", "it gave no reason"),
        ("print('not JSON')", "is not the output of"),
    ],
)
def test_what_the_program_complains_of_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str
) -> None:
    fake_program(tmp_path, body, monkeypatch)
    path = tmp_path / "hosts.yml"
    path.touch()
    with pytest.raises(InputError, match=message):
        read_inventory(path)


def test_a_comma_in_the_name_would_be_a_list_of_hosts_to_ansible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_program(tmp_path, "print('{}')", monkeypatch)
    path = tmp_path / "a,b.yml"
    path.touch()
    with pytest.raises(InputError, match="comma"):
        read_inventory(path)


def test_a_program_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_program(tmp_path, "import time; time.sleep(60)", monkeypatch)
    monkeypatch.setattr(ansible_program, "LIMIT_S", 0.2)
    path = tmp_path / "hosts.yml"
    path.touch()
    with pytest.raises(InputError, match="did not finish"):
        read_inventory(path)


# Ansible itself

FARM = """
all:
  children:
    win:
      vars: {ansible_connection: psrp, ansible_psrp_protocol: http}
      children:
        school:
          hosts:
            ts[01:04]:
            special: {ansible_host: "{{ inventory_hostname }}.example.org", ansible_port: 6000}
        office:
          hosts:
            pc-[a:c]: {ansible_psrp_auth: credssp}
            ts02:
    linux:
      vars: {ansible_connection: ssh}
      hosts:
        db1:
"""


@functools.cache
def ansible(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        missing(f"{name} (pip install 'mpsbridge[ansible]')")
        raise AssertionError  # missing() does not return
    return found


def ansibles_python() -> str:
    """The Python that Ansible is installed for."""
    return Path(ansible("ansible-inventory")).read_text(encoding="utf-8").splitlines()[0].removeprefix("#!")


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as Ansible's users have it: YAML, INI, a script, variables of groups, and a file in a vault."""
    ansible("ansible-inventory")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "farm"
    (folder / "group_vars" / "win").mkdir(parents=True)
    (folder / "hosts.yml").write_text(FARM, encoding="utf-8")
    (folder / "more.ini").write_text("[extra]\nx1 ansible_port=5985\nts03\n[extra:vars]\nwho=eve\n", encoding="utf-8")
    script = folder / "cloud.py"
    made = {"_meta": {"hostvars": {"c1": {"ansible_host": "10.9.9.9"}}}, "cloud": {"hosts": ["c1"]}}
    script.write_text(f"#!{sys.executable}\nprint('''{json.dumps(made)}''')\n", encoding="utf-8")
    script.chmod(0o755)
    variables = folder / "group_vars" / "win"
    (variables / "vars.yml").write_text(
        "ansible_user: 'SCHOOL\\admin'\nansible_password: '{{ vault_password }}'\n", encoding="utf-8"
    )
    (variables / "vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n3835\n", encoding="utf-8")
    return folder


def test_a_folder_of_ansibles_with_a_vault_is_read_without_its_secret(farm: Path) -> None:
    found = read_inventory(farm)
    assert {*found.hosts} == {*("ts01", "ts02", "ts03", "ts04", "special", "pc-a", "pc-b", "pc-c", "db1", "x1", "c1")}
    special = found.hosts["special"]
    assert (special.address, special.port, special.tls) == ("special.example.org", 6000, False)
    assert (special.username, special.password, special.problems) == ("SCHOOL\\admin", None, {})
    assert (found.hosts["c1"].address, found.hosts["x1"].port) == ("10.9.9.9", 5985)
    assert "credssp" in found.hosts["pc-a"].problems["auth"]
    assert "ssh" in found.hosts["db1"].problems["ansible_connection"]
    assert {*found.groups_of("ts02")} == {"win", "school", "office"}


PATTERNS = [
    "all", "win", "school", "ts0*", "*", "school:office", "office,school", "win:!school", "win:&school", "!linux",
    "school:!ts02", "&office", "ts0[!3]", "?[!s]*", "win:&school:!ts04:extra", "ts01", "s*", "ts[!2]*", "c*:x1", "db1",
]  # fmt: skip


def test_patterns_mean_what_they_mean_to_ansible(farm: Path) -> None:
    """One process asks Ansible's own code about every pattern, for each call of the program takes a second."""
    (farm / "group_vars" / "win" / "vault.yml").unlink()
    script = (
        "import json, sys; from ansible.parsing.dataloader import DataLoader; "
        "from ansible.inventory.manager import InventoryManager as M; "
        "m = M(DataLoader(), sources=[sys.argv[1]]); "
        "print(json.dumps([[h.name for h in m.get_hosts(p)] for p in json.loads(sys.argv[2])]))"
    )
    done = subprocess.run(
        [ansibles_python(), "-c", script, str(farm), json.dumps(PATTERNS)], capture_output=True, text=True, check=True
    )
    inventory: Inventory = read_inventory(farm)
    for pattern, theirs in zip(PATTERNS, json.loads(done.stdout), strict=True):
        assert {*choose([pattern], inventory, read_stdin=str)} == {*theirs}, pattern


def test_a_broken_file_is_named_with_its_reason(farm: Path) -> None:
    (farm / "hosts.yml").write_text("all: [", encoding="utf-8")
    with pytest.raises(InputError, match=r"cannot read .*farm: .*/hosts\.yml[:0-9]*: YAML parsing failed"):
        read_inventory(farm)


def test_the_documentation_of_ansible_knows_what_we_read() -> None:
    """Every variable of its connection plugins is read, refused but for one value, or left out on purpose."""
    from mpsbridge.inventory import ansible as ours  # noqa: PLC0415 - what it keeps to itself is tested here

    script = (
        "import json, yaml, ansible.plugins.connection as c, pathlib, ast; "
        "root = pathlib.Path(c.__path__[0]); "
        "doc = lambda n: yaml.safe_load(next(ast.literal_eval(s.value) for s in ast.parse((root / n).read_text()).body "
        "if isinstance(s, ast.Assign) and s.targets[0].id == 'DOCUMENTATION')); "
        "print(json.dumps({n: [v['name'] for o in doc(n + '.py')['options'].values() for v in o.get('vars', [])] "
        "for n in ('psrp', 'winrm')}))"
    )
    done = subprocess.run(
        [ansibles_python(), "-c", script], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    for plugin, names in json.loads(done.stdout).items():
        read = {variable for reader in ours._PLUGINS[plugin].values() for variable in reader.variables}
        fixed = {f"ansible_{plugin}_{option}" for option in ours._FIXED}
        assert {name for name in read - {*names} if plugin == "psrp"} == set()  # the rest of winrm's are pywinrm's own
        left = {*names} - read - fixed - {*ours._PASSWORDS, "inventory_hostname"}
        assert {name.removeprefix(f"ansible_{plugin}_") for name in left} <= LEFT_OUT, left


LEFT_OUT = {
    # mpsbridge's own limits
    "connection_timeout",
    "read_timeout",
    "operation_timeout",
    "reconnection_retries",
    "reconnection_backoff",
    "connection_backoff",
    "max_envelope_size",
    # they belong to ways of signing in that are refused
    "certificate_key_pem",
    "certificate_pem",
    "credssp_auth_mechanism",
    "credssp_disable_tlsv1_2",
    "credssp_minimum_version",
    # no proxy is ever used, no kinit ever run
    "ignore_proxy",
    "kinit_cmd",
    "kinit_args",
    "kinit_env_vars",
    "kinit_mode",
}


@pytest.mark.parametrize("value", ["S3cr3t'Pa55", '"S3cr3t Pa55', "S3cr3t Pa55 x=y"])
@pytest.mark.parametrize("name", ["ansible_password=", "ansible_winrm_pass=", "vault_token: ", "API_KEY = "])
def test_a_password_that_the_program_quotes_is_not_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """It quotes the line that it cannot read, which may hold one."""
    said = f"[ERROR]: hosts.ini:2: Error parsing host definition 'h ansible_user=u {name}{value}': No closing quotation"
    fake_program(tmp_path, f"print({said!r}, file=sys.stderr); sys.exit(1)", monkeypatch)
    path = tmp_path / "hosts.yml"
    path.touch()
    with pytest.raises(InputError, match=r"hosts\.ini:2: Error parsing host definition 'h ansible_user=u") as caught:
        read_inventory(path)
    assert "S3cr3t" not in str(caught.value)
    assert "Pa55" not in str(caught.value)


def test_a_long_chain_of_groups_is_read_in_time() -> None:
    """Once cubic in its length: 800 groups took three quarters of a minute."""
    groups = {f"g{number}": {"children": [f"g{number + 1}"]} for number in range(800)}
    text = json.dumps({**groups, "g800": {"hosts": ["ts1"]}, "_meta": {"hostvars": {}}})
    began = time.thread_time()
    assert "ts1" in read_listing(Path("hosts.json"), text).hosts
    assert time.thread_time() - began < 5
