"""The plan of one host, from a look and a policy."""

from __future__ import annotations

from typing import Any

from mpsbridge.models.sessions import Observation, Session
from mpsbridge.planning.policy import HostPlan, Policy, plan_host
from mpsbridge.planning.selection import Selector
from support.seen_sessions import seen

EVERYONE = Selector(everyone=True)


def look(*sessions: Session, **more: Any) -> Observation:
    return seen(*sessions).model_copy(update={"elevated": True, **more})


def plan(observation: Observation, **policy: Any) -> HostPlan:
    return plan_host("ts1", observation, Policy(**{"selector": EVERYONE, **policy}), run="r-1")
