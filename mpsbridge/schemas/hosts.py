"""The answer of ``hosts``."""

from __future__ import annotations

from mpsbridge.schemas.published import Published, Value


class Setting(Published):
    """One setting and where it comes from: a table or variable of the inventory, an option, a variable, a file, or
    ``HOST`` (the word itself). A password has no value here, only the place where it will be looked for.
    """

    value: str | int | bool | None
    source: str


class HostValue(Value):
    """How one host would be reached: ``winrm`` or ``local``, its groups in the inventory, its settings by name."""

    kind: str
    groups: tuple[str, ...]
    settings: dict[str, Setting]
