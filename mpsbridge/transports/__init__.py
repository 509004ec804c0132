"""What carries scripts to a host. A target says how it is reached; :func:`open_transport` makes what carries there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpsbridge.models.targets import Target
    from mpsbridge.transports.base import Transport


def open_transport(target: Target) -> Transport:
    """The transport for a target, not connected yet. Raises ``InputError`` for a target that could never work.

    Each transport's libraries are loaded by the first target that needs them (WinRM's take about 0.2 s).
    """
    if target.kind == "local":
        from mpsbridge.transports.local import LocalTransport  # noqa: PLC0415 - loaded when needed

        return LocalTransport(target)
    from mpsbridge.transports.winrm import WinrmTransport  # noqa: PLC0415 - loaded when needed

    return WinrmTransport(target)
