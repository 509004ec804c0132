"""The file in which hosts' answers are kept and given away: its form, how it is made, and how it is read.

Rules: what leaves this module has other names in it; a file from elsewhere is a stranger's text, read up to a limit and
believed in nothing but its form.
"""

from __future__ import annotations

import ipaddress
import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AwareDatetime, Field, JsonValue, ValidationError

from mpsbridge.errors import InputError
from mpsbridge.evidence.disguise import Disguise, names_in, tables_of
from mpsbridge.evidence.pseudonyms import Pseudonyms
from mpsbridge.files import read_text
from mpsbridge.models.complaints import complaint
from mpsbridge.models.frozen import Answer
from mpsbridge.models.harmless import harmless
from mpsbridge.models.scripts import RawOutput

SCHEMA = "mpsbridge-evidence/1"
_FORM = "mpsbridge-evidence/"
_MOST_HOSTS = 1000


class KeptAnswer(Answer):
    """What a script answered: its envelope where it was one, else the strings; and what PowerShell said beside it."""

    envelope: dict[str, JsonValue] | None = None
    output: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    failed: bool = False
    elapsed_s: float = 0.0
    signed_in: str = ""


class KeptCheck(Answer):
    """A step of ``doctor``."""

    step: str
    ok: bool | None = None
    text: str = ""
    remedy: str = ""


class HostEvidence(Answer):
    """One host: the steps of the way there, and its answers, null where it gave none."""

    host: str
    checks: tuple[KeptCheck, ...] = ()
    observe: KeptAnswer | None = None
    evidence: KeptAnswer | None = None
    tables: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """The lines of the session tables, for the reader; what counts are the bytes in ``observe``."""


class EvidenceFile(Answer):
    """The whole file. ``version`` is mpsbridge's own."""

    schema_: Literal["mpsbridge-evidence/1"] = Field(default="mpsbridge-evidence/1", alias="schema")
    version: str = ""
    saved: AwareDatetime
    hosts: Annotated[tuple[HostEvidence, ...], Field(min_length=1, max_length=_MOST_HOSTS)]

    def text(self) -> str:
        """The file's content: JSON that people can read as well, ASCII alone."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=1) + "\n"


class Gathered(NamedTuple):
    """What was found out about one host, with its real names."""

    host: str
    names: Sequence[str]
    """Under which it was asked for, and by whom."""
    checks: Sequence[dict[str, Any]]
    observe: RawOutput | None
    evidence: RawOutput | None


class Disguised(NamedTuple):
    """The file, and what each name became: for the person who has the names anyway, and for nobody else."""

    file: EvidenceFile
    names: Sequence[tuple[str, str]]


def disguised(
    found: Sequence[Gathered], *, version: str, now: datetime, chance: random.Random | None = None
) -> Disguised:
    """Everything that was found, with other names for people, computers and domains."""
    hosts = [_plain(each) for each in found]
    names = {name for host in hosts for name in names_in(host)}
    names |= {name for each in found for name in _parts(each)}
    pages = {f"cp{page}" for host in hosts for page in _pages(host)}
    pseudonyms = Pseudonyms(names, pages=sorted(pages), chance=chance)
    disguise = Disguise(pseudonyms)
    others = [disguise.answer(host) for host in hosts]
    for host in others:
        host["tables"] = tables_of(host["observe"])
    file = EvidenceFile.model_validate({"schema": SCHEMA, "version": version, "saved": now, "hosts": others})
    return Disguised(file, pseudonyms.table)


def _plain(found: Gathered) -> dict[str, Any]:
    return {
        "host": found.host,
        "checks": [dict(check) for check in found.checks],
        "observe": _kept(found.observe),
        "evidence": _kept(found.evidence),
    }


def _kept(output: RawOutput | None) -> dict[str, Any] | None:
    if output is None:
        return None
    strings = [text for text in output.output if text.strip()]
    envelope = _envelope(strings[0]) if len(strings) == 1 else None
    return {
        "envelope": envelope,
        "output": [] if envelope is not None else list(output.output),
        "errors": list(output.errors),
        "warnings": list(output.warnings),
        "failed": output.failed,
        "elapsed_s": round(output.elapsed_s, 3),
        "signed_in": output.signed_in,
    }


def _envelope(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _parts(found: Gathered) -> set[str]:
    """The names by which a host and an account were called, and the parts of them."""
    names: set[str] = set()
    for name in (each for each in (found.host, *found.names) if not _is_address(each)):
        for part in name.replace("@", "\\").split("\\"):
            labels = part.split(".")
            names |= {part, *labels[: max(1, len(labels) - 1)]}
    return {name for name in names if name and not name.isdigit()}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _pages(host: dict[str, Any]) -> set[int]:
    result = ((host["observe"] or {}).get("envelope") or {}).get("result")
    found = {result.get(name) for name in ("oem", "ansi")} if isinstance(result, dict) else set()
    return {page for page in found if isinstance(page, int)}


def read_evidence(path: Path) -> EvidenceFile:
    """Read such a file. Raises ``InputError`` that names the file and what is wrong with it."""
    try:
        raw = json.loads(read_text(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise InputError(f"{path}: it is nested too deeply") from error
    except json.JSONDecodeError as error:
        hint = "A file that was cut on its way ends too early: have it sent again."
        raise InputError(f"{path}: it is not JSON, or was cut ({error})", hint=hint) from error
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    try:
        json.dumps(raw, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: it holds half a character") from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(schema, str) or not schema.startswith(_FORM):
        raise InputError(f"{path}: it is not a file of 'mpsbridge doctor --save'")
    if schema != SCHEMA:
        said = harmless(schema, limit=60)
        raise InputError(f"{path}: its form is {said}, and this version reads {SCHEMA}", hint="Update mpsbridge.")
    try:
        return EvidenceFile.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: {harmless(place, limit=120)}: {complaint(first)}") from error
