"""Settings of one call: file < environment < flags, in that order.

Rules: every field is a long option of the commands that it concerns with ``_`` for ``-``, and ``MPSBRIDGE_`` + its name
in capitals in the environment; an unknown key in the file is an error; a password is never an option and never shown.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from platformdirs import user_config_path
from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError

from mpsbridge.errors import SettingsError
from mpsbridge.files import read_text
from mpsbridge.models.complaints import complaint, did_you_mean
from mpsbridge.models.credentials import Auth
from mpsbridge.models.durations import MOST_S, parse_duration
from mpsbridge.models.frozen import Frozen
from mpsbridge.models.targets import EndpointName, FileName, Filled, ServiceName
from mpsbridge.models.toml import line_of, load
from mpsbridge.snippets.fields import OneLine

ENVIRONMENT_PREFIX = "MPSBRIDGE_"
OTHER_VARIABLES = frozenset(
    {"SETTINGS", "PWSH", "SHARED", "TEST_REQUIRE_ALL", "HYPOTHESIS_PROFILE", "HYPOTHESIS_SEED", "YES"}
)
"""Variables with our prefix that are no settings; ``MPSBRIDGE_YES`` exists only to be ignored."""


NEAR = 0.75
"""From here on a name, without the prefix, is like that of a setting, which refuses a call that acts."""


class Output(StrEnum):
    """How the answer is printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


def _duration(*, most_s: int = MOST_S) -> BeforeValidator:
    return BeforeValidator(lambda value: parse_duration(str(value), least_s=1, most_s=most_s))


class Settings(Frozen):
    """All that is the same for every command. Durations are seconds here and texts with a unit outside."""

    output: Output = Output.TABLE
    inventory: FileName | None = None
    username: Filled | None = None
    password: SecretStr | None = None
    password_file: FileName | None = None
    auth: Auth = Auth.NEGOTIATE
    keytab: FileName | None = None
    spn: ServiceName | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    no_tls: bool = False
    ca_file: FileName | None = None
    insecure_tls: bool = False
    insecure_basic: bool = False
    configuration: EndpointName | None = None
    timeout: Annotated[int, _duration(most_s=86_400)] = 60
    deadline: Annotated[int, _duration()] | None = None
    concurrency: int = Field(default=32, ge=1, le=256)
    executor: Literal["dask"] | None = None
    scheduler: Filled | None = None
    worker_password_variable: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    csv_raw: bool = False
    journal: FileName | None = None
    journal_shared: bool = False
    dry_run: bool = False
    verbose: int = Field(default=0, ge=0)
    quiet: bool = False
    no_color: bool = False
    sender: Annotated[OneLine, Field(max_length=60)] = ""
    """Who signs notices; the one field that is an option of ``end`` alone, because nothing else shows them."""

    _flags: frozenset[str] = PrivateAttr(frozenset())

    def place(self, name: str) -> str:
        """Where a setting was said: ``--option``, a variable, or the settings file; empty where nowhere."""
        if name in self._flags:
            return "--" + name.replace("_", "-")
        if name not in self.model_fields_set:
            return ""
        variable = ENVIRONMENT_PREFIX + name.upper()
        return variable if variable in os.environ else str(settings_path())

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> Settings:
        """Flags, environment and file as one. Raises ``SettingsError``, and what pydantic raises."""
        settings = cls(**{**_document(settings_path()), **_variables(), **given})
        settings._flags = frozenset(given)
        return settings

    @classmethod
    def of_its_own(cls, **values: Any) -> Settings:
        """These values and nothing else: neither environment nor file. For a rehearsal."""
        return cls.model_construct(**values)


def settings_path() -> Path:
    """``MPSBRIDGE_SETTINGS``, else ``mpsbridge/settings.toml`` in the user's configuration folder."""
    if named := os.environ.get(ENVIRONMENT_PREFIX + "SETTINGS"):
        return Path(named)
    return user_config_path("mpsbridge") / "settings.toml"


def _variables() -> dict[str, str]:
    """What the environment says of settings."""
    names = {ENVIRONMENT_PREFIX + name.upper(): name for name in Settings.model_fields}
    return {names[variable]: value for variable, value in os.environ.items() if variable in names}


