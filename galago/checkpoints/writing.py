"""The published layouts, written: what the trainer, the benchmark, exports and tests leave on disk.

A folder's configuration is written last, so that one with a configuration is whole.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from galago.checkpoints.clip_config import TRUNKS
from galago.checkpoints.folders import CLIP_CONFIG, CLIP_WEIGHTS, CONFIG, WEIGHTS
from galago.checkpoints.names import (
    VISION,
    Shapes,
    projector_shapes,
    text_shapes,
    vision_shapes,
)
from galago.checkpoints.safetensors import SafetensorsWriter
from galago.checkpoints.tensors import Array, Entry
from galago.checkpoints.vlm_config import TIMM_ARGS, text_to_json
from galago.specs import CLIP_VOCAB, FASTVITHD, ClipSpec, FastViTSpec, ImageSpec, Qwen2Spec

__all__ = [
    "every_shape",
    "fast_vlm_config",
    "llava_config",
    "open_clip_config",
    "timm_args",
    "write_arrays",
    "write_llava",
    "write_open_clip",
    "write_runs",
]

# numpy's types as files name them; bf16 comes as its upper 16 bits.
_KINDS = {"uint16": "BF16", "int8": "I8", "int64": "I64", "float16": "F16", "float32": "F32"}


def every_shape(vision: FastViTSpec, text: Qwen2Spec) -> Shapes:
    """Every tensor of a vision-language model by its canonical name."""
    shapes: Shapes = {VISION + name: shape for name, shape in vision_shapes(vision).items()}
    shapes |= projector_shapes(vision.features, (text.hidden, text.hidden))
    return shapes | text_shapes(text)


def write_runs(
    path: Path,
    plan: Mapping[str, Entry],
    runs: Callable[[str, Entry], Iterable[Array]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """A safetensors file of tensors that `runs` makes in runs of rows, none of them held."""
    writer = SafetensorsWriter(path, plan, metadata)
    try:
        for name, entry in plan.items():
            for run in runs(name, entry):
                writer.append(name, run)
        writer.close()
    except BaseException:
        writer.abandon()
        raise


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """A safetensors file of arrays; uint16 ones are bf16, an int8 one has its `NAME.scale`."""
    plan = {name: Entry(_KINDS[a.dtype.name], tuple(a.shape)) for name, a in arrays.items()}
    write_runs(path, plan, lambda name, entry: (arrays[name],), {"format": "pt"})


def llava_config(
    vision: FastViTSpec,
    text: Qwen2Spec,
    image: ImageSpec,
    *,
    end: int | None,
    name: str | None = None,
) -> dict[str, Any]:
    """The config.json of a llava_qwen2 folder; `end` is the id that ends a reply.

    What isn't FastViTHD as published is spelt out in a "galago" block, with the model's `name`.
    """
    config: dict[str, Any] = {
        "model_type": "llava_qwen2",
        "mm_vision_tower": f"mobileclip_l_{image.side}",
        "mm_hidden_size": vision.features,
        "mm_projector_type": "mlp2x_gelu",
        "image_aspect_ratio": image.fit,
        **text_to_json(text),
        "eos_token_id": end,
    }
    if name is not None or vision != FASTVITHD or image != ImageSpec(image.side):
        config["galago"] = {
            "format": 1,
            **({"name": name} if name else {}),
            "vision": dataclasses.asdict(vision),
            "image": dataclasses.asdict(image),
        }
    return config


def timm_args(vision: FastViTSpec) -> dict[str, Any]:
    """What of timm's fastvit_mci3 must be told otherwise for this trunk; ValueError for one that
    it can't be told to be."""
    changed = {arg: getattr(vision, field) for arg, field in TIMM_ARGS.items()}
    given = dict(zip(TIMM_ARGS.values(), changed.values(), strict=True))
    if dataclasses.replace(FASTVITHD, **given) != vision or vision.mixers != FASTVITHD.mixers:
        raise ValueError("no shape of fastvit_mci3")
    return {
        arg: list(value) if isinstance(value, tuple) else value
        for arg, value in changed.items()
        if value != getattr(FASTVITHD, TIMM_ARGS[arg])
    }


