"""The options of the procedure as people write them: on the command line, and in a plan file. Pure.

Rules: what is wrong is an ``InputError`` whose message begins with the option; one that can change nothing beside the
others is refused, because who typed it expects something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mpsbridge.errors import InputError
from mpsbridge.models.complaints import not_one_of
from mpsbridge.models.durations import format_duration
from mpsbridge.models.then import Then
from mpsbridge.planning.options import duration, several
from mpsbridge.planning.policy import STABLE_S, Closing, Policy
from mpsbridge.planning.selection import Selector

COMES_BACK = frozenset({Then.RESTART, Then.CONSOLE_MODE, Then.STATION_MODE})
"""What ends with a host that is back."""
RETURN_TIMEOUT = "60m"
"""How long a host is waited for where nothing is said about it."""
WARN = "15m,5m,1m"
"""When people are told where nothing is said about it."""


class EndOptions(NamedTuple):
    """The options of ``end`` that make its policy, as they were typed."""

    warn: str
    reason: str
    sender: str
    then: str
    keep_user: tuple[str, ...]
    keep_session: tuple[str, ...]
    keep_running: tuple[str, ...]
    include_admins: bool
    include_console: bool
    disconnected_ok: bool
    unwarned_ok: bool
    leftover_ok: bool
    take_over: bool
    logons: str
    hold_logons: bool
    failsafe: bool
    only_if_reboot_pending: bool
    settle: str
    force_after: str | None
    return_timeout: str
    host_deadline: str


def end_options(
    *,
    warn: str | None,
    no_warning: bool,
    keep_user: Sequence[str] | None,
    keep_session: Sequence[str] | None,
    keep_running: Sequence[str] | None,
    logons: str | None,
    no_failsafe: bool,
    **others: Any,
) -> EndOptions:
    """The options as a command line has them: what was not given is ``None``. Raises ``InputError``."""
    if warn is not None and no_warning:
        raise InputError("--warn tells people and --no-warning tells nobody; say one of them")
    if warn is not None and not warn.strip():
        raise InputError("--warn: it is empty", hint="Say when people are told (15m,5m,1m), or --no-warning.")
    return EndOptions(
        warn="" if no_warning else warn if warn is not None else WARN,
        keep_user=tuple(keep_user or ()),
        keep_session=tuple(keep_session or ()),
        keep_running=tuple(keep_running or ()),
        logons="default" if logons is None else logons,
        failsafe=not no_failsafe,
        **others,
    )


def make_policy(who: Selector, options: EndOptions, *, sender: str = "") -> Policy:
    """The policy that the options describe, with the ``sender`` where they have none. Raises ``InputError`` that names
    the option.
    """
    for option, value, known in (("--then", options.then, Then), ("--logons", options.logons, Closing)):
        if value not in set(known):
            raise InputError(f"{option}: {not_one_of(value, list(known))}")
    warn_s = tuple(duration("--warn", part) or 0 for part in options.warn.split(",")) if options.warn else ()
    fields = options._asdict()
    for name, option in (
        ("settle", "--settle"),
        ("force_after", "--force-after"),
        ("return_timeout", "--return-timeout"),
        ("host_deadline", "--host-deadline"),
    ):
        fields[f"{name}_s"] = duration(option, fields.pop(name))
    if not fields["host_deadline_s"]:
        raise InputError(f"--host-deadline: {options.host_deadline!r} is not possible, the least is 1s")
    if fields["host_deadline_s"] <= max(warn_s, default=0):
        raise InputError(
            f"--host-deadline: {options.host_deadline} is over before the notices are ({options.warn}); give it more"
        )
    if options.then in COMES_BACK and fields["return_timeout_s"] <= STABLE_S:
        raise InputError(
            f"--return-timeout: {options.return_timeout} is over before a host can count as back: it must have been up"
            f" and stable for {format_duration(STABLE_S)}"
        )
    if fields["force_after_s"] == 0:
        raise InputError(
            "--force-after: 0s would leave a log-off no time at all; leave the option out, or give it some"
        )
    fields["keep_sessions"] = tuple(_host_and_id(one) for text in fields.pop("keep_session") for one in several(text))
    fields["keep_users"] = tuple(one for text in fields.pop("keep_user") for one in several(text))
    fields["keep_running"] = tuple(one for text in options.keep_running for one in several(text))
    fields["closing"] = fields.pop("logons")
    del fields["warn"]
    policy = Policy(selector=who, warn_s=warn_s, **fields)
    if idle := next(_without_effect(policy, options), None):
        raise InputError(idle)
    return policy.model_copy(update={"sender": policy.sender or sender})


def shown_nowhere(option: str) -> str:
    """The sentence about an option of notices where none is shown."""
    return f"{option}: no notice is shown (--no-warning); leave one of the two out"


def _without_effect(policy: Policy, options: EndOptions) -> Iterator[str]:
    """The options that can change nothing beside the others, each with what to type instead."""
    if policy.hold_logons and not policy.restarts:
        yield (
            "--hold-logons: it keeps logons blocked through a restart, and none follows; add --then restart, or use"
            " 'mpsbridge logons HOST --set drain'"
        )
    if policy.hold_logons and policy.closing is Closing.LEAVE:
        yield "--hold-logons: no logons are blocked (--logons leave); leave one of the two out"
    if policy.hold_logons and policy.closing in {Closing.DISABLED, Closing.DRAIN_UNTIL_RESTART}:
        yield f"--hold-logons: '{policy.closing}' ends at the restart; use --logons drain, or leave --hold-logons out"
    if not policy.warn_s and policy.sender:
        yield shown_nowhere("--sender")
    if not policy.warn_s and policy.unwarned_ok:
        yield shown_nowhere("--unwarned-ok")
    if not policy.failsafe and policy.leaves_logons and not policy.restarts:
        yield "--no-failsafe: no logons are blocked here, so there is no failsafe; leave it out"
    if options.return_timeout != RETURN_TIMEOUT and not policy.restarts:
        yield "--return-timeout: nothing follows for which a host would be waited; add --then restart, or leave it out"


def _host_and_id(text: str) -> tuple[str, int]:
    host, _, number = text.rpartition(":")
    if not host or not (number.isascii() and number.isdigit()):
        raise InputError(f"--keep-session: {text!r} is not HOST:ID")
    return host, int(number)
