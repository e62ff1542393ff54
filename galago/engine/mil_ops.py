"""MIL's operations in OpenVINO's: a function each, of what galago's exports are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from galago.engine.runtime import op, ov

__all__ = ["OPERATIONS", "STATEFUL", "Held", "Translation", "first_of", "is_given"]

Node = Any
Operation = Any  # of MIL
_WIDE = {np.dtype(np.float16): np.float32, np.dtype(np.float64): np.float32}
_LAID_OUT = {"tile"}  # nothing is computed that could leave float16
_CASTS = {"fp32": "f32", "fp16": "f32", "int32": "i32", "bool": "boolean"}


@dataclass(frozen=True)
class Held:
    """A state as it was at some moment: the rows of its first axis that were written by then; the
    others are as they came."""

    name: str
    rows: Mapping[int, Node]


class Translation:
    """A graph being made, of a whole program or of operations between two cuts.

    `halves`: results that Core ML holds in float16; `live`: of each state what it is now.  A row of
    a state is a parameter `NAME.ROW` of its own, so that no step copies all of it.
    """

    def __init__(self, states: Mapping[str, Sequence[int]], held: Mapping[str, str]) -> None:
        """`states`: shapes; `held`: of the variables that are a state, which."""
        self.parameters: dict[str, Node] = {}
        self.halves: list[Node] = []
        self.live = {name: Held(name, {}) for name in states}
        self._states, self._held = states, held
        self._made: dict[str, Any] = {}

    def input(self, name: str, var: Any, kind: str | None = None) -> None:
        """A parameter in its own type, float16 widened behind it; in float32 without a `kind`."""
        shape = [int(one) if isinstance(one, int | np.integer) else -1 for one in var.shape]
        if kind is None:
            kind = "int32" if var.is_tensor_or_scalar_of("int32") else "float32"
        element = {"int32": ov.Type.i32, "float16": ov.Type.f16}.get(kind, ov.Type.f32)
        self._made[var.name] = self._parameter(name, shape, element)

    def row(self, state: Held, row: int) -> Node:
        """Float32 in a state's own shape, but one row."""
        if row in state.rows:
            return state.rows[row]
        name = f"{state.name}.{row}"
        if name not in self._made:
            shape = [1, *self._states[state.name][1:]]
            self._made[name] = self._parameter(name, shape, ov.Type.f16)
        return self._made[name]

    def _parameter(self, name: str, shape: list[int], element: Any) -> Node:
        node = op.parameter(ov.PartialShape(shape), element, name=name)
        node.output(0).set_names({name})
        self.parameters[name] = node
        return op.convert(node, "f32") if element == ov.Type.f16 else node

    def value(self, var: Any) -> Any:
        """A variable of MIL, made before, constant, or a state that an earlier part has held."""
        if var.name not in self._made:
            if var.name in self._held:
                return Held(self._held[var.name], {})
            if var.val is None and var.op is not None and is_given(var.op):
                self._made[var.name] = OPERATIONS[var.op.op_type](self, var.op)
            else:
                array = np.asarray(var.val)
                wide = array.astype(_WIDE.get(array.dtype, array.dtype))
                self._made[var.name] = op.constant(wide)
        return self._made[var.name]

    def keep(self, one: Operation, made: Any) -> None:
        """Under the names of the operation's outputs."""
        for var, node in zip(one.outputs, made if isinstance(made, list) else [made], strict=True):
            self._made[var.name] = node
            half = var.is_tensor_or_scalar_of("fp16") and one.op_type not in _LAID_OUT
            if half and not isinstance(node, Held):
                self.halves.append(node)


def is_given(one: Operation) -> bool:
    """Whether it is a weight, which is made where it is used."""
    return bool(one.op_type == "const" or one.op_type.startswith("constexpr_"))


def _value(t: Translation, one: Operation, name: str = "x") -> Node:
    return t.value(one.inputs[name])


def _raw(one: Operation, name: str) -> Any:
    """What stands in the file; None where nothing does."""
    var = one.inputs.get(name)
    return None if var is None else var.val


def _integers(values: Any) -> Node:
    return op.constant(np.asarray(values, np.int64))


def _unary(make: Callable[[Node], Node]) -> Callable[[Translation, Operation], Node]:
    return lambda t, one: make(_value(t, one))


def _binary(make: Callable[[Node, Node], Node]) -> Callable[[Translation, Operation], Node]:
    return lambda t, one: make(_value(t, one), _value(t, one, "y"))


