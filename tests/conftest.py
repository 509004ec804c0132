"""What every test shares: a clean environment, hypothesis profiles, and where the reference material lies."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.core
import pytest
from hypothesis import HealthCheck, settings
from support import kdc, rings
from support.console import Command, Console
from support.fake_clock import FakeClock

from mpsbridge.clock import Clock, HastyClock
from mpsbridge.transports.signin import gate

# Started in the background of a script, or by nohup: without this, no program that a test starts would take these.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("MPSBRIDGE_SHARED", ROOT.parent / "shared"))
WINE = Path(os.environ.get("MPSBRIDGE_WINE", ROOT / ".wine"))
REQUIRE_ALL = os.environ.get("MPSBRIDGE_TEST_REQUIRE_ALL") == "1"

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("deep", max_examples=2000, deadline=None, print_blob=True)
PROFILE = os.environ.get("MPSBRIDGE_HYPOTHESIS_PROFILE", "ci")
settings.load_profile(PROFILE)
if PROFILE == "deep":
    os.environ.setdefault("MPSBRIDGE_HYPOTHESIS_SEED", str(secrets.randbelow(2**32)))  # for the workers, too
SEED = int(os.environ["MPSBRIDGE_HYPOTHESIS_SEED"]) if PROFILE == "deep" else None
vars(hypothesis.core)["global_force_seed"] = SEED


def examples(ci: int, deep: int) -> int:
    """How many examples a property that says so itself is tried with."""
    return deep if PROFILE == "deep" else ci


ORDER = pytest.StashKey[int]()
"""The seed of the order in which ``--everything`` runs the tests."""


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed of the order, or take that of the process whose worker this is."""
    drawn = os.environ.get("MPSBRIDGE_TEST_ORDER") or secrets.randbelow(2**32)
    config.stash[ORDER] = int(getattr(config, "workerinput", {}).get("order", drawn))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist the seed: all of them must have one order."""
    node.workerinput["order"] = node.config.stash[ORDER]


def pytest_report_header(config: pytest.Config) -> str:
    """Say with which seeds the tests run, so that they can be run again."""
    said = f"hypothesis: profile {PROFILE}" + (f", MPSBRIDGE_HYPOTHESIS_SEED={SEED}" if SEED is not None else "")
    if config.getoption("--everything"):
        said += f"; order: MPSBRIDGE_TEST_ORDER={config.stash[ORDER]}"
    return said


def missing(what: str) -> None:
    """Skip visibly, or fail where everything is required."""
    if REQUIRE_ALL:
        pytest.fail(f"{what} is required here (MPSBRIDGE_TEST_REQUIRE_ALL=1)")
    pytest.skip(f"needs {what}")


def find_engine() -> Path | None:
    """A PowerShell engine: MPSBRIDGE_PWSH, PATH, or the shared one."""
    if named := os.environ.get("MPSBRIDGE_PWSH"):
        return Path(named)
    for name in ("pwsh", "powershell"):
        if found := shutil.which(name):
            return Path(found)
    shared = SHARED / "pwsh" / "pwsh"
    return shared if shared.exists() else None


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith("MPSBRIDGE_") and name not in {"MPSBRIDGE_PWSH", "MPSBRIDGE_SHARED"}:
            monkeypatch.delenv(name)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "TF_BUILD"):
        monkeypatch.delenv(name, raising=False)
    settings_file = tmp_path / "empty-settings.toml"
    settings_file.touch()
    monkeypatch.setenv("MPSBRIDGE_SETTINGS", str(settings_file))
    monkeypatch.setenv("MPSBRIDGE_JOURNAL", str(tmp_path / "journal.sqlite"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture(autouse=True)
def _new_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credential that an earlier test had refused is refused in this one."""
    monkeypatch.setattr(gate, "process_gate", gate.Gate())


@pytest.fixture
def engine() -> Path:
    """The PowerShell engine, or a visible skip."""
    found = find_engine()
    if found is None:
        missing("a PowerShell engine (MPSBRIDGE_PWSH, PATH, or shared/pwsh)")
        raise AssertionError  # missing() does not return
    return found


@pytest.fixture
def shared() -> Path:
    """The folder of reference material (MPSBRIDGE_SHARED, or beside the checkout)."""
    if not SHARED.is_dir():
        missing(f"the reference material at {SHARED}")
    return SHARED


@pytest.fixture
def fake_clock() -> FakeClock:
    """Time that passes only when somebody waits."""
    return FakeClock()


@pytest.fixture
def mpsbridge(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, in this process; what it prints for programs is held against its schema.

    What it waits for takes twenty times less, unless the test has a clock of its own: between two looks for a session
    that ends lie seconds.
    """
    from support import contract  # noqa: PLC0415 - only tests of the command line load it

    from mpsbridge.cli.main import run  # noqa: PLC0415

    hasty = HastyClock(20)

    def call(*words: str, clock: Clock | None = None) -> Console:
        code = run(list(words), clock=clock or hasty)  # a list, as the program gets its words
        printed = capsys.readouterr()
        contract.check(words, printed.out)
        return Console(code, printed.out, printed.err)

    return call


@pytest.fixture(scope="session")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kdc.Realm]:
    """A Kerberos realm of its own, or a visible skip."""
    if importlib.util.find_spec("gssapi") is None:
        missing("the extra 'kerberos' (pip install -e '.[kerberos]')")
    if kdc.program("krb5kdc") is None or kdc.program("kinit") is None:
        missing("MIT's KDC (apt-get install krb5-kdc krb5-admin-server krb5-user)")
    from mpsbridge.lab.worldfile import load_world  # noqa: PLC0415 - only tests of Kerberos load it

    services = [f"host/{name}.lab.test" for name in load_world("small").hosts]
    people = {"alice": kdc.PASSWORD, "bob": kdc.PASSWORD, "brief": kdc.PASSWORD}
    with kdc.running(tmp_path_factory.mktemp("realm"), people, services) as running:
        running.admin(f"ktadd -q -norandkey -k {running.folder}/alice.keytab alice")
        running.admin("modprinc -maxlife 2s brief", f"ktadd -q -norandkey -k {running.folder}/brief.keytab brief")
        yield running


@pytest.fixture
def own_realm(realm: kdc.Realm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This realm and an empty ticket cache; nothing that an earlier test signed in by."""
    from mpsbridge.transports.signin import kerberos  # noqa: PLC0415 - needs the extra

    for name, value in realm.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", f"{tmp_path}/none.keytab")
    monkeypatch.setenv("KRB5RCACHENAME", f"file2:{tmp_path}/replays")
    monkeypatch.setattr(kerberos, "_tickets", kerberos._Tickets())


@pytest.fixture
def ticket(realm: kdc.Realm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Alice has signed in."""
    cache = tmp_path / "alice"
    monkeypatch.setenv("KRB5CCNAME", realm.kinit("alice", cache))
    return cache


def pytest_sessionfinish() -> None:
    """Take down what tests kept for one another; a worker of pytest-xdist calls nothing when its process exits."""
    for name in ("support.pwsh", "support.windows"):
        if (kept := sys.modules.get(name)) is not None:
            kept.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--everything``: also what only a release and CI run."""
    parser.addoption("--everything", action="store_true", help="run every case of every test, and the measurements")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for ``--everything``, unless somebody names it."""
    named = any("::" in word or word.endswith(".py") for word in config.args)
    if config.getoption("--everything"):
        rings.shuffle(items, seed=config.stash[ORDER])
        return
    if PROFILE == "deep" or named:
        return
    left = set(rings.left_for_everything(items))
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = [item for item in items if item not in left]
