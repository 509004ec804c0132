"""The common shape of all models: immutable, and unknown fields are errors."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value: compared by content, never changed, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Answer(BaseModel):
    """A value that a host sent: as :class:`Frozen`, but fields of a newer version are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")
