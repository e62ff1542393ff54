"""Small random MobileCLIPs in the open_clip layout, written with galago's own writer.

tiny_clip(folder)          a trunk of 4 small stages and a small vocabulary, by a "galago" block
published(folder)          a published trunk and vocabulary; only the text tower is small
real_clip(folder, "MobileCLIP2-S2")  a published model's every shape
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from galago.checkpoints import clip
from galago.checkpoints.clip_config import PUBLISHED as MODELS
from galago.checkpoints.clip_config import SECOND, clip_image_spec
from galago.checkpoints.clip_names import clip_shapes
from galago.checkpoints.names import timm_to_llava
from galago.checkpoints.tensors import to_bf16
from galago.checkpoints.writing import write_open_clip
from galago.specs import CLIP_SMALLEST_VOCAB, MCI0, ClipSpec, ClipTextSpec, FastViTSpec
from tests.helpers.checkpoints import Arrays, random_array
from tests.helpers.pickles import write_pt

TINY_MCI = FastViTSpec(
    depths=(1, 1, 1, 1),
    widths=(8, 16, 32, 32),
    mixers=("repmixer", "repmixer", "repmixer", "attention"),
    mlp_ratios=(3.0,) * 4,
    se_downsamples=(False, False, True, True),
    norm="batch",
    downsample_act=False,
)
_IMAGE = clip_image_spec(64, TINY_MCI.stride, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bilinear")
_TEXT = ClipTextSpec(32, 2, 1, causal=False)
PUBLISHED = ClipSpec("published", MCI0, _TEXT, replace(_IMAGE, stride=MCI0.stride), 16)
TINY_CLIP = ClipSpec("tiny-clip", TINY_MCI, replace(_TEXT, vocab=CLIP_SMALLEST_VOCAB), _IMAGE, 16)


def tiny_clip(
    folder: Path, *, seed: int = 0, scale: float = 3.0, dtype: str = "F32", causal: bool = False
) -> Path:
    """A MobileCLIP of 64 px; returns the folder. `dtype` is that of the stored scale."""
    spec = replace(TINY_CLIP, text=replace(TINY_CLIP.text, causal=causal))
    arrays = clip_tensors(spec, seed=seed, scale=scale)
    if dtype == "BF16":
        arrays["logit_scale"] = to_bf16(arrays["logit_scale"])
    write_open_clip(folder, arrays, spec)
    return folder


def clip_tensors(spec: ClipSpec, *, seed: int = 0, scale: float = 3.0) -> Arrays:
    """Random float32 arrays by open_clip's names, fused."""
    rng = np.random.default_rng(seed)
    arrays = {n: random_array(rng, n, shape) for n, shape in clip_shapes(spec).items()}
    if isinstance(spec.vision, FastViTSpec):
        _settle(arrays, spec.vision)
    arrays["logit_scale"] = np.asarray(scale, np.float32)
    return {n.replace(".in_proj.", ".in_proj_"): array for n, array in arrays.items()}


def _settle(arrays: Arrays, trunk: FastViTSpec) -> None:
    """Each block of a deep stage adds less, so that its end is no larger than a shallow one's.

    Else what reaches the attention of 24 blocks' depth is hundreds in size, where a trained batch
    norm before it gives ones, and float32's own rounding grows there: torch in float32 strays
    from float64 as far as any graph does.
    """
    for name in arrays:
        if found := re.match(r"visual\.trunk\.stages\.(\d+)\.blocks\.", name):
            share = np.float32(trunk.depths[int(found[1])] ** -0.5)
            if "layer_scale" in name:
                arrays[name] *= share
            elif name.endswith("token_mixer.reparam_conv.weight"):
                middle = arrays[name].shape[-1] // 2
                arrays[name] *= share
                arrays[name][..., middle, middle] += 1 - share


def real_clip(folder: Path, name: str, seed: int = 0) -> Path:
    """Random weights in every shape of the published model of this name; returns the folder.

    The first S0 in Apple's own layout: open_clip has none for its text tower.
    """
    spec = next(spec for spec in MODELS if spec.name == name)
    arrays = clip_tensors(spec, seed=seed)
    if spec.text.mixers:
        folder.mkdir(parents=True, exist_ok=True)
        write_pt(folder / "mobileclip_s0.pt", first_named(arrays))
    else:
        write_open_clip(folder, arrays, spec)
    return folder


