"""What went wrong, as annotations of the CI server that runs the call: GitHub Actions and Azure Pipelines.

They go to standard error, which both servers read, and never where an answer goes. Rules: a line begins with a command
of ours, and no text of a host or a person can begin another one, end ours, or add a property to it; of each level there
are no more than the server shows, and the last one says how many are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from mpsbridge.errors import MpsBridgeError
from mpsbridge.models.harmless import harmless
from mpsbridge.models.outcomes import Failed, Skipped
from mpsbridge.models.scripts import Effect
from mpsbridge.models.sessions import SessionResult
from mpsbridge.runs.verdict import HostFacts, Verdict, facts_of

MOST_OF_A_LEVEL = 10
"""GitHub shows so many errors and so many warnings of one step."""
_LONGEST_TITLE, _LONGEST_TEXT = 100, 500


class Level(StrEnum):
    """How bad it is; the words of both servers."""

    ERROR = "error"
    WARNING = "warning"


class Annotation(NamedTuple):
    """One remark about a host or a call."""

    level: Level
    title: str
    text: str


@runtime_checkable
class _Acted(Protocol):
    """The value of a host whose sessions were acted on."""

    sessions: tuple[SessionResult, ...]

    @property
    def facts(self) -> HostFacts: ...


def annotations_of(outcomes: Iterable[object], *, acts: bool) -> list[Annotation]:
    """The hosts that failed, were refused or are unknown: no more of each level than are shown.

    ``acts``: whether the call may have changed something, so that a failure can leave something unknown.
    """
    return _bounded(list(_of_outcomes(outcomes, Effect.DISRUPT if acts else Effect.READ)))


def annotation_of(command: str, error: MpsBridgeError) -> Annotation:
    """An error that stopped a whole call."""
    return Annotation(
        Level.ERROR, " ".join(filter(None, ("mpsbridge", command))), _with_hint(error.message, error.hint)
    )


def _of_outcomes(outcomes: Iterable[object], effect: Effect) -> Iterator[Annotation]:
    for outcome in outcomes:
        verdict = facts_of(outcome, effect).verdict
        level = Level.WARNING if verdict in {Verdict.REFUSED, Verdict.STOPPED} else Level.ERROR
        if isinstance(outcome, Failed):
            text = _with_hint(outcome.failure.message, outcome.failure.hint)
            yield Annotation(level, f"{outcome.host}: {verdict}", text)
        elif isinstance(outcome, Skipped):
            yield Annotation(level, f"{outcome.host}: {verdict}", outcome.reason.removeprefix("refused: "))
        elif verdict is not Verdict.DONE and isinstance(value := getattr(outcome, "value", None), _Acted):
            yield Annotation(level, f"{getattr(outcome, 'host', '')}: {verdict}", _of_sessions(value.sessions))


def _of_sessions(sessions: Sequence[SessionResult]) -> str:
    wrong = [one for one in sessions if not one.result.went_well]
    return "; ".join(map(_of_session, wrong)) or "not everything was given back"


def _of_session(one: SessionResult) -> str:
    name = one.session.account or one.session.user
    why = f" ({one.text})" if one.text else ""
    return f"session {one.session.id} {one.result}{why}" + (f": {name}" if name else "")


def _with_hint(message: str, hint: str) -> str:
    return f"{message}. {hint}" if hint else message


def _bounded(found: Sequence[Annotation]) -> list[Annotation]:
    """No more of each level than are shown; the last of them says how many are not."""
    bounded: list[Annotation] = []
    for level in Level:
        of_level = [each for each in found if each.level is level]
        if len(of_level) > MOST_OF_A_LEVEL:
            left = len(of_level) - MOST_OF_A_LEVEL + 1
            more = Annotation(level, f"{left} more hosts", "The summary and the log of the job name them all.")
            of_level = [*of_level[: MOST_OF_A_LEVEL - 1], more]
        bounded += of_level
    return bounded


def writer_for(variables: Mapping[str, str]) -> Callable[[Annotation], str] | None:
    """How the CI server with these variables wants it; ``None`` where none of those two runs this process."""
    if variables.get("GITHUB_ACTIONS") == "true":
        return github
    return azure if variables.get("TF_BUILD", "").casefold() == "true" else None


def github(annotation: Annotation) -> str:
    """As a workflow command of GitHub Actions."""
    title, text = _cut(annotation)
    for sign, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        title, text = title.replace(sign, code), text.replace(sign, code)
    title = title.replace(":", "%3A").replace(",", "%2C")
    return f"::{annotation.level} title={title}::{text}"


def azure(annotation: Annotation) -> str:
    """As a logging command of Azure Pipelines."""
    title, text = _cut(annotation)
    said = f"{title}: {text}"
    for sign, code in (("%", "%AZP25"), ("\r", "%0D"), ("\n", "%0A")):
        said = said.replace(sign, code)
    return f"##vso[task.logissue type={annotation.level}]{said}"


def _cut(annotation: Annotation) -> tuple[str, str]:
    """Title and text on one line each, without a command of any server in them."""
    return harmless(annotation.title, limit=_LONGEST_TITLE), harmless(annotation.text, limit=_LONGEST_TEXT)
