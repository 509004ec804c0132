"""Scripts over WinRM: PowerShell's own remoting protocol (MS-PSRP) in the messages of WS-Management.

One shell (runspace pool) is opened by the first script and kept: a script costs two requests from then on, and its
function definitions go to the host only once (W16). Each script is one pipeline; the last Receive brings its output
and its end together.

When did a script reach the host? With the first byte of the *Command* message, which creates the pipeline. Name
look-up, TCP, TLS, signing in and opening the shell come before it, so whatever fails there is ``NotSent``; from that
byte on it is ``Interrupted``, except for the few answers that prove a refusal (:mod:`mpsbridge.transports.trouble`).

Rules:

* The deadline counts from the call of :meth:`WinrmTransport.run`. Shortly before it runs out a script that is still
  running is asked to stop; one that cannot be asked ends with its shell, which the host drops ``IDLE_TIMEOUT_S`` after
  our last word. Until then it may go on, which is why acts carry a ``not_after`` (W4).
* After any error the transport is closed, and nothing is ever sent twice.
* Script text goes only to PowerShell's own endpoints. On any other (JEA, ``Target.configuration_name``) the same call
  goes as a command with parameters, because such an endpoint runs nothing but the functions that it publishes.
* pyspnego's own log holds sign-in tokens: it is silenced, for this process.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator

from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import InputError, MpsBridgeError, TransportClosed
from mpsbridge.models.scripts import RawOutput, Script
from mpsbridge.models.targets import Auth, Target
from mpsbridge.transports.answers import BadAnswer, WsmanFault
from mpsbridge.transports.http import HttpTransport
from mpsbridge.transports.limit import Limit
from mpsbridge.transports.psrp import COMPLETED, FAILED, Pipeline, Pool
from mpsbridge.transports.shell import LARGE_ENVELOPE_BYTES, Shell
from mpsbridge.transports.trouble import OPERATION_TIMEOUT, Stage, explain, refuse_unpublished

IDLE_TIMEOUT_S = 180
"""The host ends a shell that it heard nothing of for so long (W33); Windows' own default is two hours."""
COMMANDS_PER_SHELL = 100
"""Then a new shell is opened. A finished pipeline counts against MaxConcurrentCommandsPerShell (1,000) until it is
signalled or its shell is deleted; one Delete and three requests cost less than a hundred Signals."""
POLL_S = 20
"""How long the host may hold a Receive: a word now and then keeps firewalls from forgetting the connection."""
CLOSE_LIMIT_S = 3.0

_log = logging.getLogger(__name__)
logging.getLogger("spnego").setLevel(logging.CRITICAL)


