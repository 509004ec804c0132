"""The common shape of all models: immutable, and unknown fields are errors.

A model is built when it is first used, not when its file is loaded: a call uses few of them, and building all takes a
third of the time in which a listing is done. Rule: what a run needs in the middle of its work is built before it holds
anything (:func:`build_models`).
"""

from __future__ import annotations

import threading
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mpsbridge.errors import InputError
from mpsbridge.models.complaints import complaint

_BUILDING = threading.RLock()


class _BuiltWhenUsed(BaseModel):
    """A model that threads may use for the first time at the same moment."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    @classmethod
    def model_rebuild(cls, *, force: bool = False, raise_errors: bool = True, **_: Any) -> bool | None:
        """Build the model, in one thread only; names mean what they mean in the model's own file."""
        with _BUILDING:
            return super().model_rebuild(force=force, raise_errors=raise_errors, _parent_namespace_depth=0)


class Frozen(_BuiltWhenUsed):
    """A value: compared by content, never changed, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=False)


class Given(Frozen):
    """A value that users of the library make themselves: what is wrong with it is an ``InputError``, whose message
    quotes nothing of the value.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            found = error.errors()
            said = "; ".join(": ".join([*map(str, one["loc"]), complaint(one, quotes=False)]) for one in found)
            wrong = InputError(said)  # without the name of the class, which tells a person nothing
            if first := next((one for one in found if one["loc"]), None):
                wrong.field, wrong.complaint = str(first["loc"][0]), complaint(first, quotes=False)
            raise wrong from None


class Answer(_BuiltWhenUsed):
    """A value that a host sent: as :class:`Frozen`, but fields of a newer version are passed over."""

    model_config = ConfigDict(extra="ignore")


def build_models() -> None:
    """Build every model of the files that are loaded."""
    waiting: list[type[BaseModel]] = [_BuiltWhenUsed]
    while waiting:
        model = waiting.pop()
        model.model_rebuild()
        waiting += model.__subclasses__()
