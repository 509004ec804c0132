"""The files of a make-believe host, and who may write in its folders.

Files are known by their full Windows paths, which have no case, and are texts. They live in memory, or (where real
scripts read and write them by themselves) in a folder of this machine. They are dated by the host's own clock.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PureWindowsPath

ADMINISTRATORS = "S-1-5-32-544"
_FULL_CONTROL = 0x1F01FF


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of an access list: a SID, and the rights that it has (or has not, where it is a ``deny``)."""

    sid: str
    rights: int = _FULL_CONTROL
    deny: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what in a folder. SYSTEM and administrators always may everything, and stand in no list."""

    writers: tuple[str, ...] = ()
    """SIDs of the others who may do everything."""
    owner: str = ADMINISTRATORS
    rules: tuple[Rule, ...] = ()
    """The other entries of its list."""
    sddl: str = ""
    """The descriptor that a script has set, as text."""

    @property
    def entries(self) -> tuple[Rule, ...]:
        """All entries of the list."""
        return (*self.rules, *(Rule(sid) for sid in self.writers))


@dataclass(frozen=True, slots=True)
class HostFile:
    """One text, and when it was written."""

    text: str
    written: datetime


class Files:
    """See above. ``now`` is the host's clock; ``folders`` are those with access lists of their own."""

    def __init__(self, now: Callable[[], datetime], folders: Mapping[str, Access]) -> None:
        self._now = now
        self._files: dict[PureWindowsPath, HostFile] = {}
        self._folders = {PureWindowsPath(path): access for path, access in folders.items()}
        self._at_start: dict[PureWindowsPath, HostFile] = {}
        self._drive: Path | None = None
        self._dates: dict[Path, datetime] = {}

    def add(self, path: str, file: HostFile) -> None:
        """A file that is there from the start."""
        self._files[PureWindowsPath(path)] = self._at_start[PureWindowsPath(path)] = file

    def __iter__(self) -> Iterator[str]:
        """The full paths of all files."""
        if self._drive is None:
            return iter(sorted(str(path) for path in self._files))
        return iter(sorted(self.path_of(file) for file in self._real()))

    def read(self, path: str) -> str | None:
        """The text of a file; ``None`` where there is none. Bytes that are not UTF-8 are replaced, as .NET does."""
        found = self._find(path)
        return None if found is None else found.text

    def written(self, path: str) -> datetime | None:
        """When it was written last."""
        found = self._find(path)
        return None if found is None else found.written

    def write(self, path: str, text: str | None, written: datetime | None = None) -> None:
        """Put a text there, now or as if it were ``written`` then, or (``None``) take the file away."""
        windows_path = PureWindowsPath(path)
        if self._drive is None:
            self._files.pop(windows_path, None)
            if text is not None:
                self._files[windows_path] = HostFile(text, written or self._now())
            return
        file = self._real_path(windows_path)
        if text is None:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        self._date(file, written or self._now())

    def access(self, folder: str) -> Access:
        """Who may do what in a folder: its own list, or that of the nearest folder above it that has one."""
        path = PureWindowsPath(folder)
        return next((self._folders[each] for each in (path, *path.parents) if each in self._folders), Access())

    def protect(self, folder: str, sddl: str) -> None:
        """Give a folder a list of its own, by which only SYSTEM and administrators may write."""
        self._folders[PureWindowsPath(folder)] = Access(sddl=sddl)

    def restore(self) -> None:
        """All files as they were at the start."""
        for each in list(self):
            self.write(each, None)
        for path, file in self._at_start.items():
            self.write(str(path), file.text)

    def move(self, moved: timedelta) -> None:
        """Date all files later by so much: the host lives by another clock now."""
        for files in (self._files, self._at_start):
            files.update({path: HostFile(file.text, file.written + moved) for path, file in files.items()})

    def keep_in(self, drive: Path) -> None:
        r"""From now on the files are real ones: ``C:\a\b`` is ``a/b`` in this folder."""
        files, self._files, self._drive = self._files, {}, drive
        for folder in self._folders:
            self._real_path(folder).mkdir(parents=True, exist_ok=True)
        for path, file in files.items():
            self.write(str(path), file.text, file.written)

    def date(self) -> None:
        """Real files that were written by a script meanwhile were written now, by the host's own clock."""
        for file in self._real() if self._drive is not None else ():
            with contextlib.suppress(FileNotFoundError):  # a script has just deleted it
                if file not in self._dates or file.stat().st_mtime != self._dates[file].timestamp():
                    self._date(file, self._now())

    def _date(self, file: Path, moment: datetime) -> None:
        self._dates[file] = moment.replace(microsecond=0)
        os.utime(file, (self._dates[file].timestamp(),) * 2)

    def path_of(self, real: Path) -> str:
        """The Windows path of a real file or folder below the host's own. Raises ``ValueError`` for any other."""
        if self._drive is None:
            raise ValueError("these files live in memory")
        return str(PureWindowsPath("C:\\", *real.relative_to(self._drive).parts))

    def _find(self, path: str) -> HostFile | None:
        if self._drive is None:
            return self._files.get(PureWindowsPath(path))
        self.date()
        file = self._real_path(PureWindowsPath(path))
        if not file.is_file():
            return None
        return HostFile(file.read_bytes().decode(errors="replace"), self._dates[file])

    def _real(self) -> list[Path]:
        return [] if self._drive is None else [file for file in self._drive.rglob("*") if file.is_file()]

    def _real_path(self, path: PureWindowsPath) -> Path:
        if self._drive is None:
            raise RuntimeError("these files live in memory")
        return self._drive.joinpath(*path.parts[1:])
