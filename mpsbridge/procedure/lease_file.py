"""The lease of a run as the file on the host that it is: written by compare-and-set, and by nothing else.

Rules: what is written replaces the very text that the host told last; late scripts of this run may mark notices in it
at any moment, so what changes is written again from what the host answers; what is not this run's is not written over.
"""

from __future__ import annotations

from collections.abc import Callable

from mpsbridge.errors import HostReleased, MpsBridgeError, RemoteError
from mpsbridge.models.sessions import LogonMode, Observation, to_cim
from mpsbridge.planning.lease import Lease, read_lease
from mpsbridge.procedure.context import ProcedureContext
from mpsbridge.procedure.past import ended_by_others
from mpsbridge.runs.events import MarkTold, NoticesMarked, Step, StepSent
from mpsbridge.snippets.lease import LeaseAnswer

WRITES = 4
"""How often a lease that others mark at the same moment is written again from what the host answered."""


class LeaseFile:
    """See the module; the text that the host told last is the context's."""

    def __init__(self, context: ProcedureContext) -> None:
        self._context = context

    def write(self, text: str | None, *, expected: str | None) -> LeaseAnswer:
        """Write the lease, or remove it, if it still is ``expected``."""
        context = self._context
        try:
            answer = context.step(
                StepSent(step=Step.LEASE),
                lambda: context.host.set_lease(text, expected=expected, run=context.run),
                shows=lambda seen: _written(text, seen),
            )
        except MpsBridgeError as error:
            if error.may_have_run and text is not None:
                context.lease_text = text  # whether it is, the host says when it is written the next time
            raise
        context.lease_text = answer.lease
        return answer

    def note(self, **logons: LogonMode | None) -> None:
        """Write what was found and set. Raises ``HostReleased`` where the host has left this run."""
        if not self._change(lambda held: held.model_copy(update=logons)):
            why = ended_by_others(self._context.lease_text, self._context.run)
            raise HostReleased(why) if why else RemoteError("the lease cannot be read any more", may_have_run=False)

    def mark_ending(self) -> None:
        """Let nothing of this run that comes late act any more; where it is not this run's lease, it is left."""
        self._change(lambda held: held.model_copy(update={"ending": True}))

    def remove(self) -> bool:
        """Remove it as it is now, with whatever marks the notices left in it; false where it is not this run's."""
        return self._change(self._as_removed)

    def _change(self, change: Callable[[Lease], Lease | None]) -> bool:
        """Write what becomes of this run's lease (null: it goes); false where it is not ours.

        Where the host has another text than it told last, such as one with more marks of notices, its answer has it.
        """
        context = self._context
        for _ in range(WRITES):
            text = context.lease_text
            found = read_lease(text)
            if not isinstance(found, Lease) or found.run != context.run:
                return False
            becomes = change(found)
            if self.write(becomes.text() if becomes else None, expected=text).changed:
                return True
        raise RemoteError("the lease was changed again and again at the same moment", may_have_run=False)

    def _as_removed(self, found: Lease) -> None:
        """Record what the lease knows before it goes, for whoever goes on with this run."""
        sent = [
            MarkTold(id=mark.id, born=mark.born, notice=mark.notice, mark=mark.mark)
            for mark in found.notices
            if mark.mark != "failed"
        ]
        self._context.note(NoticesMarked(marks=tuple(sent)))


def _written(text: str | None, seen: Observation) -> LeaseAnswer | None:
    """That a lease is what it was to become, but for marks of notices that came since; nothing where it is not."""
    wanted, found = read_lease(text), read_lease(seen.lease)
    if isinstance(wanted, Lease) and isinstance(found, Lease):
        wanted = wanted.model_copy(update={"notices": found.notices})
    if wanted != found:
        return None
    return LeaseAnswer(now=to_cim(seen.observed), changed=True, lease=seen.lease)
