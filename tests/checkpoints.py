"""Tiny random model folders in every published layout, written with galago's own writer.

    tiny_llava(folder)              llava_qwen2 with a "galago" block (a trunk of 5 small stages)
    tiny_fast_vlm(folder, shards=2) transformers' names, sharded with an index
    full_llava(folder)              the shapes of FastVLM-0.5B
    tiny_clip(folder)               a MobileCLIP in the open_clip layout with a "galago" block
    write_pt(path, arrays)          a file of torch.save

Same seed, same tensors: the two layouts of one seed are the same model.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from galago.bench.vlm.shapes import Shape, random_array, text_config, write_random
from galago.checkpoints.names import llava_to_fast_vlm
from galago.checkpoints.safetensors import SafetensorsWriter
from galago.checkpoints.tensors import Entry, to_bf16
from galago.checkpoints.writing import every_shape
from galago.specs import FASTVITHD, ClipSpec, FastViTSpec, ImageSpec, Qwen2Spec

TINY_VISION = FastViTSpec(
    depths=(1, 1, 1, 1, 1),
    widths=(8, 16, 32, 32, 64),
    mixers=("repmixer", "repmixer", "repmixer", "attention", "attention"),
    mlp_ratios=(2.0,) * 5,
    se_downsamples=(False,) * 5,
)
TINY_TEXT = Qwen2Spec(hidden=64, intermediate=128, layers=2, heads=4, kv_heads=2, vocab=320)
TINY_MCI = FastViTSpec(
    depths=(1, 1, 1, 1),
    widths=(8, 16, 32, 32),
    mixers=("repmixer", "repmixer", "repmixer", "attention"),
    mlp_ratios=(3.0,) * 4,
    se_downsamples=(False, False, True, True),
    norm="batch",
    downsample_act=False,
)
FULL_TEXT = Qwen2Spec(896, 4864, 24, 14, 2, 151936)

Arrays = dict[str, np.ndarray]


def random_tensors(vision: FastViTSpec, text: Qwen2Spec, seed: int = 0) -> Arrays:
    """Canonical names -> float32 arrays."""
    rng = np.random.default_rng(seed)
    return {n: random_array(rng, n, s) for n, s in every_shape(vision, text).items()}


def write_safetensors(path: Path, arrays: Mapping[str, np.ndarray], dtype: str = "BF16") -> None:
    """float32 arrays as BF16 or F32 (names in .scale always F32); int64 and int8 as they are."""
    kinds = {"int64": "I64", "int8": "I8"}
    plan = {
        n: Entry(kinds.get(a.dtype.name, "F32" if n.endswith(".scale") else dtype), tuple(a.shape))
        for n, a in arrays.items()
    }
    writer = SafetensorsWriter(path, plan, {"format": "pt"})
    for name, array in arrays.items():
        narrow = plan[name].dtype == "BF16"
        writer.append(name, to_bf16(array) if narrow else array)
    writer.close()


def write_tokenizer(folder: Path) -> None:
    """A byte-level tokenizer of 256 bytes and Qwen2's chat tokens, ids below 320."""
    alphabet = _byte_alphabet()
    vocab = {char: index + 3 for index, char in enumerate(alphabet)}
    special = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2, "<image>": 259}
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": False,
        "use_regex": False,
    }
    content = {
        "version": "1.0",
        "added_tokens": [
            {
                "id": i, "content": t, "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": True,
            }
            for t, i in special.items()
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocab | special, "merges": []},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(content))


def _byte_alphabet() -> list[str]:
    """The 256 printable characters that stand for bytes in byte-level vocabularies."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = iter(range(256, 512))
    return [chr(b) if b in kept else chr(next(moved)) for b in range(256)]


def tiny_llava(
    folder: Path,
    *,
    vision: FastViTSpec = TINY_VISION,
    text: Qwen2Spec = TINY_TEXT,
    seed: int = 0,
    dtype: str = "BF16",
    image: ImageSpec | None = None,
) -> Path:
    """A llava_qwen2 folder with a "galago" block; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", random_tensors(vision, text, seed), dtype)
    block = {
        "format": 1,
        "vision": dataclasses.asdict(vision),
        "image": dataclasses.asdict(image or ImageSpec(side=256)),
    }
    config = text_config(text) | {
        "model_type": "llava_qwen2",
        "mm_vision_tower": "mobileclip_l_256",
        "mm_hidden_size": vision.features,
        "mm_projector_type": "mlp2x_gelu",
        "image_aspect_ratio": "pad",
        "galago": block,
    }
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer(folder)
    return folder


