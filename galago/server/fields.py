"""What requests' fields have in common: none is dropped in silence, and a complaint is one line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = ["Asked", "Flag", "Ignored", "Only", "complaint", "placed"]


Flag = Annotated[bool, Strict()]  # true or false: 0.0 and "yes" are mistakes


class Asked(BaseModel):
    """An object of a request; a field that it doesn't have is refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for name in fields:
            if name not in known:
                raise _unknown(name, known)
        return fields


def _unknown(name: str, known: Sequence[str]) -> PydanticCustomError:
    near = difflib.get_close_matches(name[:50].lower(), known, 1, 0.75)
    hint = f"did you mean {near[0]}?" if near else "leave it out"
    return complaint(f"unknown field {name[:50]!r}: {hint}", name)


def complaint(told: str, *place: str | int) -> PydanticCustomError:
    """For validators: a line, and where inside of the value it belongs."""
    return PydanticCustomError("refused", "{told}", {"told": told, "place": place})


class Only:
    """A field that does nothing here, taken with null and the values that ask for nothing.

    `anything`: with every value, as it changes no answer wherever it is known.
    """

    def __init__(self, *values: Any, anything: bool = False) -> None:
        self.values, self.anything = (*values, None), anything

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {} if self.anything else {"enum": list(self.values)}

    def _check(self, value: Any) -> Any:
        if self.anything or any(_same(value, one) for one in self.values):
            return value
        raise complaint("not possible with this server: leave it out")


Ignored = Annotated[Any, Only(anything=True)]


def _same(value: Any, other: Any) -> bool:
    """Equal as JSON is: 1 is 1.0, and no truth value."""
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def placed(place: Sequence[Any], body: Any) -> list[str]:
    """Where in a body an error is, without what pydantic adds of its unions."""
    found: list[str] = []
    for at, part in enumerate(place):
        item = at > 0 and isinstance(place[at - 1], int) and isinstance(body, Mapping)
        if item and body.get("type") == part:  # which kind, told like a field of that name
            after = place[at + 1] if at + 1 < len(place) else part
            if part not in body or after in body:
                continue
        inside = isinstance(body, Mapping) and part in body
        inside = inside or (isinstance(body, list) and isinstance(part, int) and part < len(body))
        if inside:
            body = body[part]
        if inside or (at == len(place) - 1 and isinstance(body, Mapping)):  # what is missing
            found.append(str(part))
    return found
