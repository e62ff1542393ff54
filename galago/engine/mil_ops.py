"""MIL's operations in OpenVINO's: a function each, of what galago's exports are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from galago.engine.runtime import op, ov

__all__ = ["OPERATIONS", "Translation"]

Node = Any
Operation = Any  # of MIL
_WIDE = {np.dtype(np.float16): np.float32, np.dtype(np.float64): np.float32}
# Weights and the mask laid out: nothing is computed that could leave float16.
_GIVEN = {"constexpr_blockwise_shift_scale", "tile"}
_CASTS = {"fp32": "f32", "fp16": "f32", "int32": "i32", "bool": "boolean"}


class Translation:
    """A graph being made.  `halves`: results that Core ML holds in float16; `live`: of each state
    its value as it is now."""

    def __init__(self) -> None:
        self.parameters: list[Node] = []
        self.halves: list[Node] = []
        self.live: dict[str, Node] = {}
        self._made: dict[str, Node] = {}

    def input(self, name: str, var: Any, kind: str) -> None:
        """A parameter in its own type, float16 widened behind it."""
        shape = [int(one) if isinstance(one, int | np.integer) else -1 for one in var.shape]
        element = {"int32": ov.Type.i32, "float16": ov.Type.f16}.get(kind, ov.Type.f32)
        self._made[var.name] = self._parameter(name, shape, element)

    def state(self, name: str, shape: list[int]) -> None:
        """A parameter in float16."""
        self.live[name] = self._parameter(name, shape, ov.Type.f16)

    def _parameter(self, name: str, shape: list[int], element: Any) -> Node:
        node = op.parameter(ov.PartialShape(shape), element, name=name)
        node.output(0).set_names({name})
        self.parameters.append(node)
        return op.convert(node, "f32") if element == ov.Type.f16 else node

    def value(self, var: Any) -> Node:
        """A variable of MIL, made before or constant."""
        if var.name not in self._made:
            array = np.asarray(var.val)
            self._made[var.name] = op.constant(array.astype(_WIDE.get(array.dtype, array.dtype)))
        return self._made[var.name]

    def keep(self, one: Operation, made: Node | list[Node]) -> None:
        """Under the names of the operation's outputs."""
        nodes = made if isinstance(made, list) else [made]
        for var, node in zip(one.outputs, nodes, strict=True):
            self._made[var.name] = node
            if var.is_tensor_or_scalar_of("fp16") and one.op_type not in _GIVEN:
                self.halves.append(node)


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
    return op.strided_slice(_value(t, one), begin, end, steps, first, last, [], gone, [])


def _slice_update(t: Translation, one: Operation) -> Node:
    """`x` with a box replaced: what lies before and behind it joined, an axis at a time."""
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

    return put(_value(t, one), 0)


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


def _update_state(t: Translation, one: Operation) -> Node:
    """As Core ML keeps it: rounded to float16."""
    rounded = op.convert(op.convert(_value(t, one, "value"), ov.Type.f16), "f32")
    t.live[one.inputs["state"].name] = rounded
    return rounded


OPERATIONS: dict[str, Callable[[Translation, Operation], Node | list[Node]]] = {
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
