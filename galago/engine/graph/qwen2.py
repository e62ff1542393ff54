"""The Qwen2 decoder with its key-value cache (https://arxiv.org/abs/2407.10671).

Inputs of the graph (B batch, T new tokens, S tokens in the cache afterwards):
  inputs_embeds float32 (B, T, hidden)
  mask          float32 (B, 1, T, S), 0 where a token may look and very negative elsewhere
  cos, sin      float32 (1 or B, 1, T, head_dim), of each row's own positions
  take          int64 (N,): positions among the T whose logits are wanted
  beam_idx      int32 (B,): which cache row each row continues
Output: logits float32 (B, N, vocab).

Rotary tables and the mask are made by the caller in numpy: they are tiny, and computing angles
inside the graph would round positions to bf16 where the plug-in runs in bf16.
"""

from __future__ import annotations

from galago.engine.graph import ops
from galago.engine.graph.ops import Node, Weights
from galago.engine.runtime import op, ov
from galago.specs import Qwen2Spec


def build(
    weights: Weights, spec: Qwen2Spec, layers: range | None = None, *, head: bool = True
) -> ov.Model:
    """The decoder of `spec` from tensors in llava names (model.layers.0.self_attn.q_proj …).

    `layers` builds only a run of layers; without `head` the output is hidden (B, N, hidden)
    instead of logits. So a decoder too large for memory can be run a few layers at a time.
    """
    inputs = _inputs(spec)
    embeds, mask, cos, sin, take, beam_idx = inputs
    sinks: list[Node] = []
    x: Node = embeds
    for index in layers if layers is not None else range(spec.layers):
        name = f"model.layers.{index}"
        normed = ops.rms_norm(x, weights, f"{name}.input_layernorm", spec.rms_eps)
        attended, assigns = _attention(
            normed, weights, f"{name}.self_attn", spec, (mask, cos, sin, beam_idx)
        )
        sinks += assigns
        x = op.add(x, attended)
        normed = ops.rms_norm(x, weights, f"{name}.post_attention_layernorm", spec.rms_eps)
        x = op.add(x, _mlp(normed, weights, f"{name}.mlp", spec))
    # Taking the wanted positions first keeps the widest product of the network to those rows.
    x = op.gather(x, take, op.constant(1))
    if head:
        x = ops.rms_norm(x, weights, "model.norm", spec.rms_eps)
        x = ops.linear(x, weights, "lm_head", spec.hidden)
    x.output(0).set_names({"logits" if head else "hidden"})
    return ov.Model([op.result(x)], sinks, inputs, "qwen2")


def _inputs(spec: Qwen2Spec) -> list[Node]:
    shapes: list[tuple[str, list[int], ov.Type]] = [
        ("inputs_embeds", [-1, -1, spec.hidden], ov.Type.f32),
        ("mask", [-1, 1, -1, -1], ov.Type.f32),
        ("cos", [-1, 1, -1, spec.head_dim], ov.Type.f32),
        ("sin", [-1, 1, -1, spec.head_dim], ov.Type.f32),
        ("take", [-1], ov.Type.i64),
        ("beam_idx", [-1], ov.Type.i32),
    ]
    nodes = []
    for name, shape, kind in shapes:
        node = op.parameter(ov.PartialShape(shape), kind, name=name)
        node.output(0).set_names({name})
        nodes.append(node)
    return nodes


def _attention(
    x: Node, weights: Weights, name: str, spec: Qwen2Spec, context: tuple[Node, ...]
) -> tuple[Node, list[Node]]:
    mask, cos, sin, beam_idx = context
    dim = spec.head_dim
    query = ops.linear(x, weights, f"{name}.q_proj", spec.hidden)
    key = ops.linear(x, weights, f"{name}.k_proj", spec.hidden)
    value = ops.linear(x, weights, f"{name}.v_proj", spec.hidden)
    query = ops.rotary(ops.split_heads(query, spec.heads, dim), cos, sin, dim)
    key = ops.rotary(ops.split_heads(key, spec.kv_heads, dim), cos, sin, dim)
    value = ops.split_heads(value, spec.kv_heads, dim)
    key, assign_key = _remember(key, f"{name}.key", spec, beam_idx)
    value, assign_value = _remember(value, f"{name}.value", spec, beam_idx)
    if spec.kv_heads != spec.heads:
        key, value = _repeat(key, spec), _repeat(value, spec)
    out = op.scaled_dot_product_attention(query, key, value, mask)
    out = ops.linear(ops.merge_heads(out, spec.hidden), weights, f"{name}.o_proj", spec.hidden)
    return out, [assign_key, assign_value]


def _remember(new: Node, name: str, spec: Qwen2Spec, beam_idx: Node) -> tuple[Node, Node]:
    """Append to a cache variable; returns the whole of it and the node that keeps it."""
    # An empty start: the batch comes from beam_idx, the length is nought.
    batch = op.shape_of(beam_idx, "i64")
    shape = op.concat([batch, ops.integers(spec.kv_heads, 0, spec.head_dim)], axis=0)
    start = op.broadcast(ops.floats(0.0), shape)
    stored = ov.PartialShape([-1, spec.kv_heads, -1, spec.head_dim])
    past = op.gather(op.read_value(start, name, ov.Type.f32, stored), beam_idx, op.constant(0))
    whole = op.concat([past, new], axis=2)
    return whole, op.assign(whole, name)


def _repeat(x: Node, spec: Qwen2Spec) -> Node:
    """Each key-value head serves heads / kv_heads queries: (B, kv, S, D) -> (B, heads, S, D)."""
    groups = spec.heads // spec.kv_heads
    copies = ops.integers(1, 1, groups, 1, 1)
    wide = op.broadcast(op.unsqueeze(x, op.constant(2)), copies, broadcast_spec="BIDIRECTIONAL")
    return op.reshape(wide, ops.integers(0, spec.heads, -1, spec.head_dim), special_zero=True)


def _mlp(x: Node, weights: Weights, name: str, spec: Qwen2Spec) -> Node:
    gate = op.swish(ops.linear(x, weights, f"{name}.gate_proj", spec.hidden))
    up = ops.linear(x, weights, f"{name}.up_proj", spec.hidden)
    return ops.linear(op.multiply(gate, up), weights, f"{name}.down_proj", spec.intermediate)
