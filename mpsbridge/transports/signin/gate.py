"""A credential is shown to one host first, and what that host says of it counts for all: a wrong password locks nobody.

Many hosts sign in at the same time, and a mistyped password that each of them refuses once locks the account. So the
threads of a process share a gate. Rules:

* Until one host has accepted a credential, one host at a time is shown it; the others wait, connected and with their
  sign-in begun, for that costs nothing and shows nothing.
* One refusal, and no host that has not accepted the credential is shown it again in this process:
  :class:`~mpsbridge.errors.NotTried`. Hosts that have accepted it keep it: they may hold something that must be given
  back. Where one of *these* refuses it later, it was changed meanwhile, or the host has just started and cannot ask its
  domain yet. It is asked once more, for what it holds must be given back, and then not for :data:`PAUSE_S`; the others
  are asked one at a time, and after a second such refusal in a row none is for as long.
* A host that gives no answer has neither accepted nor refused. Whoever was shown the credential and is silent for
  :data:`TURN_LIMIT_S` loses its turn, so that it does not hold up the others; that is one more host that was shown it.
* A credential is the user's name, the secret and the way to sign in. A ticket is none: nobody can guess it, and showing
  it counts against nobody. The KDC is one host for all that sign in by Kerberos with a password or a key table.
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import NamedTuple, Self, assert_never

from pydantic import SecretStr

from mpsbridge.errors import NotTried
from mpsbridge.models.credentials import Auth, KeyTable, Password, Ticket
from mpsbridge.models.targets import Target
from mpsbridge.transports.limit import Limit

TURN_LIMIT_S = 5.0
"""How long a host may take to accept or refuse before another one is shown the credential."""
TURN_SHARE = 0.25
"""No turn is longer than this part of the time that its host has left: several silent hosts do not use up the call."""

PAUSE_S = 120.0
"""How long a host is not shown a credential again that it has accepted before and refuses now."""

Place = tuple[str, int]
"""Address and port."""


class Credential(NamedTuple):
    """What is shown to a host. Its secret is masked in every ``repr``."""

    auth: Auth
    user: str
    secret: SecretStr | str
    """The password, or the path of the key table."""


def credential_of(target: Target) -> Credential | None:
    """The credential of a target; ``None`` where it signs in with a ticket."""
    match target.credentials:
        case Ticket():
            return None
        case Password(username=username, secret=secret):
            return Credential(target.auth, username.casefold(), secret)
        case KeyTable(username=username, file=file):
            return Credential(target.auth, (username or "").casefold(), str(file))
        case other:
            assert_never(other)


class Gate:
    """What is known of the credentials of this process; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._standings: dict[Credential, _Standing] = {}

    def showing(self, target: Target, limit: Limit) -> Showing:
        """One sign-in of one host, as a context manager; nothing waits before :meth:`Showing.begin`."""
        credential = credential_of(target)
        if credential is None:
            return Showing(target, limit, None, self._lock)
        with self._lock:
            return Showing(target, limit, self._standings.setdefault(credential, _Standing()), self._lock)


class _Standing:
    """What is known of one credential; only under the gate's lock."""

    def __init__(self) -> None:
        self.accepted: set[Place] = set()
        self.refused_by = ""
        self.proven = False
        """Somebody accepted it, and nobody that had accepted it has refused it since."""
        self.doubted: set[Place] = set()
        """Hosts that have accepted it before, and the last time refused it."""
        self.paused: dict[Place | None, float] = {}
        """Until when a host that had accepted it and refused it since is not shown it; ``None`` is all of them."""
        self.turn: Showing | None = None
        self.turn_ends = 0.0
        self.waiting: list[Future[None]] = []


class Showing:
    """One sign-in. Leaving the block without :meth:`accepted` or :meth:`refused` says that the host gave no answer."""

    def __init__(self, target: Target, limit: Limit, standing: _Standing | None, lock: threading.Lock) -> None:
        self._target = target
        self._place = target.address.casefold(), target.port
        self._limit = limit
        self._standing = standing
        self._lock = lock
        self.begun = False
        """Whether the host is being shown the credential, and has not answered yet."""
        self.shown = False
        """Whether it was shown the credential at all."""

    @property
    def host(self) -> str:
        """The host's name, as the person gave it."""
        return self._target.host

    def begin(self) -> None:
        """Wait until the host may be shown the credential. Raises ``NotTried``, and what ``Limit.left`` raises."""
        if self.begun or self._standing is None:
            return
        waited = False
        while (wait := self._ask(self._standing)) is not None:
            first, turn_ends, answered = wait
            waited = True
            try:
                self._limit.wait(answered, turn_ends)
            except TimeoutError:
                self._check_time(first)
        if waited:
            self._limit.step()

    def accepted(self) -> None:
        """The host accepts the credential, so others may be shown it."""
        if self._standing is not None:
            with self._lock:
                self._standing.accepted.add(self._place)
                self._standing.doubted.discard(self._place)
                self._standing.proven = True
                self._end_turn(self._standing)

    def refused(self, *, by: str = "") -> None:
        """The host (or ``by``) refuses the credential, so no other one is shown it."""
        if self._standing is None:
            return
        with self._lock:
            standing = self._standing
            if self._place in standing.accepted:
                until = self._limit.moment(0) + PAUSE_S
                if self._place in standing.doubted:
                    standing.paused[self._place] = until
                if not standing.proven:
                    standing.paused[None] = until
                standing.doubted.add(self._place)
                standing.proven = False
            standing.refused_by = standing.refused_by or by or self.host
            self._end_turn(standing)

    def end(self) -> None:
        """The host was shown nothing, or gave no answer: another one may be asked."""
        if self._standing is not None and self.begun:
            with self._lock:
                self._end_turn(self._standing)

    def _ask(self, standing: _Standing) -> tuple[str, float, Future[None]] | None:
        """Take the turn where it is free, or need none; otherwise whose it is, until when, and what ends with it."""
        with self._lock:
            now = self._limit.moment(0)
            paused_until = max(standing.paused.get(self._place, -math.inf), standing.paused.get(None, -math.inf))
            if standing.refused_by and (self._place not in standing.accepted or now < paused_until):
                raise NotTried(f"{self.host}: not tried: {standing.refused_by} refused {self._user()}")
            if standing.proven or standing.turn is None or now >= standing.turn_ends:
                self.begun = self.shown = True
                if not standing.proven:
                    standing.turn = self
                    standing.turn_ends = now + min(TURN_LIMIT_S, TURN_SHARE * self._limit.left())
                return None
            answered: Future[None] = Future()
            standing.waiting.append(answered)
            return standing.turn.host, standing.turn_ends, answered

    def _check_time(self, first: str) -> None:
        try:
            self._limit.left()
        except TimeoutError:
            words = f"{self.host}: not tried: {first} did not say in time whether it accepts {self._user()}"
            raise NotTried(words, hint="Repeat it with a longer --timeout, or without that host.") from None

    def _end_turn(self, standing: _Standing) -> None:
        self.begun = False
        if standing.turn is self:
            standing.turn = None
        elif standing.turn is not None and not standing.proven and not standing.refused_by:
            return  # another host's turn, in which nothing has become known
        waiting, standing.waiting = standing.waiting, []
        for each in waiting:
            if each.set_running_or_notify_cancel():
                each.set_result(None)

    def _user(self) -> str:
        return self._target.username or "the key table"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


process_gate = Gate()
"""The gate of this process."""