def published(folder: Path) -> Path:
    """A folder with random single-branch weights; returns it."""
    rng = np.random.default_rng(5)
    arrays = {n: _published_array(rng, n, shape) for n, shape in clip_shapes(PUBLISHED).items()}
    write_open_clip(folder, arrays, PUBLISHED)
    return folder


def _published_array(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name == "logit_scale":
        return np.asarray(1, np.float32)
    fan = max(1, int(np.prod(shape[1:])))
    array = rng.standard_normal(shape, dtype=np.float32) / np.float32(fan**0.5)
    if "running_var" in name:
        array = 0.5 + np.abs(array)
    return array * np.float32(0.1 if "layer_scale" in name else 1)


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (count, 4, 5, 3), dtype=np.uint8)
    return list(coarse.repeat(20, axis=1).repeat(20, axis=2))


def shrink_published(monkeypatch: pytest.MonkeyPatch) -> ClipSpec:
    """Every published model in the shapes of a tiny one; returns these."""
    tiny = replace(SECOND[0], vision=TINY_MCI, text=_TEXT, embed=16)
    for name in ("FIRST", "PUBLISHED"):
        models = tuple(replace(tiny, name=spec.name) for spec in getattr(clip, name))
        monkeypatch.setattr(clip, name, models)
    return tiny


# Parts of a block as apple/ml-mobileclip names them.
BLOCK = {
    "ln_1": "pre_norm_mha.0", "norm1": "pre_norm_mha.0", "attn.in_proj": "pre_norm_mha.1.qkv_proj",
    "attn.qkv": "pre_norm_mha.1.qkv_proj", "attn.out_proj": "pre_norm_mha.1.out_proj",
    "attn.proj": "pre_norm_mha.1.out_proj", "ln_2": "pre_norm_ffn.0", "norm2": "pre_norm_ffn.0",
    "mlp.c_fc": "pre_norm_ffn.1", "mlp.fc1": "pre_norm_ffn.1", "mlp.c_proj": "pre_norm_ffn.4",
    "mlp.fc2": "pre_norm_ffn.4",
}  # fmt: skip


def first_named(arrays: Arrays) -> Arrays:
    """open_clip's fused arrays as Apple's files of the first MobileCLIP name and lay them.

    There the pictures' projection has no bias: that one is left out.
    """
    found: Arrays = {}
    for name, array in arrays.items():
        if re.fullmatch(r"visual\.trunk\.head(\.fc)?\.weight", name):
            part = "head" if name.endswith("fc.weight") else "classifier"
            found[f"image_encoder.model.{part}.proj"] = np.ascontiguousarray(array.T)
        elif not name.startswith("visual.trunk.head"):
            if name in ("text.positional_embedding", "visual.trunk.pos_embed"):
                array = array.reshape(1, 1, *array.shape[-2:])
            found[first_name(name.replace(".in_proj_", ".in_proj."))] = array
    return found


def first_name(name: str) -> str:
    """open_clip's name of a fused tensor -> apple/ml-mobileclip's."""
    if match := re.fullmatch(r"(.*(?:resblocks|blocks)\.\d+)\.(.+)\.(\w+)", name):
        stem, part, end = match.groups()
        if part in BLOCK and "stages" not in stem:
            prefix = "text_encoder" if "text." in stem else "image_encoder.model"
            return f"{prefix}.transformer.{stem.rpartition('.')[2]}.{BLOCK[part]}.{end}"
    if name.startswith("text."):
        rest = name.removeprefix("text.").replace("transformer.resblocks.", "transformer.")
        rest = rest.replace("token_embedding.", "embedding_layer.")
        rest = rest.replace("positional_embedding", "positional_embedding.pos_embed.pos_embed")
        rest = rest.replace("ln_final.", "final_layer_norm.")
        return "text_encoder." + rest.replace("text_projection", "projection_layer")
    trunk = name.removeprefix("visual.trunk.")
    if trunk == name:
        return name
    rest = timm_to_llava(trunk, TINY_MCI)
    rest = re.sub(r"^patch_embed\.backbone\.(\d)\.conv\.", r"patch_emb.\1.block.conv.", rest)
    rest = re.sub(r"^patch_embed\.backbone\.(\d)\.bn\.", r"patch_emb.\1.block.norm.", rest)
    rest = re.sub(r"^pos_embed$", "pos_embed.pos_embed.pos_embed", rest)
    return "image_encoder.model." + re.sub(r"^norm\.", "post_transformer_norm.", rest)