def fast_vlm_config(
    vision: FastViTSpec,
    text: Qwen2Spec,
    image: ImageSpec,
    *,
    image_id: int,
    ends: Sequence[int],
    dtype: str,
) -> dict[str, Any]:
    """The config.json of transformers' fast_vlm; `image_id` is that of `<image>`, `dtype` torch's
    name of the tensors' type. ValueError as timm_args. `image` is told by its processor's file."""
    own = text_to_json(text)
    positions = own.pop("tokenizer_model_max_length")
    decoder = own | {
        "model_type": "qwen2",
        "max_position_embeddings": positions,
        "rope_parameters": {"rope_type": "default", "rope_theta": text.rope_theta},
        "hidden_act": "silu",
        "eos_token_id": list(ends),
        "dtype": dtype,
    }
    return {
        "architectures": ["FastVlmForConditionalGeneration"],
        "model_type": "fast_vlm",
        "dtype": dtype,
        "image_token_index": image_id,
        "image_seq_length": (image.side // vision.stride) ** 2,
        "projector_hidden_act": "gelu",
        "multimodal_projector_bias": True,
        "vision_feature_select_strategy": "full",
        "vision_feature_layer": -1,
        "tie_word_embeddings": text.tied,
        "eos_token_id": list(ends),
        "text_config": decoder,
        "vision_config": {
            "model_type": "timm_wrapper",
            "architecture": "fastvit_mci3",
            "do_pooling": True,
            "global_pool": "avg",
            "hidden_size": vision.features,
            "initializer_range": 0.02,
            "model_args": {"inference_mode": True, **timm_args(vision)},
        },
    }


def write_llava(folder: Path, arrays: Mapping[str, Array], config: Mapping[str, Any]) -> None:
    """A llava_qwen2 folder without its tokenizer, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    write_arrays(folder / WEIGHTS, arrays)
    _write_json(folder / CONFIG, config)


def open_clip_config(spec: ClipSpec) -> dict[str, Any]:
    """The open_clip_config.json of a model; what is no published one stands in a "galago" block.

    ValueError for a text tower with mixers (the first MobileCLIP-S0), which open_clip has not.
    """
    text, image = spec.text, spec.image
    if text.mixers:
        raise ValueError(f"open_clip has no text tower like that of {spec.name}")
    published = next((name for name, trunk in TRUNKS.items() if trunk == spec.vision), None)
    if text.vocab != CLIP_VOCAB:  # only galago's own models may have a smaller one
        published = None
    model: dict[str, Any] = {
        "embed_dim": spec.embed,
        "vision_cfg": {"image_size": image.side},
        "text_cfg": {
            "context_length": text.context,
            "vocab_size": text.vocab,
            "width": text.width,
            "heads": text.heads,
            "layers": text.layers,
            "no_causal_mask": not text.causal,
        },
    }
    if published is not None:
        model["vision_cfg"]["timm_model_name"] = published
    else:
        vision = dataclasses.asdict(spec.vision)
        model["galago"] = {"format": 1, "name": spec.name, "vision": vision}
    seen = {
        "mean": list(image.mean),
        "std": list(image.std),
        "interpolation": image.resample,
        "resize_mode": "shortest",
    }
    return {"model_cfg": model, "preprocess_cfg": seen}


def write_open_clip(folder: Path, arrays: Mapping[str, Array], spec: ClipSpec) -> None:
    """An open_clip folder of arrays by the names of galago.checkpoints.clip_names.

    ValueError as open_clip_config.
    """
    config = open_clip_config(spec)
    folder.mkdir(parents=True, exist_ok=True)
    # Its own name in the published layout has no dot there.
    named = {name.replace(".in_proj.", ".in_proj_"): array for name, array in arrays.items()}
    write_arrays(folder / CLIP_WEIGHTS, named)
    _write_json(folder / CLIP_CONFIG, config)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1), "utf-8")
