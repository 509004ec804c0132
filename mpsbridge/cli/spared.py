"""Saying what was meant to spare somebody and spares nobody, before anything happens.

Rule: it stands among the notes of every host of the call, so that a dry run, a question and a JSON document tell it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mpsbridge.cli.call import Call
from mpsbridge.ending.policy import HostPlan, Policy
from mpsbridge.ending.spared import unmatched
from mpsbridge.models.outcomes import Done, Outcome


def check_spared(
    call: Call, policy: Policy, looks: Sequence[Outcome[HostPlan]], *, known: Iterable[str]
) -> tuple[list[Outcome[HostPlan]], list[str]]:
    """The plans with what is only said among their notes, and the sentences that refuse the whole call.

    ``known`` are the hosts of the call; those of the inventory are known, too.
    """
    plans = {outcome.host: outcome.value for outcome in looks if isinstance(outcome, Done)}
    if not plans:
        return list(looks), []
    hosts = list(known)
    if {host.casefold() for host, _ in policy.keep_sessions} - {host.casefold() for host in hosts}:
        hosts += _inventory(call)
    found = unmatched(policy, plans, hosts=hosts)
    notes = tuple(one.text for one in found if not one.refuses)
    if call.terminal.quiet:
        for note in notes:
            call.terminal.warn(note)
    return [_noted(outcome, notes) for outcome in looks], [one.text for one in found if one.refuses]


def _inventory(call: Call) -> list[str]:
    if not call.settings.inventory:
        return []
    from mpsbridge.inventory.reading import read_inventory  # noqa: PLC0415 - 15 ms, and only for a host not asked

    return list(read_inventory(call.settings.inventory).hosts)


def _noted(outcome: Outcome[HostPlan], notes: tuple[str, ...]) -> Outcome[HostPlan]:
    if not isinstance(outcome, Done) or not notes:
        return outcome
    value = outcome.value.model_copy(update={"notes": (*outcome.value.notes, *notes)})
    return outcome.model_copy(update={"value": value})
