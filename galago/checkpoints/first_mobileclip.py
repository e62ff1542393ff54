"""The `.pt` files of the first MobileCLIP (apple/ml-mobileclip) in open_clip's names.

They name tensors after Apple's own modules (mobileclip/clip.py there): `image_encoder.model.…` and
`text_encoder.…`. What the published open_clip files were converted from them with is the same
renaming. Training-time branches stay; galago/checkpoints/branches.py joins them.

MobileCLIP-B: Apple's code, with which it was trained, pads its first convolution by a pixel, and so
it is run (FIRST in clip_config.py); open_clip and timm, for which the same weights were published
too, don't, and those files are run without.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from galago import specs
from galago.checkpoints.names import CLIP_TRUNK, NOT_WHOLE, TEXT_BLOCK, VIT_BLOCK, llava_to_timm
from galago.checkpoints.tensors import Float, FusedTensor, Stored, read_float
from galago.errors import CheckpointError

__all__ = ["is_first", "to_open_clip"]

_IMAGE, _TEXT = "image_encoder.model.", "text_encoder."
_BRANCHES = (
    ("rbr_conv.", "conv_kxk."), ("rbr_scale.", "conv_scale."), ("rbr_skip.", "identity."),
    ("lkb_origin.", "large_conv."), ("pos_emb.pe.", "pos_emb.pos_enc."),
    ("token_mixer.layer_scale", "token_mixer.layer_scale.gamma"),
)  # fmt: skip
_BLOCK = {
    "norm1": "pre_norm_mha.0.", "qkv": "pre_norm_mha.1.qkv_proj.",
    "proj": "pre_norm_mha.1.out_proj.", "norm2": "pre_norm_ffn.0.", "fc1": "pre_norm_ffn.1.",
    "fc2": "pre_norm_ffn.4.",
}  # fmt: skip
_WORDS = (
    ("embedding_layer.", "token_embedding."), ("final_layer_norm.", "ln_final."),
    ("positional_embedding.pos_embed.pos_embed", "positional_embedding"),
    ("projection_layer", "text_projection"), ("transformer.", "transformer.resblocks."),
    *((theirs, f"{TEXT_BLOCK[part]}.") for part, theirs in _BLOCK.items()), *_BRANCHES,
)  # fmt: skip
_VIT = (
    ("patch_emb.", "patch_embed.backbone."), (".block.conv.", ".conv."), (".block.norm.", ".bn."),
    ("post_transformer_norm.", "norm."), ("pos_embed.pos_embed.pos_embed", "pos_embed"),
    ("transformer.", "blocks."), ("classifier.proj", "head.proj"),
    *((theirs, f"{VIT_BLOCK[part]}.") for part, theirs in _BLOCK.items()),
)  # fmt: skip


def is_first(names: Mapping[str, Stored]) -> bool:
    """Whether a file has the names of the first MobileCLIP."""
    return any(name.startswith(_IMAGE) for name in names)


def to_open_clip(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """The same tensors by open_clip's names; the two that lie otherwise there are turned."""
    vit = any(name.startswith(f"{_IMAGE}patch_emb.") for name in stored)
    head = f"{CLIP_TRUNK}{'head' if vit else 'head.fc'}"
    found: dict[str, Stored] = {}
    for name, tensor in stored.items():
        if name.startswith(_IMAGE):
            rest = name[len(_IMAGE) :]
            name = CLIP_TRUNK + (_replaced(rest, _VIT) if vit else _trunk(rest))
        elif name.startswith(_TEXT):
            name = "text." + _replaced(name[len(_TEXT) :], _WORDS)
        if name == f"{CLIP_TRUNK}head.proj":
            found |= _head(tensor, head)
        elif name in ("text.positional_embedding", f"{CLIP_TRUNK}pos_embed"):
            found[name] = _positions(tensor, name, 2 if name.startswith("text.") else 3)
        else:
            found[name] = tensor
    return found


def _trunk(name: str) -> str:
    """FastViT; the trunks of the first MobileCLIP have their stages at the same places."""
    try:
        name = llava_to_timm(name, specs.MCI0)
    except StopIteration:
        raise CheckpointError(f"the tensor {name} belongs to no MobileCLIP known here") from None
    # A scale inside of a token mixer has got its ending already.
    return _replaced(re.sub(r"(token_mixer\.layer_scale)\.gamma$", r"\1", name), _BRANCHES)


def _replaced(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for theirs, ours in pairs:
        name = name.replace(theirs, ours)
    return name


def _head(tensor: Stored, head: str) -> dict[str, Stored]:
    """A projection without a bias, columns first."""
    if len(tensor.shape) != 2:
        raise CheckpointError(f"{head} has shape {tuple(tensor.shape)}: {NOT_WHOLE}")
    shape = (tensor.shape[1], tensor.shape[0])

    def bias() -> Float:
        return np.zeros(shape[0], np.float32)

    return {
        f"{head}.weight": FusedTensor(f"{head}.weight", shape, _reading(tensor, np.transpose)),
        f"{head}.bias": FusedTensor(f"{head}.bias", shape[:1], bias),
    }


def _positions(tensor: Stored, name: str, dims: int) -> Stored:
    """Without the leading ones, which Apple's code interpolates over."""
    shape = tuple(tensor.shape[-dims:])
    if tuple(tensor.shape[:-dims]) != (1,) * (len(tensor.shape) - dims):
        raise CheckpointError(f"{name} has shape {tuple(tensor.shape)}: {NOT_WHOLE}")
    return FusedTensor(name, shape, _reading(tensor, lambda array: array.reshape(shape)))


def _reading(tensor: Stored, turn: Callable[[Float], Float]) -> Callable[[], Float]:
    return lambda: np.ascontiguousarray(turn(read_float(tensor)))
