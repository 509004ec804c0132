"""What was rendered of a template is used as long as it is right, and never anything else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mpsbridge.errors import RenderError
from mpsbridge.snippets import kept as keeping
from mpsbridge.snippets.jinja import rendered
from mpsbridge.snippets.kept import Rendered, kept
from mpsbridge.snippets.render import TEMPLATES

TEMPLATE = "{% include 'shared/inner.ps1.j2' %}\n\nfunction Get-MpsbridgeOdd { 'outer' }\n\nGet-MpsbridgeOdd\n"
INNER = "{% include 'shared/innermost.ps1.j2' %}\nfunction Get-Inner { }\n"


class Place:
    """A folder of templates and one for what is kept; counts how often something is rendered."""

    def __init__(self, folder: Path) -> None:
        self.templates, self.kept = folder / "templates", folder / "__pycache__"
        (self.templates / "shared").mkdir(parents=True)
        self.write("odd.ps1.j2", TEMPLATE)
        self.write("shared/inner.ps1.j2", INNER)
        self.write("shared/innermost.ps1.j2", "function Get-Innermost { }\n")
        self.made = 0

    @property
    def file(self) -> Path:
        return self.kept / "odd.ps1.kept"

    def write(self, name: str, text: str) -> None:
        (self.templates / name).write_text(text, encoding="utf-8")

    def ask(self, name: str = "odd") -> Rendered:
        def make() -> Rendered:
            self.made += 1
            return rendered(name, self.templates)

        found = kept(name, self.templates, make)
        assert found == rendered(name, self.templates)  # whatever is kept: what Jinja makes of the files now there
        return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(tmp_path)
    monkeypatch.setattr(keeping, "KEPT", place.kept)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return place


def test_what_was_rendered_is_used_again(place: Place) -> None:
    first = place.ask()
    assert set(first.digests) == {"odd.ps1.j2", "shared/inner.ps1.j2", "shared/innermost.ps1.j2"}
    assert first.call == "Get-MpsbridgeOdd"
    assert place.ask() == first
    assert place.made == 1
    assert [path.name for path in place.kept.iterdir()] == ["odd.ps1.kept"]


@pytest.mark.parametrize("name", ["odd.ps1.j2", "shared/inner.ps1.j2", "shared/innermost.ps1.j2"])
def test_a_changed_source_is_rendered_again(name: str, place: Place) -> None:
    place.ask()
    place.write(name, f"# changed\n{(place.templates / name).read_text(encoding='utf-8')}")
    assert "# changed" in place.ask().definitions
    place.ask()
    assert place.made == 2


def test_a_source_that_is_gone_is_missed(place: Place) -> None:
    place.ask()
    (place.templates / "shared" / "innermost.ps1.j2").unlink()
    with pytest.raises(RenderError, match=r"innermost\.ps1\.j2"):
        place.ask()


def test_a_changed_call_is_another_call(place: Place) -> None:
    place.ask()
    place.write("odd.ps1.j2", TEMPLATE.replace("\nGet-MpsbridgeOdd\n", "\nGet-MpsbridgeOdd -A {{ a }}\n"))
    assert place.ask().call == "Get-MpsbridgeOdd -A {{ a }}"


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "one byte": lambda content: content.replace(b"outer", b"other"),
    "cut": lambda content: content[:-40],
    "cut in its first line": lambda content: content[:20],
    "empty": lambda _: b"",
    "zeros": lambda content: bytes(len(content)),
    "not text": lambda content: content + b"\xff",
    "more of it": lambda content: content + content,
    "foreign": lambda _: b'{"definitions": "Stop-Computer"}',
    "older": lambda content: content.replace(b"mpsbridge ", b"mpsbridge 0.", 1),
    "of another form": lambda content: content.replace(b", form 1", b", form 0", 1),
    "of another template": lambda content: content.replace(b", odd,", b", look,", 1),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_kept_file_that_is_not_right_is_replaced(damage: str, place: Place) -> None:
    place.ask()
    good = place.file.read_bytes()
    spoilt = DAMAGE[damage](good)
    assert spoilt != good
    place.file.write_bytes(spoilt)
    place.ask()
    assert place.made == 2
    assert place.file.read_bytes() == good


def test_a_file_under_the_name_of_another_is_not_used(place: Place) -> None:
    place.write("other.ps1.j2", TEMPLATE.replace("outer", "other"))
    place.ask()
    place.file.rename(place.kept / "other.ps1.kept")
    assert "'other'" in place.ask("other").definitions


def test_nothing_is_kept_of_what_cannot_be_rendered(place: Place) -> None:
    place.write("shared/inner.ps1.j2", "{{ nothing }}")
    with pytest.raises(RenderError):
        place.ask()
    assert not place.kept.exists()


def test_where_nothing_can_be_written_it_is_rendered_each_time(place: Place) -> None:
    place.kept.write_text("in the way")
    place.ask()
    place.ask()
    assert place.made == 2
    place.kept.unlink()
    place.file.mkdir(parents=True)
    place.ask()
    place.ask()
    assert place.made == 4
    assert list(place.kept.iterdir()) == [place.file]


def test_it_follows_what_python_was_told_of_bytecode(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    place.ask()
    assert not place.kept.exists()
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "elsewhere"))
    place.ask()
    assert not place.kept.exists()
    monkeypatch.setattr(sys, "pycache_prefix", None)
    place.ask()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # what is there is used
    place.ask()
    assert place.made == 3


def test_only_accounts_that_may_write_the_template_may_write_what_is_kept_of_it(place: Place) -> None:
    (place.templates / "odd.ps1.j2").chmod(0o604)
    place.ask()
    assert place.file.stat().st_mode & 0o777 & ~0o604 == 0


@pytest.mark.parametrize("name", ["../odd", "shared/inner", "/etc/passwd", "", "ODD", "."])
def test_a_name_that_no_template_has_names_no_kept_file(name: str, place: Place) -> None:
    def make() -> Rendered:
        return Rendered("made", "Get-MpsbridgeOdd", {})

    assert kept(name, place.templates, make).definitions == "made"
    assert not place.kept.exists()


CHILD = """
import sys
from pathlib import Path
from mpsbridge.snippets import kept
kept.KEPT = Path(sys.argv[1])
sys.dont_write_bytecode = False
from mpsbridge.snippets.observe import Observe
"""
SCRIPT = f"{CHILD}print(Observe().render().digest, 'jinja2' in sys.modules)"
AT_ONCE = f"""{CHILD}
from mpsbridge.snippets.jinja import rendered
from mpsbridge.snippets.render import TEMPLATES
right = rendered("observe", TEMPLATES)
for _ in range(100):
    kept._write("observe", right, mode=0o644)
    assert kept._read("observe", TEMPLATES) == right
"""


def child(code: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_process_for_which_something_right_is_kept_does_not_load_jinja(tmp_path: Path) -> None:
    told = [child(SCRIPT, tmp_path / "kept").communicate()[0].split() for _ in range(2)]
    assert [loaded for _, loaded in told] == ["True", "False"]
    assert told[0][0] == told[1][0]


def test_processes_that_keep_at_the_same_moment_leave_one_whole_file(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    children = [child(AT_ONCE, folder) for _ in range(3)]
    assert [(one.communicate()[1], one.returncode) for one in children] == [("", 0)] * 3
    assert [path.name for path in folder.iterdir()] == ["observe.ps1.kept"]


def test_the_templates_are_told_as_the_sources() -> None:
    found = rendered("observe", TEMPLATES)
    assert "observe.ps1.j2" in found.digests
    assert {name for name in found.digests if not (TEMPLATES / name).is_file()} == set()
