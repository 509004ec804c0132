"""One look at a host, from what ``observe`` sent: who is on, and whether the caller could see that at all.

Rules: *blind is not empty* (W12 to W14): no rows means no sessions only where an elevated caller got an answer of
Windows and no person's process runs. Whatever stands in a table and is somebody's session becomes a session here, also
one that cannot be matched on the host (its ``guard`` is ``None`` and it is never acted on). Listeners, ``services``,
session 0 and rows without a user never become one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone

from mpsbridge.errors import AccessDenied, Blind, CommandMissing, ParseError, RemoteError
from mpsbridge.models.answers import BrokerAnswer, ObserveAnswer, OwnerAnswer, ProgramAnswer, WmsSessionAnswer
from mpsbridge.models.bounds import LINES_LIMIT, TABLE_LIMIT, few
from mpsbridge.models.harmless import harmless
from mpsbridge.models.sessions import Observation, Row, Session, SessionGuard, State, from_cim, is_garbled
from mpsbridge.parsing.administrators import is_administrator
from mpsbridge.parsing.cells import width
from mpsbridge.parsing.guard import USER_COLUMN, guard_of
from mpsbridge.parsing.messages import Trouble
from mpsbridge.parsing.quser import Tables, parse_output
from mpsbridge.parsing.text import Decoded, decode, decode_again
from mpsbridge.parsing.times import idle_seconds, logon_time
from mpsbridge.parsing.wms import mode_of, stations_of

HIGHEST_SESSION = 65535
"""Listeners have ids above it."""

_ONLY_TEXT = (
    "PowerShell's constrained language there lets the tables be read as text only, so sessions are listed and never "
    "acted on; publish the signed JEA module (mpsbridge jea)"
)
_LONGEST_SENTENCE = 200
_REPORT = "Save the output on the host (quser > file), try mpsbridge parse on it, and report it."


Check = Callable[[], None]
"""Called between two lines of a table; raises when the time is up."""


def observe(answer: ObserveAnswer, problems: Sequence[str] = (), check: Check = lambda: None) -> Observation:
    """Read an ``observe`` answer as one observation.

    Raises :class:`~mpsbridge.errors.CommandMissing` where ``quser`` could not be started,
    :class:`~mpsbridge.errors.RemoteError` where it did not end in time or failed with a number of Windows,
    :class:`~mpsbridge.errors.AccessDenied` or :class:`~mpsbridge.errors.Blind` where the caller may not see the
    sessions, :class:`~mpsbridge.errors.ParseError` where an output cannot be read. ``problems`` are those of the
    envelope; what this function could not find out is added to them.
    """
    notes = list(problems)
    try:
        return _observe(answer, notes, check)
    except (ValueError, OverflowError) as error:
        message = f"the answer holds a time or base64 text that is none: {harmless(str(error), limit=120)}"
        raise ParseError(message, hint=_REPORT) from error


def beside_tables(answer: ObserveAnswer, problems: Sequence[str] = ()) -> Observation:
    """What the answer says of the host itself, without a session: its tables may be unreadable.

    Raises :class:`~mpsbridge.errors.ParseError`.
    """
    notes = list(problems)
    try:
        zone = _zone(answer, notes)
        return Observation(
            observed=from_cim(answer.now).astimezone(zone),
            boot=from_cim(answer.boot).astimezone(zone) if answer.boot else None,
            computer=answer.computer,
            sessions=(),
            logon_mode=answer.logons.mode,
            sets_logons=answer.sets_logons,
            elevated=answer.caller.elevated,
            lease=answer.lease,
            problems=few(notes),
        )
    except (ValueError, OverflowError) as error:
        message = f"the answer holds a time that is none: {harmless(str(error), limit=120)}"
        raise ParseError(message, hint=_REPORT) from error


def _observe(answer: ObserveAnswer, notes: list[str], check: Check) -> Observation:
    quser = _run_of("quser", answer.quser, answer, notes, check)
    if answer.quser.text is not None:
        notes.append(_ONLY_TEXT)
    qwinsta = _second_view(answer, notes, check)
    # Who logs on or off meanwhile is in one list only: no proof of blindness, but not yet gone either.
    before, after = (set(ids) - {0} for ids in (answer.witness.before, answer.witness.after))
    staying = before & after
    _check_sight(answer, quser, qwinsta, staying)

    host = _Host(answer, _zone(answer, notes), quser, notes)
    sessions = [host.session(row) for row in _user_rows(quser.tables.rows, notes)]
    listed = {session.id for session in sessions}
    for row in _user_rows(qwinsta.rows if qwinsta else (), notes):
        if row.id not in listed:
            notes.append(f"session {row.id} ({harmless(row.username or '')}) is listed by query session only")
            sessions.append(host.session(row))
    listed |= {session.id for session in sessions}
    if (missing := staying - listed) and answer.caller.elevated is not True:
        raise Blind(f"people's processes run in session {_list(missing)}, but the account sees no such session")
    return Observation(
        observed=host.now,
        boot=from_cim(answer.boot).astimezone(host.zone) if answer.boot else None,
        computer=answer.computer,
        sessions=tuple(sessions),
        rows=(*quser.tables.rows, *(qwinsta.rows if qwinsta else ())),
        processes_in=tuple(sorted(before | after)),
        leftovers=tuple(sorted(missing)),
        orphaned=tuple(sorted(missing | _userless(qwinsta.rows if qwinsta else (), listed))),
        births=tuple(sorted(host.born.items())),
        stations=stations_of(answer.wms) if answer.wms else (),
        logon_mode=answer.logons.mode,
        sets_logons=answer.sets_logons,
        multipoint=answer.wms.generation if answer.wms else None,
        elevated=answer.caller.elevated,
        encoding=quser.encoding,
        constrained=answer.quser.text is not None,
        running=tuple((entry.id, entry.name) for entry in answer.running),
        lease=answer.lease,
        broker=_governed(answer.broker),
        agents=answer.broker.agents,
        pending_reboot=answer.pending_reboot,
        unready=answer.unready,
        discards_changes=answer.disk_protection == "Discard",
        mode=mode_of(answer.wms.mode) if answer.wms else None,
        locale=answer.patterns.locale,
        offset_until=from_cim(answer.offset_until).astimezone(host.zone) if answer.offset_until else None,
        problems=few(notes),
    )


def _governed(broker: BrokerAnswer) -> bool | None:
    """Whether somebody else decides who may log on here: an active session directory, or a desktop broker's agent."""
    return True if broker.agents else broker.active


