"""A make-believe host's WinRM service: requests in, answers out, and no I/O.

Rules of this file: one :class:`Endpoint` is one host; every request gets exactly one answer, at once or (a Receive
with nothing to send) as a :class:`Pending` that somebody else times; nothing here knows about HTTP or signing in.

Windows-like on purpose: the opening is split over two Receives, each fragment is a ``<Stream>`` of its own, Done comes
with the last output, a message repeated over another connection gets the same answer without being done again, Ctrl+C
is answered when the command has ended, 30 shells and 1,000 commands in a shell are the limit, idle shells go, and an
unknown shell is fault 2150858843.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import psrpcore

from mpsbridge.lab.engines.contract import Engine
from mpsbridge.lab.engines.shells import Busy, Shell, ShellEngine
from mpsbridge.lab.windows.host import LabHost
from mpsbridge.lab.wire import soap
from mpsbridge.lab.wire.psrp import Later, PsrpShell, called_in
from mpsbridge.lab.wire.replies import Pending, Reply
from mpsbridge.lab.wire.soap import Request, WsmanFault
from mpsbridge.lab.wire.winrs import RESOURCE as WINRS
from mpsbridge.lab.wire.winrs import WinrsShell

MAX_SHELLS = 30
MAX_COMMANDS = 1000
MAX_ENVELOPE_KB = 500
IDLE_TIMEOUT_S = 7200.0
_REMEMBERED = 8
"""Answers kept for a client that lost its connection and sends the same message over another one."""

_DONE, _RUNNING = (f"{soap.SHELL}/CommandState/{state}" for state in ("Done", "Running"))


@dataclass(slots=True)
class _Shell:
    id: str
    resource: str
    inside: Shell
    idle_timeout_s: float
    used: float
    commands: set[uuid.UUID]
    pending: dict[uuid.UUID | None, Pending]
    signals: list[Pending]
    """Signals that wait until a command has ended."""
    calls: dict[uuid.UUID, str | None]
    """The function that each command calls; kept only where a fault rule asks for it."""


class Endpoint:
    """The WinRM service of one host."""

    def __init__(
        self, host: LabHost, engine: Engine | ShellEngine, later: Later, *, owner: str = "Administrator"
    ) -> None:
        self.host = host
        self.owner = owner
        self.shells: dict[str, _Shell] = {}
        self._engine = engine
        self._later = later
        self._answers: OrderedDict[bytes, tuple[int, Reply]] = OrderedDict()

    def handle(self, request: Request, *, client: str = "127.0.0.1", connection: int = 0) -> Reply | Pending:
        """Answer one request. Never raises for what a client sent: that becomes a fault.

        A message is the same one where its id, action, shell and body are, and a client repeats one over another
        ``connection`` only: over the one on which it was answered, a client that has but one id asks something new.
        """
        request.connection = connection
        known = self._answers.get(request.digest)
        if known is not None and request.message_id and known[0] != connection:
            return known[1]
        try:
            answer = self._dispatch(request, client)
        except WsmanFault as error:
            return self._remember(request, self._fault(request, error))
        except psrpcore.PSRPCoreError as error:
            return self._remember(request, self._fault(request, WsmanFault(str(error), code=None)))
        return answer if isinstance(answer, Pending) else self._remember(request, answer)

    def refuse(self, request: Request, code: int, form: str = "wsman") -> Reply:
        """A fault of the given code in one of the forms, whatever was asked."""
        return self._fault(request, soap.refusal(code, form))

    def call_of(self, request: Request) -> str | None:
        """The function that a request is about, for fault rules that are narrowed to one."""
        shell = self.shells.get((request.shell_id or "").upper())
        if shell is None or not self._asks_for_calls():
            return None
        if request.step == "command":
            return called_in(_decoded(_find_text(request, "rsp:CommandLine/rsp:Arguments")))
        named = request.body.find(".//*[@CommandId]")
        return shell.calls.get(_uuid(named.get("CommandId", ""))) if named is not None else None

    def _asks_for_calls(self) -> bool:
        return any(fault.call is not None for fault in self.host.faults)

    def close(self) -> None:
        """Every shell ends, as when the service stops."""
        for shell in list(self.shells.values()):
            self._close(shell)

    def _dispatch(self, request: Request, client: str) -> Reply | Pending:
        self._drop_idle_shells()
        acts: dict[str, Callable[[Request], Reply | Pending]] = {
            "create": lambda request: self._create(request, client),
            "receive": self._receive,
            "command": self._command,
            "send": self._send,
            "signal": self._signal,
            "delete": self._delete,
            "get": self._get,
            "identify": lambda _: Reply(200, soap.identity()),
        }
        if request.step not in acts:
            raise WsmanFault(
                f"This host does not serve the action {request.action}.", code=None, subcode="a:ActionNotSupported"
            )
        return acts[request.step](request)

    # The life of a shell.

    def _create(self, request: Request, client: str) -> Reply:
        if len(self.shells) >= MAX_SHELLS:
            raise WsmanFault(
                f"The limit of {MAX_SHELLS} concurrent shells for this user is reached.",
                code=soap.SHELL_QUOTA,
                subcode="w:QuotaLimit",
            )
        asked = request.find("rsp:Shell")
        shell_id = ((asked.get("ShellId") if asked is not None else None) or str(uuid.uuid4())).upper()
        shell = _Shell(
            id=shell_id,
            resource=request.resource,
            inside=self._inside(request, lambda: self._wake(shell_id)),
            idle_timeout_s=soap.seconds(_find_text(request, "rsp:Shell/rsp:IdleTimeOut"), IDLE_TIMEOUT_S),
            used=self._ticks(),
            commands=set(),
            pending={},
            signals=[],
            calls={},
        )
        self.shells[shell_id] = shell
        creation = _find_text(request, "rsp:Shell/ps:creationXml")
        if creation:
            shell.inside.feed(_decoded(creation), None)
        return Reply(200, soap.response(request, self._shell_created(shell, client)))

    def _inside(self, request: Request, wake: Callable[[], None]) -> Shell:
        resource = request.resource
        if resource == WINRS:
            return WinrsShell(self.host, wake)
        configuration = resource.removeprefix(soap.POWERSHELL)
        jea = configuration.casefold() in {each.casefold() for each in self.host.facts.jea}
        if not resource.startswith(soap.POWERSHELL) or not (jea or configuration.casefold() == "microsoft.powershell"):
            raise WsmanFault(
                f"The resource URI {resource} is not in the catalog of this host.",
                code=soap.INVALID_RESOURCE,
                subcode="a:DestinationUnreachable",
            )
        if isinstance(self._engine, ShellEngine):
            if jea:
                raise WsmanFault("This engine plays no restricted endpoints.", code=soap.INVALID_RESOURCE)
            try:
                return self._engine.open_shell(self.host, wake, request.culture)
            except Busy as error:
                raise WsmanFault(str(error), code=soap.SHELL_QUOTA, subcode="w:QuotaLimit") from error
        return PsrpShell(self.host, self._engine, self._later, wake, jea=jea)

    def _shell_created(self, shell: _Shell, client: str) -> str:
        selector = f'<w:SelectorSet><w:Selector Name="ShellId">{shell.id}</w:Selector></w:SelectorSet>'
        return (
            f"<x:ResourceCreated><a:Address>http://localhost/wsman</a:Address><a:ReferenceParameters><w:ResourceURI>"
            f"{shell.resource}</w:ResourceURI>{selector}</a:ReferenceParameters></x:ResourceCreated>"
            + self._shell_state(shell, client)
        )

    def _shell_state(self, shell: _Shell, client: str) -> str:
        return (
            f"<rsp:Shell><rsp:ShellId>{shell.id}</rsp:ShellId><rsp:ResourceUri>{shell.resource}</rsp:ResourceUri>"
            f"<rsp:Owner>{self.host.facts.computer}\\{self.owner}</rsp:Owner><rsp:ClientIP>{client}</rsp:ClientIP>"
            f"<rsp:IdleTimeOut>PT{shell.idle_timeout_s:.3f}S</rsp:IdleTimeOut><rsp:InputStreams>stdin pr"
            f"</rsp:InputStreams><rsp:OutputStreams>{shell.inside.streams}</rsp:OutputStreams><rsp:ShellRunTime>P0DT0H0M1S"
            "</rsp:ShellRunTime><rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity></rsp:Shell>"
        )

    def _delete(self, request: Request) -> Reply:
        self._close(self._shell(request))
        return Reply(200, soap.response(request, ""))

    def _close(self, shell: _Shell) -> None:
        self.shells.pop(shell.id, None)
        shell.inside.close()
        # Whoever still waits hears that the shell is gone.
        for pending in [*shell.pending.values(), *shell.signals]:
            pending.poll()

    def _drop_idle_shells(self) -> None:
        now = self._ticks()
        for shell in list(self.shells.values()):
            if not shell.pending and now - shell.used > shell.idle_timeout_s:
                self._close(shell)

    # Commands.

    def _command(self, request: Request) -> Reply:
        shell = self._shell(request)
        if len(shell.commands) >= MAX_COMMANDS:
            raise WsmanFault(
                f"The limit of {MAX_COMMANDS} concurrent commands in a shell is reached.",
                code=soap.COMMAND_QUOTA,
                of_wmi=True,
            )
        line = request.find("rsp:CommandLine")
        command = _uuid((line.get("CommandId") if line is not None else None) or str(uuid.uuid4()))
        shell.commands.add(command)
        shell.inside.open_command(command)
        if shell.resource == WINRS:
            shell.inside.feed(_command_line(request).encode(), command)
        else:
            data = _decoded(_find_text(request, "rsp:CommandLine/rsp:Arguments"))
            if self._asks_for_calls():
                shell.calls[command] = called_in(data)
            shell.inside.feed(data, command)
        body = f"<rsp:CommandResponse><rsp:CommandId>{_shown(command)}</rsp:CommandId></rsp:CommandResponse>"
        return Reply(200, soap.response(request, body))

    def _send(self, request: Request) -> Reply:
        shell = self._shell(request)
        for stream in request.body.findall("rsp:Send/rsp:Stream", soap.NAMESPACES):
            if stream.text:
                named = stream.get("CommandId")
                shell.inside.feed(_decoded(stream.text), _uuid(named) if named else None)
        return Reply(200, soap.response(request, "<rsp:SendResponse/>"))

    def _signal(self, request: Request) -> Reply | Pending:
        shell = self._shell(request)
        signal = request.find("rsp:Signal")
        command = _uuid((signal.get("CommandId") if signal is not None else None) or "")
        if _find_text(request, "rsp:Signal/rsp:Code").lower().endswith("terminate"):
            shell.commands.discard(command)
            shell.calls.pop(command, None)
            shell.inside.close_command(command)
        else:
            shell.inside.stop_command(command)
            return self._when_stopped(request, shell, command)
        return Reply(200, soap.response(request, "<rsp:SignalResponse/>"))

    def _when_stopped(self, request: Request, shell: _Shell, command: uuid.UUID) -> Pending:
        """The answer to Ctrl+C comes when the command has ended, and after its state was sent to who waits for it."""

        def poll() -> Reply | None:
            box = shell.inside.outbox(command)
            if box is not None and not box.finished and shell.id in self.shells:
                return None
            shell.signals.remove(pending)
            return self._remember(request, Reply(200, soap.response(request, "<rsp:SignalResponse/>")))

        def expire() -> Reply:
            shell.signals.remove(pending)
            return self._fault(request, soap.operation_timeout())

        pending = Pending(request.timeout_s, poll, expire)
        shell.signals.append(pending)
        return pending

    def _receive(self, request: Request) -> Pending:
        if request.timeout_s < 0:
            raise WsmanFault(
                "The value of the OperationTimeout is not valid.", code=soap.INVALID_TIMEOUT, subcode="w:InvalidTimeout"
            )
        shell = self._shell(request)
        wanted = request.find("rsp:Receive/rsp:DesiredStream")
        named = wanted.get("CommandId") if wanted is not None else None
        command = _uuid(named) if named else None
        if shell.inside.outbox(command) is None:
            raise soap.no_such_command(named) if shell.resource != WINRS or named else soap.no_command_named()
        if (before := shell.pending.pop(command, None)) is not None:
            before.cancel()  # the client asks again, so it has given the older request up

        def settle(reply: Reply) -> Reply:
            if shell.pending.get(command) is pending:
                del shell.pending[command]
            shell.used = self._ticks()
            return reply

        def poll() -> Reply | None:
            if shell.id not in self.shells:
                return settle(self._fault(request, soap.shell_not_found(shell.id)))
            reply = self._output(request, shell, command)
            return None if reply is None else settle(self._remember(request, reply))

        def expire() -> Reply:
            return settle(self._remember(request, self._fault(request, soap.operation_timeout())))

        pending = Pending(request.timeout_s, poll, expire)
        shell.pending[command] = pending
        return pending

    def _output(self, request: Request, shell: _Shell, command: uuid.UUID | None) -> Reply | None:
        """What there is to send for a Receive, or ``None``."""
        box = shell.inside.outbox(command)
        if box is None:
            return self._fault(request, WsmanFault("The command was closed.", code=None))
        limit = max(4096, min(request.max_envelope, MAX_ENVELOPE_KB * 1024) * 3 // 4 - 8192)
        chunks = box.take(limit)
        done = command is not None and box.finished and not box.chunks
        if not chunks and not done:
            return None
        mark = f' CommandId="{_shown(command)}"' if command is not None else ""
        streams = "".join(
            f'<rsp:Stream Name="{name}"{mark}>{base64.b64encode(data).decode()}</rsp:Stream>' for name, data in chunks
        )
        ended = f"<rsp:ExitCode>{box.exit_code}</rsp:ExitCode>" if done and box.exit_code is not None else ""
        state = (
            f'<rsp:CommandState{mark} State="{_DONE if done else _RUNNING}">{ended}</rsp:CommandState>' if mark else ""
        )
        return Reply(200, soap.response(request, f"<rsp:ReceiveResponse>{streams}{state}</rsp:ReceiveResponse>"))

    # What is asked about the service itself.

    def _get(self, request: Request) -> Reply:
        if request.resource.rstrip("/").endswith("/config"):
            body = (
                f'<cfg:Config xmlns:cfg="{soap.NAMESPACES["cfg"]}"><cfg:MaxEnvelopeSizekb>{MAX_ENVELOPE_KB}'
                "</cfg:MaxEnvelopeSizekb><cfg:MaxTimeoutms>60000</cfg:MaxTimeoutms></cfg:Config>"
            )
        else:
            body = self._shell_state(self._shell(request), "127.0.0.1")
        return Reply(200, soap.response(request, body))

    def _shell(self, request: Request) -> _Shell:
        shell = self.shells.get((request.shell_id or "").upper())
        if shell is None:
            raise soap.shell_not_found(request.shell_id)
        shell.used = self._ticks()
        return shell

    def _wake(self, shell_id: str) -> None:
        shell = self.shells.get(shell_id)
        if shell is None:
            return
        if not shell.inside.alive:
            self._close(shell)
        for pending in [*shell.pending.values(), *shell.signals]:
            pending.poll()

    def _ticks(self) -> float:
        return self.host.world.clock.monotonic()

    def _fault(self, request: Request, error: WsmanFault) -> Reply:
        return Reply(500, soap.fault(request.message_id, error, self.host.facts.computer))

    def _remember(self, request: Request, reply: Reply) -> Reply:
        self._answers[request.digest] = (request.connection, reply)
        self._answers.move_to_end(request.digest)
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        return reply


def _find_text(request: Request, path: str) -> str:
    element = request.find(path)
    return (element.text or "") if element is not None else ""


def _command_line(request: Request) -> str:
    """What is to run in a command shell; its parts may be quoted."""
    parts = request.body.findall("rsp:CommandLine/*", soap.NAMESPACES)
    return " ".join((part.text or "").strip().strip('"') for part in parts)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise WsmanFault(f"The data is not base64: {error}", code=None, subcode="w:InvalidParameter") from error


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise WsmanFault(f"{text!r} is not a CommandId.", code=None, subcode="w:InvalidParameter") from error


def _shown(command: uuid.UUID) -> str:
    return str(command).upper()
