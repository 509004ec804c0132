"""The engine that knows mpsbridge's own calls and answers them from the world, in pure Python.

It reads the last statement of a script and nothing else; whatever is not one of the calls below, or a plain ``quser``,
ends in an error that says so. Answers have the shapes of the real scripts' (one envelope, bytes as base64, times as CIM
datetimes), and the acts run the same guard over the same bytes. It is no evidence about Windows, only about the way to
it and back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from mpsbridge.lab.engines.contract import Answer, Memory, Submitted, Terminating
from mpsbridge.lab.engines.reader import NotACall, functions_in, last_call
from mpsbridge.lab.engines.scripted import acting, failsafe, observing, ordering, telling
from mpsbridge.lab.engines.scripted.observing import Arguments, Problems, Refusal, Result
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.windows.programs import calls_quser, quser

NOT_OURS = "the scripted engine reads only mpsbridge's own calls and 'quser'; use --engine powershell"


@dataclass(frozen=True, slots=True)
class _Known:
    snippet: str
    run: Callable[[LabHost, Arguments, Problems], Result | Generator[float, None, Result]]
    """At once, or (a generator) after some waits."""


_CALLS = {
    "get-mpsbridgeobservation": _Known("observe", observing.observe),
    "get-mpsbridgelook": _Known("look", observing.look),
    "get-mpsbridgeevidence": _Known("evidence", telling.evidence),
    "get-mpsbridgestation": _Known("stations", observing.stations),
    "get-mpsbridgelogonmode": _Known("logons", observing.read_logons),
    "set-mpsbridgelogonmode": _Known("logons-set", acting.set_logons),
    "send-mpsbridgemessage": _Known("message", acting.message),
    "disconnect-mpsbridgesession": _Known("disconnect", acting.disconnect),
    "close-mpsbridgesession": _Known("logoff", acting.log_off),
    "reset-mpsbridgesession": _Known("reset", acting.reset),
    "set-mpsbridgelease": _Known("lease", ordering.lease),
    "register-mpsbridgefailsafe": _Known("failsafe", ordering.failsafe),
    "unregister-mpsbridgefailsafe": _Known("failsafe-remove", ordering.failsafe_remove),
    "invoke-mpsbridgepower": _Known("power", ordering.power),
    "set-mpsbridgemode": _Known("mode", ordering.mode),
}


class ScriptedEngine:
    """Answers for every host of a world; it keeps no state of its own."""

    def answer(self, host: LabHost, submitted: Submitted, memory: Memory) -> Answer:
        """Find the call and run it. Raises ``Terminating`` for everything that is not one of ours."""
        host.execute = failsafe.execute
        if submitted.text is not None and not memory.published and calls_quser(submitted.text):
            return _quser(host)
        name, arguments = _call(submitted, memory)
        known = _CALLS.get(name.lower())
        if known is None or not (memory.published or name.lower() in memory.functions):
            # The second is what PowerShell says to a call whose function was never defined in this pool.
            raise Terminating(
                f"The term '{name}' is not the name of a function in this runspace ({NOT_OURS}).",
                error_id="CommandNotFoundException",
                reason="CommandNotFoundException",
                category="ObjectNotFound",
            )
        return _run(host, known, {key.lower(): value for key, value in arguments.items()})


def answer_now(host: LabHost, script: str) -> str:
    """What a host answers to a script of ours, waits and all; raises ``Terminating``."""
    answer = ScriptedEngine().answer(host, Submitted(script), Memory())
    while True:
        try:
            host.world.clock.wait(next(answer))
        except StopIteration as end:
            return str(end.value)


def _quser(host: LabHost) -> Answer:
    """The program in a runspace, which makes each line an object of its own. Raises ``Terminating`` where it failed.

    (Windows emits an error record there and lets the pipeline go on; nothing stands behind this one.)
    """
    if host.facts.script_s:
        yield host.facts.script_s
    printed, page = quser(host, []), f"cp{host.facts.oem}"
    if printed.exit:
        raise Terminating(printed.err.decode(page).strip(), error_id="NativeCommandError", reason="RemoteException")
    return tuple(printed.out.decode(page).splitlines())


def _call(submitted: Submitted, memory: Memory) -> tuple[str, dict[str, Any]]:
    if submitted.text is None:
        return submitted.command, submitted.parameters
    if memory.published:
        raise Terminating(
            "The syntax is not supported by this runspace; it may be in no-language mode.",
            error_id="ScriptsNotAllowed",
            reason="RemoteException",
        )
    memory.functions |= functions_in(submitted.text)
    try:
        call = last_call(submitted.text)
    except NotACall as error:
        raise Terminating(f"{NOT_OURS} ({error})", error_id="NotOurs", reason="RuntimeException") from error
    return call.function, dict(call.arguments)


def _run(host: LabHost, known: _Known, arguments: Arguments) -> Answer:
    """The life of one script: its start-up time, its work, its one envelope."""
    if host.facts.script_s:
        yield host.facts.script_s
    problems: Problems = []
    try:
        work = known.run(host, arguments, problems)
        result = (yield from work) if isinstance(work, Generator) else work
    except Refusal as refusal:
        told = {"kind": refusal.kind, "message": refusal.message}
        return _envelope(known.snippet, told, problems, ok=False)
    except (KeyError, TypeError, ValueError) as error:
        # PowerShell's binder would have said so in its own words.
        raise Terminating(
            f"a parameter is missing or cannot be read: {error!r}",
            error_id="ParameterArgumentValidationError",
            reason="ParameterBindingException",
            category="InvalidData",
        ) from error
    return _envelope(known.snippet, result, problems)


def _envelope(snippet: str, result: Result, problems: Problems, *, ok: bool = True) -> str:
    envelope = {"mpsbridge": 1, "snippet": snippet, "ok": ok, "result": result, "problems": problems}
    return json.dumps(envelope, separators=(",", ":"))
