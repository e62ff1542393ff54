"""Tiny random model folders in every published layout, written with galago's own writers.

    tiny_llava(folder)              llava_qwen2 with a "galago" block (a trunk of 5 small stages)
    tiny_fast_vlm(folder, shards=2) transformers' names, sharded with an index
    full_llava(folder)              the shapes of FastVLM-0.5B

Same seed, same tensors: the two layouts of one seed are the same model. MobileCLIP's are in
tests/helpers/clips.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from galago.bench.vlm.shapes import Shape, random_array, text_config, write_random
from galago.checkpoints.folders import CONFIG, INDEX, WEIGHTS
from galago.checkpoints.names import llava_to_fast_vlm
from galago.checkpoints.tensors import to_bf16
from galago.checkpoints.writing import every_shape, llava_config, write_arrays
from galago.specs import FASTVITHD, FastViTSpec, ImageSpec, Qwen2Spec

__all__ = [
    "FULL_TEXT",
    "TINY_TEXT",
    "TINY_VISION",
    "WIDE_TEXT",
    "Arrays",
    "full_llava",
    "random_array",
    "random_tensors",
    "text_config",
    "timm_args",
    "tiny_fast_vlm",
    "tiny_llava",
    "write_safetensors",
    "write_tokenizer",
]

TINY_VISION = FastViTSpec(
    depths=(1, 1, 1, 1, 1),
    widths=(8, 16, 32, 32, 64),
    mixers=("repmixer", "repmixer", "repmixer", "attention", "attention"),
    mlp_ratios=(2.0,) * 5,
    se_downsamples=(False,) * 5,
)
TINY_TEXT = Qwen2Spec(hidden=64, intermediate=128, layers=2, heads=4, kv_heads=2, vocab=320)
WIDE_TEXT = replace(TINY_TEXT, hidden=128, intermediate=256)  # enough for int4 groups of 128
FULL_TEXT = Qwen2Spec(896, 4864, 24, 14, 2, 151936)

Arrays = dict[str, np.ndarray]


def random_tensors(vision: FastViTSpec, text: Qwen2Spec, seed: int = 0) -> Arrays:
    """Canonical names -> float32 arrays."""
    rng = np.random.default_rng(seed)
    return {n: random_array(rng, n, s) for n, s in every_shape(vision, text).items()}


def write_safetensors(path: Path, arrays: Mapping[str, np.ndarray], dtype: str = "BF16") -> None:
    """float32 arrays as BF16 or F32 (names in .scale always F32); int64 and int8 as they are."""

    def stored(name: str, array: np.ndarray) -> np.ndarray:
        narrow = dtype == "BF16" and array.dtype == np.float32 and not name.endswith(".scale")
        return to_bf16(array) if narrow else array

    write_arrays(path, {name: stored(name, array) for name, array in arrays.items()})


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
    write_safetensors(folder / WEIGHTS, random_tensors(vision, text, seed), dtype)
    config = llava_config(vision, text, image or ImageSpec(side=256), end=2)
    (folder / CONFIG).write_text(json.dumps(config))
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
        write_safetensors(folder / WEIGHTS, arrays, dtype)
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
    (folder / CONFIG).write_text(json.dumps(config))
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
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def full_llava(folder: Path, *, text: Qwen2Spec = FULL_TEXT, seed: int = 0) -> Path:
    """Random weights in the shapes of FastVLM-0.5B as published (1.5 GB), run by run."""
    write_random(folder, Shape(FASTVITHD, text, 1024), seed)
    write_tokenizer(folder)
    return folder
