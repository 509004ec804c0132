"""What every part of a document is made of.

Rules: a model takes from a value of the domain what it declares, and nothing else; every declared key is always there,
but those few that a model names as optional.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, SerializerFunctionWrapHandler, model_serializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Published(BaseModel):
    """A part of a document: made from any value that has attributes of these names."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        from_attributes=True,
        json_schema_serialization_defaults_required=True,
        defer_build=True,  # what a call does not print is not built: half the time that loading takes
    )

    @classmethod
    def of(cls, value: object) -> Self:
        """What a value of the domain tells to other programs."""
        return cls.model_validate(value)

    def as_json(self) -> dict[str, Any]:
        """It as plain data, ready for JSON."""
        return self.model_dump(mode="json", by_alias=True)


class Value(Published):
    """What a command tells of one host; as CSV in rows with these ``fields``."""

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        """The names of what stands in a row."""
        return tuple(cls.model_fields)

    def records(self) -> list[dict[str, Any]]:
        """The same as flat rows, for CSV."""
        return [self.as_json()]


class WithOptionalKeys(Published):
    """A part of a document in which some keys are absent where there is nothing to say."""

    optional_keys: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_empty_keys(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = dump(self)
        return {key: value for key, value in dumped.items() if value or key not in self.optional_keys}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The fields as declared (a serializer of one's own hides them), with some that may be absent."""
        found = handler({key: value for key, value in core.items() if key != "serialization"})
        fields = handler.resolve_ref_schema(found)
        fields["required"] = [key for key in fields["required"] if key not in cls.optional_keys]
        return found