def tiny_fast_vlm(
    folder: Path,
    *,
    vision: FastViTSpec = TINY_VISION,
    text: Qwen2Spec = TINY_TEXT,
    seed: int = 0,
    dtype: str = "BF16",
    shards: int = 1,
) -> Path:
    """A transformers fast_vlm folder, in `shards` files with an index when more than one."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        llava_to_fast_vlm(n, vision): a for n, a in random_tensors(vision, text, seed).items()
    }
    if shards == 1:
        write_safetensors(folder / "model.safetensors", arrays, dtype)
    else:
        _write_shards(folder, arrays, dtype, shards)
    config = {
        "model_type": "fast_vlm",
        "image_token_index": 259,
        "projector_hidden_act": "gelu",
        "text_config": text_config(text) | {"model_type": "qwen2"},
        "vision_config": {
            "model_type": "timm_wrapper",
            "architecture": "fastvit_mci3",
            "hidden_size": vision.features,
            "model_args": timm_args(vision) | {"inference_mode": True},
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"crop_size": {"height": 256, "width": 256}, "do_center_crop": True,
                    "image_mean": [0.0, 0.0, 0.0], "image_std": [1.0, 1.0, 1.0], "resample": 3})
    )  # fmt: skip
    write_tokenizer(folder)
    return folder


def timm_args(vision: FastViTSpec) -> dict[str, Any]:
    """The same trunk as arguments of timm's FastVit."""
    return {
        "layers": list(vision.depths),
        "embed_dims": list(vision.widths),
        "token_mixers": list(vision.mixers),
        "mlp_ratios": list(vision.mlp_ratios),
        "se_downsamples": list(vision.se_downsamples),
    }


def _write_shards(folder: Path, arrays: Arrays, dtype: str, shards: int) -> None:
    names = list(arrays)
    weight_map: dict[str, str] = {}
    for index in range(shards):
        file = f"model-{index + 1:05d}-of-{shards:05d}.safetensors"
        part: Iterable[str] = names[index::shards]
        write_safetensors(folder / file, {n: arrays[n] for n in part}, dtype)
        weight_map |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )


def full_llava(folder: Path, *, text: Qwen2Spec = FULL_TEXT, seed: int = 0) -> Path:
    """Random weights in the shapes of FastVLM-0.5B as published (1.5 GB), run by run."""
    write_random(folder, Shape(FASTVITHD, text, 1024), seed)
    write_tokenizer(folder)
    return folder


def tiny_clip(folder: Path, *, seed: int = 0, scale: float = 3.0) -> Path:
    """A MobileCLIP of 64 px with random weights; returns the folder."""
    from galago.checkpoints.clip_config import read_clip_spec
    from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS
    from galago.specs import CLIP_SMALLEST_VOCAB

    folder.mkdir(parents=True, exist_ok=True)
    text = {
        "vocab_size": CLIP_SMALLEST_VOCAB,
        "width": 32,
        "heads": 2,
        "layers": 1,
        "no_causal_mask": True,
    }
    block = {"format": 1, "name": "tiny-clip", "vision": dataclasses.asdict(TINY_MCI)}
    model = {"embed_dim": 16, "vision_cfg": {"image_size": 64}, "text_cfg": text, "galago": block}
    seen = {"mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bilinear"}
    (folder / CLIP_CONFIG).write_text(json.dumps({"model_cfg": model, "preprocess_cfg": seen}))
    arrays = clip_tensors(read_clip_spec(folder), seed=seed, scale=scale)
    write_safetensors(folder / CLIP_WEIGHTS, arrays, "F32")
    return folder


def clip_tensors(spec: ClipSpec, *, seed: int = 0, scale: float = 3.0) -> Arrays:
    """Random float32 arrays by open_clip's names, fused."""
    from galago.checkpoints.clip_names import clip_shapes

    rng = np.random.default_rng(seed)
    arrays = {n: random_array(rng, n, shape) for n, shape in clip_shapes(spec).items()}
    arrays["logit_scale"] = np.asarray(scale, np.float32)
    return {n.replace(".in_proj.", ".in_proj_"): array for n, array in arrays.items()}


def write_pt(path: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """float32 arrays as torch.save writes a state dict."""
    from tests.test_torchfile import tensor, write

    state, entries = collections.OrderedDict(), {}
    for key, (name, array) in enumerate(arrays.items()):
        steps = tuple(step // 4 for step in np.ascontiguousarray(array).strides)
        state[name] = tensor(
            array.shape, steps[: array.ndim], 0, "FloatStorage", str(key), array.size
        )
        entries[f"data/{key}"] = array.astype("<f4").tobytes()
    return write(path, state, entries)
