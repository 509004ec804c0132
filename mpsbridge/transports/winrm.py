"""Scripts over WinRM: PowerShell's own remoting protocol (MS-PSRP) with pypsrp's messages.

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
* After any error the transport is closed. A script is sent a second time in one case only: the host answered that a
  quota keeps it from taking the first (:data:`~mpsbridge.transports.faults.KNOWN`), and a shell of ours was open
  there. Deleting that shell ends all that we left in it; a new one is opened, and a second such answer is final.
* Script text goes only to PowerShell's own endpoints. On any other (JEA, ``Target.configuration_name``) the same call
  goes as a command with parameters, because such an endpoint runs nothing but the functions that it publishes.
* pypsrp's and pyspnego's own logs hold script text and sign-in tokens, pypsrp's warnings what a host likes to say: they
  are silenced, for this process.
"""

from __future__ import annotations

import contextlib
import logging
import math
import warnings

from pypsrp.complex_objects import Command, GenericComplexObject, PSInvocationState
from pypsrp.exceptions import WSManFaultError

from mpsbridge.clock import Clock, SystemClock
from mpsbridge.errors import ConnectionLost, MpsBridgeError, NotPublished, NotSent, TransportClosed
from mpsbridge.models.scripts import RawOutput, Script
from mpsbridge.models.targets import Target
from mpsbridge.transports.faults import Means, in_words, means
from mpsbridge.transports.http import HttpTransport
from mpsbridge.transports.limit import Limit
from mpsbridge.transports.messages import script_command
from mpsbridge.transports.shell import Pipeline, Shell, function_command
from mpsbridge.transports.trouble import Stage, explain, refuse_unpublished

IDLE_TIMEOUT_S = 180
"""The host ends a shell that it heard nothing of for so long (W33); Windows' own default is two hours."""
COMMANDS_PER_SHELL = 100
"""Then a new shell is opened. A finished pipeline counts against MaxConcurrentCommandsPerShell (1,000) until it is
signalled or its shell is deleted; one Delete and three requests cost less than a hundred Signals."""
POLL_S = 20
"""How long the host may hold a Receive: a word now and then keeps firewalls from forgetting the connection."""
CLOSE_LIMIT_S = 3.0
LOCALE = "en-US"
"""Windows takes it as the culture of the script's thread (W7), so it is always the same one."""

_log = logging.getLogger(__name__)
for _name in ("pypsrp", "spnego"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module="pypsrp")


