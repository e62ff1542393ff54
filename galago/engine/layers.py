"""A decoder run a few layers at a time, so that the whole of it is never in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from galago.checkpoints.tensors import Float, InMemory, let_go
from galago.engine.graph import qwen2
from galago.engine.graph.ops import Weights
from galago.engine.precision import PrecisionPlan
from galago.engine.processor import language_options
from galago.engine.runtime import ov
from galago.engine.vlm_sessions import causal_mask, rotary_table
from galago.specs import Qwen2Spec

# Weights of the layers compiled together, in bytes as float32.
_BUDGET = 700_000_000


def run_decoder(
    weights: Weights,
    spec: Qwen2Spec,
    plan: PrecisionPlan,
    sequences: Sequence[Float],
    takes: Sequence[npt.NDArray[np.int64]],
    *,
    head: bool,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Float]:
    """Run whole sequences (T, hidden) through the decoder, a few layers in memory at a time.

    -> logits (N, vocab) at the positions of `takes`, or without `head` hidden states (N, hidden).
    """
    core = ov.Core()
    settings = language_options(plan, None, core)
    flowing = [np.ascontiguousarray(s[None]) for s in sequences]
    step = layers_at_once(spec)
    for start in range(0, spec.layers, step):
        layers = range(start, min(start + step, spec.layers))
        last = layers.stop == spec.layers
        held = _read(weights, layers, head=head and last)
        model = qwen2.build(held, spec, layers, head=head and last)
        compiled = core.compile_model(model, "CPU", settings)
        for index, x in enumerate(flowing):
            take = takes[index] if last else np.arange(x.shape[1])
            flowing[index] = _infer(compiled, spec, x, take)
        compiled.release_memory()  # or the engine keeps each run's activations for ever
        del compiled, model
        for name in held:  # memory-mapped tensors leave the process again
            let_go(weights[name])
        progress(layers.stop / spec.layers)
    return [x[0] for x in flowing]


def _read(weights: Weights, layers: range, *, head: bool) -> dict[str, InMemory]:
    """The tensors of these layers, read once: a graph shares their bytes without keeping them."""
    names = tuple(f"model.layers.{index}." for index in layers)
    if head:
        names += ("model.norm.", "lm_head.")
    wanted = {name: tensor for name, tensor in weights.items() if name.startswith(names)}
    return {name: InMemory(t.dtype, t.shape, t.read()) for name, t in wanted.items()}


def _infer(
    compiled: ov.CompiledModel, spec: Qwen2Spec, x: Float, take: npt.NDArray[np.int64]
) -> Float:
    cos, sin = rotary_table(spec, x.shape[1])
    request = compiled.create_infer_request()
    request.infer(
        {
            "inputs_embeds": x,
            "mask": causal_mask(0, x.shape[1]),
            "cos": cos,
            "sin": sin,
            "take": take.astype(np.int64),
            "beam_idx": np.zeros(1, np.int32),
        }
    )
    return np.array(request.get_output_tensor(0).data, dtype=np.float32)


def layers_at_once(spec: Qwen2Spec) -> int:
    """How many layers are held in memory together, of models with large ones."""
    kv = spec.kv_heads * spec.head_dim
    layer = 2 * spec.hidden * (spec.hidden + kv) + 3 * spec.hidden * spec.intermediate
    return max(1, min(spec.layers, _BUDGET // (4 * layer)))
