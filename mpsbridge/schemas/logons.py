"""The answer of ``logons``."""

from __future__ import annotations

from mpsbridge.models.sessions import LogonMode
from mpsbridge.schemas.published import Value


class LogonsValue(Value):
    """The logon mode as it is, and as it was before this call (null where the call did not set it)."""

    mode: LogonMode | None
    was: LogonMode | None
