"""What an answer must look like: `response_format`, `tools`, `tool_choice`, and forms of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from galago.errors import MissingExtraError, OptionError
from galago.server.fields import Asked, Ignored
from galago.server.problems import Problem
from galago.vlm.forms import Form, call_form, json_form

__all__ = [
    "NAME",
    "Called",
    "Function",
    "FunctionName",
    "JsonSchema",
    "NamedFunction",
    "ResponseFormat",
    "Shape",
    "Tool",
    "ToolCall",
    "shape_of",
]

NAME = r"^[a-zA-Z0-9_.-]{1,64}$"


class JsonSchema(Asked):
    name: str = Field("", max_length=100)
    description: str | None = Field(None, max_length=2000, description="Told to the model.")
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    strict: Ignored = None


class ResponseFormat(Asked):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class Function(Asked):
    name: str = Field(pattern=NAME)
    description: str | None = Field(None, max_length=10_000)
    parameters: dict[str, Any] | None = Field(None, description="A JSON schema of its arguments.")
    strict: Ignored = None


class Tool(Asked):
    type: Literal["function"]
    function: Function


class FunctionName(Asked):
    name: str = Field(max_length=100)


class NamedFunction(Asked):
    type: Literal["function"]
    function: FunctionName


class Called(Asked):
    name: str = Field(pattern=NAME)
    arguments: str = ""


class ToolCall(Asked):
    """A call that the model made before."""

    type: Literal["function"] = "function"
    function: Called
    id: Ignored = None
    index: Ignored = None


@dataclass(frozen=True)
class Shape:
    """What was asked for: nothing special ("text"), JSON, or calls of functions.

    `functions` are those that the model is told of; `free`: it may answer without calling one.
    """

    kind: Literal["text", "json", "calls"] = "text"
    json: bool = False
    schema: Mapping[str, Any] | None = None
    description: str = ""
    functions: tuple[Function, ...] = ()
    callable: tuple[Function, ...] = ()
    free: bool = False
    of: str = "response_format"  # the field that complaints about JSON name

    def told(self) -> list[dict[str, Any]]:
        """The functions as the system message has them."""
        return [one.model_dump(exclude_none=True, exclude={"strict"}) for one in self.functions]

    def form(self) -> Form | None:
        """Compiled, which takes its time; Problem 400 for what can't be held to."""
        try:
            if self.kind == "calls":
                calls = [(one.name, one.parameters) for one in self.callable]
                answer = (self.schema or {}) if self.json else None
                return call_form(calls, free=self.free, answer=answer)
            return json_form(self.schema, self.description) if self.json else None
        except OptionError as error:
            param = "tools" if self.kind == "calls" else self.of
            raise Problem(400, str(error), param=param, code="invalid_schema") from None
        except MissingExtraError as error:
            raise Problem(400, f"on the server's side: {error}", code="not_installed") from None


def shape_of(
    form: ResponseFormat | None,
    tools: Sequence[Tool] | None,
    choice: str | NamedFunction | None,
    of: str = "response_format",
) -> Shape:
    """The fields of a request together; Problem 400 where they contradict each other."""
    schema = form.json_schema if form else None
    json = form is not None and form.type != "text"
    if form is not None and (schema is not None) != (form.type == "json_schema"):
        told = "json_schema goes with the type json_schema, and is needed there"
        raise _refused(of, told)
    shape = Shape(
        "json" if json else "text",
        json,
        schema.schema_ if schema else None,
        (schema.description or "") if schema else "",
        of=of,
    )
    functions = tuple(tool.function for tool in tools or ())
    names = [one.name for one in functions]
    if len(set(names)) < len(names):
        raise _refused("tools", "two functions have one name")
    if isinstance(choice, NamedFunction) and choice.function.name not in names:
        told = f"there is no function {choice.function.name!r} among the tools"
        raise _refused("tool_choice", told)
    if choice == "required" and not names:
        raise _refused("tool_choice", "there is no function to call: give tools")
    if not functions or choice == "none":
        return shape
    named = choice.function.name if isinstance(choice, NamedFunction) else None
    return Shape(
        "calls",
        json,
        shape.schema,
        shape.description,
        functions,
        tuple(one for one in functions if named in (None, one.name)),
        free=choice in (None, "auto"),
        of=of,
    )


def _refused(param: str, told: str) -> Problem:
    return Problem(400, f"{param}: {told}", param=param, code="invalid_value")
