"""Where a MIL program may be cut, so that a part of it is in memory at a time.

A state may be held across a cut only as it is by then: what would see an older one is not cut from
what wrote the newer, so that such a mistake in a program shows as it would on a phone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from galago.engine.mil_ops import STATEFUL, first_of, is_given

__all__ = ["cut", "held_by", "inputs_of", "variables_of"]

Operation = Any  # of MIL


def cut(operations: Sequence[Operation], most: int, before: str | None) -> list[list[Operation]]:
    """Parts of at most `most` bytes of weights in float32 where that can be, in order.

    One begins with the operation that makes the variable `before`.
    """
    allowed = _allowed(operations)
    pieces: list[list[Operation]] = [[]]
    size = 0
    for index, one in enumerate(operations):
        grown = _bytes(one)
        asked = any(var.name == before for var in one.outputs)
        if pieces[-1] and allowed[index] and (asked or size + grown > most):
            pieces.append([])
            size = 0
        pieces[-1].append(one)
        size += grown
    return pieces


def held_by(operations: Sequence[Operation]) -> dict[str, str]:
    """Of the variables that are a state, which: by name."""
    found: dict[str, str] = {}
    for one in operations:
        if one.op_type in STATEFUL:
            given = one.inputs[STATEFUL[one.op_type]].name
            found[one.outputs[0].name] = found.get(given, given)
    return found


def variables_of(operations: Sequence[Operation]) -> dict[str, Any]:
    """Variables by name that these operations need and don't make, but for weights."""
    made = {var.name for one in operations for var in one.outputs}
    found = {var.name: var for one in operations for var in _inputs(one) if var.name not in made}
    return {name: var for name, var in found.items() if var.op is None or not is_given(var.op)}


def inputs_of(operations: Sequence[Operation]) -> set[str]:
    """Their names."""
    return set(variables_of(operations))


def _inputs(one: Operation) -> Iterator[Any]:
    for value in one.inputs.values():
        if value is not None:
            yield from value if isinstance(value, list | tuple) else (value,)


def _bytes(one: Operation) -> int:
    """Of its weights in float32."""
    given = (var for var in _inputs(one) if var.op is not None and is_given(var.op))
    return 4 * sum(int(np.prod([int(size) for size in var.shape])) for var in given)


def _allowed(operations: Sequence[Operation]) -> list[bool]:
    """Before which operations a cut changes nothing: what is held there of a state is its newest,
    and no row of it is used on both sides."""
    held = held_by(operations)
    uses = [_rows(one, held) for one in operations]
    rows_ahead: list[set[tuple[str, int]]] = [set()]
    held_ahead: list[set[str]] = [set()]
    for one, rows in zip(reversed(operations), reversed(uses), strict=True):
        rows_ahead.append(rows_ahead[-1] | rows)
        made = {var.name for var in one.outputs}
        needed = {var.name for var in _inputs(one) if var.name in held}
        held_ahead.append((held_ahead[-1] - made) | needed)
    rows_ahead.reverse()
    held_ahead.reverse()
    found, newest, behind = [], dict[str, str](), set[tuple[str, int]]()
    for index, one in enumerate(operations):
        found.append(held_ahead[index] <= set(newest.values()) and not behind & rows_ahead[index])
        behind |= uses[index]
        if one.op_type in ("read_state", "coreml_update_state"):
            name = one.outputs[0].name
            newest[held[name]] = name
    return found


def _rows(one: Operation, held: Mapping[str, str]) -> set[tuple[str, int]]:
    """The rows of states that it reads or writes."""
    given = one.inputs.get("x")
    if one.op_type not in ("slice_by_index", "slice_update") or given.name not in held:
        return set()
    return {(held[given.name], first_of(one))}
