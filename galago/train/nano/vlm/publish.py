"""A trained checkpoint -> a folder that galago loads: the llava_qwen2 layout, 8 bits and bf16."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import torch

from galago import layout, quantise
from galago.config import text_to_json
from galago.safetensors import Entry, SafetensorsWriter
from galago.specs import FastViTSpec, ImageSpec, Qwen2Spec
from galago.tokens import load_tokenizer
from galago.train.config import TrainConfig, VisionConfig
from galago.train.model import PIXEL_MEAN, PIXEL_STD

SMALLEST_INT8 = 8192  # elements
KINDS = {"uint16": "BF16", "int8": "I8", "float32": "F32"}
NORM_EPS = 1e-5  # torch's BatchNorm2d


def publish(config: TrainConfig, checkpoint: Path, tokenizer: Path, out: Path) -> None:
    """Write weights, config and tokenizer to `out`; KeyError names a tensor that is missing."""
    held = torch.load(checkpoint, weights_only=True, map_location="cpu")["model"]
    vision, text = vision_spec(config.vision), config.text.spec
    tensors = canonical(held, vision)
    wanted = {layout.VISION + n: s for n, s in layout.vision_shapes(vision).items()}
    wanted |= layout.projector_shapes(vision.features, (text.hidden, text.hidden))
    wanted |= layout.text_shapes(text)
    arrays: dict[str, np.ndarray] = {}
    for name, shape in wanted.items():
        if tensors[name].shape != shape:
            raise KeyError(f"{name} has shape {tensors[name].shape}, expected {shape}")
        arrays |= stored(name, tensors[name])
    out.mkdir(parents=True, exist_ok=True)
    plan = {name: Entry(KINDS[array.dtype.name], array.shape) for name, array in arrays.items()}
    writer = SafetensorsWriter(out / "model.safetensors", plan, {"format": "pt"})
    for name, array in arrays.items():
        writer.append(name, array)
    writer.close()
    shutil.copyfile(tokenizer / "tokenizer.json", out / "tokenizer.json")
    end = load_tokenizer(tokenizer).token_id("<|im_end|>")
    (out / "config.json").write_text(json.dumps(_config(config, vision, text, end), indent=1))


def stored(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    """Large matrices in 8 bits with a scale a row, which halves the file; the rest in bfloat16."""
    if array.ndim < 2 or array.size < SMALLEST_INT8 or array.shape[1] == 1:
        return {name: quantise.to_bf16(array)}
    rows, scale = quantise.int8_rows(array.reshape(array.shape[0], -1))
    return {name: rows.reshape(array.shape), f"{name}.scale": scale.reshape(-1)}


def vision_spec(vision: VisionConfig) -> FastViTSpec:
    return FastViTSpec(
        depths=vision.depths,
        widths=vision.widths,
        mixers=("repmixer", "repmixer", "repmixer", "attention", "attention"),
        mlp_ratios=vision.mlp_ratios,
        se_downsamples=(False,) * 5,
    )


def canonical(held: dict[str, torch.Tensor], vision: FastViTSpec) -> dict[str, np.ndarray]:
    """torch's names of a VisionLanguageModel -> galago's canonical names, float32."""
    named: dict[str, np.ndarray] = {}
    for name, tensor in folded(held).items():
        part, _, rest = name.partition(".")
        if part == "trunk":
            key = layout.VISION + layout.timm_to_llava(rest, vision)
        elif part == "projector":
            key = layout.PROJECTOR + rest
        elif part == "language":
            key = rest
        else:
            continue
        named[key] = tensor.float().numpy()
    return named


def folded(held: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each fused convolution with the batch norm it was trained with, as one convolution."""
    out = {k: v for k, v in held.items() if ".reparam_conv." not in k}
    for key in [k for k in held if k.endswith(".reparam_conv.conv.weight")]:
        name = key.removesuffix(".conv.weight")
        norm = {
            part: held[f"{name}.norm.{part}"].double()
            for part in ("weight", "bias", "running_mean", "running_var")
        }
        gain = norm["weight"] / (norm["running_var"] + NORM_EPS).sqrt()
        out[f"{name}.weight"] = held[key].double() * gain[:, None, None, None]
        out[f"{name}.bias"] = norm["bias"] - norm["running_mean"] * gain
    return out


def _config(
    config: TrainConfig, vision: FastViTSpec, text: Qwen2Spec, end: int | None
) -> dict[str, object]:
    image = ImageSpec(side=config.side, mean=(PIXEL_MEAN,) * 3, std=(PIXEL_STD,) * 3)
    block = {
        "format": 1,
        "name": config.name,
        "vision": dataclasses.asdict(vision),
        "image": dataclasses.asdict(image),
    }
    return {
        "model_type": "llava_qwen2",
        "mm_vision_tower": f"mobileclip_l_{config.side}",
        "mm_hidden_size": vision.features,
        "mm_projector_type": "mlp2x_gelu",
        "image_aspect_ratio": "pad",
        **text_to_json(text),
        "eos_token_id": end,
        "galago": block,
    }
