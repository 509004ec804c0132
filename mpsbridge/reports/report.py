"""The shapes of a report: one run, its hosts, their people, and each step.

Rules: a report holds nothing that the record does not say; what the record leaves open is ``unknown`` and never rounded
to yes or no; times of a host are in the host's own offset where a look told it, by the clock of the machine that kept
the record; texts are as they came, so whoever shows them escapes them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from mpsbridge.models.frozen import Frozen
from mpsbridge.models.harmless import json_text
from mpsbridge.models.sessions import LogonMode, Result, Session, SessionResult, State
from mpsbridge.models.then import Then
from mpsbridge.runs.events import Phase, Step
from mpsbridge.runs.journal import Run
from mpsbridge.runs.verdict import Verdict


class Told(Frozen):
    """A part of a report: every field is always there."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Fate(StrEnum):
    """What became of one step."""

    DONE = "done"
    """It was sent and the host answered; the answer itself may be a refusal."""
    NOT_RUN = "not-run"
    UNKNOWN = "unknown"


class PhaseSpan(Told):
    """A part of the procedure; ``end`` is the start of the next one, or the last entry of the record."""

    name: Phase
    start: AwareDatetime
    end: AwareDatetime


class Notice(Told):
    """One warning to one person: ``shown`` (never: read), or what else became of it.

    ``ends`` is the end that it announced; a ``void`` one warned of an end that did not come, and another was announced.
    """

    name: str
    at: AwareDatetime
    result: Result
    text: str = ""
    ends: AwareDatetime | None = None
    void: bool = False


class Person(Told):
    """One session that the run met: (``id``, ``born``) is its identity, ``since`` when the run first heard of it.

    ``result`` is null while the run has not touched it; ``at`` is when the result was known.
    """

    id: int
    born: AwareDatetime | None = None
    user: str | None = None
    account: str | None = None
    state: State | None = None
    since: AwareDatetime
    decision: Literal["act", "keep", "refuse"] | None = None
    reason: str = ""
    act: Step = Step.LOGOFF
    """What was asked for it."""
    notices: tuple[Notice, ...] = ()
    result: Result | None = None
    at: AwareDatetime | None = None
    text: str = ""

    @property
    def became(self) -> Result | None:
        """What became of it, also where the work did not come to it; nothing where it was not meant."""
        return self.result or (Result.UNTOUCHED if self.decision == "act" else None)

    @property
    def why(self) -> str:
        """What explains that: the host's words, else the verdict's."""
        return self.text or ("" if self.decision == "act" and self.result else self.reason)

    @property
    def session(self) -> Session:
        """The session as far as the record tells it."""
        return Session.remembered(self.id, user=self.user, account=self.account, state=self.state, born=self.born)

    @property
    def name(self) -> str:
        """Whom a reader knows: the account, else the user, else the session's number."""
        return self.account or self.user or f"session {self.id}"


class StepReport(Told):
    """One thing that was sent; ``number`` is its place in the record, the rest as in the record's own intent."""

    number: int
    step: Step
    phase: Phase | None = None
    sent: AwareDatetime
    answered: AwareDatetime | None = None
    fate: Fate
    error: str | None = None
    text: str = ""
    """It in words: ``message: sessions 2 3, notice 5m``."""
    sessions: tuple[int, ...] = ()
    notice: str | None = None
    ends: AwareDatetime | None = None
    logons: LogonMode | None = None
    then: Then | None = None

    @property
    def settles(self) -> bool:
        """Whether it may have decided what became of sessions: a notice of what is to come does not."""
        acts = self.step.disrupts or self.step is Step.DISCONNECT or (self.step is Step.MESSAGE and self.notice is None)
        return acts and self.fate is not Fate.NOT_RUN

    @property
    def took_s(self) -> float | None:
        """Seconds from intent to outcome."""
        return (self.answered - self.sent).total_seconds() if self.answered else None


class Mark(Told):
    """Something that happened on a host and has no length: logons closed, the order given, up again."""

    name: str
    at: AwareDatetime
    text: str = ""


class Seen(Told):
    """What was seen from ``at`` on until the next one: how many sessions, the logon mode, the boot identity."""

    at: AwareDatetime
    sessions: int
    logons: LogonMode | None = None
    boot: AwareDatetime | None = None


class HostReport(Told):
    """One host during one run. ``boots`` are the boot identities seen, in order: two mean that it restarted."""

    host: str
    status: Verdict
    finished: bool = False
    """Whether the work on it came to its own end."""
    begun: bool = True
    """Whether its turn came, and the plan allowed it."""
    outcome: str
    error: str | None = None
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    phases: tuple[PhaseSpan, ...] = ()
    people: tuple[Person, ...] = ()
    steps: tuple[StepReport, ...] = ()
    marks: tuple[Mark, ...] = ()
    seen: tuple[Seen, ...] = ()
    ordered: AwareDatetime | None = None
    """When it took the order to go down."""
    booted: AwareDatetime | None = None
    """When it was last seen to have started again."""
    boots: tuple[AwareDatetime, ...] = ()
    logons_before: LogonMode | None = None
    logons_after: LogonMode | None = None
    held: bool = False
    """Whether the record tells that the run took the host, and does not tell that it gave everything back."""
    problems: tuple[str, ...] = ()
    """What the plan remarked and what went wrong on the side, as sentences."""

    @property
    def settled(self) -> tuple[SessionResult, ...]:
        """What became of its sessions: nothing where the host refused or its turn never came."""
        if not self.begun and not any(step.settles for step in self.steps):
            return ()
        return tuple(
            SessionResult(session=one.session, result=became, text=one.why)
            for one in self.people
            if (became := one.became) is not None
        )

    @property
    def results(self) -> tuple[Result, ...]:
        """The same in a word for each."""
        return tuple(one.result for one in self.settled)


class Totals(Told):
    """How often what happened, over all hosts; keys without a count are left out."""

    hosts: dict[Verdict, int] = Field(default_factory=dict)
    people: dict[Result, int] = Field(default_factory=dict)
    steps: dict[Fate, int] = Field(default_factory=dict)
    notices_shown: int = 0


class Report(Told):
    """A whole run. ``open``: it has not ended: it is ``at_work``, it was stopped and can be resumed, or it died."""

    schema_: Literal["mpsbridge-report/1"] = Field(default="mpsbridge-report/1", alias="schema")
    run: Run
    open: bool
    at_work: bool = False
    """Whether a process was carrying it out when the report was made."""
    resumed: int = 0
    """How often another process went on with it."""
    last: AwareDatetime | None = None
    """When the last thing was recorded."""
    status: Verdict
    summary: str
    """What became of it in one sentence, with counts where not everything is the same."""
    hosts: tuple[HostReport, ...]
    totals: Totals

    @property
    def is_interrupted(self) -> bool:
        """Whether the run was stopped or died: then its exit code is not 0, whatever its hosts came to."""
        return self.run.verdict.is_interrupted if self.run.verdict else self.open

    def as_json(self) -> dict[str, Any]:
        """The report as plain data, keyed as ``mpsbridge schema report`` says."""
        return self.model_dump(mode="json", by_alias=True)


def report_json(report: Report) -> str:
    """The report as JSON text; see :mod:`mpsbridge.models.harmless`."""
    return json_text(report.as_json(), indent=2) + "\n"