@dataclass(frozen=True)
class _Run:
    """What one program printed."""

    tables: Tables
    encoding: str
    lines: tuple[bytes, ...]
    """The bytes of each line; none where only text came home."""
    doubt: ParseError | None = None
    """What there is to say if its sentence, in words that are not known, does not mean that nobody is on."""


def _run_of(name: str, program: ProgramAnswer, answer: ObserveAnswer, notes: list[str], check: Check) -> _Run:
    """Read what one program printed: standard output, else standard error, where Windows says that nobody is on."""
    if program.problem is not None:
        raise CommandMissing(
            f"{name}.exe could not be started: {harmless(program.problem, limit=200)}",
            hint="Home editions of Windows have no query programs; elsewhere check System32 and AppLocker.",
        )
    if program.timed_out:
        raise RemoteError(
            f"{name}.exe did not end in time, so its table may be cut",
            hint="Remote Desktop Services may hang on the host; raise --timeout or look at the service TermService.",
        )
    out, err = _output_of(program, answer)
    decoded = out if out.text.strip() else err
    if not decoded.text.strip():
        # Not a table and not a message: _check_sight says whether that is blindness or an unreadable answer.
        return _Run(Tables(trouble=Trouble.OTHER), decoded.encoding, ())
    if decoded.text.count("\n") > LINES_LIMIT:
        raise _unreadable(name, program, f"there are more than {LINES_LIMIT} lines", None, "")
    try:
        tables = parse_output(decoded.text, check=check)
    except ParseError as error:
        unreadable = _unreadable(name, program, error.message, error.line, error.excerpt)
        if not _is_sentence(program, out, err):
            raise unreadable from error
        return _Run(Tables(trouble=Trouble.NOBODY_OR_NOT_PERMITTED), decoded.encoding, (), unreadable)
    if tables.rows and (tables.ignored or {row.table for row in tables.rows} != {name}):
        raise _unreadable(name, program, "there is more than its one table", None, harmless(decoded.text, limit=80))
    if decoded is out and tables.rows and err.text.strip():
        said = harmless(err.text.strip(), limit=120)
        notes.append(f"{name}.exe printed a table, and on standard error: {said}")
    lines = _bytes(program.out if decoded is out else program.err).split(b"\n") if program.text is None else ()
    return _Run(tables, decoded.encoding, tuple(lines))


