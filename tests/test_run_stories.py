"""Single stories of the procedure, each one a way in which a promise was once broken.

They are told over the lab's world, with everything between a run and the host in the test's hands (:class:`Story`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from story import Story
from watched_host import Guest
from wire import Fate, Fault

from mpsbridge.ending.plan import Selector
from mpsbridge.ending.policy import Policy
from mpsbridge.lab.world import HostFacts

HOUR_S = 3600.0


@pytest.fixture
def stories() -> Iterator[list[Story]]:
    told: list[Story] = []
    yield told
    for story in told:
        story.close()


@pytest.fixture
def story(stories: list[Story]) -> Story:
    return tell(stories)


def tell(stories: list[Story], *, mode: str = "enabled", kiosk: bool = False, **facts: Any) -> Story:
    """A host of a story; with ``kiosk`` a station that signs somebody in by itself."""
    where = HostFacts(name="ts1", computer="TS1", generation="2016" if kiosk else "none", **facts)
    stories.append(Story(where, logon_mode=mode, auto_logon={1: "kiosk"} if kiosk else {}, ahead_s=0.0))
    return stories[-1]


def somebody(story: Story, user: str = "alice", *, state: str = "active", **more: Any) -> Guest:
    return story.host.sit_down(user, logged_on=story.host.now() - timedelta(hours=1), state=state, **more)


def policy(**more: Any) -> Policy:
    return Policy.model_validate(
        {"selector": Selector(everyone=True), "reason": "updates", "warn_s": (300, 60), "settle_s": 60, **more}
    )


def until(story: Story, snippet: str) -> None:
    """To the moment at which such a script is on its way."""
    count = len(story.wire.exchanges)
    while not any(each.script.snippet == snippet for each in story.wire.exchanges[count:]):
        assert story.working
        story.go_on(1)


def acts(story: Story, *names: str) -> list[str]:
    return [f"{deed.act} {deed.text}".strip() for deed in story.host.deeds if deed.act in names]


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
    run = story.begin(policy(), story.boxes[0])
    if ends == "by a release":
        until(story, "logons-set")
        story.kill(run.lives[-1])
        story.release(story.boxes[1])
    story.pass_time(4 * HOUR_S)
    assert acts(story, "logons") == []
    assert story.host.logon_mode == "enabled"
