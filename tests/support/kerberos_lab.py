"""The lab as tests of Kerberos use it: hosts that let in who has a ticket of the realm in ``kdc.py``."""

from __future__ import annotations

from typing import Any

import pytest

from mpsbridge.errors import (
    MpsBridgeError,
    NotSent,
)
from mpsbridge.lab.server import Lab
from mpsbridge.lab.worldfile import load_world
from mpsbridge.models.credentials import Auth
from mpsbridge.models.targets import Target
from mpsbridge.transports import open_transport
from support import kdc
from support.lab_target import TestEngine, reach, script

OPENING = ["create", "receive", "receive"]
COMMAND = ["command", "receive"]
SPN = "host/alpha.lab.test"


def make_lab(realm: kdc.Realm, *, tls: bool = False, engine: TestEngine | None = None) -> Lab:
    world = load_world("small")
    return Lab(world, auth="kerberos", keytab=realm.keytab, tls=tls, engine=engine or TestEngine())


def to(lab: Lab, **changes: Any) -> Target:
    facts: dict[str, Any] = {"auth": Auth.KERBEROS, "spn": SPN, "username": None, "password": None}
    return reach(lab, **facts | changes)


def steps(lab: Lab) -> list[str]:
    return [each.step for each in lab.requests]


def fails(target: Target) -> MpsBridgeError:
    with pytest.raises(NotSent) as caught:
        open_transport(target).run(script(), timeout_s=20)
    error = caught.value
    assert error.may_have_run is False
    assert error.hint
    assert "alpha" in str(error)
    return error


def ntlm_lab() -> Lab:
    return Lab(load_world("small"), auth="ntlm", engine=TestEngine())
