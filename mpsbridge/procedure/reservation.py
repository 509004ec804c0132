"""Reserving a host: the lease, the failsafe and the blocked logons, and giving all of it back.

Rules: no failsafe, no block (W19); found closed is left closed (W17); restoring is compare-and-set, so what somebody
else changed meanwhile stays; the lease goes last, and only while it is still ours. Giving back needs no table of the
sessions: the small scripts for logons, failsafe and lease do it, and say themselves what they found. If it fails, the
failsafe on the host does it when the lease has run out, and the report says so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NoReturn

from mpsbridge.errors import (
    AnotherComputer,
    AuthRefused,
    CertificateRefused,
    HostReleased,
    MpsBridgeError,
    NotTried,
    Refused,
    RemoteError,
    Unexpected,
)
from mpsbridge.models.sessions import LogonMode, Logons, Observation, from_cim, to_cim
from mpsbridge.planning.lease import Damaged, Holder, Lease, expected_of, holder, is_of_run, read_lease
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.procedure.lease_file import WRITES, LeaseFile
from mpsbridge.procedure.past import GIVEN_BACK, is_given_back_by_others, left_by
from mpsbridge.runs.events import (
    LeaseLost,
    LeaseReleased,
    LeaseTaken,
    LeftBehind,
    LogonsClosed,
    LogonsOpened,
    LogonsRestored,
    Phase,
    Step,
    StepSent,
    WentWrong,
)
from mpsbridge.snippets.fields import LeaseDemand

SLACK_S = 900
"""A lease outlives what is planned by so much."""
_STAY_OPEN = ", so logons stay open (--no-failsafe goes without)"
OPENINGS = 3
"""Logons that are opened so often while a run keeps them closed stay open."""


class Reservation:
    """What this run holds on its host."""

    def __init__(self, context: ProcedureContext) -> None:
        self._context = context
        self._file = LeaseFile(context)
        self._lease: Lease | None = None
        self._mode: LogonMode | None = None
        """The logon mode when the lease was taken."""
        self._guarded = False
        """Whether the failsafe may be on the host."""
        self._is_taken = False
        """Whether the host has said that the lease is this run's."""
        self._is_closed = False
        """Whether an earlier life of this run has closed logons."""
        self._openings = 0
        """How often logons were found open that this run had closed."""
        self._has_set = False
        """Whether this run has set logons, or may have."""
        self.is_given_back = True
        """Whether neither the lease nor closed logons were left behind."""
        self.restarted = False
        """Whether the host has restarted meanwhile: Windows itself then drops some modes (W17)."""

    @property
    def held(self) -> bool:
        """Whether this run holds the host, or may."""
        return self._lease is not None

    def is_ours(self, seen: Observation) -> bool:
        """Whether the lease on the host is this very run's, from before it died."""
        return is_of_run(seen.lease, self._context.run)

    def standing_end(self, seen: Observation) -> datetime | None:
        """The end that an earlier life announced, where it is still to come and nothing was given back (W41)."""
        lease, ends = read_lease(seen.lease), self._context.past.announced
        stands = isinstance(lease, Lease) and lease.run == self._context.run and not lease.ending
        return ends if stands and ends is not None and self._context.now() < ends else None

    def check_released(self, seen: Observation) -> None:
        """Raise :class:`~mpsbridge.errors.HostReleased` where somebody else has ended this run's lease."""
        if why := left_by(self._context.past, seen, self._context.run, self._context.now()):
            raise HostReleased(why)

    def take(self, seen: Observation) -> None:
        """Take the lease, or go on with this run's own. Raises :class:`~mpsbridge.errors.Refused`."""
        context = self._context
        context.phase = Phase.LEASE
        lease, before, heir = self._write_as_taken(seen)
        ours = isinstance(before, Lease) and before.run == context.run
        self._is_taken = True
        context.holds_lease, context.boot_at_lease = True, seen.boot
        until = from_cim(str(lease.expires)).astimezone(context.now().tzinfo)
        context.tell(LeaseTaken(expires=until, replaced=Holder.of(before) if before and not ours else None))
        self._mode = seen.logon_mode
        if heir and not ours:
            # From now on no script of the other run closes logons; one may have come just before.
            self._mode = context.look().logon_mode
            if self._mode not in {heir.set, heir.found}:
                self._leave_logons()
        elif before != read_lease(seen.lease):  # a late script of this run may have set logons as well
            self._mode = context.look().logon_mode

    def _write_as_taken(self, seen: Observation) -> tuple[Lease, Lease | Damaged | None, Lease | None]:
        """The lease that was written, the one that it replaced, and that of whom this run goes on with the logons.

        A late script of this very run may mark the lease after the look; then it is written again from what it is now.
        """
        text = seen.lease
        for _ in range(WRITES):
            before = read_lease(text)
            lease, heir = self._as_taken(before, seen)
            self._lease = lease
            answer = self._file.write(lease.text(), expected=expected_of(text))
            if answer.changed:
                return lease, before, heir
            text = answer.lease
            if not is_of_run(text, self._context.run):
                break
            if is_given_back_by_others(self._context.past, text, self._context.run):
                self._lease = None
                raise HostReleased(GIVEN_BACK)
        self._lease = None
        other = read_lease(text)
        raise Refused(f"the host is held by {holder(other)}" if other else "the lease went while it was taken")

    def _as_taken(self, before: Lease | Damaged | None, seen: Observation) -> tuple[Lease, Lease | None]:
        """The lease that this run writes over the one ``before``, and that of whom it goes on with the logons."""
        context = self._context
        ours = before if isinstance(before, Lease) and before.run == context.run else None
        # Where another run has closed logons, or is about to, its work is finished with this one's.
        closes = isinstance(before, Lease) and before.set and seen.logon_mode in {before.set, before.found}
        heir = ours or (before if isinstance(before, Lease) and closes else None)
        # What a run finds counts from when it closes logons: until then others may do with them what they like.
        found = heir.found if heir and (heir.set or self.restarted) else seen.logon_mode
        self._guarded = heir is not None and (context.policy.failsafe or heir is not ours)
        self._is_closed = ours is not None and ours.set is not None
        lease = Lease(
            run=context.run,
            owner=context.owner,
            reason=context.policy.reason,
            since=ours.since if ours else to_cim(context.now()),
            expires=self._expiry(),
            found=found,
            set=heir.set if heir else None,
            notices=ours.notices if ours else (),
        )
        return lease, heir

    def _expiry(self) -> str:
        policy = self._context.policy
        planned_s = max(policy.warn_s, default=0) + policy.settle_s + (policy.force_after_s or 0) + SLACK_S
        if policy.restarts:
            planned_s += policy.return_timeout_s
        return to_cim(self._context.now() + timedelta(seconds=planned_s))

    def close_logons(self) -> None:
        """Set the failsafe, then keep new people out. Raises ``RemoteError`` where either cannot be proved."""
        context, lease = self._context, self._lease
        context.phase = Phase.CLOSE
        context.check_stop()
        if lease is None:
            return
        if self._is_closed:
            self._keep_closed(self._mode)
            context.when_held = self._when_held
            return
        now, found, mode = self._mode, lease.found, context.policy.mode_to_set(lease.found)
        dropped = found is LogonMode.DISABLED and context.policy.restarts  # by Windows, at the restart (W17)
        if now is None or found is None or not (mode or dropped):
            return
        if now is lease.set and now is not mode:
            # Another run's: with two modes to undo nobody could tell later which of them is there.
            self._set_while_held(found, expected=now)
            context.check_stop()
            now = found
        self._set_failsafe(found=found, to=mode or LogonMode.ENABLED)
        if mode is None:
            return
        context.check_stop()
        self._lease = lease.model_copy(update={"set": mode})
        self._file.note(found=found, set=mode)
        self._set_while_held(mode, expected=now)
        context.tell(LogonsClosed(logons=mode))
        context.when_held = self._when_held

    def _set_failsafe(self, *, found: LogonMode, to: LogonMode) -> None:
        context = self._context
        if not context.policy.failsafe:
            return
        self._guarded = True
        answer = context.step(
            StepSent(step=Step.FAILSAFE),
            lambda: context.host.set_failsafe(found=found, to=to, owner=context.owner, run=context.run),
            shows=lambda _: None,  # no look tells, and the same task may take its own place
        )
        if not answer.registered:
            raise RemoteError(f"the failsafe could not be set{_STAY_OPEN}", may_have_run=False)
        if answer.first_run != 0:
            ended = "did not end in time" if answer.first_run is None else f"ended with {answer.first_run:#x}"
            why = f"the failsafe does not work on this host: its first run {ended}{_STAY_OPEN}"
            raise RemoteError(why, may_have_run=False)

    def _when_held(self, seen: Observation) -> None:
        """Compare what a look tells of logons with what this run has set."""
        if self.is_ours(seen):  # disk protection drops the lease at a restart of others (W23)
            self._keep_closed(seen.logon_mode)

    def _keep_closed(self, mode: LogonMode | None) -> None:
        """Close logons again that were opened meanwhile: by others, by the failsafe, by Windows at a restart (W17).

        The opening counts as what was found, and is restored in the end. Who opens them again and again is not fought.
        """
        context, lease = self._context, self._lease
        if lease is None or lease.set is None or mode is not LogonMode.ENABLED or context.stop.is_set():
            return
        self._openings += 1
        closes = lease.set if self._openings < OPENINGS else None
        if closes:
            self._set_failsafe(found=mode, to=closes)
        if (lease.found, lease.set) != (mode, closes):
            self._lease = lease.model_copy(update={"found": mode, "set": closes})
            self._file.note(found=mode, set=closes)
        if closes and self._set_logons(closes, expected=mode, lease="held").mode is not closes:
            return  # others were faster; the next look tells what they have set
        opened = LogonsOpened(logons=closes or mode, times=self._openings)
        if not closes:
            context.problems.append(opened.text())
        context.tell(opened)

    def _set_while_held(self, mode: LogonMode, *, expected: LogonMode) -> None:
        """Set logons while this run holds the host. Raises ``RemoteError`` where others did at the same moment."""
        done = self._set_logons(mode, expected=expected, lease="held")
        if done.mode is not mode:
            raise RemoteError(f"logons are {done.mode} after they were set to {mode}", may_have_run=False)
        if done.was is not expected:
            self._leave_logons()

    def _set_logons(self, mode: LogonMode, *, expected: LogonMode | None, lease: LeaseDemand) -> Logons:
        try:
            done = self._send_logons(mode, expected=expected, lease=lease)
        except MpsBridgeError as error:
            self._has_set |= error.may_have_run
            raise
        self._has_set = True
        return done

    def _send_logons(self, mode: LogonMode, *, expected: LogonMode | None, lease: LeaseDemand) -> Logons:
        context, looks = self._context, 0

        def shows(seen: Observation) -> Logons | None:
            nonlocal looks
            looks += 1
            if seen.logon_mode is not mode:
                return None
            if looks > 1 and lease == "held":  # by this run's order, begun late, or by somebody else
                why = f"logons became {mode} while the answer to that order was lost: they count as this run's own"
                context.problems.append(why)
                context.tell(WentWrong(why=why))
            return Logons(mode=mode, was=expected)

        return context.step(
            StepSent(step=Step.LOGONS, logons=mode),
            lambda: context.host.set_logons(mode, expected=expected, run=context.run, lease=lease),
            shows=shows,
        )

    def _leave_logons(self) -> NoReturn:
        """Others want them as they are."""
        if self._lease is not None:
            self._lease = self._lease.model_copy(update={"set": None})
        why = "somebody else set logons at the same moment; look who, then begin again"
        raise RemoteError(why, may_have_run=False)

    def give_back(self, call_off: Callable[[], None]) -> None:
        """Restore logons, remove the failsafe, release the lease; what fails is said and hides nothing.

        ``call_off`` tells people that the end which was announced does not come, while the lease is still there.

        First the lease is marked, so that nothing of this run that is still on its way acts any more, and what is
        restored stays so; what was found stands in it until the end, for whoever goes on.
        """
        context, lease = self._context, self._lease
        context.holds_lease = False  # from here on each step asks by itself
        context.disrupt_no_more()
        if lease is None:
            return
        context.phase = Phase.RESTORE
        self.is_given_back = False
        self.restarted |= context.was_restarted
        may_go_on = self._attempt("looking at the host", self._look_first)
        if context.is_elsewhere:
            self._leave("nothing was given back: the name leads to another computer now")
            return
        may_go_on = may_go_on and self._attempt("marking the lease", self._mark)
        if not (may_go_on and self._attempt("restoring logons", self._restore)):
            self._leave("the failsafe on the host restores logons when the lease has run out")
            return
        if self._guarded:
            self._attempt("removing the failsafe", self._remove_failsafe)
        self._attempt("telling people that the end is off", call_off)
        self.is_given_back = self._attempt("releasing the lease", self._release)

    def _look_first(self) -> None:
        """See whether it is the same computer and lets us in; any other failure hinders nothing that follows."""
        context = self._context
        try:
            if not context.is_elsewhere:
                context.look()
        except (AnotherComputer, AuthRefused, CertificateRefused, NotTried):  # asking again might lock the account
            raise
        except MpsBridgeError as error:
            context.tell(WentWrong(why=f"looking at the host failed, what is held is given back all the same: {error}"))

    def forget(self) -> None:
        """Give nothing back: the host is off, and its failsafe acts at the next start."""
        self._lease = None

    def _attempt(self, what: str, act: Callable[[], object]) -> bool:
        try:
            act()
        except BaseException as raised:  # noqa: BLE001 - what else is held is given back all the same
            error = raised if isinstance(raised, MpsBridgeError) else Unexpected.of(raised)
            self._context.problems.append(f"{what} failed: {error}")
            self._context.tell(WentWrong(why=f"{what} failed: {error}"))
            return False
        return True

    def _leave(self, why: str) -> None:
        """Say what is not as it was found, also where the run ends in an error of its own."""
        self._context.problems.append(why)
        self._context.tell(LeftBehind(why=why))

    def _mark(self) -> None:
        if self._lease is not None and self._lease.set is not None:  # else no script that closes logons is on its way
            self._file.mark_ending()

    def _restore(self) -> None:
        context, lease = self._context, self._lease
        if lease is None or lease.found is None or (lease.set is None and not self.restarted):
            return
        if self._is_taken and not self.restarted and not is_of_run(context.lease_text, context.run):
            # Whoever released the host or took it over has given logons back, or will.
            self._leave("the lease is not this run's any more, so logons were left as they are")
            return
        wanted = lease.found
        ours = {lease.set}
        if self.restarted:
            # Windows drops two modes at a restart: 'disabled' is set again, what was to last until then is over (W17).
            if wanted is LogonMode.DISABLED:
                ours.add(LogonMode.ENABLED)
            wanted = LogonMode.ENABLED if wanted is LogonMode.DRAIN_UNTIL_RESTART else wanted
        mode = context.logons()
        if mode is not wanted:
            if mode not in ours:
                self._leave(f"logons are {mode}: changed by others, and left so")
                return
            if not is_of_run(context.lease_text, context.run):
                # Whoever released the host or took it over has given logons back, or will.
                self._leave(f"logons are {mode}, and the lease is not this run's any more: left so")
                return
            mode = self._set_logons(wanted, expected=mode, lease="free").mode
        context.tell(LogonsRestored(logons=mode, were_set=self._has_set or self._is_closed))

    def _remove_failsafe(self) -> None:
        context = self._context
        context.step(
            StepSent(step=Step.FAILSAFE_REMOVE),
            lambda: context.host.remove_failsafe(run=context.run),
            shows=lambda _: None,  # no look tells, and what is gone can be removed again
        )

    def _release(self) -> None:
        """Remove the lease as it is now, with whatever marks the notices left in it."""
        context = self._context
        if self._file.remove():
            context.tell(LeaseReleased())
            return
        if self._is_taken and not self.restarted:
            context.note(LeaseLost())  # for good, so that this run does not take the host again
        if context.lease_text is not None:  # disk protection drops it at a restart (W23)
            self._leave("the lease is not this run's any more, and was left")