def _is_sentence(program: ProgramAnswer, out: Decoded, err: Decoded) -> bool:
    """Whether a program ended as it does where it shows nobody: exit code 1, and one sentence without a number.

    Not in every language does that sentence end in its asterisk, and few of them are known.
    """
    said = err.text.strip()
    plain = "  " not in said and "\n" not in said and len(said) <= _LONGEST_SENTENCE
    return program.exit == 1 and not out.text.strip() and plain and not any(map(str.isdigit, said))


def _output_of(program: ProgramAnswer, answer: ObserveAnswer) -> tuple[Decoded, Decoded]:
    """Standard output and standard error, read."""
    sizes = [len(raw) // 4 * 3 - raw[-2:].count("=") for raw in (program.out, program.err)]
    if max(*sizes, len(program.text or ""), len(program.error_text or "")) > TABLE_LIMIT:
        raise ParseError(f"a program of the host printed more than {TABLE_LIMIT} bytes, which are not read")
    if program.text is None:
        streams = [decode(_bytes(raw), oem=answer.oem, ansi=answer.ansi) for raw in (program.out, program.err)]
    else:
        texts = (program.text, program.error_text or "")
        streams = [decode_again(text, page=program.page, oem=answer.oem, ansi=answer.ansi) for text in texts]
    return streams[0], streams[1]


def _unreadable(name: str, program: ProgramAnswer, why: str, line: int | None, excerpt: str) -> ParseError:
    message = f"the output of {name}.exe cannot be read (exit code {program.exit}): {why}"
    return ParseError(message, line=line, excerpt=excerpt, hint=_REPORT)


def _second_view(answer: ObserveAnswer, notes: list[str], check: Check) -> Tables | None:
    """The table of ``qwinsta``: it helps, and an observation without it is still one."""
    try:
        tables = _run_of("qwinsta", answer.qwinsta, answer, notes, check).tables
    except (ParseError, RemoteError) as error:
        notes.append(error.message)
        return None
    if not tables.rows:
        notes.append(f"query session shows no rows ({tables.trouble}, exit code {answer.qwinsta.exit})")
    return tables


def _check_sight(answer: ObserveAnswer, run: _Run, qwinsta: Tables | None, staying: set[int]) -> None:
    """Raise where the tables do not show what is there. Returning means: no rows are no sessions."""
    quser = run.tables
    if quser.rows:
        return
    if quser.trouble is Trouble.DENIED:
        raise AccessDenied(f"query user was refused (error {quser.number})")
    if quser.number is not None and quser.trouble is not Trouble.NOBODY_OR_NOT_PERMITTED:
        raise RemoteError(
            f"query user failed with error {quser.number} of Windows",
            hint=f"net helpmsg {quser.number} on the host explains it; is the service TermService running?",
        )
    if quser.trouble is Trouble.USAGE:
        raise RemoteError("query user printed its usage text", hint="This Windows has another quser.exe: report it.")
    if answer.caller.elevated is not True:
        seen = f", yet people's processes run in session {_list(staying)}" if staying else ""
        raise Blind(f"query user shows no session{seen}; Windows says the same to an account without rights")
    if quser.trouble is Trouble.OTHER:
        raise ParseError(f"quser.exe printed nothing (exit code {answer.quser.exit})", hint=_REPORT)
    if qwinsta is not None and qwinsta.trouble in {Trouble.NOBODY_OR_NOT_PERMITTED, Trouble.DENIED}:
        raise Blind("query session shows not even the session of the services, so an empty query user proves nothing")
    # Words that are not known may be those of a program that broke: they are believed only where all else agrees.
    if run.doubt and (staying or qwinsta is None or not qwinsta.rows or _user_rows(qwinsta.rows, [])):
        raise run.doubt


def _user_rows(rows: Iterable[Row], notes: list[str]) -> list[Row]:
    """The rows that are somebody's session. Two of one id cannot be told apart, which is an error."""
    found: dict[int, Row] = {}
    for row in rows:
        listener = row.state is State.LISTEN or row.id > HIGHEST_SESSION
        if row.username is None or listener or (row.sessionname or "").lower() == "services":
            continue
        if row.id == 0:
            notes.append(
                "a user is shown in session 0, which is never a user session since Windows Vista; it is left alone"
            )
            continue
        if row.id in found:
            message = f"two rows have the session id {row.id}"
            raise ParseError(message, line=row.line, excerpt=harmless(row.text, limit=80), hint=_REPORT)
        found[row.id] = row
    return list(found.values())


def _userless(rows: Iterable[Row], listed: set[int]) -> set[int]:
    """Ids of sessions that have ended or broken off and kept a row, without a user. A logon screen is none of them."""
    return {
        row.id
        for row in rows
        if row.username is None
        and row.state in {State.DISCONNECTED, State.DOWN}
        and 0 < row.id <= HIGHEST_SESSION
        and row.id not in listed
        and (row.sessionname or "").lower() != "services"
    }


class _Host:
    """What is known of the host beside the rows, by session id."""

    def __init__(self, answer: ObserveAnswer, zone: timezone, quser: _Run, notes: list[str]) -> None:
        self.answer = answer
        self.zone = zone
        self.lines = quser.lines
        self.encoding = quser.encoding
        self.notes = notes
        self.now = from_cim(answer.now).astimezone(zone)
        self.births: Mapping[int, str] = {birth.id: birth.born for birth in answer.births}
        self.born = {number: from_cim(text).astimezone(zone) for number, text in self.births.items()}
        self.owners: Mapping[int, OwnerAnswer] = {owner.id: owner for owner in answer.owners}
        wms = answer.wms
        self.wms: Mapping[int, WmsSessionAnswer] = {session.id: session for session in wms.sessions} if wms else {}
        self.seats = {station.session_id: station.id for station in wms.stations} if wms else {}

    def session(self, row: Row) -> Session:
        """One row joined with all that is known of its id."""
        born = self.born.get(row.id)
        wms = self.wms.get(row.id)
        station = wms.station if wms and wms.station is not None else self.seats.get(row.id)
        logon = logon_time(
            row.logon_raw,
            patterns=self.answer.patterns,
            utc_offset_min=self.answer.utc_offset_min,
            born=born,
            now=self.now,
        )
        local = station is not None or (row.sessionname or "").lower() == "console"
        idle = None if local else idle_seconds(row.idle_raw, since=logon or born, now=self.now)
        text, account = row.username or "", self._account(row.id, wms)
        is_cut = width(text) >= USER_COLUMN
        return Session(
            id=row.id,
            user=account.rpartition("\\")[2] if account and (is_cut or is_garbled(text)) else text,
            user_text=text,
            account=account,
            session_name=row.sessionname,
            state=row.state,
            state_text=row.state_raw,
            idle_s=idle,
            idle_text=row.idle_raw,
            logon=logon,
            logon_text=row.logon_raw,
            born=born,
            own=row.current or row.id == self.answer.caller.session_id,
            admin=is_administrator(
                self.owners.get(row.id),
                self.answer.admins,
                computer=self.answer.computer,
                born=self.births.get(row.id),
                multipoint=wms.admin if wms else None,
            ),
            station=station,
            client=wms.client if wms else None,
            guard=self._guard(row, self.births.get(row.id)),
            cut=is_cut,
        )

    def _account(self, session_id: int, wms: WmsSessionAnswer | None) -> str | None:
        owner = self.owners.get(session_id)
        if owner and owner.account:
            return owner.account
        return f"{wms.domain}\\{wms.user}" if wms and wms.domain and wms.user else None

    def _guard(self, row: Row, birth: str | None) -> SessionGuard | None:
        """The bytes of the row's fields, as far as the host will find them in the same row of the same program."""
        guard = None
        if row.table == "quser" and self.lines:
            guard = guard_of(row, self.lines[row.line - 1], encoding=self.encoding, born=birth)
        if guard is None and self.answer.quser.text is None:
            self.notes.append(f"session {row.id} cannot be matched byte for byte on the host, so it is never acted on")
        return guard


def _zone(answer: ObserveAnswer, notes: list[str]) -> timezone:
    minutes = answer.utc_offset_min
    if minutes is None or abs(minutes) >= 24 * 60:
        notes.append("the host's offset from UTC is not known; times are shown in UTC and logon texts are not read")
        minutes = 0
    return timezone(timedelta(minutes=minutes))


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"base64 that is none ({error})") from error


def _list(ids: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(ids)))
