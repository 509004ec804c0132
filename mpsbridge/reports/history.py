"""Who did what to whom: the sessions and hosts of past runs, one line each, told from the record. Pure.

Rules: a name is compared whole and without case, as selectors do, but a garbled or bare name in the record that may be
the one asked for is shown: who looks back wants to see too much rather than too little.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import AwareDatetime

from mpsbridge.models.complaints import LIKE
from mpsbridge.models.sessions import Result
from mpsbridge.planning.policy import NOT_CHOSEN
from mpsbridge.reports import words
from mpsbridge.reports.report import HostReport, Person, Report, Told
from mpsbridge.runs.journal import Run


class Question(NamedTuple):
    """Which past sessions are asked for; what is ``None`` is not asked for."""

    user: str | None = None
    host: str | None = None
    since: datetime | None = None

    @property
    def is_about_sessions(self) -> bool:
        """Whether sessions are asked for, and not runs."""
        return self.user is not None or self.host is not None

    def means_run(self, run: Run) -> bool:
        """Whether a run falls into the time asked for."""
        return self.since is None or (run.ended or run.started) >= self.since

    def means_host(self, host: str) -> bool:
        """Whether a host is asked for."""
        return self.host is None or host.casefold() == self.host.casefold()

    def means_person(self, person: Person) -> bool:
        """Whether a session is, or may be, of the user asked for."""
        if self.user is None:
            return True
        wanted, account, user = self.user.casefold(), (person.account or "").casefold(), (person.user or "").casefold()
        name = wanted.rpartition("\\")[2]
        if account:
            return account == wanted or ("\\" not in wanted and account.rpartition("\\")[2] == name)
        return len(user) == len(name) and all(seen in {real, "?"} for seen, real in zip(user, name, strict=True))


class Deed(Told):
    """What a run did to one session; of a host on which it met nobody, what became of the host."""

    at: AwareDatetime
    run: str
    command: str
    by: str
    host: str
    session: int | None = None
    user: str | None = None
    """The account where it is known, otherwise the name in the table of sessions."""
    result: Result | None = None
    """Null for a session that was not touched, and for a host."""
    outcome: str
    """The result, or what became of the host, in words."""
    reason: str


def deeds(report: Report, question: Question) -> Iterator[Deed]:
    """What a run did to the sessions and hosts that are asked for, in the order of the record.

    A session that the run met, and that nobody meant, is none of them.
    """
    for host in report.hosts:
        if not question.means_host(host.host):
            continue
        people = [one for one in host.people if question.means_person(one) and one.reason != NOT_CHOSEN]
        yield from (_to_person(report.run, host, person) for person in people)
        if not host.people and question.user is None:
            yield Deed(
                at=host.end or report.run.started,
                outcome=_of_host(host),
                **_of_run(report.run),
                host=host.host,
            )


def _to_person(run: Run, host: HostReport, person: Person) -> Deed:
    why = words.why(person)
    return Deed(
        at=person.at or (person.notices[-1].at if person.notices else person.since),
        **_of_run(run),
        host=host.host,
        session=person.id,
        user=person.account or person.user,
        result=person.result,
        outcome=words.result_of(person) + (f" ({why})" if why else ""),
    )


def _of_host(host: HostReport) -> str:
    """What became of a host; an error is told with what it meant for the host: ``refused: session 8, ...``."""
    said = words.outcome_of(host)
    return said if not host.error or said.startswith(host.status.value) else f"{host.status.value}: {said}"


def _of_run(run: Run) -> dict[str, str]:
    return {"run": run.id, "command": run.command, "by": run.owner, "reason": run.reason}


def nearest_names(reports: Sequence[Report], question: Question) -> str:
    """The names in the record that are like those asked for and are not there, as the end of a sentence."""
    hosts = [host for report in reports for host in report.hosts]
    users = [person.account or person.user or "" for host in hosts for person in host.people]
    near: list[str] = []
    if question.host is not None and not any(question.means_host(host.host) for host in hosts):
        near += _near(question.host, [host.host for host in hosts])
    if question.user is not None:
        near += _near(question.user.rpartition("\\")[2], [user.rpartition("\\")[2] for user in users])
    return f"; did you mean {' and '.join(near)}?" if near else ""


def _near(wanted: str, names: Iterable[str]) -> list[str]:
    """The name that is like it, and not the same."""
    known = {name.casefold(): name for name in names if name.casefold() != wanted.casefold()}
    return [known[name] for name in difflib.get_close_matches(wanted.casefold(), known, n=1, cutoff=LIKE)]
