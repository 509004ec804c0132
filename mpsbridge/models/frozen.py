"""The common shape of all models: immutable, and unknown fields are errors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mpsbridge.errors import InputError
from mpsbridge.models.complaints import complaint


class Frozen(BaseModel):
    """A value: compared by content, never changed, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


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


class Answer(BaseModel):
    """A value that a host sent: as :class:`Frozen`, but fields of a newer version are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")