_IN_TOML: dict[Any, str] = {bool: "bool_type", int: "int_type", int | None: "int_type"}
"""What a setting must be in the file, as a complaint names it; variables have words for it, and times are texts."""


def _wrong_types(path: Path, text: str, document: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each value of the file that is a yes, a no or a number in another type."""
    for name, value in document.items():
        field = Settings.model_fields.get(name)
        is_time = field is not None and any(isinstance(each, BeforeValidator) for each in field.metadata)
        kind = None if field is None or is_time else _IN_TOML.get(field.annotation)
        if kind is not None and type(value) is not (bool if kind == "bool_type" else int):
            line, _ = line_of(text, [name])
            yield f"{path}:{line}: {name}: {complaint({'type': kind, 'loc': (name,), 'input': value})}"


def _document(path: Path) -> dict[str, Any]:
    """What the settings file says. Raises ``SettingsError``."""
    try:
        text = read_text(path) if path.is_file() else ""
        document = load(text)
    except OSError as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
    if "password" in document:
        raise SettingsError(
            f"{path}: a password does not stand in the settings file",
            hint="Say where it is, with password_file, or keep it in the key store (pip install 'mpsbridge[keyring]').",
        )
    if wrong := list(_wrong_types(path, text, document)):
        raise SettingsError.of_all(wrong)
    return document


def load_settings(flags: Mapping[str, object]) -> Settings:
    """Merge flags (``None`` means "not given"), environment and file.

    Raises :class:`~mpsbridge.errors.SettingsError` that names the place and the remedy.
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    path = settings_path()
    if os.environ.get(ENVIRONMENT_PREFIX + "SETTINGS") and not (path.is_file() or path == Path(os.devnull)):
        raise SettingsError(f"the settings file {path}, named by MPSBRIDGE_SETTINGS, cannot be read: it is not a file")
    try:
        return Settings.from_flags(given)
    except ValidationError as error:
        text = read_text(path) if path.is_file() else ""
        found = [_sentence(problem, given, path, text) for problem in error.errors()]
        raise SettingsError.of_all(said for _, said in sorted(found, key=lambda each: each[0])) from error


class UnknownVariable(NamedTuple):
    """A variable that looks like a setting and is none; ``meant`` is the nearest that is one, or empty."""

    name: str
    meant: str

    def __str__(self) -> str:
        return f"{self.name} is not a setting" + (f"; did you mean {self.meant}?" if self.meant else "")


def unknown_variables(environment: Mapping[str, str]) -> list[UnknownVariable]:
    """The variables with our prefix that say nothing."""
    known = {*(name.upper() for name in Settings.model_fields), *OTHER_VARIABLES}
    said = {name.removeprefix(ENVIRONMENT_PREFIX) for name in environment if name.startswith(ENVIRONMENT_PREFIX)}
    near = {name: difflib.get_close_matches(name, known, n=1, cutoff=NEAR) for name in sorted(said - known)}
    return [
        UnknownVariable(ENVIRONMENT_PREFIX + name, ENVIRONMENT_PREFIX + found[0] if found else "")
        for name, found in near.items()
    ]


def _sentence(problem: Mapping[str, Any], flags: Mapping[str, object], path: Path, text: str) -> tuple[int, str]:
    """What is wrong, and in which line of the settings file, which has that ``text``: 0 where it stands elsewhere."""
    name = str(problem["loc"][0]) if problem["loc"] else "?"
    is_unknown, variable = problem["type"] == "extra_forbidden", ENVIRONMENT_PREFIX + name.upper()
    if is_unknown and name in flags:
        return 0, f"there is no setting {name!r}"
    if not is_unknown and (name in flags or variable in os.environ):
        return 0, f"{'--' + name.replace('_', '-') if name in flags else variable}: {complaint(problem)}"
    line, _ = line_of(text, [name])
    if is_unknown:
        return line, f"{path}:{line}: unknown key {name!r}{did_you_mean(name, Settings.model_fields)}"
    return line, f"{path}:{line}: {name}: {complaint(problem)}"
