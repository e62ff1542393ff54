"""FastViT trunks and FastVLM's projector, described once for every format.

Papers: FastViT https://arxiv.org/abs/2303.14189, FastVLM https://arxiv.org/abs/2412.13303.  The
engine's graph (galago/engine/graph/fastvit.py) is its own, as the CPU plug-in fuses by patterns.
"""

from __future__ import annotations

from typing import TypeVar

from galago.checkpoints.names import slots
from galago.export.writer import Get, Writer
from galago.specs import FastViTSpec

__all__ = ["mixer_block", "projector", "stages", "trunk"]

V = TypeVar("V")
_EPS = 1e-5


def stages(spec: FastViTSpec) -> list[str]:
    """The points that `trunk` marks, in order: before each entry of `network`, and the end."""
    return [f"network.{slot.index}" for slot in slots(spec)] + ["conv_exp"]


def trunk(g: Writer[V], pixel_values: V, get: Get, spec: FastViTSpec) -> V:
    """(B, 3, H, W) -> (B, C, H / stride, W / stride); `get` reads tensors folded without split."""
    x = pixel_values
    for index, stride in enumerate((2, 2, 1)):
        groups = spec.widths[0] if index == 1 else 1
        x = g.gelu(g.convolution(x, f"patch_embed.{index}", get, stride=stride, groups=groups))
    for slot in slots(spec):
        name, width = f"network.{slot.index}", spec.widths[slot.stage]
        x = g.mark(name, x)
        if slot.kind == "down":
            x = _downsample(g, x, f"{name}.proj", get, spec, slot.stage)
        elif slot.kind == "position":
            x = g.convolution(x, name, get, groups=width)
        else:
            for block in (f"{name}.{number}" for number in range(spec.depths[slot.stage])):
                mixes = spec.mixers[slot.stage] == "repmixer"
                x = (
                    mixer_block(g, x, block, get, width)
                    if mixes
                    else _attention_block(g, x, block, get, spec, width)
                )
    x = g.mark("conv_exp", x)
    x = g.convolution(x, "conv_exp", get, groups=spec.widths[-1])
    return g.gelu(_squeeze_excite(g, x, "conv_exp.se", get))


def projector(g: Writer[V], features: V, get: Get, channels: int) -> V:
    """A map (B, C, H, W) -> image features (B, H * W, hidden)."""
    tokens = g.tokens(features, channels)
    return g.linear(g.gelu(g.linear(tokens, "projector.0", get)), "projector.2", get)


def mixer_block(g: Writer[V], x: V, name: str, get: Get, width: int) -> V:
    """RepMixer and ConvFFN over a map (B, C, H, W)."""
    x = g.convolution(x, f"{name}.token_mixer", get, groups=width)
    return g.add(x, _conv_ffn(g, x, f"{name}.convffn", get, width))


def _downsample(g: Writer[V], x: V, name: str, get: Get, spec: FastViTSpec, stage: int) -> V:
    x = g.convolution(x, f"{name}.0", get, stride=2, groups=spec.widths[stage - 1])
    if spec.se_downsamples[stage]:
        x = _squeeze_excite(g, x, f"{name}.0.se", get)
    if spec.downsample_act:
        x = g.gelu(x)
    return g.gelu(g.convolution(x, f"{name}.1", get))


def _squeeze_excite(g: Writer[V], x: V, name: str, get: Get) -> V:
    """Channel gates from the global mean (https://arxiv.org/abs/1709.01507)."""
    gate = g.relu(g.convolution(g.mean(x), f"{name}.reduce", get))
    return g.multiply(x, g.sigmoid(g.convolution(gate, f"{name}.expand", get)))


def _conv_ffn(g: Writer[V], x: V, name: str, get: Get, width: int) -> V:
    x = g.convolution(x, f"{name}.conv", get, groups=width)
    x = g.gelu(g.convolution(x, f"{name}.fc1", get))
    return g.convolution(x, f"{name}.fc2", get)


def _attention_block(g: Writer[V], x: V, name: str, get: Get, spec: FastViTSpec, width: int) -> V:
    tokens = g.tokens(x, width)
    if spec.norm == "layer":
        tokens = g.layer_norm(tokens, f"{name}.norm", get, _EPS)
    # A batch norm before it was folded into the weights, and gave them a bias.
    joint = g.linear(tokens, f"{name}.token_mixer.qkv", get, bias=spec.norm == "batch")
    mixed = g.attention(joint, width, width // spec.head_dim)
    x = g.add(x, g.map_like(g.linear(mixed, f"{name}.token_mixer.proj", get), x))
    return g.add(x, _conv_ffn(g, x, f"{name}.convffn", get, width))
