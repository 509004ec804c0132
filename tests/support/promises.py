"""The promises of the procedure, read from the host's own account of what happened to whom.

Nothing here believes a run: who was meant is judged from the people in the world and the run's policy, what was done
from the account, and only then the run's own words are held against it. ``broken`` collects what was not kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from mpsbridge.errors import HostReleased
from mpsbridge.models.sessions import Result, SessionResult, to_cim
from mpsbridge.models.then import Then
from mpsbridge.planning.lease import Lease, is_of_run, read_lease
from mpsbridge.planning.policy import Policy
from mpsbridge.procedure.looks import LOOKS as ASKED
from mpsbridge.procedure.looks import PAUSES_S, may_be_mended
from mpsbridge.procedure.reservation import OPENINGS
from mpsbridge.runs.events import LeaseLost, RestartedByOthers, StepAnswered, StepSent
from support.logons_of_others import LogonsOfOthers
from support.records import steps_in
from support.reserved import lease_of
from support.story import NAME, Life, RunStory, Story, life_of
from support.watched_host import Deed, Guest
from support.wire import LOOKS, Exchange, named

REPEATED_ONLY_AFTER_A_LOOK = {"logoff", "reset", "power", "mode"}
ORDERS = {"restart": "power", "shutdown": "power", "mode": "mode"}
SLACK_S = 5.0
LATE_S = 240.0
"""How long after the end that a box names, to the minute, the log-off may come: two scripts that take their time."""
READS = {*LOOKS, "logons"}
DISRUPTS = {"logoff", "reset", "power", "mode"}
CANCELLED = "is cancelled"
"""What stands in a box that calls an end off."""


class Promises:
    """Listens to a story; see above."""

    def __init__(self, story: Story) -> None:
        self.broken: list[str] = []
        self._story = story
        self._host = story.host
        self.logons = LogonsOfOthers(story)
        self._boxes: dict[tuple[RunStory, Guest], list[Deed]] = {}
        """The notices that somebody saw, of an end that is still to come."""
        self._void: dict[tuple[RunStory, Guest], list[Deed]] = {}
        """Those of an end that was given up."""
        self._faulted: set[RunStory] = set()
        story.host.on_deed = self._hear
        story.wire.on_sent = self._sent
        story.on_life_ended = self._ended

    def _demand(self, kept: bool, what: str) -> None:
        if not kept:
            self.broken.append(what)

    # What a script did.

    def _hear(self, deed: Deed) -> None:
        self.logons.hear(deed)
        script = deed.by
        if not isinstance(script, Exchange):
            if deed.act == "failsafe:logons":
                self._boxes.clear()
            return
        script.deeds.append(deed)
        life = script.life
        self._story.tally[f"did {deed.act}"] += 1
        if not script.is_waited_for:
            self._story.tally["late deeds"] += 1
        if life.run is None:
            self._did_release(deed)
            return
        self._changes_hands(life.run, deed)
        self._is_in_the_record(life.run, script, deed)
        if deed.guest is not None:
            named_ones = named(script, self._host)
            self._demand(deed.guest in named_ones, f"{deed.act} hit {deed.guest.name}, whom the script does not name")
        self._demand(
            deed.act not in {"show", "logoff", "reset", "order"} or is_of_run(lease_of(self._host), life.run.id),
            f"{deed.act} by a run that does not hold the host",
        )
        self._did(life, script, deed)

    def _did(self, life: Life, script: Exchange, deed: Deed) -> None:
        """A run's script did it."""
        assert life.run is not None
        if deed.act == "show":
            self._shown(life.run, script, deed)
        elif deed.act == "logoff":
            self._logged_off(life, deed)
        elif deed.act == "reset":
            self._reset(life, deed)
        elif deed.act == "order":
            self._ordered(life, deed)
        elif deed.act == "logons":
            self._closes(life)

    def _did_release(self, deed: Deed) -> None:
        self._changes_hands(None, deed)
        calls_off = deed.act == "show" and CANCELLED in deed.text
        self._demand(calls_off or deed.act not in {"logoff", "reset", "order", "show"}, f"a release did {deed.act}")
        if calls_off:
            self._called_off(deed, list(self._story.runs))

    def _is_in_the_record(self, run: RunStory, script: Exchange, deed: Deed) -> None:
        """Every act is announced in the record, with whom it is meant for; but giving back goes on without a record."""
        record = script.life.record
        gives_back = deed.act in {"lease", "logons", "failsafe-remove"} or CANCELLED in deed.text
        if record is not None and record.is_full and gives_back:
            return
        steps = {
            entry.number: entry.what for entry in run.box.journal.entries(run.id) if isinstance(entry.what, StepSent)
        }
        announced = steps.get(script.intent or 0)
        if announced is None or announced.step != script.script.snippet:
            self._demand(kept=False, what=f"{deed.act} by a step that no record announced")
            return
        if deed.guest is not None:
            known = deed.guest.session.id in announced.sessions
            self._demand(known, f"{deed.act} of {deed.guest.name} is not in the record")

    def _shown(self, run: RunStory, script: Exchange, deed: Deed) -> None:
        notice = script.script.parameters.get("Notice")
        guest = deed.guest
        assert guest is not None
        before = [
            each
            for each in self._host.deeds
            if each is not deed
            and each.act == "show"
            and each.guest is guest
            and isinstance(each.by, Exchange)
            and each.by.life.run is run
            and each.by.script.parameters.get("Notice") == notice
        ]
        self._demand(not before, f"the notice {notice} was delivered twice to {guest.name}")
        if CANCELLED in deed.text:
            self._called_off(deed, [run])
        elif deed.active:
            self._boxes.setdefault((run, guest), []).append(deed)

    def _changes_hands(self, run: RunStory | None, deed: Deed) -> None:
        """What a run told people is void when it gives the host back, or somebody else takes it."""
        before, after = read_lease(lease_of(self._host)), read_lease(deed.text or None)
        if deed.act != "lease" or not isinstance(before, Lease):
            return
        if run is not None and deed.text and before.run != run.id:
            self._story.tally["take overs"] += 1
        if not isinstance(after, Lease) or after.run != before.run or after.ending:
            for key in [key for key in self._boxes if key[0].id == before.run]:
                self._void.setdefault(key, self._boxes.pop(key))

    def _called_off(self, deed: Deed, runs: list[RunStory]) -> None:
        """Nobody hears that an end is off who was not told of it, and what was told is void."""
        guest = deed.guest
        assert guest is not None
        told = [self._boxes.pop((run, guest), None) or self._void.pop((run, guest), None) for run in runs]
        self._story.tally["called off"] += 1
        sent = any(
            each.script.snippet == "message" and (guest.session.id, to_cim(guest.session.born)) in each.identities()
            for each in self._story.wire.exchanges
            if each.life.run in runs and each is not deed.by
        )
        self._demand(any(told) or sent, f"{guest.name} was told that an end is off, and had been told of none")

    def _logged_off(self, life: Life, deed: Deed) -> None:
        run, guest = life.run, deed.guest
        assert run is not None
        assert guest is not None
        self._demand(is_meant(guest, run.policy), f"{guest.name} was ended and is not meant by {run.policy}")
        mine = [each for each in self._host.deeds if each.act == "logoff" and each.guest is guest and each is not deed]
        # An order without an answer is given again to whom a look shows when it cannot begin any more: it may hang.
        by_me = [each for each in mine if life_of(each) is life and each.by is not None and each.by.answered]
        self._demand(not by_me, f"{guest.name} was logged off twice by one life")
        self._is_not_in_use(life, run.policy, deed)
        self._logons_are_closed(life)
        self._was_warned(life, run, deed)

    def _is_not_in_use(self, life: Life, policy: Policy, deed: Deed) -> None:
        """Who was chosen for not being there is not ended when back at work, as far as a look could tell (W42)."""
        guest, limit_s = deed.guest, policy.selector.idle_over_s
        assert guest is not None
        self._demand(not (policy.selector.disconnected and deed.active), f"{guest.name} was ended, and is back")
        if limit_s is None or not deed.active or guest.used_at is None or (guest.session.idle_s or 0) >= limit_s:
            return
        looked = max((each.sent_at for each in life.exchanges if each.looked_at), default=0.0)
        self._demand(guest.used_at > looked, f"{guest.name} was ended as idle, and is at work")

    def _logons_are_closed(self, life: Life) -> None:
        """What a look has told of logons that were opened is not overlooked."""
        lease = read_lease(lease_of(self._host))
        assert life.run is not None
        if not isinstance(lease, Lease) or lease.set is None or life.run.policy.mode_to_set(lease.found) is None:
            return  # it has closed none, though it may have taken over what another run has closed
        looks = [number for number, each in enumerate(life.exchanges) if each.looked_at]
        since = life.exchanges[looks[-1] :] if looks else []
        closed = any(each.script.snippet == "logons-set" for each in since)
        self._demand(not since or since[0].mode != "enabled" or closed, "logons were seen open, and were not closed")

    def _closes(self, life: Life) -> None:
        """Who opens logons again and again is not fought."""
        closings = [each for each in self._host.deeds if each.act == "logons" and life_of(each) is life]
        count = sum(each.text != "enabled" for each in closings)
        self._demand(count <= OPENINGS + 1, f"one life closed logons {count} times")

    def _was_warned(self, life: Life, run: RunStory, deed: Deed) -> None:
        """By a notice of this very end: not of one that was given up, nor of one whose time was past before."""
        policy, guest = run.policy, deed.guest
        assert guest is not None
        if not policy.warn_s:
            return
        began = self._local(life.began)
        own = life.record is not None and life.record.has_announced
        boxes = [
            each
            for each in self._boxes.get((run, guest), [])
            if life_of(each) is life or (not own and self._announced(each) + timedelta(seconds=60) > began)
        ]
        if not boxes:
            allowed = policy.unwarned_ok or (not deed.active and consents_to_disconnected(policy))
            self._demand(
                allowed, f"{guest.name} was ended without a notice, {'active' if deed.active else 'not active'}"
            )
            self._story.tally["ended unwarned, as allowed"] += 1
            return
        announced = self._announced(boxes[-1])
        now = self._local(deed.at)
        self._demand(now >= announced, f"{guest.name} was ended at {now}, and was told {announced}")
        late_s = (now - announced).total_seconds()
        self._demand(late_s <= LATE_S, f"{guest.name} was ended at {now}, {late_s:.0f} s after the end of the notice")
        was_there = guest.arrived < life.began and guest.since <= life.began and deed.active
        if was_there and own and run not in self._faulted:
            lead_s = deed.at - boxes[0].at
            self._demand(
                lead_s >= max(policy.warn_s) - SLACK_S, f"{guest.name} was told only {lead_s:.0f} s before the end"
            )
            self._story.tally["ended with the whole notice"] += 1

    def _announced(self, box: Deed) -> datetime:
        """The moment that a box named, in the host's local time."""
        words = box.text.split()
        hour, minute = map(int, words[3].strip(",").split(":"))
        shown = self._local(box.at)
        moment = shown.replace(hour=hour, minute=minute, second=0, microsecond=0)
        return moment + timedelta(days=1) if moment < shown - timedelta(hours=12) else moment

    def _local(self, at: float) -> datetime:
        clock = self._story.clock
        moment = clock.now() + timedelta(seconds=at - clock.monotonic() + self._host.facts.clock_offset_s)
        return self._host.local(moment)

    def _reset(self, life: Life, deed: Deed) -> None:
        run, guest = life.run, deed.guest
        assert run is not None
        assert guest is not None
        after_s = run.policy.force_after_s
        orders = [
            each.at
            for each in self._host.deeds
            if each.act == "logoff" and each.guest is guest and life_of(each) is life
        ]
        again = [
            each
            for each in self._host.deeds
            if each.act == "reset" and each.guest is guest and each is not deed and life_of(each) is life
        ]
        self._demand(after_s is not None, f"{guest.name} was reset, and nobody allowed it")
        self._demand(bool(orders), f"{guest.name} was reset without a log-off of that run")
        self._demand(not again, f"{guest.name} was reset twice by one life")
        if orders and after_s is not None:
            self._demand(deed.at - orders[0] >= after_s - 1, f"{guest.name} was reset too early")

    def _ordered(self, life: Life, deed: Deed) -> None:
        """Never two by one run, and nobody is there who would lose a session that was not meant to end so."""
        run = life.run
        assert run is not None
        wanted = {Then.RESTART: "restart", Then.SHUTDOWN: "shutdown"}.get(run.policy.then, "mode")
        self._demand(deed.text == wanted and run.policy.restarts, f"{deed.text} was ordered, not {run.policy.then}")
        doers = [life_of(each) for each in self._host.deeds if each.act == "order"]
        orders = [doer for doer in doers if doer is not None and doer.run is run]
        self._demand(len(orders) <= 1, f"{len(orders)} orders to go down by one run")
        for guest in self._host.present:
            came_back = guest.by_itself and guest.arrived > run.lives[0].began
            allowed = came_back or self._may_stay_half_dead(life, guest)
            self._demand(allowed, f"{deed.text} was ordered over {guest.name}")

    def _may_stay_half_dead(self, life: Life, guest: Guest) -> bool:
        """``--leftover-ok`` lets a session go down with the host that was half-dead when a life began, by others' doing
        (W13).
        """
        assert life.run is not None
        row_gone_at = guest.session.row_gone_at
        if not life.run.policy.leftover_ok or row_gone_at is None:
            return False
        ours = any(
            each.act in {"logoff", "reset"} and each.guest is guest and (doer := life_of(each)) and doer.run is life.run
            for each in self._host.deeds
        )
        first_look = next((sent.looked_at for sent in life.exchanges if sent.looked_at), 0.0)
        return row_gone_at <= first_look and not ours

    # What is sent.

    def _sent(self, sent: Exchange) -> None:
        tally, life, name = self._story.tally, sent.life, sent.script.snippet
        tally["scripts"] += 1
        if sent.fault.snippet != "any" or sent.fault.fate != "fine":
            tally[f"fate {sent.fault.fate}"] += 1
            if life.run is not None:
                self._faulted.add(life.run)
        if life.run is None or name not in REPEATED_ONLY_AFTER_A_LOOK:
            return
        whom = set(sent.identities())
        for before in self._story.wire.exchanges:
            same = before is not sent and before.life.run is life.run and before.script.snippet == name
            if same and (not whom or whom & set(before.identities())):
                may_begin = before.may_still_begin(self._host.now())
                self._demand(not may_begin, f"{name} was sent again while the first one may still begin")
                fate_known = before.answered or before.fault.fate == "refused"
                looked = max((each.looked_at for each in life.exchanges), default=0.0)
                self._demand(fate_known or looked > before.sent_at, f"{name} was sent again without a look")
                taken = name in ORDERS.values() and any(deed.act == "order" for deed in before.deeds)
                self._demand(not taken or before.boot != self._host.boot, f"{name} was sent again to a host that obeys")

    # What came of a life.

    def _ended(self, life: Life) -> None:
        tally = self._story.tally
        if life.actor.dead or life.run is None:
            return
        error = life.actor.error
        if error is not None and life.error is None:
            self.broken.append(f"unexpected {error!r}")
            return
        self._nothing_is_denied(life)
        self._is_not_stopped_by_a_lost_look(life)
        self._gave_back(life)
        self._tells_restarts_of_others(life)
        if life.error is not None:
            tally[f"failed: {life.error.kind}"] += 1
            if not life.error.may_have_run:
                self._fates_are_known(life)
        elif life.value is not None:
            tally[f"outcome {life.value.outcome}"] += 1
            for result in life.value.sessions:
                tally[f"result {result.result}"] += 1
                self._is_true(life, result)
            self._outcome_is_true(life, life.value.outcome)

    def _is_not_stopped_by_a_lost_look(self, life: Life) -> None:
        """A look that is lost is asked again, and one that fails for good leaves nothing in doubt."""
        error = life.error
        if error is None or error.snippet not in READS or life.stop.is_set():
            return
        if may_be_mended(error) and self._story.clock.monotonic() - life.began < self._deadline_s(life):
            lost, most = 0, 0
            for sent in life.exchanges:
                lost = 0 if sent.answered or sent.script.snippet not in READS else lost + 1
                most = max(most, lost)
            self._demand(most >= ASKED, f"stopped after {most} lost looks: {error}")
        looked = any(each.looked_at for each in life.exchanges)
        assert life.run is not None
        journal = life.run.box.journal
        known = not DISRUPTS & set(steps_in(journal.entries(life.run.id))) and not journal.unanswered(life.run.id)
        full = any(each.record is not None and each.record.is_full for each in life.run.lives)
        self._demand(
            not (looked and known and not full and error.may_have_run),
            f"a look is said to have done something: {error}",
        )

    @staticmethod
    def _deadline_s(life: Life) -> float:
        assert life.run is not None
        return life.run.policy.host_deadline_s - max(PAUSES_S)

    def _gave_back(self, life: Life) -> None:
        """Where all scripts of a life were answered, whatever the tables were, its lease is not left behind."""
        assert life.run is not None
        acts_or_logons = [each for each in life.exchanges if each.script.snippet not in LOOKS]
        quiet = life.value is not None and life.value.outcome == "went quiet"
        disturbed = self._story.tally["others: rights"] or self._host.is_away or quiet
        if not acts_or_logons or disturbed or not all(each.answered for each in acts_or_logons):
            return
        held = is_of_run(lease_of(self._host), life.run.id)
        self._demand(
            not held, f"the lease was left behind, though each script was answered: {life.error or life.value}"
        )

    def _tells_restarts_of_others(self, life: Life) -> None:
        """Another boot while the run held the host and had not told it to go down stands in the record."""
        assert life.run is not None
        names = [each.script.snippet for each in life.exchanges]
        ends = [number for number, name in enumerate(names) if name in ORDERS.values()]
        ends += [number for number, each in enumerate(life.exchanges) if gives_back(each)]
        first = names.index("lease") if "lease" in names else len(names)
        looks = [each for each in life.exchanges[first : min(ends, default=len(names))] if each.looked_at][:-1]
        if len({each.boot for each in looks}) < 2 or self._story.tally["others: rights"]:
            return
        told = [entry.what for entry in life.run.box.journal.entries(life.run.id)]
        # Where others have the host now, that is what the run says: the restart is theirs to tell.
        has_left = isinstance(life.error, HostReleased)
        says = has_left or any(isinstance(one, RestartedByOthers | LeaseLost) for one in told)
        self._demand(says, "a restart of others was not told")

    def _nothing_is_denied(self, life: Life) -> None:
        """No step that changed something is recorded as one that did not run."""
        assert life.run is not None
        denied = {
            entry.what.intent: entry.what.step
            for entry in life.run.box.journal.entries(life.run.id)
            if isinstance(entry.what, StepAnswered) and entry.what.error is not None
        }
        for sent in life.exchanges:
            if sent.deeds and sent.intent in denied:
                self.broken.append(f"{sent.script.snippet} did {sent.deeds[0].act}, and the record says it never ran")

    def _fates_are_known(self, life: Life) -> None:
        """A run that says "nothing of unknown fate" has an answer for each act that it sent."""
        assert life.run is not None
        unanswered = {entry.number for entry in life.run.box.journal.unanswered(life.run.id)}
        for place, sent in enumerate(life.exchanges):
            later = [each for each in life.exchanges[place + 1 :] if each.script.snippet == sent.script.snippet]
            if any(each.answered and set(each.identities()) >= set(sent.identities()) for each in later):
                continue  # that one tells of this one, too: of a box by its mark, of a session by its being there
            for deed in sent.deeds:
                if deed.guest is None and deed.act != "order":
                    continue
                known = sent.intent not in unanswered
                self._demand(known, f"{deed.act} has no answer, and the run says that it is known: {life.error}")
                left = deed.act == "logoff" and deed.guest is not None and self._host.is_there(deed.guest)
                self._demand(not left, f"a log-off hangs, and the run says that all is known: {life.error}")

    def _is_true(self, life: Life, result: SessionResult) -> None:
        """What a run says of a session is what became of it."""
        session = result.session
        guest = self._host.who(session.id, session.guard.born if session.guard else None)
        if guest is None:
            return
        deeds = [
            deed.act
            for sent in life.exchanges
            for deed in sent.deeds
            if deed.guest is guest and deed.act in {"logoff", "reset"}
        ]
        said = f"{guest.name} is said to be {result.result} ({result.text})"
        if result.result in {Result.ENDED, Result.GONE, Result.CHANGED}:
            self._demand(not self._host.is_there(guest), f"{said}, and is there")
        if result.result in {Result.KEPT, Result.REFUSED, Result.EXPIRED, Result.CHANGED, Result.GONE}:
            # A log-off of somebody who left at that moment is theirs.
            self._demand(not deeds or result.result is Result.GONE, f"{said}, and got {deeds}")
        if result.result is Result.ENDED:
            self._demand(bool(deeds) or not self._host.is_there(guest), f"{said}, and nothing was done")

    def _outcome_is_true(self, life: Life, outcome: str) -> None:
        run = life.run
        assert run is not None
        went = [deed for deed in self._host.deeds if deed.act in {"windows:restart", "windows:shutdown"}]
        if outcome in {"back", "went quiet"}:
            steps = set(steps_in(run.box.journal.entries(run.id)))
            self._demand(bool(steps & {"power", "mode"}), f"{outcome}, and nobody told the host to go down")
        if outcome == "back":
            self._demand(bool(went), "said to be back, and was never away")
        elif outcome == "nothing to do":
            left = [
                guest.name
                for guest in self._host.present
                if guest.arrived < life.began
                and is_meant(guest, run.policy)
                and guest.session.row_gone_at is None
                and (not run.policy.selector.disconnected or _was_away_before(guest, life.began))
                and _is_idle(guest, run.policy.selector.idle_over_s)
            ]
            self._demand(not left, f"nothing to do, and there is {left}")

    # In the end.

    def hold_at_rest(self) -> None:
        """When nobody works any more and the failsafe has had its time: logons are as others want them."""
        if not self._host.is_away:
            self._demand(*self.logons.are_right())


