"""What goes wrong on purpose: rules that a world gives to its hosts.

A rule waits for one step of the protocol (``any`` is any message, but neither ``connect`` nor ``auth``), lets ``after``
of them pass, and then acts ``times`` times (without end where it is not given).

=========== ==========================================================================================================
``refuse``  connect: nobody listens there. auth: 401 whatever the password. Elsewhere: fault 5, access is denied
``hang``    the connection stays open and nothing comes
``close``   the connection is closed instead of an answer
``reset``   the same, with a TCP reset
``cut``     half of the answer, then the connection is closed
``garble``  a whole HTTP answer that holds half of the XML
``drip``    the answer byte by byte, one each ``delay_s`` (half a second)
``fault``   a WSMan fault with ``code`` (2150859174, a used-up quota), written as ``form`` says
``status``  a bare HTTP status ``code`` (503) with a page of HTML
``delay``   the step happens ``delay_s`` late
=========== ==========================================================================================================

``hang``, ``close`` and ``reset`` happen instead of the step, so the host never did it; with ``acted = true`` the step
is done first and only the answer is lost. That difference is what a client cannot see.
"""

from __future__ import annotations

from dataclasses import dataclass

STEPS = ("connect", "auth", "create", "receive", "command", "send", "signal", "delete", "get", "any")
FORMS = ("wsman", "plugin", "wmi", "bare")
"""How Windows writes the number of a fault: in a ``WSManFault``, in one inside of it with a plug-in's own words, in an
``MSFT_WmiError``, or not at all, so that there is only a sub-code."""
DEEDS = ("refuse", "hang", "close", "reset", "cut", "garble", "drip", "fault", "status", "delay")
OUTSIDE_MESSAGES: dict[str, frozenset[str]] = {
    "connect": frozenset({"refuse", "hang", "close", "reset", "delay"}),
    "auth": frozenset({"refuse", "hang", "close", "reset", "delay", "status"}),
}
"""Steps that are no message of WSMan, and what can happen there."""
AFTER_THE_STEP = frozenset({"cut", "garble", "drip"})
"""These spoil the answer, so the step was done."""


@dataclass(slots=True)
class Fault:
    """One rule. ``call`` narrows it to scripts that call that function."""

    step: str
    do: str
    after: int = 0
    times: int | None = None
    code: int | None = None
    delay_s: float = 0.5
    acted: bool = False
    call: str | None = None
    form: str = "wsman"
    seen: int = 0

    def strikes(self, step: str, call: str | None) -> bool:
        """Whether this rule acts on a step that happens now. Each asking counts."""
        if self.step != step and (self.step != "any" or step in OUTSIDE_MESSAGES):
            return False
        if self.call is not None and self.call != call:
            return False
        self.seen += 1
        return self.seen > self.after and (self.times is None or self.seen <= self.after + self.times)

    @property
    def step_is_done(self) -> bool:
        """Whether the host does the step although the client gets no good answer."""
        return self.acted or self.do in AFTER_THE_STEP


def striking(faults: tuple[Fault, ...], step: str, call: str | None = None) -> Fault | None:
    """The first rule that acts now, if any; every rule counts."""
    struck = [fault for fault in faults if fault.strikes(step, call)]
    return struck[0] if struck else None
