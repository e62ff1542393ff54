"""Training-time FastViT tensors -> the single-branch ones that run.

Published MobileCLIP files keep each block's parallel branches (MobileOne,
https://arxiv.org/abs/2206.04040; FastViT, https://arxiv.org/abs/2303.14189): convolutions with a
batch norm each, a 1x1 branch, an identity with a norm. They add up to one convolution with a bias.
Names in and out are timm's. Nothing is computed before a tensor is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from galago.checkpoints.names import CLIP_TRUNK, NOT_WHOLE, TEXT_BLOCKS
from galago.checkpoints.tensors import Float, FusedTensor, Stored, read_float
from galago.errors import CheckpointError

Pair = tuple[Float, Float]  # a convolution's weight and bias
_EPS = 1e-5
_NORM = ("weight", "bias", "running_mean", "running_var")
_BRANCHES = re.compile(
    r"(.*?)\.(?:token_mixer\.(?:norm|mixer)\.|token_mixer\.layer_scale\b"
    r"|conv_kxk\.|conv_scale\.|identity\.|large_conv\.|small_conv\.|pos_enc\.)"
)


def fused(tensors: Mapping[str, Stored]) -> dict[str, Stored]:
    """The tensors with every multi-branch block as `BLOCK.reparam_conv.weight` and `.bias`.

    Tensors of single-branch blocks and all others pass as they are.
    """
    out: dict[str, Stored] = {}
    for name, tensor in tensors.items():
        match = _BRANCHES.match(name) if name.startswith((CLIP_TRUNK, TEXT_BLOCKS)) else None
        if match is None:
            out[name] = tensor
            continue
        block = match[1]
        if re.match(r"\.token_mixer\.(norm|mixer|layer_scale)", name[len(block) :]):
            block += ".token_mixer"
        if f"{block}.reparam_conv.weight" not in out:
            out |= _block(tensors, block)
    return out


def _block(tensors: Mapping[str, Stored], block: str) -> dict[str, Stored]:
    maker, shape = _maker(tensors, block)
    weight, bias = f"{block}.reparam_conv.weight", f"{block}.reparam_conv.bias"
    return {
        weight: FusedTensor(weight, shape, lambda: maker()[0]),
        bias: FusedTensor(bias, shape[:1], lambda: maker()[1]),
    }


def _maker(tensors: Mapping[str, Stored], block: str) -> tuple[Callable[[], Pair], tuple[int, ...]]:
    """How a block's one convolution is made, and the shape of its weight."""

    def shape(name: str) -> tuple[int, ...]:
        return tensors[f"{block}.{name}"].shape

    if f"{block}.large_conv.conv.weight" in tensors:
        return lambda: _large_kernel(tensors, block), shape("large_conv.conv.weight")
    if f"{block}.pos_enc.weight" in tensors:
        return lambda: _position(tensors, block), shape("pos_enc.weight")
    if f"{block}.mixer.conv_kxk.0.conv.weight" in tensors:
        return lambda: _mixer(tensors, block), shape("mixer.conv_kxk.0.conv.weight")
    if f"{block}.conv_kxk.0.conv.weight" not in tensors:
        raise CheckpointError(f"{block} has no convolution: {NOT_WHOLE}")
    return lambda: _mobile_one(tensors, block, None), shape("conv_kxk.0.conv.weight")


def _read(tensors: Mapping[str, Stored], name: str) -> Float:
    if name not in tensors:
        raise CheckpointError(f"the tensor {name} is missing: {NOT_WHOLE}")
    return read_float(tensors[name])


def _norm(tensors: Mapping[str, Stored], name: str) -> Pair:
    """A batch norm as a gain and a shift, computed in float64."""
    shapes = {tuple(tensors[n].shape) for part in _NORM if (n := f"{name}.{part}") in tensors}
    if len(shapes) != 1:
        raise CheckpointError(f"the tensors of {name} don't fit together: {NOT_WHOLE}")
    gain, shift, mean, var = (_read(tensors, f"{name}.{part}").astype(np.float64) for part in _NORM)
    scale = gain / np.sqrt(var + _EPS)
    return scale.astype(np.float32), (shift - mean * scale).astype(np.float32)


def _branch(tensors: Mapping[str, Stored], name: str) -> Pair:
    gain, shift = _norm(tensors, f"{name}.bn")
    return _read(tensors, f"{name}.conv.weight") * gain[:, None, None, None], shift


def _centred(kernel: Float, size: tuple[int, ...]) -> Float:
    """A smaller odd kernel in the middle of a larger one."""
    high, wide = ((large - small) // 2 for large, small in zip(size, kernel.shape[2:], strict=True))
    return np.pad(kernel, ((0, 0), (0, 0), (high, high), (wide, wide)))


def _identity(shape: tuple[int, ...]) -> Float:
    """The kernel that changes nothing; also of grouped convolutions."""
    kernel = np.zeros(shape, np.float32)
    rows = np.arange(shape[0])
    kernel[rows, rows % shape[1], shape[2] // 2, shape[3] // 2] = 1
    return kernel


def _mobile_one(tensors: Mapping[str, Stored], block: str, shape: tuple[int, ...] | None) -> Pair:
    """MobileOneBlock: k x k branches, a 1 x 1 branch, an identity; `shape` if none is k x k."""
    parts = []
    number = 0
    while f"{block}.conv_kxk.{number}.conv.weight" in tensors:
        parts.append(_branch(tensors, f"{block}.conv_kxk.{number}"))
        number += 1
    shape = parts[0][0].shape if parts else shape
    assert shape is not None
    if f"{block}.conv_scale.conv.weight" in tensors:
        kernel, bias = _branch(tensors, f"{block}.conv_scale")
        parts.append((_centred(kernel, shape[2:]), bias))
    if f"{block}.identity.weight" in tensors:
        gain, shift = _norm(tensors, f"{block}.identity")
        parts.append((_identity(shape) * gain[:, None, None, None], shift))
    kernels, biases = zip(*parts, strict=True)
    return sum(kernels[1:], kernels[0]), sum(biases[1:], biases[0])


def _mixer(tensors: Mapping[str, Stored], block: str) -> Pair:
    """RepMixer: x + scale * (mixer(x) - norm(x))."""
    mixed, mixed_bias = _mobile_one(tensors, f"{block}.mixer", None)
    plain, plain_bias = _mobile_one(tensors, f"{block}.norm", mixed.shape)
    scale = np.ones(mixed.shape[0], np.float32)
    if f"{block}.layer_scale.gamma" in tensors:
        scale = _read(tensors, f"{block}.layer_scale.gamma").reshape(-1)
    kernel = _identity(mixed.shape) + scale[:, None, None, None] * (mixed - plain)
    return kernel, scale * (mixed_bias - plain_bias)


def _large_kernel(tensors: Mapping[str, Stored], block: str) -> Pair:
    kernel, bias = _branch(tensors, f"{block}.large_conv")
    if f"{block}.small_conv.conv.weight" in tensors:
        small, more = _branch(tensors, f"{block}.small_conv")
        kernel, bias = kernel + _centred(small, kernel.shape[2:]), bias + more
    return kernel, bias


def _position(tensors: Mapping[str, Stored], block: str) -> Pair:
    """RepCPE: a convolution and the picture itself."""
    kernel = _read(tensors, f"{block}.pos_enc.weight")
    return kernel + _identity(kernel.shape), _read(tensors, f"{block}.pos_enc.bias")