class WinrmTransport:
    """One host over WinRM; see :mod:`mpsbridge.transports.base` for what it promises.

    >>> transport = WinrmTransport(Target(host="ts1", address="ts1.example", username="admin", password="..."))
    >>> transport.name
    'winrm'

    Raises ``InputError`` for a target that could never work. Tried against the lab only, never against Windows.
    """

    name = "winrm"

    def __init__(self, target: Target, *, clock: Clock | None = None) -> None:
        _check(target)
        self._clock = clock or SystemClock()
        self._target = target
        self._limit = Limit(self._clock)
        self._http = HttpTransport(target, self._limit)
        self._where = f"{target.host} (port {target.port})"
        if target.address != target.host:
            self._where = f"{target.host} ({self._http.authority})"
        self._pool = Pool()
        self._shell: Shell | None = None
        self._commands = 0
        self._defined: set[str] = set()
        self._messages_before = 0
        self._stage = Stage.BEFORE
        self._closed = False

    def run(self, script: Script, *, timeout_s: float) -> RawOutput:
        """Run one script and bring home what it emitted. Raises ``NotSent`` or ``Interrupted``.

        The host defines the script's functions where this shell has not defined them yet, and makes the call.
        """
        if self._closed:
            raise TransportClosed(f"{self._where}: this connection was closed before").about(host=self._target.host)
        _log.debug("%s: running %s (digest %s)", self._target.host, script.snippet, script.digest)
        started = self._clock.monotonic()
        self._limit.start(timeout_s)
        self._stage = Stage.BEFORE
        try:
            pipeline = self._invoke(script, reserve_s=min(1.0, timeout_s / 10))
        except BaseException as error:
            stage, cancelled = self._reached(), self._limit.cancelled
            self.cancel()
            self._http.close()
            if isinstance(error, MpsBridgeError):
                raise error.about(host=self._target.host)  # noqa: B904 - it is the same error
            if not isinstance(error, Exception):
                raise
            trouble = explain(error, where=self._where, stage=stage, cancelled=cancelled)
            raise trouble.about(host=self._target.host, snippet=script.snippet) from error
        return RawOutput(
            output=tuple(pipeline.output),
            errors=tuple(pipeline.errors),
            warnings=tuple(pipeline.warnings),
            failed=pipeline.state != COMPLETED,
            elapsed_s=self._clock.monotonic() - started,
        )

    def cancel(self) -> None:
        """End a ``run`` in another thread at once by shutting the connection; the script on the host is not stopped."""
        self._closed = True
        self._http.cancel()

    def silent_s(self) -> float:
        """Seconds since the host last answered or :meth:`run` began."""
        return self._limit.silent_s()

    def close(self) -> None:
        """Delete the shell, waiting no longer than 3 s, and let go of the host; never raises, may be called twice.

        A shell whose connection is lost already is left to its idle timeout: nobody signs in anew for a Delete.
        """
        if not self._closed:
            self._closed = True
            self._limit.start(CLOSE_LIMIT_S)
            self._delete_shell()
        self._http.close()

    def _invoke(self, script: Script, *, reserve_s: float) -> Pipeline:
        shell = self._open_shell()
        pipeline = Pipeline()
        command = self._begin(shell, pipeline, script)
        while pipeline.state is None:
            seconds = min(POLL_S, self._limit.left() - reserve_s)
            if seconds <= 0:
                self._stop(shell, command)
            with _nothing_yet():
                received = shell.receive(command, timeout_s=seconds)
                self._pool.receive(received.data, pipeline)
                if received.done and pipeline.state is None:
                    raise BadAnswer("the host ended the script without saying how")
        if self._target.restricted and pipeline.state == FAILED:
            refuse_unpublished(pipeline.error_id, self._target, script)
        if pipeline.state == COMPLETED:
            self._defined.add(script.definitions_digest)
        return pipeline

    def _begin(self, shell: Shell, pipeline: Pipeline, script: Script) -> str:
        """Send the script; the host's id for it."""
        limit = shell.payload_bytes
        if self._target.restricted:
            first, *rest = self._pool.command(pipeline, script.function, script.parameters, limit=limit)
        else:
            known = script.definitions_digest in self._defined
            first, *rest = self._pool.script(pipeline, script.short if known else script.text, limit=limit)
        self._messages_before, self._stage = self._http.messages, Stage.ASKED
        command = shell.command(pipeline.id, first, timeout_s=POLL_S)
        self._stage = Stage.RUNNING
        self._commands += 1
        for fragment in rest:
            shell.send(command, fragment, timeout_s=POLL_S)
        return command

    def _open_shell(self) -> Shell:
        if self._commands >= COMMANDS_PER_SHELL:
            with self._limit.at_most(CLOSE_LIMIT_S):
                self._delete_shell()
        if self._shell is None:
            pool = Pool()
            shell = Shell(self._http.send, to=self._http.endpoint, configuration=self._target.configuration_name)
            # A host may be slow to start PowerShell; a fault for the operation's own timeout would end the opening.
            patience_s = math.ceil(self._limit.left())
            shell.create(pool.id, pool.opening(), idle_timeout_s=IDLE_TIMEOUT_S, timeout_s=patience_s)
            while not pool.opened:
                pool.receive(shell.receive(None, timeout_s=patience_s).data)
                if pool.speaks(2, 2):
                    shell.envelope_bytes = LARGE_ENVELOPE_BYTES
            self._pool, self._shell, self._commands, self._defined = pool, shell, 0, set()
        return self._shell

    def _delete_shell(self) -> None:
        shell, self._shell, self._commands = self._shell, None, 0
        if shell is not None and self._http.is_open:
            with contextlib.suppress(Exception):  # it ends by its idle timeout then
                shell.delete(timeout_s=POLL_S)

    def _stop(self, shell: Shell, command: str) -> None:
        with contextlib.suppress(Exception):  # asking is all that can be done
            shell.stop(command, timeout_s=POLL_S)
        raise TimeoutError("the time is up")

    def _reached(self) -> Stage:
        """How far the script has got."""
        return Stage.BEFORE if self._http.messages == self._messages_before else self._stage


@contextlib.contextmanager
def _nothing_yet() -> Iterator[None]:
    """A script may take longer than a Receive: then it is asked again."""
    try:
        yield
    except WsmanFault as fault:
        if fault.code != OPERATION_TIMEOUT:
            raise


def _check(target: Target) -> None:
    """Refuse before any I/O what could never work, or only by giving a password away."""
    if target.auth in {Auth.BASIC, Auth.NTLM} and (not target.username or target.password is None):
        raise InputError(f"{target.host}: --auth {target.auth} needs a user name and a password").about(
            host=target.host
        )
    if target.auth is Auth.BASIC and not target.tls and not target.insecure_basic:
        raise InputError(
            f"{target.host}: Basic over plain HTTP would show the password to everyone on the way",
            hint="Use TLS (no --no-tls) or another --auth; --insecure-basic allows it all the same.",
        ).about(host=target.host)
    try:
        target.address.encode("idna")
    except UnicodeError as error:
        raise InputError(f"{target.host}: {target.address!r} is no host name").about(host=target.host) from error
