"""The answer of ``doctor``."""

from __future__ import annotations

from typing import Any

from mpsbridge.schemas.published import Published, Value


class Check(Published):
    """One step: ``ok`` is null where it could not be tried, because an earlier one failed."""

    step: str
    ok: bool | None
    text: str
    remedy: str


class DoctorValue(Value):
    """All steps on the way to one host's sessions."""

    checks: tuple[Check, ...]

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        """Those of a step."""
        return tuple(Check.model_fields)

    def records(self) -> list[dict[str, Any]]:
        """A row for each step."""
        return [check.as_json() for check in self.checks]
