"""A written decoder read back a few layers at a time, so that the whole of it is never in memory.

What is read is the very file: a part is the nodes between two seams, with its tensors where they
lie.  A seam is where one layer hands over to the next: the normed sum, and the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from galago.checkpoints.tensors import Float
from galago.engine.exported import Exported
from galago.engine.layers import layers_at_once
from galago.export.onnx_writer import Shape
from galago.specs import Qwen2Spec

__all__ = ["read_logits"]

_EMBEDS, _LOGITS, _MASK = "inputs_embeds", "logits", "attention_mask"
_STEPS = 9  # positions of a large decoder that are looked at singly: each reads all of its weights
Values = dict[str, npt.NDArray[Any]]


def read_logits(
    path: Path,
    spec: Qwen2Spec,
    sequences: Sequence[Float],
    counts: Sequence[int],
    progress: Callable[[float], None] = lambda share: None,
) -> list[Float]:
    """Logits (count, vocab) of the last `counts` positions of whole sequences (T, hidden).

    `path`: a decoder of `write_decoder`.  All positions but the first of these go one by one
    through the cache; of a decoder in several parts, whose seams give every position, the last few.
    Raises ExportError as Exported does.
    """
    model = onnx.load(path, load_external_data=False)
    parts = list(_parts(spec))
    flowing = [
        [
            {_EMBEDS: np.ascontiguousarray(run[None])}
            for run in _runs(sequence, count if len(parts) == 1 else min(count, _STEPS))
        ]
        for sequence, count in zip(sequences, counts, strict=True)
    ]
    for index, (layers, ends) in enumerate(parts):
        if not layers:
            flowing = [_rows(steps, n) for steps, n in zip(flowing, counts, strict=True)]
        with _opened(model, path, spec, list(flowing[0][0]), layers, ends) as graph:
            flowing = [_through(graph, spec, steps, layers, ends) for steps in flowing]
        progress((index + 1) / len(parts))
    return [np.concatenate([step[_LOGITS][:, -1] for step in steps]) for steps in flowing]


def _runs(sequence: Float, count: int) -> list[Float]:
    start = len(sequence) - count + 1
    return [sequence[:start], *(row[None] for row in sequence[start:])]


def _rows(steps: Sequence[Values], count: int) -> list[Values]:
    """The last `count` positions, each by itself: the output is that of the last one seen."""
    (name,) = steps[0]
    last = np.concatenate([step[name] for step in steps], axis=1)[:, -count:]
    return [{name: last[:, at : at + 1]} for at in range(count)]


def _parts(spec: Qwen2Spec) -> Iterator[tuple[range, list[str]]]:
    """Layers together and the names they end in; the output's matrix has a part of its own."""
    step = layers_at_once(spec)
    for start in range(0, spec.layers, step):
        layers = range(start, min(start + step, spec.layers))
        if layers.stop < spec.layers:
            seam = f"model.layers.{layers.stop}.input_layernorm"
            yield layers, [f"{seam}.normed", f"{seam}.sum"]
    if step >= spec.layers:
        yield layers, [_LOGITS]
    else:
        yield layers, ["model.norm.normed"]
        yield range(0), [_LOGITS]


@contextmanager
def _opened(
    model: onnx.ModelProto,
    path: Path,
    spec: Qwen2Spec,
    begins: Sequence[str],
    layers: range,
    ends: Sequence[str],
) -> Iterator[Exported]:
    """The part between these names, by way of a small file beside the graph's."""
    caches = [f"present.{name}" for name in _names(layers)]
    # Of a name that no graph has: what a killed process leaves is not taken for one of them.
    file = path.with_name(f".{path.name}")
    file.write_bytes(_cut(model, begins, [*ends, *caches], spec).SerializeToString())
    try:
        graph = Exported(file)
        yield graph
        graph.release()
    finally:
        file.unlink()


def _names(layers: range) -> list[str]:
    return [f"{index}.{part}" for index in layers for part in ("key", "value")]


def _cut(
    model: onnx.ModelProto, begins: Sequence[str], ends: Sequence[str], spec: Qwen2Spec
) -> onnx.ModelProto:
    """The nodes that `ends` need, back to `begins`."""
    graph = model.graph
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    used, chosen, ahead = set(begins), set(), [*ends]
    while ahead:
        name = ahead.pop()
        if name in used:
            continue
        used.add(name)
        if name in makers:
            chosen.add(makers[name])
            ahead += [one for one in graph.node[makers[name]].input if one]
    half = any(one.type.tensor_type.elem_type == TensorProto.FLOAT16 for one in graph.input)
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT

    def seam(name: str) -> onnx.ValueInfoProto:
        shape: Shape = ["batch_size", "sequence_length", spec.hidden]
        return helper.make_tensor_value_info(name, kind, shape)

    known = {one.name: one for one in (*graph.input, *graph.output)}
    inputs = [one for one in graph.input if one.name in used]
    inputs += [seam(name) for name in begins if name not in known]
    made = helper.make_graph(
        [graph.node[index] for index in sorted(chosen)],
        graph.name,
        inputs,
        [known.get(name) or seam(name) for name in ends],
        [one for one in graph.initializer if one.name in used],
    )
    return helper.make_model(made, opset_imports=model.opset_import, ir_version=model.ir_version)


def _through(
    graph: Exported, spec: Qwen2Spec, steps: Sequence[Values], layers: range, ends: Sequence[str]
) -> list[Values]:
    """What the part makes of the runs of one sequence, one after the other."""
    empty = np.zeros((1, spec.kv_heads, 0, spec.head_dim), np.float32)
    past: Values = {f"past_key_values.{name}": empty for name in _names(layers)}
    length, found = 0, []
    for step in steps:
        length += next(iter(step.values())).shape[1]
        inputs = {**step, **past}
        if layers:
            inputs[_MASK] = np.ones((1, length), np.int64)
        out = graph.run(inputs)
        past = {f"past_key_values.{name}": out[f"present.{name}"] for name in _names(layers)}
        found.append({name: out[name] for name in ends})
    return found