def _conv(t: Translation, one: Operation) -> Node:
    if _raw(one, "pad_type") != "custom":
        raise ValueError(f"padding {_raw(one, 'pad_type')}")
    groups, shape = int(_raw(one, "groups")), one.inputs["weight"].shape
    pad = [int(size) for size in _raw(one, "pad")]
    rest = (
        [int(step) for step in _raw(one, "strides")],
        pad[0::2],
        pad[1::2],
        [int(step) for step in _raw(one, "dilations")],
    )
    weight = _value(t, one, "weight")
    if groups == 1:
        y = op.convolution(_value(t, one), weight, *rest)
    else:
        split = _integers([groups, shape[0] // groups, *shape[1:]])
        weight = op.reshape(weight, split, special_zero=False)
        y = op.group_convolution(_value(t, one), weight, *rest)
    if one.inputs.get("bias") is None:
        return y
    bias = op.reshape(_value(t, one, "bias"), _integers([1, -1, 1, 1]), special_zero=False)
    return op.add(y, bias)


def _gelu(t: Translation, one: Operation) -> Node:
    return op.gelu(_value(t, one), {"EXACT": "erf"}[_raw(one, "mode")])


def _linear(t: Translation, one: Operation) -> Node:
    y = op.matmul(_value(t, one), _value(t, one, "weight"), False, True)
    return y if one.inputs.get("bias") is None else op.add(y, _value(t, one, "bias"))


def _matmul(t: Translation, one: Operation) -> Node:
    turned = (bool(_raw(one, name)) for name in ("transpose_x", "transpose_y"))
    return op.matmul(_value(t, one), _value(t, one, "y"), *turned)


def _layer_norm(t: Translation, one: Operation) -> Node:
    axes = _integers(_raw(one, "axes"))
    y = op.mvn(_value(t, one), axes, True, float(_raw(one, "epsilon")), "inside_sqrt")
    y = op.multiply(y, _value(t, one, "gamma"))
    return op.add(y, _value(t, one, "beta"))


def _rsqrt(t: Translation, one: Operation) -> Node:
    shifted = op.add(_value(t, one), op.constant(np.float32(_raw(one, "epsilon"))))
    return op.power(shifted, op.constant(np.float32(-0.5)))


def _reduce_mean(t: Translation, one: Operation) -> Node:
    keep = bool(_raw(one, "keep_dims"))
    return op.reduce_mean(_value(t, one), _integers(_raw(one, "axes")), keep_dims=keep)


def _argmax(t: Translation, one: Operation) -> Node:
    axis = int(_raw(one, "axis"))
    found = op.topk(_value(t, one), _integers(1), axis, "max", "none", "i32", stable=False)
    place = found.output(1)
    return place if _raw(one, "keep_dims") else op.squeeze(place, _integers([axis]))


def _split(t: Translation, one: Operation) -> list[Node]:
    axis = _integers(int(_raw(one, "axis")))
    sizes = _raw(one, "split_sizes")
    if sizes is None:
        node = op.split(_value(t, one), axis, int(_raw(one, "num_splits")))
    else:
        node = op.variadic_split(_value(t, one), axis, _integers(sizes))
    return list(node.outputs())


def _slice(t: Translation, one: Operation) -> Node:
    rank = len(one.inputs["x"].shape)

    def mask(name: str) -> list[int]:
        given = _raw(one, name)
        return [0] * rank if given is None else [int(bit) for bit in given]

    steps = _raw(one, "stride")
    steps = _integers([1] * rank if steps is None else steps)
    begin, end = (op.convert(_value(t, one, name), "i64") for name in ("begin", "end"))
    first, last, gone = mask("begin_mask"), mask("end_mask"), mask("squeeze_mask")
    x = _value(t, one)
    if isinstance(x, Held):
        x = t.row(x, first_of(one))
        first[0] = last[0] = 1  # all of the one row
    return op.strided_slice(x, begin, end, steps, first, last, [], gone, [])


def first_of(one: Operation) -> int:
    """The row of a state's first axis that an operation takes; ValueError unless it is one."""
    begin, end = (_first(one.inputs[name]) for name in ("begin", "end"))
    if begin is None or end != begin + 1:
        raise ValueError("a state of which several rows are taken at once")
    return begin


def _first(var: Any) -> int | None:
    """The first of several numbers, where it is constant."""
    if var.val is None and var.op is not None and var.op.op_type == "concat":
        var = var.op.inputs["values"][0]
    return None if var.val is None else int(np.ravel(var.val)[0])


def _slice_update(t: Translation, one: Operation) -> Held:
    """A state with a box of a row replaced: what lies before and behind it joined, an axis at a
    time, and rounded to float16 as Core ML keeps it."""
    state, row = _value(t, one), first_of(one)
    if not isinstance(state, Held):
        raise ValueError("an update of what is no state")
    begin, end = (op.convert(_value(t, one, name), "i64") for name in ("begin", "end"))

    def at(places: Node, axis: int) -> Node:
        return op.gather(places, _integers([axis]), _integers(0))

    def put(x: Node, axis: int) -> Node:
        if axis == len(one.inputs["x"].shape):
            return _value(t, one, "update")
        step, along = _integers([1]), _integers([axis])
        low, high = at(begin, axis), at(end, axis)
        before = op.slice(x, _integers([0]), low, step, along)
        inside = put(op.slice(x, low, high, step, along), axis + 1)
        behind = op.slice(x, high, _integers([2**31 - 1]), step, along)
        return op.concat([before, inside, behind], axis=axis)

    rounded = op.convert(op.convert(put(t.row(state, row), 1), ov.Type.f16), "f32")
    return Held(state.name, {**state.rows, row: rounded})


def _widened(t: Translation, one: Operation) -> Node:
    """constexpr_blockwise_shift_scale in two axes, kept in few bits by the engine."""
    data, scale = np.asarray(one.data.val, np.int8), np.asarray(one.scale.val, np.float32)
    if one.offset is not None or data.ndim != 2 or scale.shape[0] != data.shape[0]:
        raise ValueError("weights with a shift, or in blocks of several rows")
    rows, columns = data.shape
    groups = scale.shape[1]
    blocks = op.constant(np.ascontiguousarray(data).reshape(rows, groups, columns // groups))
    wide = op.multiply(op.convert(blocks, "f32"), op.constant(scale.reshape(rows, groups, 1)))
    return op.reshape(wide, _integers([rows, columns]), special_zero=False)


def _attention(t: Translation, one: Operation) -> Node:
    names = ("query", "key", "value", "attn_mask")
    return op.scaled_dot_product_attention(*(_value(t, one, name) for name in names))


def _select(t: Translation, one: Operation) -> Node:
    return op.select(*(_value(t, one, name) for name in ("cond", "a", "b")))


def _update_state(t: Translation, one: Operation) -> Held:
    state = one.inputs["state"].name
    t.live[state] = Held(state, _value(t, one, "value").rows)
    return t.live[state]


# What gives a state, and under which name it is given one.
STATEFUL = {"read_state": "input", "slice_update": "x", "coreml_update_state": "state"}

OPERATIONS: dict[str, Callable[[Translation, Operation], Any]] = {
    "add": _binary(op.add),
    "sub": _binary(op.subtract),
    "mul": _binary(op.multiply),
    "greater_equal": _binary(op.greater_equal),
    "select": _select,
    "relu": _unary(op.relu),
    "sigmoid": _unary(op.sigmoid),
    "silu": _unary(op.swish),
    "rsqrt": _rsqrt,
    "gelu": _gelu,
    "conv": _conv,
    "linear": _linear,
    "matmul": _matmul,
    "layer_norm": _layer_norm,
    "reduce_mean": _reduce_mean,
    "reduce_argmax": _argmax,
    "softmax": lambda t, one: op.softmax(
        _value(t, one), int(_raw(one, "axis")) % len(one.inputs["x"].shape)
    ),
    "reshape": lambda t, one: op.reshape(
        _value(t, one), _value(t, one, "shape"), special_zero=False
    ),
    "transpose": lambda t, one: op.transpose(_value(t, one), _integers(_raw(one, "perm"))),
    "expand_dims": lambda t, one: op.unsqueeze(_value(t, one), _integers(_raw(one, "axes"))),
    "squeeze": lambda t, one: op.squeeze(_value(t, one), _integers(_raw(one, "axes"))),
    "concat": lambda t, one: op.concat(
        [t.value(var) for var in one.inputs["values"]], axis=int(_raw(one, "axis"))
    ),
    "split": _split,
    "tile": lambda t, one: op.tile(_value(t, one), _integers(_raw(one, "reps"))),
    "cast": lambda t, one: op.convert(_value(t, one), _CASTS[_raw(one, "dtype")]),
    "shape": lambda t, one: op.shape_of(_value(t, one), "i32"),
    "gather": lambda t, one: op.gather(
        _value(t, one), _value(t, one, "indices"), _integers(_raw(one, "axis"))
    ),
    "slice_by_index": _slice,
    "slice_update": _slice_update,
    "scaled_dot_product_attention": _attention,
    "constexpr_blockwise_shift_scale": _widened,
    "read_state": lambda t, one: t.live[one.inputs["input"].name],
    "coreml_update_state": _update_state,
}
