"""Options that several verbs share, as one dataclass that spreads into a verb's signature.

Typer reads a verb's parameters one by one; a verb names a dataclass, whose fields are its options:

    @spread
    def chat(picture: Picture, opening: Opening, sampling: Sampling) -> None: ...
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

__all__ = ["spread"]

# Where options of several dataclasses meet they stand in this order, the rest as declared.
_ORDER = (
    *("prompt", "preset", "to", "model", "resolution"),
    *("max_tokens", "temperature", "top_p", "top_k", "min_p", "repetition_penalty"),
    *("keep_repetition", "seed", "stop"),
)


def spread(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with a parameter for each field of the dataclasses that it takes.

    What stands last in every help, --offline, does so here; a field needs a default.
    """
    hints = get_type_hints(verb, include_extras=True)
    parameters: list[inspect.Parameter] = []
    packed: dict[str, Any] = {}
    run: list[inspect.Parameter] = []  # fields of dataclasses that stand side by side
    for name, parameter in inspect.signature(verb).parameters.items():
        kind = hints[name]
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            packed[name] = kind
            run += _fields(kind)
        else:
            parameters += [*sorted(run, key=_place), parameter.replace(annotation=kind)]
            run = []
    parameters += sorted(run, key=_place)
    parameters.sort(key=lambda parameter: parameter.name == "offline")

    @functools.wraps(verb)
    def taken(**given: Any) -> None:
        for name, kind in packed.items():
            own = {field.name: given.pop(field.name) for field in dataclasses.fields(kind)}
            given[name] = kind(**own)
        verb(**given)

    shown = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    taken.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    taken.__annotations__ = {p.name: p.annotation for p in shown}
    del taken.__wrapped__  # or its signature would count
    return taken


def _fields(kind: type) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(kind)
    ]


def _place(parameter: inspect.Parameter) -> int:
    return _ORDER.index(parameter.name) if parameter.name in _ORDER else len(_ORDER)
