"""Single stories of the procedure, each one a way in which a promise was once broken.

They are told over the lab's world, with everything between a run and the host in the test's hands (:class:`Story`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.reserved import lease_of, task_of
from support.story import RunStory, Story
from support.storytelling import HOUR_S, acts, policy, somebody, tell, until
from support.wire import Fate, Fault

from mpsbridge.lab.engines.scripted import observing
from mpsbridge.procedure.looks import LOOKS
from mpsbridge.runs.events import OrderGiven, OthersOrder, Step, StepAnswered


@pytest.fixture
def stories() -> Iterator[list[Story]]:
    told: list[Story] = []
    yield told
    for story in told:
        story.close()


@pytest.fixture
def story(stories: list[Story]) -> Story:
    return tell(stories)


def restarted(story: Story) -> RunStory:
    """A run at the moment at which its host has started again, and is not proved to be back."""
    somebody(story)
    run = story.begin(policy(then="restart", warn_s=()), story.boxes[0])
    until(story, "power")
    story.pass_time(90)
    return run


def test_w07_a_notice_names_the_end_in_the_hosts_own_time(stories: list[Story]) -> None:
    story = tell(stories, utc_offset_min=-210)
    guest = somebody(story)
    story.begin(policy(), story.boxes[0])
    story.pass_time(60)
    (box,) = guest.session.boxes
    assert box.startswith("It ends at 08:35, in 5 min.")


@pytest.mark.parametrize("ends", ["by itself", "by a release"])
def test_w19_what_would_close_logons_late_finds_the_host_given_back(story: Story, ends: str) -> None:
    """The link breaks while logons are closed, and the script begins only when all has been given back."""
    somebody(story)
    story.wire.faults.append(Fault("logons-set", Fate.LATE, late_s=20))
    if ends == "by itself":
        story.wire.faults += [Fault("look", Fate.LOST)] * LOOKS  # else a look would tell, and the run go on
    run = story.begin(policy(), story.boxes[0])
    if ends == "by a release":
        until(story, "logons-set")
        story.kill(run.lives[-1])
        story.release(story.boxes[1])
    story.pass_time(4 * HOUR_S)
    assert acts(story, "logons") == []
    assert story.host.logon_mode == "enabled"


def test_w19_what_would_close_logons_while_the_host_is_given_back_finds_no_lease(story: Story) -> None:
    """Late by one second: between the looks and steps of giving back."""
    somebody(story)
    story.wire.faults.append(Fault("logons-set", Fate.LATE, late_s=1))
    story.begin(policy(), story.boxes[0])
    story.pass_time(4 * HOUR_S)
    assert story.host.logon_mode == "enabled"


@pytest.mark.parametrize("why", ["stopped", "deadline"])
def test_a_log_off_that_has_begun_is_in_doubt_whatever_stops_the_run(story: Story, why: str) -> None:
    somebody(story, hung=True)
    run = story.begin(policy(host_deadline_s=320 if why == "deadline" else 3600), story.boxes[0])
    until(story, "logoff")
    story.pass_time(10)
    if why == "stopped":
        story.stop(run.lives[-1])
    story.pass_time(600)
    error = run.lives[-1].error
    assert error is not None
    assert error.may_have_run
    assert run.is_open


def test_w02_a_notice_of_which_nobody_knows_is_no_warning_and_not_sent_again(story: Story) -> None:
    """PowerShell dies with the box marked as being sent: before it is shown, or after."""
    guest = somebody(story)
    story.wire.faults.append(Fault("message", Fate.DIES, change=2))  # the first change is the mark in the lease
    run = story.begin(policy(warn_s=(60,)), story.boxes[0])
    until(story, "message")
    story.kill(run.lives[-1])
    story.pass_time(5)
    unanswered = run.box.journal.unanswered(run.id)[-1].number
    run.box.journal.record(run.id, "ts1", StepAnswered(step=Step.MESSAGE, intent=unanswered))  # not waited out
    story.resume(run)
    story.pass_time(HOUR_S)
    assert [box for box in guest.session.boxes if "is cancelled" not in box] == []
    assert acts(story, "logoff") == []
    (result,) = run.lives[-1].value.sessions if run.lives[-1].value else ()
    assert (result.result, result.text.startswith("no notice")) == ("refused", True)


def test_w17_a_run_that_takes_over_gives_back_what_the_dead_one_found(story: Story) -> None:
    somebody(story)
    first = story.begin(policy(then="restart"), story.boxes[0])
    until(story, "message")
    story.kill(first.lives[-1])
    assert story.host.logon_mode == "drain-until-restart"
    story.begin(policy(take_over=True), story.boxes[1])
    story.pass_time(HOUR_S)
    assert story.host.logon_mode == "enabled"
    assert (lease_of(story.host), task_of(story.host)) == (None, None)


@pytest.mark.parametrize("lost", [1, 2])
def test_w17_a_run_that_takes_over_and_cannot_set_its_own_mode_gives_back_what_the_dead_one_found(
    story: Story, lost: int
) -> None:
    somebody(story)
    first = story.begin(policy(then="restart"), story.boxes[0])
    until(story, "message")
    story.kill(first.lives[-1])
    second = story.begin(policy(take_over=True), story.boxes[1])
    for _ in range(lost - 1):
        until(story, "logons-set")
    story.wire.faults += [Fault("logons-set", Fate.LOST), *[Fault("look", Fate.LOST)] * LOOKS]
    story.pass_time(HOUR_S)
    assert "link broke" in str(second.lives[-1].error)
    assert story.host.logon_mode == "enabled"
    assert (lease_of(story.host), task_of(story.host)) == (None, None)


def test_w17_a_run_that_takes_over_from_a_living_one_gives_back_what_that_one_found(story: Story) -> None:
    """Its order to close logons comes after the other has looked, and before the other has the lease."""
    somebody(story)
    story.begin(policy(closing="disabled"), story.boxes[0])
    until(story, "failsafe")
    story.go_on(2)
    story.begin(policy(take_over=True), story.boxes[1])
    story.pass_time(HOUR_S)
    order = acts(story, "logons", "failsafe-remove")
    assert order[:3] == ["logons disabled", "logons enabled", "logons drain"]
    assert story.host.logon_mode == "enabled"
    assert (lease_of(story.host), task_of(story.host)) == (None, None)


def test_w02_who_disconnects_before_a_notice_is_not_ended_without_consent(story: Story) -> None:
    guest = somebody(story)
    run = story.begin(policy(), story.boxes[0])
    until(story, "failsafe")
    story.host.disconnect(guest.session.id)
    story.pass_time(HOUR_S)
    assert acts(story, "logoff") == []
    assert story.host.is_there(guest)
    assert [one.result for one in run.lives[-1].value.sessions] == ["refused"] if run.lives[-1].value else False


def test_w02_who_comes_back_while_the_end_is_on_its_way_is_not_ended(story: Story) -> None:
    guest = somebody(story, state="disconnected")
    story.begin(policy(disconnected_ok=True), story.boxes[0])
    until(story, "logoff")
    story.host.reconnect(guest.session.id)
    story.pass_time(HOUR_S)
    assert acts(story, "logoff") == []


def test_w08_a_station_whose_log_off_hangs_is_not_restarted_over(stories: list[Story]) -> None:
    story = tell(stories, kiosk=True)
    (guest,) = story.host.present
    guest.session.hung = True
    run = story.begin(policy(then="restart"), story.boxes[0])
    story.pass_time(HOUR_S)
    assert acts(story, "order") == []
    assert "still there" in str(run.lives[-1].error)


def test_w17_what_others_close_at_the_same_moment_stays_closed(story: Story) -> None:
    somebody(story)
    run = story.begin(policy(), story.boxes[0])
    until(story, "logons-set")
    story.host.set_logon_mode("drain")
    story.pass_time(HOUR_S)
    assert story.host.logon_mode == "drain"
    assert "somebody else set logons" in str(run.lives[-1].error)


def test_w17_what_others_closed_until_the_next_restart_does_not_outlive_it(stories: list[Story]) -> None:
    story = tell(stories, mode="drain-until-restart")
    somebody(story)
    run = story.begin(policy(), story.boxes[0])
    until(story, "message")
    story.kill(run.lives[-1])
    story.host.restart()
    story.pass_time(4 * HOUR_S)
    assert story.host.logon_mode == "enabled"


def test_w05_nobody_is_told_again_or_ended_when_births_cannot_be_read_any_more(story: Story) -> None:
    guest = somebody(story)
    run = story.begin(policy(), story.boxes[0])
    until(story, "message")
    story.pass_time(5)
    story.host.change_rights("operator")
    story.pass_time(HOUR_S)
    assert len(guest.session.boxes) == 1
    assert acts(story, "logoff") == []
    assert "cannot be identified reliably" in str(run.lives[-1].error)


def test_w05_nobody_is_told_again_when_births_cannot_be_read_from_the_second_look_on(story: Story) -> None:
    """The account loses its rights between the small look that shows somebody new and the look that says who it is."""
    guest = somebody(story)
    run = story.begin(policy(closing="leave"), story.boxes[0])
    until(story, "message")
    story.pass_time(5)
    story.host.log_on("bob")
    until(story, "observe")
    story.host.change_rights("operator")
    story.pass_time(HOUR_S)
    assert len(guest.session.boxes) == 1
    assert acts(story, "logoff") == []
    assert "cannot be identified reliably" in str(run.lives[-1].error)


def test_w05_who_shows_no_birth_in_one_look_is_told_and_ended_once(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = somebody(story)
    run = story.begin(policy(), story.boxes[0])
    until(story, "message")
    story.pass_time(5)
    with monkeypatch.context() as unreadable:
        unreadable.setattr(observing, "births", lambda _host: {})
        story.pass_time(120)
    story.pass_time(HOUR_S)
    assert [box.split()[5] for box in guest.session.boxes] == ["5", "1"]
    assert [deed.at - story.lives[0].began >= 300 for deed in story.host.deeds if deed.act == "logoff"] == [True]
    assert [one.result for one in run.lives[-1].value.sessions] == ["ended"] if run.lives[-1].value else False


def test_w17_what_others_opened_during_the_restart_stays_open(stories: list[Story]) -> None:
    """Windows keeps 'drain' through a restart, so if it is not there any more somebody has opened logons."""
    story = tell(stories, mode="drain")
    run = restarted(story)
    story.host.set_logon_mode("enabled")
    story.pass_time(HOUR_S)
    assert story.host.logon_mode == "enabled"
    assert run.lives[-1].value
    assert "changed by others" in " ".join(run.lives[-1].value.problems)


def test_w17_a_run_whose_host_was_released_meanwhile_sets_no_logons_any_more(stories: list[Story]) -> None:
    story = tell(stories, mode="disabled")
    run = restarted(story)
    story.release(story.boxes[1])
    story.pass_time(5)
    story.host.set_logon_mode("drain")
    story.host.set_logon_mode("enabled")
    story.pass_time(HOUR_S)
    assert run.lives[-1].value
    assert acts(story, "logons") == ["logons drain", "logons enabled"]
    assert "not this run's any more" in " ".join(run.lives[-1].value.problems)


def test_w17_what_others_close_before_a_run_goes_on_is_what_it_finds(story: Story) -> None:
    """It had closed nothing when it died."""
    somebody(story)
    run = story.begin(policy(then="restart"), story.boxes[0])
    until(story, "failsafe")
    story.kill(run.lives[-1])
    story.pass_time(120)
    story.host.set_logon_mode("drain")
    story.resume(run)
    story.pass_time(HOUR_S)
    assert run.lives[-1].value
    assert run.lives[-1].value.outcome == "back"
    assert acts(story, "logons") == ["logons drain"]
    assert story.host.logon_mode == "drain"


def test_a_run_that_dies_while_it_gives_back_knows_what_it_found(story: Story) -> None:
    somebody(story)
    run = story.begin(policy(), story.boxes[0])
    until(story, "logoff")
    until(story, "lease")
    story.kill(run.lives[-1])
    story.resume(run)
    story.pass_time(HOUR_S)
    assert story.host.logon_mode == "enabled"
    assert (lease_of(story.host), task_of(story.host)) == (None, None)


def orders(story: Story) -> int:
    return sum(each.script.snippet == "power" for each in story.wire.exchanges)


@pytest.mark.parametrize("fate", [Fate.FINE, Fate.UNHEARD])
def test_an_order_that_the_host_took_is_not_given_again_by_a_run_that_goes_on(story: Story, fate: Fate) -> None:
    """The run dies in the ten seconds before the host goes down, and somebody lets it go on at once."""
    somebody(story)
    story.wire.faults.append(Fault("power", fate))
    run = story.begin(policy(then="restart", warn_s=()), story.boxes[0])
    until(story, "power")
    story.pass_time(1)
    story.kill(run.lives[-1])
    story.resume(run)
    story.pass_time(HOUR_S)
    assert orders(story) == 1
    assert run.lives[-1].value is not None
    assert run.lives[-1].value.outcome == "back"
    told = [entry.what for entry in run.box.journal.entries(run.id)]
    assert not any(isinstance(what, OthersOrder) for what in told)


def test_an_order_that_was_called_off_on_the_host_is_not_given_again(story: Story) -> None:
    somebody(story)
    run = story.begin(policy(then="restart", warn_s=()), story.boxes[0])
    until(story, "power")
    story.pass_time(1)
    assert any(isinstance(entry.what, OrderGiven) for entry in run.box.journal.entries(run.id))
    story.kill(run.lives[-1])
    assert story.host.abort_shutdown()
    story.resume(run)
    story.pass_time(2 * HOUR_S)
    assert orders(story) == 1
    error = run.lives[-1].error
    assert error is not None
    assert "took the order to restart and goes on as before; it is not told again" in str(error)
    assert "called off" in error.hint
    assert story.host.logon_mode == "enabled"


def test_an_order_that_never_arrived_is_given_by_the_run_that_goes_on(story: Story) -> None:
    somebody(story)
    story.wire.faults.append(Fault("power", Fate.LOST))
    run = story.begin(policy(then="restart", warn_s=()), story.boxes[0])
    until(story, "power")
    story.kill(run.lives[-1])
    story.resume(run)
    story.pass_time(HOUR_S)
    assert orders(story) == 2
    assert run.lives[-1].value is not None
    assert run.lives[-1].value.outcome == "back"
