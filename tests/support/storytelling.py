"""How single stories of the procedure are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from mpsbridge.lab.windows.facts import HostFacts
from mpsbridge.planning.policy import Policy
from mpsbridge.planning.selection import Selector
from support.story import Story
from support.watched_host import Guest

HOUR_S = 3600.0


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