class WinrmTransport:
    """One host over WinRM; see :mod:`mpsbridge.transports.base` for what it promises.

    >>> transport = WinrmTransport(Target("ts1.example", credentials=Password("admin", "...")))
    >>> transport.name
    'winrm'

    Raises ``InputError`` for a target that could never work. Tried against the lab only, never against Windows.
    """

    name = "winrm"

    def __init__(self, target: Target, *, clock: Clock | None = None) -> None:
        target.check()
        self._clock = clock or SystemClock()
        self._target = target
        self._limit = Limit(self._clock)
        self._http = HttpTransport(target, self._limit)
        self._where = f"{target.host} (port {target.port})"
        if target.address != target.host:
            authority = self._http.authority
            self._where = target.host if target.host == authority else f"{target.host} ({authority})"
        self._shell: Shell | None = None
        self._commands = 0
        self._defined: set[str] = set()
        self._pipeline: Pipeline | None = None
        self._messages_before = 0
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
        try:
            pipeline = self._carry(script, reserve_s=min(1.0, timeout_s / 10))
        except BaseException as error:
            stage, cancelled = self._stage(), self._limit.cancelled
            self.cancel()
            self._http.close()
            if isinstance(error, NotSent) and not isinstance(error, NotPublished) and stage is not Stage.BEFORE:
                words = f"{self._where}: the connection was lost after the script was sent, and then: {error}"
                raise ConnectionLost(words).about(host=self._target.host, snippet=script.snippet) from error
            if isinstance(error, MpsBridgeError):
                raise error.about(host=self._target.host)  # noqa: B904 - it is the same error
            if not isinstance(error, Exception):
                raise
            trouble = explain(error, where=self._where, stage=stage, cancelled=cancelled, target=self._target)
            raise trouble.about(host=self._target.host, snippet=script.snippet) from error
        return RawOutput(
            output=tuple(_text(item) for item in pipeline.output),
            errors=tuple(_text(record) for record in pipeline.errors),
            warnings=tuple(_text(record.message) for record in pipeline.warnings),
            failed=pipeline.state != PSInvocationState.COMPLETED,
            elapsed_s=self._clock.monotonic() - started,
            signed_in=self._http.signed_in,
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

        A shell whose connection is lost already is left to its idle timeout: nobody signs in again for a Delete.
        """
        if not self._closed:
            self._closed = True
            self._limit.start(CLOSE_LIMIT_S)
            self._delete_shell()
        self._http.close()

    def _carry(self, script: Script, *, reserve_s: float) -> Pipeline:
        try:
            return self._invoke(script, reserve_s=reserve_s)
        except WSManFaultError as error:
            ours = self._shell is not None and self._shell.wsman.is_open
            if not ours or self._stage() is Stage.RUNNING or means(error) is not Means.QUOTA:
                raise
            _log.info("%s: %s; the shell is closed and a new one tried", self._target.host, in_words(error))
        with self._limit.at_most(CLOSE_LIMIT_S):
            self._delete_shell()
        return self._invoke(script, reserve_s=reserve_s)

    def _invoke(self, script: Script, *, reserve_s: float) -> Pipeline:
        self._pipeline = None
        shell = self._open_shell()
        if not self._target.restricted:
            known = script.definitions_digest in self._defined
            command: Command = script_command(script.short if known else script.text, shell.protocol_version)
        else:
            command = function_command(script.function, script.parameters, shell.protocol_version)
        pipeline = Pipeline(shell, command)
        self._http.taken.begin()
        self._messages_before, self._pipeline = self._http.messages, pipeline
        pipeline.begin()
        self._commands += 1
        while pipeline.state == PSInvocationState.RUNNING:
            seconds = round(min(POLL_S, self._limit.left() - reserve_s), 3)
            if seconds <= 0:
                self._stop(pipeline)
            pipeline.poll(timeout_s=seconds)
        if self._target.restricted and pipeline.state == PSInvocationState.FAILED and pipeline.errors:
            refuse_unpublished(str(pipeline.errors[-1].fq_error), self._target, script)
        if pipeline.state == PSInvocationState.COMPLETED:
            self._defined.add(script.definitions_digest)
        return pipeline

    def _open_shell(self) -> Shell:
        if self._commands >= COMMANDS_PER_SHELL:
            with self._limit.at_most(CLOSE_LIMIT_S):
                self._delete_shell()
        if self._shell is None:
            shell = self._shell = Shell(
                self._http,
                self._target.configuration_name,
                locale=LOCALE,
                idle_timeout_s=IDLE_TIMEOUT_S,
                taken=self._http.taken,
                check=self._limit.left,
            )
            # A host may be slow to start PowerShell; a fault for the operation's own timeout would end the opening.
            shell.wsman.operation_timeout = math.ceil(self._limit.left())
            shell.open()
            shell.wsman.operation_timeout = POLL_S
            self._commands, self._defined = 0, set()
        return self._shell

    def _delete_shell(self) -> None:
        shell, self._shell, self._commands = self._shell, None, 0
        if shell is not None and self._http.is_open:
            with contextlib.suppress(Exception):  # it ends by its idle timeout then
                shell.close()

    def _stop(self, pipeline: Pipeline) -> None:
        with contextlib.suppress(Exception):  # asking is all that can be done
            pipeline.stop()
        raise TimeoutError("the time is up")

    def _stage(self) -> Stage:
        if self._pipeline is None or self._http.messages == self._messages_before:
            return Stage.BEFORE
        return Stage.ASKED if self._pipeline.state == PSInvocationState.NOT_STARTED else Stage.RUNNING


def _text(value: object) -> str:
    """An emitted object as text: a string itself, another object by the ToString that the host sent with it."""
    if isinstance(value, GenericComplexObject):
        value = value.to_string
    return "" if value is None else str(value)
