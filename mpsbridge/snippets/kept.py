"""What was made of each template, kept as Python keeps bytecode: in the folder ``__pycache__`` beside this file.

Rendering loads Jinja2, which takes a good part of the time in which one host is listed; the sources change with the
package only. So what was rendered is written down with the digest of each source, and used as long as every digest is
that of the file now there. The kept files are trusted like ``.pyc`` files: an account that can write there can write
the package.

Rules: the sources are read and compared by each process that needs them; a kept file that is damaged, of another
version or in the way of something is passed over and replaced; keeping may fail and never makes a call fail; where
Python keeps no bytecode (``-B``), or keeps it elsewhere (``PYTHONPYCACHEPREFIX``), nothing is kept here.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from mpsbridge.version import __version__

KEPT = Path(__file__).resolve().with_name("__pycache__")
FORMAT = 1
"""Another number where the same sources give another text, or are kept in another form."""
_NAME = re.compile(r"[a-z]+(-[a-z]+)*")


class Rendered(NamedTuple):
    """The definitions of a snippet, the call as it stands in the template, and the digests of the sources by name."""

    definitions: str
    call: str
    digests: dict[str, str]


def digest(text: str) -> str:
    """SHA-256, in hexadecimal digits."""
    return sha256(text.encode()).hexdigest()


def kept(snippet: str, folder: Path, make: Callable[[], Rendered]) -> Rendered:
    """What was rendered of a template of the folder before, or else what ``make`` renders, which is kept then.

    Raises what ``make`` raises.
    """
    if sys.pycache_prefix is not None or not _NAME.fullmatch(snippet):
        return make()
    if (known := _read(snippet, folder)) is not None:
        return known
    found = make()
    if not sys.dont_write_bytecode:
        with suppress(OSError):
            _write(snippet, found, mode=(folder / f"{snippet}.ps1.j2").stat().st_mode & 0o666)
    return found


def _read(snippet: str, folder: Path) -> Rendered | None:
    """What is kept of a template, where it is whole and all its sources are unchanged."""
    try:
        first, _, content = _path(snippet).read_text(encoding="utf-8").partition("\n")
        if first != _first_line(snippet, content):
            return None
        found = Rendered(*json.loads(content))
        is_right = all(
            digest((folder / name).read_text(encoding="utf-8")) == known for name, known in found.digests.items()
        )
    except (OSError, ValueError):
        return None
    return found if is_right else None


def _write(snippet: str, found: Rendered, *, mode: int) -> None:
    """Put the file there whole or not at all, whatever other process does the same. Raises ``OSError``."""
    path, content = _path(snippet), json.dumps(found)
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(f"{_first_line(snippet, content)}\n{content}")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _path(snippet: str) -> Path:
    return KEPT / f"{snippet}.ps1.kept"


def _first_line(snippet: str, content: str) -> str:
    """Says what follows and who wrote it, and proves that it is whole."""
    return f"mpsbridge {__version__}, form {FORMAT}, {snippet}, {digest(content)}"