def gives_back(sent: Exchange) -> bool:
    """Whether it marks a lease as being given back, or removes it."""
    text = sent.script.parameters.get("Text")
    lease = read_lease(str(text)) if text else None
    return sent.script.snippet == "lease" and (not text or (isinstance(lease, Lease) and lease.ending))


def _is_idle(guest: Guest, limit_s: int | None) -> bool:
    return limit_s is None or (guest.is_active and (guest.session.idle_s or 0) >= limit_s)


def _was_away_before(guest: Guest, at: float) -> bool:
    return not guest.is_active and guest.since <= at


def is_meant(guest: Guest, policy: Policy) -> bool:
    """Whether a policy means somebody, judged from the person and not from any table."""
    session, selector = guest.session, policy.selector
    user = session.user.casefold()
    if selector.users and user not in {each.casefold() for each in selector.users}:
        return False
    if selector.disconnected and not guest.was_disconnected:
        return False
    if selector.idle_over_s is not None and not guest.was_idle:
        return False
    kept = user in {each.casefold() for each in policy.keep_users} or (NAME, session.id) in policy.keep_sessions
    runs = any(program in policy.keep_running for program in session.programs)
    spared = (session.admin and not policy.include_admins) or (
        session.session_name == "console" and not policy.include_console
    )
    return not (kept or runs or (spared and not selector.names_someone))


def consents_to_disconnected(policy: Policy) -> bool:
    """Whether somebody said in so many words that disconnected people are ended without a warning."""
    return policy.disconnected_ok or policy.selector.wants_disconnected or policy.selector.names_someone
